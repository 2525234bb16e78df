"""More photographs of the same object: what the page sends is checked."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from drawing import drawn_photograph

from demo.tabs.more import MOST, read_asked, read_further, strip

MAX_BYTES, SIDE = 1_000_000, 32


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    for number in range(MOST + 1):
        drawn_photograph(0.1, number).save(folder / f"{number}.png")
    return folder


def test_photographs_are_decoded_in_their_order(uploads: Path):
    paths = [str(uploads / "1.png"), str(uploads / "0.png")]
    found = read_further(paths, uploads, MAX_BYTES, SIDE)
    assert [one.path for one in found] == paths
    assert found[0].image.size == (48, 40)


def test_a_file_that_was_not_uploaded_is_not_opened(uploads: Path, tmp_path: Path):
    outside = tmp_path / "private.png"
    drawn_photograph(0.1, 1).save(outside)
    for path in (outside, uploads / ".." / "private.png"):
        with pytest.raises(gr.Error, match="is not an uploaded photograph"):
            read_further([str(path)], uploads, MAX_BYTES, SIDE)


@pytest.mark.parametrize(
    "text",
    [
        *(None, 3, "", "text", "[]", "null", '{"first": "a"}', '{"first": 1, "further": []}'),
        *('{"first": "a", "further": [1]}', '{"first": "a", "further": "b"}', "[" * 100_000),
    ],
)
def test_what_does_not_name_photographs_is_refused(text: Any):
    with pytest.raises(gr.Error, match="list of photographs cannot be read"):
        read_asked(text)


def test_what_is_asked_has_a_first_photograph_and_no_more_than_four_others():
    asked = read_asked(json.dumps({"first": "a", "further": ["b"], "again": 3}))
    assert asked == ("a", ["b"])
    with pytest.raises(gr.Error, match=f"At most {MOST} further photographs"):
        read_asked(json.dumps({"first": "a", "further": ["b"] * (MOST + 1)}))


def test_too_large_and_broken_ones_are_refused_by_name(uploads: Path):
    with pytest.raises(gr.Error, match=r"0\.png is larger than"):
        read_further([str(uploads / "0.png")], uploads, 20, SIDE)
    (uploads / "notes.jpg").write_text("no pixels")
    with pytest.raises(gr.Error, match=r"notes\.jpg is not a photograph"):
        read_further([str(uploads / "notes.jpg")], uploads, MAX_BYTES, SIDE)


def test_the_strip_offers_another_one_until_there_are_enough(uploads: Path):
    found = read_further([str(uploads / "0.png")], uploads, MAX_BYTES, SIDE)
    assert "data-add" not in strip(None)
    assert "data-add" in strip([]) and "data-add" in strip(found)
    full = strip(found * MOST)
    assert full.count("data-remove") == MOST and "data-add" not in full
    assert f"{MOST + 1} photographs, the maximum" in full


def test_a_path_is_escaped(uploads: Path):
    hostile = SimpleNamespace(path='"><b>', image=drawn_photograph(0.1, 1))
    assert "<b>" not in strip([hostile])  # pyrefly: ignore[bad-argument-type]
