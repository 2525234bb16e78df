"""A first visit in Chromium: the time until the page opens and answers, and what it weighs."""

import shutil
import time
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Page, sync_playwright

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
PHOTOGRAPH = "#photograph input[type=file]"
"""The input for a photograph; once it exists, the page can be used."""

_ANSWER = "#top5 .ff-answer"
_TIMEOUT = 60_000  # ms
_SENT = """() => ["navigation", "resource"]
  .flatMap(kind => performance.getEntriesByType(kind))
  .reduce((sum, one) => sum + one.transferSize, 0)"""


class Visit(NamedTuple):
    """The times and sizes of a visit.

    Attributes:
        opened: From navigation to a Classify tab that takes a photograph, in s.
        answered: From choosing a photograph to the answer, in s.
        kilobytes: Size of all responses until the tab could be used, as sent (compressed).
        document: Size of the page itself, which holds all components, before compression.
    """

    opened: float
    answered: float
    kilobytes: float
    document: float

    def cells(self) -> tuple[str, str, str, str]:
        """Return the values as cells of a table."""
        times = (f"{self.opened:.2f}", f"{self.answered:.2f}")
        return (*times, f"{self.kilobytes:,.0f}", f"{self.document:,.0f}")


def visit(address: str, photograph: Path) -> Visit:
    """Open a page with an empty cache, and classify a photograph.

    Args:
        address: The address of the page.
        photograph: The file.

    Returns:
        What it took.

    Raises:
        FileNotFoundError: There is no Chromium.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        raise FileNotFoundError("Chromium is missing. Install it with: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(_TIMEOUT)
        found = _visit(page, address, photograph)
        browser.close()
    return found


def _visit(page: Page, address: str, photograph: Path) -> Visit:
    started = time.perf_counter()
    document = page.goto(address, wait_until="commit")
    page.wait_for_selector(PHOTOGRAPH, state="attached")
    opened = time.perf_counter() - started
    sent = page.evaluate(_SENT)
    started = time.perf_counter()
    page.set_input_files(PHOTOGRAPH, photograph)
    page.wait_for_selector(_ANSWER)
    answered = time.perf_counter() - started
    size = len(document.body()) if document else 0
    return Visit(opened, answered, sent / 1000, size / 1000)
