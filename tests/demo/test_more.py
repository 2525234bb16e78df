"""More photographs of the same object: what the page sends is checked."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from drawing import drawn_photograph

from demo.tabs.more import MOST, read_further, strip

MAX_BYTES, SIDE = 1_000_000, 32


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    for number in range(MOST + 1):
        drawn_photograph(0.1, number).save(folder / f"{number}.png")
    return folder


def event(paths: Any) -> gr.EventData:
    return gr.EventData(None, {"paths": paths})


def test_photographs_are_decoded_in_their_order(uploads: Path):
    paths = [str(uploads / "1.png"), str(uploads / "0.png")]
    found = read_further(event(paths), uploads, MAX_BYTES, SIDE)
    assert [one.path for one in found] == paths
    assert found[0].image.size == (48, 40)


def test_a_file_that_was_not_uploaded_is_not_opened(uploads: Path, tmp_path: Path):
    outside = tmp_path / "private.png"
    drawn_photograph(0.1, 1).save(outside)
    for path in (outside, uploads / ".." / "private.png"):
        with pytest.raises(gr.Error, match="is not an uploaded photograph"):
            read_further(event([str(path)]), uploads, MAX_BYTES, SIDE)


@pytest.mark.parametrize("paths", [None, "text", [1], {"0": "a"}])
def test_what_is_no_list_of_paths_is_refused(paths: Any, uploads: Path):
    with pytest.raises(gr.Error, match="list of photographs cannot be read"):
        read_further(event(paths), uploads, MAX_BYTES, SIDE)


def test_too_many_too_large_and_broken_ones_are_refused_by_name(uploads: Path):
    with pytest.raises(gr.Error, match=f"At most {MOST} further photographs"):
        paths = [str(uploads / f"{number}.png") for number in range(MOST + 1)]
        read_further(event(paths), uploads, MAX_BYTES, SIDE)
    with pytest.raises(gr.Error, match=r"0\.png is larger than"):
        read_further(event([str(uploads / "0.png")]), uploads, 20, SIDE)
    (uploads / "notes.jpg").write_text("no pixels")
    with pytest.raises(gr.Error, match=r"notes\.jpg is not a photograph"):
        read_further(event([str(uploads / "notes.jpg")]), uploads, MAX_BYTES, SIDE)


def test_the_strip_offers_another_one_until_there_are_enough(uploads: Path):
    found = read_further(event([str(uploads / "0.png")]), uploads, MAX_BYTES, SIDE)
    assert "data-add" not in strip(None)
    assert "data-add" in strip([]) and "data-add" in strip(found)
    full = strip(found * MOST)
    assert full.count("data-remove") == MOST and "data-add" not in full
    assert f"{MOST + 1} photographs, which is the most" in full


def test_a_path_is_escaped(uploads: Path):
    hostile = SimpleNamespace(path='"><b>', image=drawn_photograph(0.1, 1))
    assert "<b>" not in strip([hostile])  # pyrefly: ignore[bad-argument-type]
