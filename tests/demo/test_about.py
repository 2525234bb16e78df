"""The About tab without a browser: what it says of a checkpoint, and the files it gives away."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from demo.about import downloads
from demo.about.downloads import NoFileError, OnnxFile, card_file
from demo.about.facts import facts_panel, limits_panel
from demo.about.snippets import snippets
from demo.page import build
from demo.tabs.about import about_tab
from model.checkpoints.card import limits
from model.checkpoints.checkpoint import Checkpoint, load
from model.checkpoints.page import PageTexts
from model.classifier import Classifier


def with_data(checkpoint: Checkpoint, name: str) -> Checkpoint:
    data = {**checkpoint.metrics["data"], "name": name}
    return replace(checkpoint, metrics={**checkpoint.metrics, "data": data})


def test_a_known_data_set_is_named_with_source_and_licence(shipped: Classifier):
    said = facts_panel(shipped.checkpoint, "CPU")
    assert "Oxford 102 Flowers: 6,552 training, 818 validation photographs" in said
    assert "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/" in said
    assert "Its authors state no licence" in said and "Apache-2.0" in said
    assert "PyTorch 2" in said


def test_other_data_gets_neither_its_source_nor_its_licence(shipped: Classifier):
    said = facts_panel(with_data(shipped.checkpoint, "my <b>roses</b>"), "CPU")
    assert "my &lt;b&gt;roses&lt;/b&gt;: 6,552 training" in said
    assert "Oxford" not in said and "source" not in said


def test_what_the_owner_leaves_out_is_not_promised(trained: Path):
    classifier = Classifier(trained, device="cpu", cache_dir=trained.parent / "cache")
    classifier.allowed = classifier.resolve(["rose", "tulip"])
    shown = json.dumps(build(classifier).config["components"], default=str)
    assert "Names which of 2 classes a photograph shows" in shown
    assert "It was trained on 3; this page answers only with these." in shown
    assert "The 2 of 3 classes with which this page answers" in shown
    assert "All 3 classes" not in shown and "Dog rose, Garden tulip" in shown
    assert "limit to 2 of them does not apply" in shown
    classifier.allowed = None
    shown = json.dumps(build(classifier).config["components"], default=str)
    assert "Names which of 3 classes" in shown and "All 3 classes" in shown
    assert "this page answers" not in shown and "does not apply" not in shown


def test_only_a_classifier_of_plants_warns_of_eating_them(shipped: Classifier, trained: Path):
    assert "safe to eat" in limits_panel(shipped.checkpoint)
    others = [with_data(shipped.checkpoint, "traffic signs")]
    few = replace(shipped.checkpoint, class_ids=["1", "2"], class_names=["a", "b"])
    others.append(few)  # another data set in a folder of that name
    for other in others:
        said = limits_panel(other)
        assert "eat" not in said.replace("features", "")
        assert "where a wrong answer can harm somebody" in said
    assert "safe to eat" not in (trained / "README.md").read_text()


def test_the_shipped_card_has_the_limits_that_the_page_shows(shipped: Classifier):
    card = " ".join((Path("demo/flowers102/README.md")).read_text().split())
    assert all(limit in card for limit in limits(shipped.checkpoint))


def test_another_endpoint_is_called_by_its_name():
    said = snippets("roses")
    assert "/gradio_api/call/roses" in said and "/roses" in said
    assert "predict" not in said.replace("client.predict", "")


def test_a_space_is_called_by_its_name_in_python(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SPACE_ID", "USER/flo<wers")
    said = snippets("predict")
    assert said.count("Client(&#34;USER/flo&lt;wers&#34;") == 1
    assert said.count("data-address") == 2  # curl and JavaScript use the address


def test_the_onnx_file_is_made_once_and_holds_nothing_of_training_photographs(
    shipped: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    calls, run = [], downloads.run

    def counted(command: list[str]) -> None:
        calls.append(command)
        run(command)

    monkeypatch.setattr(downloads, "run", counted)
    file, found = OnnxFile(shipped.checkpoint), []
    threads = [threading.Thread(target=lambda: found.append(file.get(tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1 and len(set(found)) == 1 and len(found) == 3
    assert found[0].name == "flowers102.onnx"
    content = found[0].read_bytes()
    assert b"pink primrose" in content
    evidence = shipped.checkpoint.evidence
    assert evidence and "/image_" in evidence.names[0]
    assert b"image_0" not in content and b"\xff\xd8\xff" not in content  # neither name nor JPEG
    for place in (str(tmp_path), str(Path.cwd()), "site-packages"):
        assert place.encode() not in content
    assert [path for path in tmp_path.iterdir()] == [found[0].parent], "nothing else is left"


def test_a_file_that_was_swept_is_made_again(
    shipped: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fake(command: list[str]) -> None:
        Path(command[-1]).write_bytes(b"onnx")

    monkeypatch.setattr(downloads, "run", fake)
    file = OnnxFile(shipped.checkpoint)
    first = file.get(tmp_path)
    first.unlink()
    assert file.get(tmp_path).read_bytes() == b"onnx"


def test_a_failed_export_is_a_sentence_and_the_reason_stays_in_the_log(
    shipped: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
):
    def fail(command: list[str]) -> None:
        raise subprocess.CalledProcessError(2, command, stderr="note\n/secret/place is full\n")

    monkeypatch.setattr(downloads, "run", fail)
    with pytest.raises(NoFileError, match="this server's log says why") as caught:
        OnnxFile(shipped.checkpoint).get(tmp_path)
    assert "/secret" not in str(caught.value)
    assert capfd.readouterr().err == "No ONNX file: /secret/place is full\n"
    assert not list(tmp_path.iterdir())


def test_a_failed_export_is_not_tried_again_for_some_minutes(
    shipped: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
):
    calls, now = [], [100.0]

    def fail(command: list[str]) -> None:
        calls.append(command)
        raise subprocess.TimeoutExpired(command, 600)

    monkeypatch.setattr(downloads, "run", fail)
    monkeypatch.setattr(downloads.time, "monotonic", lambda: now[0])
    file = OnnxFile(shipped.checkpoint)
    for seconds, tried in ((0, 1), (10, 1), (280, 1), (20, 2)):
        now[0] += seconds
        with pytest.raises(NoFileError, match="try again after 5 minutes"):
            file.get(tmp_path)
        assert len(calls) == tried
    assert capfd.readouterr().err.count("No ONNX file") == 2


@pytest.mark.skipif(not hasattr(os, "setpriority"), reason="this system has other priorities")
def test_another_program_has_a_lower_priority_and_one_thread(tmp_path: Path):
    said = tmp_path / "said"
    code = (
        "import os, sys, time\ntime.sleep(1)\n"
        "nice = os.getpriority(os.PRIO_PROCESS, 0)\n"
        "open(sys.argv[1], 'w').write(f\"{nice} {os.environ['OMP_NUM_THREADS']}\")"
    )
    downloads.run([sys.executable, "-c", code, str(said)])
    nice, threads = map(int, said.read_text().split())
    assert nice == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10) and threads == 1


def test_another_program_fails_with_what_it_said():
    code = "import sys; sys.exit('no room')"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        downloads.run([sys.executable, "-c", code])
    assert caught.value.stderr == "no room\n"


def test_another_program_that_takes_too_long_is_ended():
    started = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired):
        downloads.run([sys.executable, "-c", "import time; time.sleep(60)"], seconds=0.1)
    assert time.monotonic() - started < 30


def test_another_program_does_not_hold_up_the_end_of_this_one():
    code = (
        "import sys, threading\nfrom demo.about.downloads import run\n"
        "command = [sys.executable, '-c', 'import time; time.sleep(60)']\n"
        "threading.Thread(target=run, args=(command,)).start()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=50)
    assert b"TimeoutExpired" in done.stderr


@pytest.mark.parametrize("missing", ["torch", "onnx"])
def test_a_missing_package_is_named(
    missing: str, shipped: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(downloads, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(NoFileError, match=f"it does not have {missing}"):
        OnnxFile(shipped.checkpoint).get(tmp_path)


def test_a_page_that_cannot_make_the_file_says_so_and_offers_no_button(
    shipped: Classifier, uploads, monkeypatch: pytest.MonkeyPatch
):
    def page() -> str:
        with gr.Blocks() as demo:
            about_tab(shipped.checkpoint, "CPU")
        return json.dumps(demo.get_config_file(), default=str)

    assert downloads.why_no_onnx() == "" and "Download ONNX file" in page()
    monkeypatch.setattr(downloads, "find_spec", lambda name: None if name == "torch" else object())
    without = page()
    assert "Download ONNX file" not in without and "Download model card" in without
    assert "This server cannot make the ONNX file, because it does not have torch." in without


def test_the_shipped_card_names_the_folder_that_everybody_has(shipped: Classifier, uploads):
    folder = shipped.checkpoint.folder
    assert folder
    card = card_file(shipped.checkpoint)
    assert card and card.name == "flowers102-model-card.md"
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert card.read_text("utf-8") == text.replace("THIS_FOLDER", "demo/flowers102")


def test_a_card_has_the_title_of_the_page_and_names_no_folder(trained: Path, uploads):
    checkpoint = load(trained)
    card = card_file(checkpoint)
    assert card
    text = card.read_text("utf-8")
    assert "# Image classifier with 3 classes\n" in text
    assert "--checkpoint" not in text.split("## Training")[0] and "THIS_FOLDER" not in text
    assert "Ask the owner of the page" in text
    card = card_file(replace(checkpoint, page=PageTexts(title="Which rose?")))
    assert card and "\n# Which rose?\n" in card.read_text("utf-8")


def test_a_card_that_cannot_be_one_is_not_given_away(shipped: Classifier, tmp_path: Path, uploads):
    assert card_file(replace(shipped.checkpoint, folder=tmp_path)) is None
    (tmp_path / "README.md").write_bytes(b"x" * 1_000_001)
    assert card_file(replace(shipped.checkpoint, folder=tmp_path)) is None
    assert card_file(replace(shipped.checkpoint, folder=None)) is None
