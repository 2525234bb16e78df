"""A model card that is copied: its title, and what its commands name."""

from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from model.checkpoints.card_copy import placed, retitled
from model.checkpoints.checkpoint import load
from model.checkpoints.page import PageTexts
from model.sharing import publish

LONG = 'Which of these: roses, tulips & daisies, that are "drawn" – 白い花 – ' + "x" * 30


@pytest.mark.parametrize("title", ["Which rose?", LONG, "- a: [b]", "\\1 \\g<0>"])
def test_a_public_copy_with_another_title_has_a_card_of_that_title(
    trained: Path, tmp_path: Path, title: str
):
    publish.write(trained, tmp_path / "long", title=LONG, license_id="mit")  # folded in its YAML
    for number, folder in enumerate((trained, tmp_path / "long")):
        out = tmp_path / f"public-{number}"
        publish.write(folder, out, title=title)
        text = (out / "README.md").read_text(encoding="utf-8")
        data = ModelCard(text).data.to_dict()
        names = (data["title"], data["model-index"][0]["name"])
        assert names == (title, title)
        assert data.get("license") == (None, "mit")[number]
        assert [line for line in text.splitlines() if line.startswith("# ")] == [f"# {title}"]
        assert text.partition("## Figures")[2] == _figures(trained)


def _figures(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8").partition("## Figures")[2]


def test_a_title_that_is_removed_leaves_the_one_without(trained: Path, tmp_path: Path):
    publish.write(trained, tmp_path / "first", title="Which rose?")
    publish.write(tmp_path / "first", tmp_path / "second", title="")
    text = (tmp_path / "second" / "README.md").read_text(encoding="utf-8")
    assert "\n# Image classifier with 3 classes\n" in text and "Which rose?" not in text
    assert ModelCard(text).data["title"] == "Image classifier: photographs"


def test_an_edited_card_keeps_its_heading_unless_another_title_is_asked_for(
    trained: Path, tmp_path: Path
):
    publish.write(trained, tmp_path / "edited", title="Which rose?")
    path = tmp_path / "edited" / "README.md"
    path.write_text(path.read_text("utf-8").replace("# Which rose?", "# Mine"), encoding="utf-8")
    publish.write(tmp_path / "edited", tmp_path / "out")
    assert "\n# Mine\n" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_a_card_of_another_kind_is_left_as_it_is(trained: Path):
    checkpoint = replace(load(trained), page=PageTexts(title="Which rose?"))
    for text in ("", "No heading.\n", "```sh\n# a comment\n```\n", "---\ntitle: x"):
        assert retitled(text, checkpoint) == text
    assert retitled("# One\n# Two\n", checkpoint) == "# Which rose?\n# Two\n"


def test_without_a_name_a_card_says_whom_to_ask():
    text = "## Use\n\n```sh\na --checkpoint THIS_FOLDER\nb THIS_FOLDER\n```\n\n```sh\nc\n```\n"
    assert placed(text, "bob/roses") == text.replace("THIS_FOLDER", "bob/roses")
    said = placed(text, "")
    assert "```sh\nc\n```" in said and "Ask the owner of the page" in said
    assert "THIS_FOLDER" not in said and "--checkpoint" not in said
