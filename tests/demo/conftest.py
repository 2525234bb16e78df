"""A real Chromium for the tests of the page."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
CAMERA = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]


@pytest.fixture(scope="session")
def chromium() -> str:
    """Chromium's path: the system's or Playwright's own. Where CI runs it must be there."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        with sync_playwright() as playwright:
            path = playwright.chromium.executable_path
    if not Path(path).exists():
        missing = (
            "Chromium is not installed: apt-get install chromium, or playwright install chromium"
        )
        assert not os.environ.get("CI"), missing
        pytest.skip(missing)
    return path


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=[*ARGUMENTS, *CAMERA])
        yield started
        started.close()
