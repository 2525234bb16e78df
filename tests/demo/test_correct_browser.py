"""Corrections in a real Chromium: a wrong answer is put right, kept, and taken back."""

import csv
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageOps
from playwright.sync_api import Browser, Page, Route, expect
from visits import visit

from demo.collect import Corrections
from demo.labels import TABLE
from demo.page import build
from demo.serve import launch
from demo.uploads import UploadFolder

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served") / "corrections"


@pytest.fixture(scope="module")
def address(shipped, uploads: UploadFolder, folder: Path) -> Iterator[str]:
    """The address of a public page that keeps corrections."""
    demo = build(shipped, corrections=Corrections(folder, public=True))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"server_name": "127.0.0.1", "server_port": port}
    yield launch(demo, max_bytes=10**7, uploads=uploads, **where)
    demo.close(verbose=False)


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with visit(browser, address, permissions=["camera"]) as opened:
        yield opened


@pytest.fixture
def mirrored(flower: Path, tmp_path: Path) -> Path:
    """Another photograph."""
    path = tmp_path / "mirrored.jpg"
    ImageOps.mirror(Image.open(flower)).save(path)
    return path


def choose(page: Page, path: Path) -> None:
    page.set_input_files("#photograph input[type=file]", path)
    expect(page.locator("#correct")).to_be_visible()


def say(page: Page, name: str) -> None:
    field = page.locator("#right-class input")
    field.click()
    field.fill(name)
    page.locator("#keep").click()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / TABLE).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_wrong_answer_is_put_right_kept_and_taken_back(page: Page, flower: Path, folder: Path):
    expect(page.locator("#correct")).to_have_count(0)
    choose(page, flower)
    promise = "The owner of this page keeps the photograph and your answer"
    expect(page.locator("#correct .ff-banner")).to_contain_text(promise)
    expect(page.locator("#correct .ff-small")).to_contain_text("The file is stored as you sent it")
    expect(page.locator("#undo")).to_have_count(0)
    field = page.locator("#right-class input")
    field.click()
    field.press_sequentially("sunf")  # which finds the sunflower
    field.press("Enter")
    expect(field).to_have_value("sunflower")
    page.locator("#keep").click()
    expect(page.locator("#kept")).to_contain_text("Kept: “sunflower”")
    expect(page.locator("#kept")).not_to_contain_text("train.py")  # it is not theirs to train
    (row,) = rows(folder)
    assert (row["label"], row["answer"]) == ("54", "60")  # sunflower, pink-yellow dahlia
    assert (folder / row["path"]).read_bytes() == flower.read_bytes()
    page.locator("#undo").click()
    expect(page.locator("#kept")).to_contain_text("Undone: “sunflower”")
    expect(page.locator("#undo")).to_have_count(0)
    expect(page.locator("#keep")).to_be_focused()  # and not the top of the page
    assert rows(folder) == [] and not (folder / row["path"]).exists()


def test_the_list_offers_none_of_these_first(page: Page, folder: Path):
    page.locator("#examples button").nth(1).click()  # a cheetah
    expect(page.locator("#correct")).to_be_visible()
    page.locator("#right-class input").click()
    first = page.locator("ul[role=listbox] li").first
    expect(first).to_contain_text("none of these")
    first.click()
    page.locator("#keep").click()
    expect(page.locator("#kept")).to_contain_text("Training ignores it until it has 3")
    assert rows(folder)[-1]["label"] == "none of these"
    page.locator("#undo").click()
    expect(page.locator("#kept")).to_contain_text("Undone")


def test_a_name_that_is_html_is_a_name(page: Page, flower: Path, folder: Path):
    name = "a <img src=x onerror=window.poisoned=1>"
    choose(page, flower)
    say(page, name)
    expect(page.locator("#kept")).to_contain_text(f"Kept: “{name}”")
    assert page.locator("#kept img").count() == 0
    assert page.evaluate("window.poisoned") is None
    assert rows(folder)[-1]["label"] == name
    say(page, "a/b")
    expect(page.locator("#kept [role=alert]")).to_contain_text("separates folders")
    page.locator("#undo").click()
    expect(page.locator("#kept")).to_contain_text("Undone")


def test_without_a_name_nothing_is_kept(page: Page, flower: Path, folder: Path):
    before = rows(folder)
    choose(page, flower)
    page.locator("#keep").click()
    expect(page.locator("#kept [role=alert]")).to_contain_text("First choose what it is")
    assert rows(folder) == before


