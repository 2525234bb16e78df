"""A checkpoint may come from anybody: whatever its texts are, none of them runs in the page."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from playwright.sync_api import Browser, Page, expect
from pytest import MonkeyPatch
from safetensors.numpy import load_file, save_file

from demo.page import build
from demo.serve import launch
from demo.uploads import UploadFolder
from model.checkpoints import checkpoint as checkpoints
from model.checkpoints.checkpoint import write_hashes
from model.classifier import Classifier

pytestmark = pytest.mark.browser

PAYLOADS = (
    '<img src="/poison-{n}" onerror="window.poisoned=\'{n}\'">',
    '"><script>window.poisoned="{n}"</script>',
    "\"' onmouseover=window.poisoned='{n}' autofocus onfocus=window.poisoned='{n}' x=\"",
    "</title></style></textarea><svg onload=window.poisoned='{n}'>",
    "[a](javascript:window.poisoned='{n}') ![b](/poison-{n})",
    "{{constructor.constructor('window.poisoned=1')()}} <iframe srcdoc='<script>top.poisoned=1'>",
)


def poison(number: int) -> str:
    return PAYLOADS[number % len(PAYLOADS)].replace("{n}", str(number))


def leaves(values: Any, path: tuple = ()) -> Iterator[tuple]:
    """The places of all texts, numbers, truth values and nothings in JSON values.

    Of several objects or lists in a list, which are alike, the first stands for the others.
    """
    if isinstance(values, dict | list):
        pairs = list(values.items() if isinstance(values, dict) else enumerate(values))
        if isinstance(values, list) and values and isinstance(values[0], dict | list):
            pairs = pairs[:1]
        for key, value in pairs:
            yield from leaves(value, (*path, key))
    else:
        yield path


def put(values: Any, path: tuple, value: object) -> None:
    """Put a value at a place."""
    for key in path[:-1]:
        values = values[key]
    values[path[-1]] = value


def get(values: Any, path: tuple) -> object:
    """Return what is at a place."""
    for key in path:
        values = values[key]
    return values


def is_let_in(folder: Path) -> bool:
    """Whether the checkpoint can be loaded."""
    write_hashes(folder)
    try:
        checkpoints.load(folder)
    except (ValueError, OSError):
        return False
    return True


def is_shown(folder: Path) -> bool:
    """Whether the page can be built, too."""
    write_hashes(folder)
    try:
        build(Classifier(folder, device="cpu", cache_dir=folder.parent / "cache"))
    except (ValueError, OSError, KeyError, TypeError, IndexError, AttributeError):
        return False
    return True


def poison_json(file: Path) -> tuple[int, int]:
    """Poison all places that are let in and shown; return how many there are, and how many were.

    Places are tried together, and by halves where one of them is refused.
    """
    values = json.loads(file.read_text())
    clean = json.loads(file.read_text())
    places = [p for p in leaves(values) if not {"confusion_matrix", "probabilities"} & set(p)]
    for check in (is_let_in, is_shown):
        places = accepted(file, values, clean, places, check)
    return len(list(leaves(clean))), len(places)


def accepted(
    file: Path, values: Any, clean: Any, places: list[tuple], check: Callable[[Path], bool]
) -> list[tuple]:
    """Poison those places that pass a check; the others become clean."""
    for path in places:
        put(values, path, poison(sum(map(ord, str(path)))))
    file.write_text(json.dumps(values))
    if check(file.parent):
        return places
    for path in places:
        put(values, path, get(clean, path))
    file.write_text(json.dumps(values))
    if len(places) == 1:
        return []
    half = len(places) // 2
    first = accepted(file, values, clean, places[:half], check)
    return first + accepted(file, values, clean, places[half:], check)


@pytest.fixture(scope="module")
def poisoned(
    trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Classifier, dict[str, tuple[int, int]]]]:
    """A checkpoint, all of whose texts are poison that the loader lets in."""
    home = tmp_path_factory.mktemp("poisoned")
    folder = home / "checkpoint"
    shutil.copytree(trained, folder)
    config = json.loads((folder / "config.json").read_text())
    config["page"] = {"title": "Which?", "link": "https://example.org/{label}"}
    config["parents"] = [["iris"], ["other"], ["other"]]
    (folder / "config.json").write_text(json.dumps(config))
    metrics = json.loads((folder / "metrics.json").read_text())
    figures = {"answered": 0.5, "answered_right": 1.0}
    levels = [{"level": n, "nodes": n + 1, "top1": 0.5, **figures} for n in (1, 2)]
    metrics["splits"]["valid"] |= {"levels": levels, **figures}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    row = {"path": "a.jpg", "label": config["class_ids"][0], "score": 1.0, "other_path": "b.jpg"}
    row["suggested_label"] = config["class_ids"][1]
    problems = ("label_error", "exact_duplicate", "near_duplicate", "outlier")
    leak = {"split": "valid", "photographs": 3, "accuracy": 0.5, "copies": 1}
    audit = {
        "data": "flowers",
        "photographs": 10,
        "num_classes": 3,
        "class_names": dict(zip(config["class_ids"], config["class_names"], strict=True)),
        "skipped": 0,
        "backbone": "test_resnet",
        "counts": dict.fromkeys(problems, 1),
        "across_splits": 1,
        "accuracy": 0.5,
        "accuracy_with_copies": 0.5,
        "leaks": [{**leak, "accuracy_without": 0.4}],
        "findings": {problem: [row] for problem in problems},
    }
    (folder / "audit.json").write_text(json.dumps(audit))
    tensors = load_file(folder / "evidence.safetensors")
    names = "\0".join(poison(number) for number in range(len(tensors["labels"]))).encode()
    tensors["names"] = np.frombuffer(names, np.uint8)
    save_file(tensors, folder / "evidence.safetensors")
    with MonkeyPatch.context() as patch:
        tiny.install(patch)
        (home / "cache").symlink_to(trained.parent / "cache", target_is_directory=True)
        assert is_shown(folder)
        counts = {
            name: poison_json(folder / name)
            for name in ("config.json", "metrics.json", "audit.json", "golden.json")
        }
        with (folder / "history.csv").open() as file:
            rows = list(csv.reader(file))
        rows[1][-1] = poison(7)
        kept = (folder / "history.csv").read_text()
        with (folder / "history.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        assert not is_let_in(folder), "a text among the numbers of the history"
        (folder / "history.csv").write_text(kept)
        write_hashes(folder)
        yield Classifier(folder, device="cpu", cache_dir=home / "cache"), counts


@pytest.fixture
def page(
    poisoned: tuple[Classifier, Any], browser: Browser, uploads: UploadFolder
) -> Iterator[tuple[Page, list[str]]]:
    """The page of the poisoned checkpoint, and the addresses that it asks for."""
    demo = build(poisoned[0])
    address = launch(demo, max_bytes=10**7, uploads=uploads, server_name="127.0.0.1")
    opened = browser.new_page(viewport={"width": 1200, "height": 900})
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("dialog", lambda dialog: asked.append("a dialog, poison"))
    opened.set_default_timeout(20_000)
    opened.goto(address)
    opened.wait_for_selector("#photograph")
    yield opened, asked
    opened.close()
    demo.close(verbose=False)


def test_most_texts_were_let_in(poisoned: tuple[Classifier, dict[str, tuple[int, int]]]):
    """Otherwise the test below would look at nothing."""
    classifier, counts = poisoned
    assert all("poisoned" in name for name in classifier.checkpoint.class_names)
    assert "poison" in classifier.checkpoint.parents[0][0]
    for name in ("config.json", "audit.json"):
        assert counts[name][1] > 0.2 * counts[name][0], counts
    assert "poison" in str(classifier.checkpoint.metrics["data"]["name"])
    assert "poison" in classifier.checkpoint.page.title
    assert classifier.checkpoint.page.link == "https://example.org/{label}"


def test_nothing_of_a_checkpoint_runs_in_the_page(
    page: tuple[Page, list[str]], flower: Path, tmp_path: Path
):
    opened, asked = page
    opened.set_input_files("#photograph input[type=file]", flower)
    expect(opened.locator("#top5 meter[value]")).to_have_count(3)
    expect(opened.locator("#top5")).to_contain_text("poisoned")
    expect(opened.locator("#why")).to_contain_text("poison")
    for tab in ("Many photographs", "Training history", "Evaluation", "Data", "About", "Classify"):
        opened.get_by_role("tab", name=tab).click()
        for closed in opened.locator("button.label-wrap:not(.open)").locator("visible=true").all():
            closed.click()
        opened.wait_for_timeout(400)
    opened.mouse.move(300, 300)
    evil = tmp_path / "<img src=x onerror=window.poisoned=1>.jpg"
    evil.write_text("no photograph")
    opened.set_input_files("#photograph input[type=file]", evil)
    expect(opened.locator("[data-testid=toast-body]")).to_contain_text("is not a photograph")
    opened.wait_for_timeout(400)
    assert opened.evaluate("window.poisoned") is None
    assert not [address for address in asked if "/poison-" in address or "a dialog" in address]
    assert "Frostflower" in opened.title()
