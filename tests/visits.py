"""A visitor's browser window, with storage and permissions of its own."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from playwright.sync_api import Browser, Page


@contextmanager
def visit(
    browser: Browser,
    address: str,
    *,
    tab: str = "",
    size: tuple[int, int] = (1200, 860),
    permissions: Sequence[str] = (),
) -> Iterator[Page]:
    """Open the page, and close it afterwards.

    Args:
        browser: Chromium.
        address: Of the page.
        tab: Opened as soon as the page is there; none where that is "".
        size: Width and height of the window, in px.
        permissions: Such as `camera`.
    """
    width, height = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, permissions=[*permissions]
    )
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.goto(address)
    page.wait_for_selector("#photograph")
    if tab:
        page.get_by_role("tab", name=tab).click()
    yield page
    context.close()
