"""Zip files of many photographs, which a real Chromium unpacks."""

import os
import re
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from visits import visit

pytestmark = pytest.mark.browser

UPLOAD = re.compile(r"/upload\b(?!_)")
FLAGS, METHOD, CRC, SIZE = (8, "<H"), (10, "<H"), (16, "<I"), (24, "<I")

expect.set_options(timeout=20_000)


@pytest.fixture
def page(browser: Browser, demo_address: str) -> Iterator[Page]:
    with visit(browser, demo_address, tab="Many photographs") as opened:
        opened.wait_for_selector("#many-drop [data-part=files]")
        yield opened


def pack(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def claim(path: Path, name: str, field: tuple[int, str], value: int) -> None:
    """Let the list of entries say something else of an entry."""
    content, (offset, kind) = bytearray(path.read_bytes()), field
    at = content.index(name.encode(), content.index(b"PK\x01\x02")) - 46
    struct.pack_into(kind, content, at + offset, value)
    path.write_bytes(content)


def choose(page: Page, *paths: Path) -> None:
    page.set_input_files("#many-drop [data-part=files-input]", paths)


def rows(page: Page) -> dict[str, str]:
    """Name of each photograph in the table -> its answer, or why there is none."""
    lines = page.locator("#many-table tbody tr").all()
    cells = [line.locator("td").all_inner_texts() for line in lines]
    return {cell[1].strip(): cell[2].strip() for cell in cells}


def test_a_zip_larger_than_a_photograph_may_be_is_unpacked_in_the_browser(
    page: Page, flower: Path, tmp_path: Path
):
    one = flower.read_bytes()
    photographs = ["a.jpg", "deep/er/b.JPG", "hidden.jpg", "lzma.jpg", "liar.jpg", "torn.jpg"]
    path = pack(tmp_path / "flowers.zip", {name: one for name in photographs})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("stored.jpg", one, zipfile.ZIP_STORED)
        archive.writestr("film.mov", os.urandom(12_000_000), zipfile.ZIP_STORED)
        archive.writestr("large.jpg", bytes(10_000_001))
        archive.writestr("bomb.jpg", bytes(300_000_000))
        for junk in ("__MACOSX/deep/a.jpg", ".b.jpg", ".git/c.jpg", "Thumbs.db", "notes.txt"):
            archive.writestr(junk, one)
        archive.mkdir("empty.jpg")
    claim(path, "hidden.jpg", FLAGS, 1)
    claim(path, "lzma.jpg", METHOD, 14)
    claim(path, "liar.jpg", SIZE, 5)
    claim(path, "torn.jpg", CRC, 5)
    claim(path, "bomb.jpg", SIZE, 1_000)
    assert path.stat().st_size > 12_000_000
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    choose(page, path)
    expect(page.locator("#many-status")).to_contain_text("Done: 3 photographs classified, 6 could")
    expect(page.locator("#many-drop")).to_contain_text("9 files were sent.")
    assert len(list(filter(UPLOAD.search, sent))) == 3
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.locator("#many-table table").evaluate("table => table.offsetWidth") <= 390
    found = rows(page)
    for name in ("a.jpg", "deep/er/b.JPG", "stored.jpg"):
        assert found.pop(f"flowers.zip/{name}").startswith("pink-yellow dahlia")
    assert found == {
        "flowers.zip/hidden.jpg": "Could not be read: it is encrypted.",
        "flowers.zip/lzma.jpg": "Could not be read: it uses a compression that the browser cannot "
        "read.",
        "flowers.zip/liar.jpg": "Could not be read: it is damaged inside the zip file.",
        "flowers.zip/torn.jpg": "Could not be read: it is damaged inside the zip file.",
        "flowers.zip/large.jpg": "Could not be read: it is larger than 10 MB.",
        "flowers.zip/bomb.jpg": "Could not be read: it is larger than 10 MB.",
    }


def test_zip64_a_program_in_front_and_a_comment_are_read(
    page: Page, flower: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    large, small = tmp_path / "large.zip", tmp_path / "small.zip"
    with monkeypatch.context() as patch:
        patch.setattr(zipfile, "ZIP64_LIMIT", 10)
        with (
            zipfile.ZipFile(large, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("a.jpg", "w", force_zip64=True) as file,
        ):
            file.write(flower.read_bytes())
    assert b"PK\x06\x06" in large.read_bytes()
    with zipfile.ZipFile(small, "w") as archive:
        archive.comment = b"PK\x05 and more"
        archive.write(flower, "b.jpg")
    small.write_bytes(b"#!/bin/sh\n" + small.read_bytes())
    choose(page, large, small)
    expect(page.locator("#many-status")).to_contain_text("Done: 2 photographs classified.")
    assert set(rows(page)) == {"large.zip/a.jpg", "small.zip/b.jpg"}


def test_names_of_all_kinds_are_shown_and_lead_nowhere(page: Page, flower: Path, tmp_path: Path):
    one = flower.read_bytes()
    names = ["ütf/日本.jpg", "<b>bold.jpg", "..\\..\\up.jpg", "./here.jpg", "cp-X.jpg", "u-XX.jpg"]
    path = pack(tmp_path / "names.ZIP", {name: one for name in names})
    content = path.read_bytes().replace(b"cp-X.jpg", b"cp-\x81.jpg")
    path.write_bytes(content.replace(b"u-XX.jpg", "u-ü.jpg".encode()))
    choose(page, path)
    expect(page.locator("#many-status")).to_contain_text("Done: 6 photographs classified.")
    shown = ["ütf/日本.jpg", "<b>bold.jpg", "up.jpg", "here.jpg", "cp-ü.jpg", "u-ü.jpg"]
    assert set(rows(page)) == {f"names.ZIP/{name}" for name in shown}


def test_a_zip_without_photographs_is_a_row_with_its_reason(page: Page, tmp_path: Path):
    choose(page, pack(tmp_path / "texts.zip", {"a.txt": b"x", "inner.zip": b"PK"}))
    expect(page.locator("#many-table")).to_contain_text("Could not be read: it holds no photograph")
    assert set(rows(page)) == {"texts.zip"}


@pytest.mark.parametrize("damage", ["text", "nothing", "cut", "list", "end"])
def test_a_damaged_zip_is_one_sentence_and_nothing_is_sent(
    page: Page, flower: Path, tmp_path: Path, damage: str
):
    path = pack(tmp_path / "torn.zip", {"a.jpg": flower.read_bytes()})
    content = path.read_bytes()
    path.write_bytes(
        {
            "text": b"no archive, but long enough for an end record",
            "nothing": b"",
            "cut": content[:-30],
            "list": content.replace(b"PK\x01\x02", b"PK\x01\x03"),
            "end": content[:-10] + b"\xff" * 8 + content[-2:],  # the list lies outside of it
        }[damage]
    )
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    choose(page, flower, path)
    expect(page.locator("#many-drop [data-part=said]")).to_have_text(
        "torn.zip cannot be read: it is damaged, or is not a zip file. Nothing was sent."
    )
    expect(page.locator("#many-drop [data-part=files]")).to_be_enabled()
    assert sent == []


def test_the_bounds_hold_over_files_and_zips_together(page: Page, flower: Path, tmp_path: Path):
    many = pack(tmp_path / "many.zip", {f"{number}.jpg": b"x" for number in range(500)})
    choose(page, many, flower)
    toast = page.locator("[data-testid=toast-body]")
    expect(toast).to_contain_text("but these are 501")
    expect(page.locator("#many-drop")).to_contain_text(
        "At most 500 files can be sent, not 501. Nothing"
    )
    large = pack(tmp_path / "large.zip", {f"{number:03}.jpg": b"x" for number in range(112)})
    for number in range(112):
        claim(large, f"{number:03}.jpg", SIZE, 9_000_000)
    choose(page, large)
    expect(page.locator("#many-drop")).to_contain_text(
        "At most 1 GB can be sent, not 1.01 GB. Nothing was"
    )
    expect(page.locator("#many-status")).to_contain_text("Nothing has been sent yet")


def test_sending_a_zip_can_be_stopped(page: Page, flower: Path, tmp_path: Path):
    one, held = flower.read_bytes(), []
    page.route(UPLOAD, lambda route: held.append(route))
    with page.expect_request(UPLOAD):
        choose(page, pack(tmp_path / "a.zip", {f"{number}.jpg": one for number in range(9)}))
    expect(page.locator("#many-drop")).to_contain_text("Sending: 0 of 9 files.")
    page.wait_for_timeout(500)
    assert len(held) == 3  # the others are not even unpacked yet
    page.get_by_role("button", name="Stop sending").press("Enter")
    for route in held:
        route.continue_()
    expect(page.locator("#many-drop")).to_contain_text("Sending was stopped. Nothing was")
    expect(page.get_by_role("button", name="Choose files")).to_be_focused()
    expect(page.locator("#many-status")).to_contain_text("Nothing has been sent yet")
