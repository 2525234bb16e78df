"""Many photographs in a real Chromium: sent, classified, looked at, and taken away."""

import csv
import re
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from visits import visit

from demo.uploads import UploadFolder
from model.predictions import csv_header

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}

expect.set_options(timeout=20_000)


@pytest.fixture
def page(browser: Browser, demo_address: str) -> Iterator[Page]:
    with visit(browser, demo_address, tab="Many photographs") as opened:
        opened.wait_for_selector("#many-drop [data-part=files]")
        yield opened


@pytest.fixture
def folder(flower: Path, tmp_path: Path) -> Path:
    """Two photographs of a flower, in folders of a folder, and a text."""
    home = tmp_path / "holiday"
    for name in ("one", "two"):
        (home / name).mkdir(parents=True)
        shutil.copy(flower, home / name / "flower.jpg")
    (home / "<b>notes.jpg").write_text("no pixels")
    return home


def test_a_folder_is_classified_looked_at_by_keyboard_and_taken_away(page: Page, folder: Path):
    expect(page.get_by_text("Nothing has been sent yet")).to_be_visible()
    page.set_input_files("#many-drop [data-part=folder-input]", folder)
    expect(page.locator("#many-status")).to_contain_text("Done: 2 photographs classified, 1 could")
    expect(page.locator("#many-table tbody tr")).to_have_count(3)
    expect(page.locator("#many-table")).to_contain_text("holiday/<b>notes.jpg")
    expect(page.locator("#many-table")).to_contain_text("Could not be read: it is not a photograph")
    row = page.locator("#many-table tr", has_text="holiday/two/flower.jpg")
    expect(row).to_contain_text("pink-yellow dahlia")
    assert row.locator("img").evaluate("image => Math.max(image.naturalWidth, 1)") in range(20, 97)

    row.get_by_role("button").press("Enter")
    expect(page.locator("#many-detail .ff-bars meter")).to_have_count(5)
    expect(page.locator("#many-detail .ff-heat")).to_have_count(1)
    expect(page.locator("#many-detail .ff-detail")).to_be_focused()
    page.get_by_role("button", name="Back to the table").press("Enter")
    expect(page.locator("#many-detail .ff-detail")).to_have_count(0)
    expect(row.get_by_role("button")).to_be_focused()

    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    with Path(download.value.path()).open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == csv_header(5)
    assert {row[0] for row in rows[1:]} >= {"holiday/one/flower.jpg", "holiday/two/flower.jpg"}
    with page.expect_download() as download:
        page.get_by_role("button", name="Download sorted").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sorted(archive.namelist()) == [
            "could-not-be-read/list.txt",
            "pink-yellow dahlia/flower (2).jpg",
            "pink-yellow dahlia/flower.jpg",
        ]

    page.locator("#many-class input").fill("dahl")
    page.get_by_role("option", name="pink-yellow dahlia (2)").click()
    expect(page.locator("#many-table tbody tr")).to_have_count(2)
    page.locator("#many-order input").click()
    page.get_by_role("option", name="Most probable answer first").click()
    page.locator("#many-class input").click()
    page.get_by_role("option", name="All classes (1)").click()
    page.locator("#many-shown input").click()
    page.get_by_role("option", name="Could not be read (1)").click()
    expect(page.locator("#many-table tbody tr")).to_have_count(1)


def test_a_filter_is_announced_and_closes_a_photograph_that_it_may_not_show(
    page: Page, folder: Path
):
    announced = page.locator("#many-count [role=status]")
    expect(announced).to_have_text("")
    announced.evaluate("element => { element.dataset.first = 'yes'; }")
    page.set_input_files("#many-drop [data-part=folder-input]", folder)
    expect(announced).to_have_text("3 of 3 photographs are shown.")
    sorted_button = page.get_by_role("button", name="Download sorted")
    expect(sorted_button).to_have_attribute("title", "a zip file with a folder for each class")

    top = "element => element.getBoundingClientRect().top + scrollY"
    below = page.locator("#many-table").evaluate(top)
    page.locator("#many-table [data-row] button").first.press("Enter")
    expect(page.locator("#many-detail .ff-detail")).to_be_focused()
    assert page.locator("#many-table").evaluate(top) == below
    seen = (
        "element => new Promise(done => setTimeout(() => done(element.offsetTop - scrollY), 300))"
    )
    before = page.locator("#many-detail").evaluate(seen)
    page.locator("#many-table").evaluate("table => { table.style.paddingBottom = '1500px'; }")
    assert abs(page.locator("#many-detail").evaluate(seen) - before) < 5  # rows came meanwhile
    page.locator("#many-shown input").click()
    page.get_by_role("option", name="Could not be read (1)").click()
    expect(announced).to_have_text("1 of 3 photographs are shown.")
    expect(page.locator("#many-detail .ff-detail")).to_have_count(0)
    assert announced.get_attribute("data-first") == "yes"  # a new element would not be read out


