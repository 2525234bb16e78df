"""A page of several classifiers: endpoints and limits, and in Chromium the choice between them."""

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawing import CLASSES
from gradio_client import Client, handle_file
from playwright.sync_api import Browser, Page, Route, expect
from visits import visit

from demo.page import build
from demo.serve import launch
from demo.uploads import UploadFolder
from model.checkpoints.page import PageTexts
from model.classifier import Classifier

POISON = "</script><img src=x onerror=window.poisoned=1>"


@pytest.fixture(scope="module")
def both(shipped: Classifier, trained: Path) -> dict[str, Classifier]:
    """The flowers, and the tiny classifier with a hostile name of its own and of its data."""
    tiny = Classifier(trained, device="cpu", cache_dir=trained.parent / "cache")
    metrics = tiny.checkpoint.metrics
    data = {**metrics["data"], "name": f"drawn {POISON}"}
    page = PageTexts(title=f"Which drawing? {POISON}")
    tiny.checkpoint = replace(tiny.checkpoint, metrics={**metrics, "data": data}, page=page)
    return {"flowers": shipped, f"drawn {POISON}": tiny}


def test_one_classifier_needs_no_choice(shipped: Classifier):
    alone, named = build(shipped), build({"flowers": shipped})
    for page in (alone, named):
        assert "classifier" not in {block.elem_id for block in page.blocks.values()}
    assert len(alone.blocks) == len(named.blocks)
    shown = json.dumps(alone.config["components"], default=str)
    assert "All classifiers of this page" not in shown


def test_each_classifier_has_an_endpoint_and_all_have_one_limit(both: dict[str, Classifier]):
    page = build(both)
    public = list(page.get_api_info()["named_endpoints"])
    assert public[:2] == ["/predict", "/predict_only"]
    assert public[2:] == [public[2], f"{public[2]}_only"], "with a list of classes, too"
    functions = [f for f in page.fns.values() if f"/{f.api_name}" in public]
    assert len({function.concurrency_id for function in functions}) == 1
    shown = json.dumps(page.config["components"], default=str)
    assert f"gradio_api/call{public[2]}" in shown, "the About tab tells how to call it"


def test_one_that_answers_otherwise_is_named(
    shipped: Classifier, trained: Path, capsys: pytest.CaptureFixture[str]
):
    odd = Classifier(trained, device="cpu", cache_dir=trained.parent / "cache")
    golden = odd.checkpoint.golden
    assert golden is not None
    other = replace(golden, probabilities=np.roll(golden.probabilities, 1, axis=1))
    odd.checkpoint = replace(odd.checkpoint, golden=other)
    page = build({"flowers": shipped, "odd": odd})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Warning: odd: This classifier does not answer as it did")
    shown = json.dumps(page.config["components"], default=str)
    assert shown.count('role=\\"alert\\"') == 1


@pytest.fixture(scope="module")
def address(both: dict[str, Classifier], uploads: UploadFolder) -> Iterator[str]:
    page = build(both)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    where = {"server_name": "127.0.0.1", "server_port": port}
    yield launch(page, max_bytes=10**7, uploads=uploads, **where)
    page.close(verbose=False)


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with visit(browser, address, size=(390, 844)) as opened:
        yield opened
        assert opened.evaluate("window.poisoned") is None


def test_the_endpoints_answer_each_for_its_own_classifier(
    address: str, both: dict[str, Classifier], flower: Path
):
    client = Client(address, verbose=False)
    info = client.view_api(return_format="dict", print_info=False)
    assert isinstance(info, dict)
    found = [
        client.predict(handle_file(flower), api_name=name)[0]["label"]
        for name in info["named_endpoints"]
        if not name.endswith("_only")
    ]
    assert found[0] == "pink-yellow dahlia"
    assert found[1] in list(both.values())[1].checkpoint.class_names


@pytest.mark.browser
def test_each_keeps_its_answer_while_the_other_is_shown(page: Page, flower: Path):
    answer, buttons = page.locator("#top5 .ff-answer"), page.locator("#classifier input")
    page.set_input_files("#photograph input[type=file]", flower)
    expect(answer).to_contain_text("pink-yellow dahlia")
    page.get_by_role("group", name="Classifier").get_by_label("drawn").check()
    expect(page.locator("h1")).to_contain_text("Which drawing? </script>")
    expect(page.locator("#top5")).to_contain_text("Add or paste a photograph")
    page.set_input_files("#photograph input[type=file]", flower)
    expect(page.locator("#top5 meter")).to_have_count(len(CLASSES))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    buttons.nth(1).press("ArrowLeft")
    expect(answer).to_contain_text("pink-yellow dahlia")
    expect(page.locator("#why .ff-heat")).to_be_visible()
    expect(page.locator("#photograph img")).to_be_visible()
    buttons.nth(0).press("ArrowRight")
    expect(page.locator("#top5 meter")).to_have_count(len(CLASSES))
    assert "POST" not in asked, "nothing was classified again"


@pytest.mark.browser
def test_an_answer_that_comes_while_the_other_is_shown_is_there_later(page: Page, flower: Path):
    buttons, held = page.locator("#classifier input"), list[Route]()
    answers = re.compile("/queue/data")
    # Until the other is shown, however fast the answer is.
    page.route(answers, lambda route: held.append(route))
    with page.expect_request(answers):
        page.set_input_files("#photograph input[type=file]", flower)
    buttons.nth(1).check()
    expect(page.locator("h1")).to_contain_text("Which drawing?")
    assert held
    for route in held:
        route.continue_()
    page.unroute(answers)
    page.wait_for_timeout(2000)
    buttons.nth(0).check()
    expect(page.locator("#top5 .ff-answer")).to_contain_text("pink-yellow dahlia")


@pytest.mark.browser
def test_both_histories_show_the_comparison_and_the_address_keeps_the_choice(page: Page):
    for number in (0, 1):
        page.locator("#classifier input").nth(number).check()
        page.get_by_role("tab", name="Training history").click()
        expect(page.locator("#history-loss .marks")).to_be_visible()
        for measure in ("loss", "accuracy"):
            expect(page.locator(f"#comparison-{measure} .marks")).to_be_visible()
        expect(page.locator("#comparison tbody")).to_have_count(2)
        expect(page.locator("#comparison")).to_contain_text("not measured on the same photographs")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.reload()
    expect(page.locator("h1")).to_contain_text("Which drawing?")
    assert page.title() == f"Which drawing? {POISON} - Frostflower"
    expect(page.locator("#classifier input").nth(1)).to_be_checked()
