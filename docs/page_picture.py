"""Make docs/page.png: the page of the shipped classifier with the answer to its first example.

    python docs/page_picture.py

This needs Chromium: `apt-get install chromium`, or `playwright install chromium`.
"""

import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from time import sleep

from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
_WIDTH, _HEIGHT = 1180, 1290  # px
_SECONDS = 60  # until the page is up


def free_port() -> int:
    """Return a port on which no program listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address: str, page: "subprocess.Popen[bytes]") -> None:
    """Wait until the page answers.

    Raises:
        TimeoutError: The program has ended, or does not answer within a minute.
    """
    for _ in range(2 * _SECONDS):
        try:
            urllib.request.urlopen(address).close()
            return
        except OSError:
            if page.poll() is not None:
                break
            sleep(0.5)
    raise TimeoutError(f"python -m demo does not answer at {address}. Start it to see why.")


def take(address: str, out: Path) -> None:
    """Choose the first example and take the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
        page.goto(address)
        page.locator("#examples button").first.click()
        expect(page.locator("#why .ff-heat")).to_be_visible(timeout=30_000)
        page.evaluate("window.scrollTo(0, 0)")
        page.wait_for_timeout(1000)  # until nothing moves any more
        page.screenshot(path=out)
        browser.close()


def main() -> int:
    """Start the page, take its picture, and end it.

    Returns:
        Exit status 0.
    """
    port = free_port()
    command = [sys.executable, "-m", "demo", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as page:
        try:
            address = f"http://127.0.0.1:{port}/"
            wait_for(address, page)
            take(address, ROOT / "docs" / "page.png")
        finally:
            page.terminate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
