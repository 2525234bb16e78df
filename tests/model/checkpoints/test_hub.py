"""Checkpoints on the Hub: a stand-in takes its place (see hub_stand_in)."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hub_stand_in
import numpy as np
import pytest
import tiny
from huggingface_hub import ModelCard, constants
from small_checkpoint import audited

from model import hub
from model.backbones.backbone import Backbone
from model.checkpoints import checkpoint as checkpoints
from model.checkpoints.hub import locate
from model.classifier import Classifier
from model.hub import HubError
from model.sharing import publish, upload

ROOT = Path(__file__).resolve().parents[3]
NAME = "alice/flowers"


def pushed(standin: hub_stand_in.Hub) -> dict[str, bytes]:
    return standin.repositories["model", NAME].files() or {}


def test_a_pushed_checkpoint_answers_as_the_local_one(
    standin: hub_stand_in.Hub,
    trained: Path,
    tiny_backbone: Callable[..., Backbone],
    cache_dir: Path,
):
    done = upload.push(trained, NAME)
    assert done.created
    assert set(pushed(standin)) == {".gitattributes", *(p.name for p in trained.iterdir())}
    assert len(standin.repositories["model", NAME].commits) == 2  # the empty one and ours
    fetched = Classifier(f"{NAME}@{done.commit}", cache_dir=cache_dir, device="cpu")
    local = Classifier(trained, cache_dir=cache_dir, device="cpu")
    features = np.random.default_rng(0).normal(size=(4, len(local.checkpoint.head.mean)))
    assert np.array_equal(
        fetched.checkpoint.head.logits(features), local.checkpoint.head.logits(features)
    )
    assert fetched.checkpoint.calibration.trust == local.checkpoint.calibration.trust


def test_nothing_that_shows_or_names_a_training_photograph_is_pushed(
    standin: hub_stand_in.Hub, trained: Path, tmp_path: Path
):
    folder = tmp_path / "checkpoint"
    original = checkpoints.load(trained)
    assert original.evidence is not None
    assert original.evidence.blob is not None
    audit = audited()
    audit["findings"]["outlier"][0]["path"] = "rose/secret-name.jpg"
    checkpoints.save(original, folder, extra={"README.md": b"---\n---\n# card"})
    checkpoints.save_audit(folder, audit)
    with (folder / "skipped.csv").open("a") as file:
        file.write("rose/secret-name-2.jpg,is empty\n")
    (folder / "photograph.jpg").write_bytes(b"private")
    upload.push(folder, NAME)
    files = pushed(standin)
    everything = b"".join(files.values())
    assert "photograph.jpg" not in files
    assert b"secret-name" not in everything
    assert b"000.jpg" not in everything
    assert b"\xff\xd8\xff" not in everything  # no JPEG
    assert json.loads(files["audit.json"])["counts"] == audit["counts"]
    written = locate(NAME).folder
    evidence = checkpoints.load(written).evidence
    assert evidence is not None
    assert evidence.blob is None
    assert original.evidence.blob is not None
    assert set(evidence.names) == set(original.class_ids)
    assert not evidence.digests.any()
    assert np.array_equal(evidence.vectors, original.evidence.vectors)


def test_only_files_of_a_checkpoint_are_downloaded(standin: hub_stand_in.Hub, trained: Path):
    upload.push(trained, NAME)
    repository = standin.repositories["model", NAME]
    strangers = {"model.pkl": b"\x80", "pytorch_model.bin": b"PK", "run.py": b"evil"}
    repository.commit({**(repository.files() or {}), **strangers})
    folder = locate(NAME).folder
    assert not strangers.keys() & {path.name for path in folder.iterdir()}
    assert not strangers.keys() & set(standin.downloaded)
    assert "head.safetensors" in standin.downloaded


def test_a_name_is_resolved_to_a_commit_that_stays(standin: hub_stand_in.Hub, trained: Path):
    first = upload.push(trained, NAME).commit
    found = locate(NAME)
    assert found.pinned == f"{NAME}@{first}"
    assert f"--checkpoint {NAME}@{first}" in found.note
    assert found.repo == NAME
    second = upload.push(trained, NAME, license_id="mit").commit
    assert second != first
    assert locate(NAME).pinned.endswith(second)
    again = locate(found.pinned)
    assert (again.pinned, again.note) == (found.pinned, "")
    assert "license: mit" not in (again.folder / "README.md").read_text()
    assert "license: mit" in (locate(NAME).folder / "README.md").read_text()


def test_a_cached_commit_needs_no_request(standin: hub_stand_in.Hub, trained: Path):
    upload.push(trained, NAME)
    pinned = locate(NAME).pinned
    standin.requests.clear()
    locate(pinned)
    assert not standin.requests


def test_without_the_hub_the_cache_is_used_at_once_and_said(
    server: hub_stand_in.Server, trained: Path
):
    commit = upload.push(trained, NAME).commit
    locate(NAME)
    server.stop()
    started = time.perf_counter()
    found = locate(NAME)
    assert time.perf_counter() - started < 2
    assert found.folder.name == commit
    assert "cannot be reached" in found.note
    assert "as last cached" in found.note
    with pytest.raises(HubError, match=r"no folder alice/other\. .* cannot be reached"):
        locate("alice/other")


def test_a_hub_that_does_not_answer_costs_one_timeout(monkeypatch, tmp_path: Path):
    import socket

    monkeypatch.setattr(hub, "TIMEOUT", 0.5)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        started = time.perf_counter()
        with pytest.raises(HubError, match="cannot be reached"):
            locate(NAME)
        assert time.perf_counter() - started < 3


def test_a_hub_that_fails_is_as_good_as_none(standin: hub_stand_in.Hub, trained: Path):
    upload.push(trained, NAME)
    locate(NAME)
    standin.refuse["info"] = [503] * 9
    assert "failed (503)" in locate(NAME).note


def test_half_a_download_is_not_taken_for_a_whole_one(server: hub_stand_in.Server, trained: Path):
    commit = upload.push(trained, NAME).commit
    server.hub.refuse["resolve GET"] = [404] * 3
    with pytest.raises(HubError):
        locate(NAME)
    server.stop()
    with pytest.raises(HubError, match="cannot be reached"):
        locate(NAME)
    with pytest.raises(HubError, match="cannot be reached"):
        locate(f"{NAME}@{commit}")


def test_offline_means_no_request(standin: hub_stand_in.Hub, trained: Path, monkeypatch):
    upload.push(trained, NAME)
    locate(NAME)
    standin.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in locate(NAME).note
    with pytest.raises(HubError, match=r"is not in the cache\. Unset HF_HUB_OFFLINE"):
        locate("alice/other")
    assert not standin.requests


def test_a_local_folder_of_that_name_wins(standin: hub_stand_in.Hub, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).mkdir(parents=True)
    assert locate(NAME).folder == Path(NAME)
    assert locate(NAME).repo == ""
    assert not standin.requests


@pytest.mark.parametrize("name", ["roses", "./alice/roses", "/a/b", "a/b/c", "../a", Path("a/b")])
def test_what_cannot_be_a_name_on_the_hub_is_a_folder(standin: hub_stand_in.Hub, name: str | Path):
    assert locate(name).folder == Path(name)
    assert not standin.requests


def test_an_unknown_name_or_revision_says_so(standin: hub_stand_in.Hub, trained: Path):
    with pytest.raises(HubError, match=r"no folder alice/none\. .* has no alice/none .*\(404\)"):
        locate("alice/none")
    upload.push(trained, NAME)
    with pytest.raises(HubError, match=r"at that revision that you can access \(404\)"):
        locate(f"{NAME}@v9")


def test_a_private_model_is_private(standin: hub_stand_in.Hub, trained: Path, monkeypatch):
    upload.push(trained, NAME, private=True)
    assert standin.repositories["model", NAME].private
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="hf auth login"):
        locate(NAME)


def test_private_is_not_uploaded_to_what_is_public(standin: hub_stand_in.Hub, trained: Path):
    upload.push(trained, NAME)
    with pytest.raises(ValueError, match="already exists and is public"):
        upload.push(trained, NAME, private=True)
    assert len(standin.repositories["model", NAME].commits) == 2


def test_a_repository_of_something_else_is_not_touched(standin: hub_stand_in.Hub, trained: Path):
    standin.add(NAME, {"README.md": b"mine", "weights.bin": b"years of work"})
    with pytest.raises(ValueError, match=r"holds something else \(see weights\.bin\)"):
        upload.push(trained, NAME)
    assert len(standin.repositories["model", NAME].commits) == 1


REFUSALS = {
    401: "does not accept your token",
    402: "asks for payment",
    403: "may not change alice/flowers",
    409: "already exists, or is being changed",
    500: r"failed \(500\)",
    418: r"refused \(418: told to, at create\)",
}


@pytest.mark.parametrize(("status", "message"), REFUSALS.items())
def test_a_refusal_to_create_is_one_sentence(
    standin: hub_stand_in.Hub, trained: Path, status: int, message: str
):
    standin.refuse["create"] = [status]
    with pytest.raises(HubError, match=message) as error:
        upload.push(trained, NAME)
    assert "\n" not in str(error.value)
    assert error.value.status == status
    assert not standin.repositories


@pytest.mark.parametrize("status", [403, 409, 500])
def test_a_broken_upload_leaves_nothing_and_can_be_repeated(
    standin: hub_stand_in.Hub, trained: Path, status: int
):
    standin.refuse["commit"] = [status]
    with pytest.raises(HubError, match="created for this, was deleted again"):
        upload.push(trained, NAME)
    assert not standin.repositories
    assert upload.push(trained, NAME).created


def test_any_other_error_leaves_nothing_either(
    standin: hub_stand_in.Hub, trained: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError("an error of hf_xet")

    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", fail)
    with pytest.raises(HubError, match=r"an error of hf_xet .* deleted again"):
        upload.push(trained, NAME)
    assert not standin.repositories


def test_an_empty_repository_that_stays_behind_is_filled_by_the_repeat(
    standin: hub_stand_in.Hub, trained: Path
):
    standin.refuse.update(commit=[500], delete=[500])
    with pytest.raises(HubError, match="is still empty; run the same command again to fill it"):
        upload.push(trained, NAME)
    assert not upload.push(trained, NAME).created
    assert "head.safetensors" in pushed(standin)


def test_a_broken_update_leaves_what_was_there(standin: hub_stand_in.Hub, trained: Path):
    commit = upload.push(trained, NAME).commit
    standin.refuse["commit"] = [500]
    with pytest.raises(HubError, match="is unchanged"):
        upload.push(trained, NAME)
    assert standin.repositories["model", NAME].head == commit


def test_an_update_removes_what_is_no_longer_part(standin: hub_stand_in.Hub, trained: Path):
    upload.push(trained, NAME)
    repository = standin.repositories["model", NAME]
    repository.commit({**(repository.files() or {}), "audit.json": b"{}", "mine.txt": b"kept"})
    upload.push(trained, NAME)
    assert "audit.json" not in pushed(standin)
    assert "mine.txt" in pushed(standin)


@pytest.mark.parametrize("name", ["flowers", "a/b/c", "alice/flowers@main", "", "../x"])
def test_a_wrong_name_is_refused_before_anything(
    standin: hub_stand_in.Hub, trained: Path, name: str
):
    with pytest.raises(ValueError, match=r"Expected USER/NAME"):
        upload.push(trained, name)
    assert not standin.requests


def test_the_card_is_valid_for_the_hub(trained: Path, tmp_path: Path):
    public = publish.write(trained, tmp_path / "out", name=NAME, license_id="apache-2.0")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert f"--checkpoint {NAME}\n" in text
    assert "THIS_FOLDER" not in text
    for heading in ("## Figures", "## Use", "## Training", "## Limits", "## Licence"):
        assert heading in text
    data: Any = ModelCard(text).data
    assert data.license == "apache-2.0"
    assert data.pipeline_tag == "image-classification"
    results = {(r.metric_type, r.metric_name): r for r in data.eval_results or []}
    top1 = results["accuracy", "Top-1 accuracy"]
    assert top1.metric_value == public.metrics["splits"]["valid"]["top1"]
    assert (top1.task_type, top1.dataset_split) == ("image-classification", "validation")
    assert top1.dataset_name == "photographs"


def test_push_and_predict_from_the_command_line(standin: hub_stand_in.Hub, trained: Path, tmp_path):
    """The whole way in processes of their own; the token shows nowhere."""
    environment = {
        **os.environ,
        "HF_ENDPOINT": standin.endpoint,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_TOKEN": hub_stand_in.TOKEN,
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", tiny.program("model"), *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    first = run("push", NAME, "--checkpoint", str(trained))
    assert first.returncode == 0, first.stderr
    commit = standin.repositories["model", NAME].head
    assert f"--checkpoint {NAME}@{commit}" in first.stdout
    photograph = str(trained.parent / "photographs" / "rose" / "000.jpg")
    places = ["--cache-dir", str(tmp_path / "cache"), "--device", "cpu"]
    second = run("predict", photograph, "--json", "--checkpoint", NAME, *places)
    assert second.returncode == 0, second.stderr
    assert f"Note: {NAME} is at commit {commit}" in second.stderr
    assert json.loads(second.stdout)["top"][0]["class_id"] == "rose"
    assert "Warning" not in second.stderr
    golden = json.loads((trained / "golden.json").read_text())
    drifted = shutil.copytree(trained, tmp_path / "drifted")
    first_pattern = golden["probabilities"][0]
    golden["probabilities"][0] = [*first_pattern[1:], first_pattern[0]]
    (drifted / "golden.json").write_text(json.dumps(golden))
    checkpoints.write_hashes(drifted)
    assert run("push", "alice/drifted", "--checkpoint", str(drifted)).returncode == 0
    warned = run("predict", photograph, "--checkpoint", "alice/drifted", *places)
    assert warned.returncode == 0, warned.stderr
    assert "Warning: " in warned.stderr
    standin.refuse["create"] = [402]
    third = run("push", "alice/other", "--checkpoint", str(trained))
    assert third.returncode == 2
    assert third.stderr.startswith("python -m model push: error: The Hugging Face Hub asks for pay")
    everything = "".join(r.stdout + r.stderr for r in (first, second, third))
    assert hub_stand_in.TOKEN not in everything
    assert "Traceback" not in everything
    assert hub_stand_in.TOKEN.encode() not in b"".join(pushed(standin).values())
