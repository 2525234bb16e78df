"""A page with 10,000 classes: its weight, what it lists, and that it opens in a real Chromium."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.startup_parts.many_classes import make
from benchmarks.startup_parts.visit import PHOTOGRAPH
from demo.collect import Corrections
from demo.page import MAX_BYTES, build
from demo.serve import launch
from demo.tabs.about import LISTED_AT_ONCE
from demo.uploads import UploadFolder
from model.backbones.backbone import Backbone
from model.classifier import Classifier

CLASSES = 10_000


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory, lite0: Backbone) -> Classifier:
    folder = tmp_path_factory.mktemp("many-classes") / "checkpoint"
    make(folder, lite0, CLASSES, parents=True)
    return Classifier(folder, device="cpu", backbones=[lite0])


def test_the_page_does_not_bring_the_names_of_all_classes(classifier: Classifier, tmp_path: Path):
    demo = build(classifier, corrections=Corrections(tmp_path / "corrections", public=False))
    config = json.dumps(demo.config, default=str, ensure_ascii=False)
    assert len(config) < 500_000  # all names once would take 350,000 more
    # Those that are listed stand in several places: the table of classes, the matrix.
    names = classifier.checkpoint.class_names
    assert sum(name in config for name in names[:: len(names) // 100]) < 20
    assert len(names) > LISTED_AT_ONCE
    found = {part["props"].get("elem_id"): part["props"] for part in demo.config["components"]}
    for chooser in ("right-class", "many-class", "only-classes"):
        assert len(found[chooser]["choices"]) <= 1
    assert "Type the name of one of the 10,000 classes" in found["right-class"]["info"]


@pytest.fixture
def address(classifier: Classifier, uploads: UploadFolder) -> Iterator[str]:
    demo = build(classifier)
    yield launch(demo, max_bytes=MAX_BYTES, uploads=uploads, server_name="127.0.0.1")
    demo.close(verbose=False)


@pytest.mark.browser
def test_a_page_with_10_000_classes_opens_and_answers(
    browser: Browser, address: str, classifier: Classifier, flower: Path
):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(20_000)  # benchmarks/startup.py has its seconds
    page.goto(address, wait_until="commit")
    page.wait_for_selector(PHOTOGRAPH, state="attached")
    page.set_input_files(PHOTOGRAPH, flower)
    expect(page.locator("#top5 meter")).to_have_count(5, timeout=20_000)
    page.get_by_role("tab", name="About").click()
    page.get_by_role("button", name="All 10,000 classes").click()
    last = max(classifier.checkpoint.class_names, key=str.casefold)
    expect(page.locator("#every-class")).to_contain_text(last, timeout=20_000)
    page.close()
