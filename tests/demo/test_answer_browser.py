"""In a real Chromium: copying an answer, more photographs of one object, and the last answers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from drawing import drawn_photograph
from playwright.sync_api import Browser, Page, Route, expect
from visits import visit

pytestmark = pytest.mark.browser

WIDTHS = (390, 1280)
PLACES = """() => ["photograph", "more", "top5", "examples", "recent"].map(id => {
  const box = document.getElementById(id).getBoundingClientRect();
  return [id, Math.round(box.top + scrollY), Math.round(box.height)];
})"""


@pytest.fixture
def page(browser: Browser, demo_address: str) -> Iterator[Page]:
    permissions = ("clipboard-read", "clipboard-write")
    with visit(browser, demo_address, size=(1280, 900), permissions=permissions) as opened:
        yield opened


def choose(page: Page, path: Path) -> None:
    page.set_input_files("#photograph input[type=file]", path)
    expect(page.locator("#top5 meter")).to_have_count(5)


def add(page: Page, *paths: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add another photograph of it").click()
    chooser.value.set_files(paths)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A photograph of something else."""
    drawn_photograph(0.6, 3, (300, 260)).save(tmp_path / "other.png")
    return tmp_path / "other.png"


def test_an_answer_is_copied_as_text(page: Page, flower: Path):
    choose(page, flower)
    page.locator("#top5").get_by_role("button", name="Copy as text").click()
    expect(page.locator("#top5 [data-copy]")).to_have_text("Copied")
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert lines[0] == "pink-yellow dahlia"
    assert len(lines) == 7


def test_where_the_clipboard_is_closed_the_text_is_selected(page: Page, flower: Path):
    choose(page, flower)
    page.evaluate(
        "() => { navigator.clipboard.writeText = () => Promise.reject(Error('closed')); }"
    )
    page.locator("#top5 [data-copy]").click()
    expect(page.get_by_label("Text to copy")).to_be_focused()
    selected = page.evaluate("document.getSelection().toString()")
    assert selected.startswith("pink-yellow dahlia")


def test_another_photograph_of_it_changes_the_answer_and_can_be_removed(
    page: Page, flower: Path, other: Path
):
    choose(page, flower)
    alone = page.locator("#top5 .share").first.inner_text()
    add(page, other)
    expect(page.locator("#top5 .ff-note")).to_contain_text("Averaged over 2 photographs")
    expect(page.locator("#more img")).to_have_count(1)
    assert page.locator("#top5 .share").first.inner_text() != alone
    page.get_by_role("button", name="Remove further photograph 1").click()
    expect(page.locator("#more img")).to_have_count(0)
    expect(page.locator("#top5 .share").first).to_have_text(alone)
    add(page, other)
    expect(page.locator("#more img")).to_have_count(1)
    page.locator("#examples button").nth(2).click()  # a new object
    expect(page.locator("#top5 .ff-answer")).to_contain_text("none of the 102 classes")
    expect(page.locator("#more img")).to_have_count(0)


def test_a_bad_further_photograph_is_refused_by_name_and_the_answer_stays(
    page: Page, flower: Path, tmp_path: Path
):
    choose(page, flower)
    bad = tmp_path / "notes.jpg"
    bad.write_text("no pixels")
    add(page, bad)
    toast = page.locator("[data-testid=toast-body]")
    expect(toast).to_contain_text("notes.jpg is not a photograph")
    expect(page.locator("#more img")).to_have_count(0)
    expect(page.locator("#top5 .ff-answer")).to_contain_text("pink-yellow dahlia")


def test_the_last_answers_stay_in_this_browser_until_they_are_cleared(
    page: Page, flower: Path, demo_address: str
):
    expect(page.locator("#recent")).to_contain_text("kept in this browser only")
    choose(page, flower)
    expect(page.locator("#recent li")).to_have_count(1)
    page.locator("#examples button").nth(2).click()
    expect(page.locator("#recent li")).to_have_count(2)
    page.goto(demo_address)
    second = page.locator("#recent li button").nth(1)
    expect(second).to_contain_text("pink-yellow dahlia")
    second.focus()
    page.keyboard.press("Enter")
    detail = page.locator("#recent .ff-recent-detail")
    expect(detail.locator("meter")).to_have_count(5)
    expect(detail).to_contain_text("Very sure")
    assert detail.locator("img").evaluate("image => image.naturalWidth") > 100
    page.locator("#recent").get_by_role("button", name="Clear").click()
    expect(page.locator("#recent li")).to_have_count(0)
    page.reload()
    expect(page.locator("#recent")).to_contain_text("kept in this browser only")
    expect(page.locator("#recent li")).to_have_count(0)


