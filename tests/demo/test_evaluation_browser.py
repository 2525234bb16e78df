"""The Evaluation tab in a real Chromium: a pair is chosen by mouse and by keyboard."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr
import pytest
from playwright.sync_api import Browser, Page, expect
from small_checkpoint import evaluated, pictured

from demo.line import take_turns
from demo.serve import launch
from demo.tabs.evaluation import evaluation_tab
from demo.uploads import UploadFolder
from model.checkpoints.checkpoint import Checkpoint

pytestmark = pytest.mark.browser

NAMES = ["oxeye daisy", "dog rose", '<img src=x onerror="window.poisoned=1">', "tulip"]
COUNTS = [[9, 1, 0, 0], [3, 7, 0, 0], [0, 2, 6, 0], [0, 0, 0, 4]]

expect.set_options(timeout=20_000)


@contextmanager
def served(checkpoint: Checkpoint, uploads: UploadFolder) -> Iterator[str]:
    """Serve the tab alone; its address."""
    with gr.Blocks(analytics_enabled=False) as demo, gr.Tabs(), gr.Tab("Evaluation"):
        evaluation_tab(checkpoint)
    yield launch(take_turns(demo), max_bytes=10**7, uploads=uploads, server_name="127.0.0.1")
    demo.close(verbose=False)


@contextmanager
def opened(browser: Browser, address: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.set_default_timeout(20_000)
    page.goto(address)
    page.wait_for_selector("#confusion-matrix [data-true]")
    yield page
    page.close()


@pytest.fixture(scope="module")
def address(uploads: UploadFolder) -> Iterator[str]:
    checkpoint = pictured(evaluated(NAMES, COUNTS), ["0/a.jpg", "1/b.jpg"], [0, 1])
    with served(checkpoint, uploads) as found:
        yield found


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with opened(browser, address) as found:
        yield found


@pytest.fixture
def large_page(browser: Browser, uploads: UploadFolder) -> Iterator[Page]:
    """A page of 30 classes, each taken for the next one once."""
    counts = [[4 * (i == j) + ((i + 1) % 30 == j) for j in range(30)] for i in range(30)]
    names = [f"a flower with a long name, {number}" for number in range(30)]
    with served(evaluated(names, counts), uploads) as found, opened(browser, found) as page:
        yield page


def test_a_click_shows_a_pair_with_training_photographs(page: Page):
    page.get_by_role("button", name="3 of 10 photographs of dog rose were mistaken for").click()
    shown = page.locator("#confused-pair")
    expect(shown).to_contain_text("3 of 10 photographs of “dog rose” were mistaken")
    expect(shown).to_contain_text("1 of 10 photographs of “oxeye daisy” was mistaken")
    expect(shown.locator("img")).to_have_count(2)
    assert shown.locator("img").first.evaluate("image => image.naturalWidth") == 24
    page.locator("#confusions [data-true='2']").click()
    expect(shown).to_contain_text("2 of 8 photographs of “<img src=x")
    assert page.evaluate("window.poisoned") is None
    for marked in ("#confusions [aria-current]", "#confusion-matrix [aria-current]"):
        expect(page.locator(marked)).to_have_count(1)
        expect(page.locator(marked)).to_have_attribute("data-true", "2")
    below = page.locator("#unconfused").bounding_box()
    above = shown.bounding_box()
    assert above and below and above["y"] + above["height"] <= below["y"]


def test_a_grid_that_scrolls_shows_it_and_takes_the_focus(large_page: Page):
    large_page.set_viewport_size({"width": 390, "height": 860})
    box = large_page.get_by_role("region", name="Table of confused classes")
    frame = large_page.locator(".ff-matrix-frame")
    expect(frame).to_have_class(re.compile("more-right"))
    expect(box).to_have_attribute("tabindex", "0")
    box.evaluate("box => box.scrollTo(box.scrollWidth, box.scrollHeight)")
    expect(frame).to_have_class("ff-matrix-frame")


def test_eight_classes_fit_a_phone(browser: Browser, uploads: UploadFolder):
    counts = [[4 * (i == j) + ((i + 1) % 8 == j) for j in range(8)] for i in range(8)]
    names = [f"a flower with a long name, {number}" for number in range(8)]
    with served(evaluated(names, counts), uploads) as found, opened(browser, found) as page:
        page.set_viewport_size({"width": 390, "height": 860})
        box = page.locator(".ff-matrix")
        expect(box).not_to_have_attribute("tabindex", "0")
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth")


def test_arrow_keys_move_in_the_grid_and_enter_shows_the_pair(page: Page):
    grid = page.get_by_role("grid", name="Confused classes")
    expect(grid.locator("[tabindex='0']")).to_have_count(1)
    grid.locator("[tabindex='0']").focus()
    page.keyboard.press("Home")
    for _ in range(5):  # to the last row, whose first cell is empty or a count
        page.keyboard.press("ArrowDown")
    row = "document.activeElement.closest('tr').sectionRowIndex"
    assert page.evaluate(row) == 2
    column = "document.activeElement.closest('td').cellIndex"
    assert page.evaluate(column) == 1
    page.keyboard.press("End")
    assert page.evaluate(column) == 3
    expect(grid.locator("[tabindex='0']")).to_have_count(1)
    for key in ("Home", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    for _ in range(3):  # the first count of the first row
        if page.evaluate("document.activeElement.tagName") == "BUTTON":
            break
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#confused-pair")).to_contain_text("mistaken for")


def test_the_answer_and_the_weak_spots_are_on_the_first_screen(page: Page):
    for part in ("#reliance", "#confusion-matrix", "#confusions", "#weakest"):
        box = page.locator(part).bounding_box()
        assert box and box["y"] + box["height"] <= 860, part


def test_the_search_has_a_label_and_finds_a_class(page: Page):
    page.get_by_label("Find a class").fill("ROSE")
    table = page.locator("#per-class")
    expect(table.get_by_text("oxeye daisy").locator("visible=true")).to_have_count(0)
    expect(table.get_by_text("dog rose").locator("visible=true").first).to_be_visible()
    found = page.locator("#found [role=status]")
    expect(found).to_have_text("1 class")
    page.get_by_label("Find a class").fill("zzz")
    expect(found).to_have_text("No class contains “zzz”.")
    expect(table.locator("visible=true")).to_have_count(0)
    page.get_by_label("Find a class").fill("")
    expect(table.get_by_text("tulip").locator("visible=true").first).to_be_visible()
