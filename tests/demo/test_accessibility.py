"""axe-core in a real Chromium: every tab, light and dark, on a desktop and on a phone."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from demo.collect import Corrections
from demo.page import build
from demo.serve import launch
from demo.uploads import UploadFolder
from model.classifier import Classifier

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


@contextlib.contextmanager
def served(demo: gr.Blocks, uploads: UploadFolder) -> Iterator[str]:
    """Serve a page for as long as the context is open; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"server_name": "127.0.0.1", "server_port": port}
    yield launch(demo, max_bytes=10**7, uploads=uploads, **where)
    demo.close(verbose=False)


def dark_and_light(browser: Browser, address: str, shown: str) -> list[str]:
    """Return what axe-core calls serious or critical of a page in both themes, once it shows."""
    found = []
    for theme in ("light", "dark"):
        page = browser.new_page(reduced_motion="reduce")
        page.goto(f"{address}?__theme={theme}")
        page.locator("#examples button").first.click()
        expect(page.locator("#why .ff-heat")).to_be_visible(timeout=20_000)
        expect(page.locator(shown)).to_be_visible(timeout=20_000)
        page.wait_for_timeout(500)
        found += faults(page)
        page.close()
    return found


def test_axe_finds_nothing_serious_where_a_classifier_is_chosen(
    browser: Browser, shipped: Classifier, trained: Path, uploads: UploadFolder
):
    tiny = Classifier(trained, device="cpu", cache_dir=trained.parent / "cache")
    with served(build({"flowers": shipped, "drawn": tiny}), uploads) as address:
        assert dark_and_light(browser, address, "#classifier") == []


def test_axe_finds_nothing_serious_where_corrections_are_asked_for(
    browser: Browser, shipped: Classifier, tmp_path: Path, uploads: UploadFolder
):
    demo = build(shipped, corrections=Corrections(tmp_path / "kept", public=True))
    with served(demo, uploads) as address:
        assert dark_and_light(browser, address, "#correct") == []


@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing_serious_in_any_tab(page: Page, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_timeout(500)  # until nothing fades in any more
    assert faults(page) == []
    page.get_by_role("button", name="Limit the answer to some classes").click()
    expect(page.locator("#only-classes input")).to_be_visible()
    page.wait_for_timeout(500)
    assert faults(page) == [], "Limit the answer to some classes"
    page.locator("#examples button").nth(1).click()
    expect(page.locator("#why .ff-heat")).to_be_visible()
    page.locator("#recent li button").first.click()
    page.wait_for_timeout(500)
    assert faults(page) == []
    for tab in page.get_by_role("tab").all():
        tab.click()
        loading = page.get_by_label("Empty value").locator("visible=true")  # Gradio's, of charts
        expect(loading).to_have_count(0)
        page.wait_for_timeout(500)
        assert faults(page) == [], tab.inner_text()
