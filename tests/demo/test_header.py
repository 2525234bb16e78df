"""The head of the page: a question that a visitor understands."""

from dataclasses import replace

from small_checkpoint import made

from demo.__main__ import parse
from demo.header import heading, page_title
from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.page import PageTexts
from model.classifier import Classifier


def titled(title: str) -> Checkpoint:
    return replace(made(), page=PageTexts(title))


def test_the_heading_is_the_title_where_there_is_one_and_else_counts_the_classes():
    assert "<h1>Which flower is it?</h1>" in heading(titled("Which flower is it?"))
    assert "<h1>Which of 3 classes is it?</h1>" in heading(made())
    assert "knows 3 classes and was right on 33.3\u00a0% of 3 validation photographs." in heading(
        made()
    )


def test_the_browsers_tab_says_the_same_and_whose_it_is():
    assert page_title(titled("Which flower is it?")) == "Which flower is it? - Frostflower"
    assert page_title(made()) == "Which of 3 classes is it? - Frostflower"


def test_a_title_cannot_bring_markup():
    shown = heading(titled("<img src=x onerror=alert(1)>"))
    assert "<h1>&lt;img src=x onerror=alert(1)&gt;</h1>" in shown


def test_options_change_title_and_link_for_this_run_only(shipped: Classifier, monkeypatch):
    served: list[str] = []
    opened: list[Classifier] = []

    def open_shipped(self: Classifier, *_: object, **__: object) -> None:
        vars(self).update(vars(shipped))
        opened.append(self)

    monkeypatch.setattr(Classifier, "__init__", open_shipped)
    monkeypatch.setattr("demo.serve.launch", lambda demo, **_: served.append(demo.title) or "")
    monkeypatch.setattr("demo.serve.wait_until_stopped", lambda demo: None)
    link = "https://example.org/{class_id}"
    options = parse(["--title", "Which blossom?", "--link", link])
    assert options.run(options) == 0
    assert served == ["Which blossom? - Frostflower"]
    assert opened[0].checkpoint.page == PageTexts("Which blossom?", link)
    assert shipped.checkpoint.page.title == "Which of 102 flowers is it?"
