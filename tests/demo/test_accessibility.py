"""axe-core in a real Chromium: every tab, light and dark, on a desktop and on a phone."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

GRAVE = ("serious", "critical")


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: Browser, demo_address: str) -> Iterator[Page]:
    opened = browser.new_page(reduced_motion="reduce")
    opened.set_default_timeout(20_000)
    opened.goto(f"{demo_address}?__theme={request.param}")
    opened.wait_for_selector("#photograph")
    yield opened
    opened.close()


def faults(page: Page) -> list[str]:
    """Return what axe-core calls serious or critical."""
    found = Axe().run(page, options={"resultTypes": ["violations"]})
    return [
        f"{fault['id']}: {node['html'][:200]}"
        for fault in found.response["violations"]
        if fault["impact"] in GRAVE
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious_in_any_tab(page: Page, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(500)  # until nothing fades in any more
    assert faults(page) == []
    page.locator("#examples button").nth(1).click()
    expect(page.locator("#why .ff-heat")).to_be_visible()
    page.locator("#recent li button").first.click()
    page.wait_for_timeout(500)
    assert faults(page) == []
    for tab in page.get_by_role("tab").all():
        tab.click()
        page.wait_for_timeout(500)
        assert faults(page) == [], tab.inner_text()