def test_what_another_script_left_in_the_store_does_not_break_the_page(page: Page, flower: Path):
    choose(page, flower)
    expect(page.locator("#recent li")).to_have_count(1)
    poison = json.dumps([None, {"headline": 1}, "text", {"picture": "javascript:alert(1)"}])
    page.evaluate(
        "text => Object.keys(localStorage).filter(key => key.startsWith('frostflower.answers'))"
        ".forEach(key => localStorage.setItem(key, text))",
        poison,
    )
    page.reload()
    choose(page, flower)
    expect(page.locator("#recent li")).to_have_count(1)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_moves_when_an_answer_arrives(page: Page, flower: Path, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    page.reload()
    page.wait_for_selector("#recent .ff-recent")
    page.wait_for_timeout(800)  # until fonts and pictures are there
    before = page.evaluate(PLACES)
    choose(page, flower)
    expect(page.locator("#recent li")).to_have_count(1)
    assert page.evaluate(PLACES) == before


@contextmanager
def held_back(page: Page) -> Iterator[None]:
    """Keep back what the page asks its server, until the end of the block."""
    held: list[Route] = []
    page.route("**/queue/join*", lambda route: held.append(route))
    yield
    for route in held:
        route.continue_()
    page.unroute("**/queue/join*")


def test_a_photograph_chosen_while_a_bad_one_is_refused_is_answered(
    page: Page, flower: Path, tmp_path: Path
):
    bad = tmp_path / "notes.jpg"
    bad.write_text("no pixels")
    with held_back(page):
        page.set_input_files("#photograph input[type=file]", bad)
        page.wait_for_function("document.querySelector('#asked textarea').value.includes('notes')")
        page.set_input_files("#photograph input[type=file]", flower)
        page.wait_for_function("document.querySelector('#asked textarea').value.includes('dahlia')")
    expect(page.locator("[data-testid=toast-body]")).to_contain_text("notes.jpg is not")
    expect(page.locator("#top5 .ff-answer")).to_contain_text("pink-yellow dahlia")
    expect(page.locator("#photograph img")).to_be_visible()


def test_photographs_added_one_after_the_other_are_all_averaged(
    page: Page, flower: Path, other: Path, tmp_path: Path
):
    choose(page, flower)
    third = tmp_path / "third.png"
    drawn_photograph(0.9, 5, (300, 260)).save(third)
    with held_back(page):
        add(page, other)
        page.wait_for_function("document.querySelector('#asked textarea').value.includes('other')")
        add(page, third)
        page.wait_for_function("document.querySelector('#asked textarea').value.includes('third')")
    expect(page.locator("#top5 .ff-note")).to_contain_text("Averaged over 3 photographs")
    expect(page.locator("#more img")).to_have_count(2)


def test_clearing_while_an_average_is_computed_leaves_nothing(
    page: Page, flower: Path, other: Path
):
    choose(page, flower)
    with held_back(page):
        add(page, other)
        page.wait_for_function("document.querySelector('#asked textarea').value.includes('other')")
        page.locator("#photograph button[aria-label*='emove']").click()
        page.wait_for_function("document.querySelector('#asked textarea').value === ''")
    expect(page.locator("#top5")).to_contain_text("Add or paste a photograph")
    page.wait_for_timeout(500)
    expect(page.locator("#more img, #why .ff-heat")).to_have_count(0)
    expect(page.locator("#top5")).to_contain_text("Add or paste a photograph")


def test_two_tabs_do_not_bring_back_answers_that_were_cleared(
    page: Page, flower: Path, demo_address: str
):
    choose(page, flower)
    expect(page.locator("#recent li")).to_have_count(1)
    second = page.context.new_page()
    second.goto(demo_address)
    expect(second.locator("#recent li")).to_have_count(1)
    page.locator("#recent").get_by_role("button", name="Clear").click()
    expect(second.locator("#recent li")).to_have_count(0)
    second.locator("#examples button").nth(2).click()
    expect(second.locator("#recent li")).to_have_count(1)
    expect(page.locator("#recent li")).to_have_count(1)