def test_an_old_name_is_not_kept_for_a_new_photograph(
    page: Page, flower: Path, mirrored: Path, folder: Path
):
    before = rows(folder)
    choose(page, flower)
    say(page, "a/b")
    expect(page.locator("#kept [role=alert]")).to_contain_text("separates folders")
    field = page.locator("#right-class input")
    field.fill("sunflower")
    page.wait_for_timeout(500)  # until what followed the last answer has been sent
    held: list[Route] = []  # the next answer to a photograph, which is late
    # Gradio may say twice that a photograph has changed: what asks for the same is held as well.
    events: set[int] = set()

    def hold(route: Route) -> None:
        asked = route.request.post_data_json or {}
        if not events and '"path"' in (route.request.post_data or ""):
            events.add(asked["fn_index"])
        if asked.get("fn_index") in events:
            held.append(route)
        else:
            route.continue_()

    page.route("**/queue/join*", hold)
    page.set_input_files("#photograph input[type=file]", mirrored)
    while not held:
        page.wait_for_timeout(50)
    expect(field).to_have_value("sunflower")
    page.locator("#keep").click()
    expect(page.locator("#kept [role=alert]")).to_contain_text("This is a new photograph")
    assert rows(folder) == before
    for route in held:
        route.continue_()
    page.unroute("**/queue/join*", hold)
    expect(field).to_have_value("")
    expect(page.locator("#kept [role=alert]")).to_have_count(0)
    say(page, "sunflower")
    expect(page.locator("#kept")).to_contain_text("Kept: “sunflower”")
    assert (folder / rows(folder)[-1]["path"]).read_bytes() == mirrored.read_bytes()
    page.locator("#undo").click()
    expect(page.locator("#kept")).to_contain_text("Undone")


def test_what_is_done_is_read_aloud(page: Page, flower: Path):
    choose(page, flower)
    page.evaluate("window.place = document.querySelector('#kept [role=status]')")
    assert page.evaluate("place.textContent") == ""
    say(page, "sunflower")
    expect(page.locator("#kept")).to_contain_text("Kept")
    kept = "place.isConnected && place.textContent.includes('Kept')"
    assert page.evaluate(kept)  # the element that was there before
    page.locator("#undo").click()
    expect(page.locator("#kept")).to_contain_text("Undone")


def test_the_fader_agrees_with_the_next_photograph(page: Page, flower: Path, mirrored: Path):
    opacity = "getComputedStyle(document.querySelector('#why .ff-heat')).opacity"
    fader = page.locator("#why .ff-fader input")
    choose(page, flower)
    fader.fill("0.2")
    assert page.evaluate(opacity) == "0.2"
    seen = page.locator("#why .ff-heat").get_attribute("src")
    page.set_input_files("#photograph input[type=file]", mirrored)
    expect(page.locator("#why .ff-heat")).not_to_have_attribute("src", seen or "")
    expect(fader).to_have_value("0.7")
    assert page.evaluate(opacity) == "0.7"
    fader.fill("0.4")
    assert page.evaluate(opacity) == "0.4"


def test_the_next_photograph_starts_anew(page: Page, flower: Path):
    choose(page, flower)
    say(page, "sunflower")
    expect(page.locator("#kept")).to_contain_text("Kept")
    page.locator("#photograph button[aria-label*='emove']").click()
    expect(page.locator("#correct")).to_have_count(0)
    page.locator("#examples button").nth(1).click()
    expect(page.locator("#right-class input")).to_have_value("")
    expect(page.locator("#kept")).not_to_contain_text("Kept")
    page.locator("#undo").click()
    expect(page.locator("#kept")).to_contain_text("Undone: “sunflower”")


def test_a_photograph_of_the_camera_is_kept(page: Page, folder: Path):
    page.locator("#photograph button[aria-label*='amera']").first.click()
    page.get_by_text("Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#photograph video')?.readyState >= 2")
    page.locator("#photograph button[aria-label='capture photo']").click()
    expect(page.locator("#correct")).to_be_visible()
    say(page, "sunflower")
    expect(page.locator("#kept")).to_contain_text("Kept: “sunflower”")
    assert (folder / rows(folder)[-1]["path"]).is_file()


def test_another_visitor_cannot_take_it_back_nor_read_it(
    page: Page, browser: Browser, address: str, flower: Path, folder: Path
):
    choose(page, flower)
    say(page, "rose")
    expect(page.locator("#kept")).to_contain_text("Kept: “rose”")
    other = browser.new_page()
    other.goto(address)
    other.wait_for_selector("#photograph")
    choose(other, flower)
    expect(other.locator("#undo")).to_have_count(0)
    other.close()
    for path in (folder / TABLE, folder / rows(folder)[-1]["path"]):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(f"{address}gradio_api/file={path}", timeout=20)
        assert error.value.code in (403, 404)
    page.locator("#undo").click()
    expect(page.locator("#kept")).to_contain_text("Undone")


def test_a_phone_shows_the_part_without_scrolling_sideways(page: Page, flower: Path):
    page.set_viewport_size(PHONE)
    page.reload()
    page.wait_for_selector("#photograph")
    choose(page, flower)
    say(page, "x" * 255)
    expect(page.locator("#kept")).to_contain_text("Kept")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.locator("#undo").click()
    expect(page.locator("#kept")).to_contain_text("Undone")
