"""The title and the link of a page: what they may be, where they are kept, how links are made."""

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from small_checkpoint import made

from model.checkpoints import card
from model.checkpoints.checkpoint import SHIPPED, load, problems, save
from model.checkpoints.page import PageTexts, link_for
from model.sharing import publish

WIKI = "https://en.wikipedia.org/w/index.php?search={label}"


@pytest.mark.parametrize("label", ["a&b/c d", "ä", "{class_id}", "50 %", "?q=1#x", "\"'><b>"])
def test_a_label_cannot_change_the_other_parts_of_a_link(label: str):
    parts = urlsplit(link_for(WIKI, label, "7"))
    assert parts[:3] == ("https", "en.wikipedia.org", "/w/index.php")
    assert parse_qs(parts.query) == {"search": [label]}
    assert parts.fragment == ""


def test_labels_are_percent_encoded_and_both_places_filled():
    link = "http://localhost:8000/{class_id}/x?name={label}&again={label}#{class_id}"
    assert link_for(link, "a&b/c d", "ä") == (
        "http://localhost:8000/%C3%A4/x?name=a%26b%2Fc%20d&again=a%26b%2Fc%20d#%C3%A4"
    )


@pytest.mark.parametrize(
    "link",
    [
        WIKI,
        "http://[::1]:8080/{class_id}",
        "https://example.org?{label}",
        "https://example.org/#{label}{class_id}",
        "https://example.org/" + "x" * 973 + "{label}",
    ],
)
def test_links_of_the_web_are_taken(link: str):
    assert PageTexts(link=link).link == link


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("javascript:alert('{label}')", "begins with https:// or http://"),
        ("data:text/html,{label}", "begins with https:// or http://"),
        ("HTTPS ://example.org/{label}", "without spaces"),
        ("//example.org/{label}", "begins with https:// or http://"),
        ("https:///{label}", "begins with https:// or http://, a host and a /"),
        ("https://{label}.example.org/", "begins with https:// or http://, a host and a /"),
        ("https://example.org{label}", "begins with https:// or http://, a host and a /"),
        ("https://a:b@example.org/{label}", "begins with https:// or http://"),
        ("https://example.org\\@evil.test/{label}", "begins with https:// or http://"),
        ("https://example.org:x/{label}", "begins with https:// or http://"),
        ("https://[::1/{label}", "begins with https:// or http://"),
        ("https://example.org/", "contains {label} or {class_id}"),
        ("https://example.org/{name}", "contains {label} or {class_id}"),
        ("https://example.org/{label}/{0}", "without braces other than"),
        ("https://example.org/{{label}}", "without braces other than"),
        ("https://example.org/{label}\nx", "printable characters without spaces"),
        ("https://example.org/\x1b{label}", "printable characters without spaces"),
        ("https://example.org/\u202e{label}", "printable characters without spaces"),
        ("https://example.org/ {label}", "printable characters without spaces"),
        ("https://example.org/" + "x" * 974 + "{label}", "at most 1,000 printable"),
    ],
)
def test_what_is_no_link_about_a_class_is_refused_in_a_sentence(link: str, said: str):
    with pytest.raises(ValueError) as error:
        PageTexts(link=link)
    message = str(error.value)
    assert message.startswith("--link '") and said in message
    assert message.isprintable() and len(message) < 250


@pytest.mark.parametrize("title", [" ", "a\nb", "a\x9b", "x" * 101])
def test_a_title_is_one_line(title: str):
    with pytest.raises(ValueError, match=r"^--title '.* must be a line of 1 to 100 printable"):
        PageTexts(title=title)


def test_a_change_keeps_what_it_does_not_name():
    texts = PageTexts("Which rose?", WIKI)
    assert texts.changed(None, None) == texts
    assert texts.changed("Which tulip?", None) == PageTexts("Which tulip?", WIKI)
    assert texts.changed(None, "") == PageTexts("Which rose?")


def test_the_texts_are_saved_loaded_and_kept_by_a_public_copy(tmp_path: Path):
    texts = PageTexts('Which "rose"? – 白い花', WIKI)
    save(replace(made(), page=texts), tmp_path / "checkpoint")
    assert load(tmp_path / "checkpoint").page == texts
    assert publish.write(tmp_path / "checkpoint", tmp_path / "public").page == texts
    assert load(tmp_path / "public").page == texts
    publish.write(tmp_path / "checkpoint", tmp_path / "other", title="Which tulip?")
    assert load(tmp_path / "other").page == PageTexts("Which tulip?", WIKI)
    assert load(tmp_path / "checkpoint").page == texts


def test_without_texts_a_checkpoint_is_as_it_was_before_there_were_any(tmp_path: Path):
    save(made(), tmp_path / "checkpoint")
    assert "page" not in json.loads((tmp_path / "checkpoint" / "config.json").read_text("utf-8"))
    assert load(tmp_path / "checkpoint").page == PageTexts()


def test_the_model_card_bears_the_title(tmp_path: Path):
    checkpoint = made()
    checkpoint.metrics["data"]["fingerprint"] = "ab" * 32
    title = "Which flower: rose?"
    text = card.render(replace(checkpoint, page=PageTexts(title)), "python train.py x")
    front, body = text.split("---\n")[1:3]
    assert yaml.safe_load(front)["title"] == title
    assert f"\n# {title}\n" in body
    assert "\n# Image classifier with 3 classes\n" in card.render(checkpoint, "python train.py x")


def test_the_shipped_classifier_asks_for_flowers_and_its_files_are_as_written():
    texts = load(SHIPPED).page
    assert texts == PageTexts("Which of 102 flowers is it?", WIKI)
    assert problems(SHIPPED) == {}
    assert "\n# Which of 102 flowers is it?\n" in (SHIPPED / "README.md").read_text("utf-8")