def test_a_zip_is_classified_and_a_phone_shows_all_of_it(page: Page, folder: Path, tmp_path: Path):
    packed = shutil.make_archive(str(tmp_path / "flowers"), "zip", folder)
    page.set_viewport_size(PHONE)
    page.set_input_files("#many-drop [data-part=files-input]", packed)
    expect(page.locator("#many-status")).to_contain_text("Done: 2 photographs classified")
    expect(page.locator("#many-table")).to_contain_text("flowers.zip/one/flower.jpg")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.locator("#many-table tbody button").first.click()
    expect(page.locator("#many-detail .ff-bars meter")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_cancelling_keeps_what_is_done_and_classify_goes_on_meanwhile(
    page: Page, flower: Path, tmp_path: Path, demo_address: str
):
    files = [shutil.copy(flower, tmp_path / f"{number:03d}.jpg") for number in range(300)]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_input_files("#many-drop [data-part=files-input]", files)
    expect(page.locator("#many-status progress")).to_be_visible()
    page.get_by_role("tab", name="Classify").click()
    page.set_input_files("#photograph input[type=file]", flower)
    expect(page.locator("#top5 meter[value]")).to_have_count(5)
    page.get_by_role("tab", name="Many photographs").click()
    expect(page.locator("#many-status progress")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    said = page.locator("#many-status .ff-ended")
    expect(said).to_contain_text(re.compile(r"Cancelled: \d+ photographs classified, \d+ left out"))
    count = int(re.findall(r"(\d+) photographs", said.inner_text())[0])
    assert 0 < count < 300
    expect(page.locator("#many-table tbody tr")).to_have_count(min(count, 50))
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    outside = [url for url in asked if not url.startswith((demo_address, "data:", "blob:"))]
    assert outside == []


def test_501_files_are_refused_before_they_are_sent(page: Page, tmp_path: Path):
    files = []
    for number in range(501):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(b"x")
        files.append(path)
    page.set_input_files("#many-drop [data-part=files-input]", files)
    toast = page.locator("[data-testid=toast-body]")
    expect(toast).to_contain_text("but these are 501")
    expect(page.locator("#many-drop")).to_contain_text("Nothing was sent.")
    expect(page.get_by_text("Nothing has been sent yet")).to_be_visible()


def test_the_keyboard_stays_in_the_table_when_a_page_is_turned(
    page: Page, flower: Path, tmp_path: Path
):
    files = []
    for number in range(102):
        path = tmp_path / f"{number:03d}.jpg"
        path.write_text("no pixels")
        files.append(path)
    for number in (53, 99):
        shutil.copy(flower, files[number])
    page.set_input_files("#many-drop [data-part=files-input]", files)
    expect(page.locator("#many-status")).to_contain_text("Done: 2 photographs classified")
    page.get_by_role("button", name="Next 50").press("Enter")
    expect(page.get_by_role("button", name="053.jpg")).to_be_focused()
    page.get_by_role("button", name="Next 50").press("Enter")
    expect(page.locator("#many-table .ff-pages")).to_contain_text("101 to 102 of 102")
    expect(page.get_by_role("button", name="Previous 50")).to_be_focused()  # no row can be opened
    page.locator("#many-shown input").click()
    page.get_by_role("option", name="Could not be read (100)").click()
    expect(page.locator("#many-table .ff-pages")).to_contain_text("1 to 50 of 100")
    expect(page.locator("#many-table button:focus")).to_have_count(0)


def test_files_that_are_dropped_are_classified(page: Page, flower: Path):
    dropped = page.evaluate_handle(
        """bytes => {
          const list = new DataTransfer();
          list.items.add(new File([new Uint8Array(bytes)], "dropped.jpg", {type: "image/jpeg"}));
          return list;
        }""",
        list(flower.read_bytes()),
    )
    page.dispatch_event("#many-drop [data-part=area]", "drop", {"dataTransfer": dropped})
    expect(page.locator("#many-status")).to_contain_text("Done: 1 photograph classified.")
    expect(page.locator("#many-table")).to_contain_text("dropped.jpg")


def test_files_are_removed_when_the_page_is_closed(
    browser: Browser, demo_address: str, uploads: UploadFolder, flower: Path
):
    before = set(uploads.path.glob("many-*"))
    opened = browser.new_page()
    opened.goto(demo_address)
    opened.get_by_role("tab", name="Many photographs").click()
    opened.set_input_files("#many-drop [data-part=files-input]", flower)
    expect(opened.locator("#many-status")).to_contain_text("Done: 1 photograph")
    (folder,) = set(uploads.path.glob("many-*")) - before
    opened.close()
    for _ in range(100):
        if not folder.exists():
            break
        time.sleep(0.1)
    assert not folder.exists()


def test_more_than_one_gigabyte_is_refused_before_it_is_sent(page: Page, tmp_path: Path):
    files = [tmp_path / f"{number}.jpg" for number in range(120)]
    for path in files:
        with path.open("wb") as file:
            file.truncate(9_000_000)  # takes no room on the disk
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.set_input_files("#many-drop [data-part=files-input]", files)
    expect(page.locator("[data-testid=toast-body]")).to_contain_text("these files have 1.08 GB")
    expect(page.locator("#many-drop")).to_contain_text(
        "At most 1 GB can be sent, not 1.08 GB. Nothing was sent."
    )
    assert not [url for url in asked if "/upload" in url]


def drop_entry(page: Page, entry: str) -> None:
    """Drop what a browser says of a file or folder."""
    page.locator("#many-drop [data-part=area]").evaluate(
        """(area, entry) => {
          const event = new Event("drop"), item = {getAsFile: () => null};
          item.webkitGetAsEntry = () => eval(`(${entry})`);
          Object.defineProperty(event, "dataTransfer", {value: {items: [item]}});
          area.dispatchEvent(event);
        }""",
        entry,
    )


def test_an_unreadable_entry_that_is_dropped_is_answered_with_a_sentence(page: Page):
    drop_entry(page, '{isFile: true, name: "a", file: (good, bad) => bad(new Error("no"))}')
    expect(page.locator("#many-drop")).to_contain_text("The browser cannot read one of the files")
    expect(page.get_by_text("Nothing has been sent yet")).to_be_visible()


def test_waiting_and_a_drop_during_sending_are_answered_at_once(page: Page, flower: Path):
    uploads, calls = [], []
    page.route(re.compile(r"/upload\b(?!_)"), lambda route: uploads.append(route))
    page.route(re.compile("/queue/join"), lambda route: calls.append(route))
    with page.expect_request(re.compile(r"/upload\b(?!_)")):
        page.set_input_files("#many-drop [data-part=files-input]", flower)
    expect(page.locator("#many-drop")).to_contain_text("Sending: 0 of 1 files.")
    expect(page.get_by_text("Nothing has been sent yet")).to_be_hidden()
    drop_entry(page, '{isFile: true, name: "b.jpg", file: good => good(new File(["b"], "b.jpg"))}')
    note = "Files dropped meanwhile are not sent"
    expect(page.locator("#many-drop")).to_contain_text(f"Sending: 0 of 1 files. {note}")
    with page.expect_request(re.compile("/queue/join")):
        for route in uploads:
            route.continue_()
    said = page.locator("#many-status")
    expect(said).to_contain_text("Sent; starting …")
    expect(said).to_contain_text("Sent; waiting until other visitors' photographs are done.")
    expect(page.locator("#many-drop")).to_contain_text(f"1 file was sent. {note}")
    for route in calls:
        route.continue_()
    expect(page.locator("#many-status")).to_contain_text("Done: 1 photograph classified.")


def send_300(page: Page, flower: Path, folder: Path) -> None:
    files = [shutil.copy(flower, folder / f"{number:03d}.jpg") for number in range(300)]
    page.set_input_files("#many-drop [data-part=files-input]", files)
    expect(page.locator("#many-status progress")).to_be_visible()


def test_a_batch_that_is_no_longer_kept_says_so_while_it_runs(
    page: Page, flower: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    send_300(page, flower, tmp_path)
    monkeypatch.setattr("demo.many.batch.KEPT_SECONDS", -1.0)
    expect(page.locator("#many-status")).to_contain_text("deleted: the hour is over, or")
    expect(page.locator("#many-table tbody tr")).to_have_count(0)
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_photographs_that_are_refused_meanwhile_do_not_end_the_batch(
    page: Page,
    flower: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    send_300(page, flower, tmp_path)
    monkeypatch.setattr("demo.many.incoming.MOST", 1)
    two = [tmp_path / "000.jpg", tmp_path / "001.jpg"]
    page.set_input_files("#many-drop [data-part=files-input]", two)
    expect(page.locator("[data-testid=toast-body]")).to_contain_text("but these are 2.")
    expect(page.locator("#many-status progress")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#many-status")).to_contain_text("Cancelled:")
    assert "Traceback" not in capfd.readouterr().err
