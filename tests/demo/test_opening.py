"""Several checkpoints are opened: their names, their endpoints, and what they share."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.__main__ import main, parse
from demo.opening import MOST, endpoints, names, open_all
from model.backbones.backbone import Backbone
from model.checkpoints.hub import Located


def local(folder: str) -> Located:
    return Located(Path(folder), "", folder, "")


def hub(repo: str, commit: str) -> Located:
    return Located(Path("cache", commit), repo, f"{repo}@{commit}", "")


def test_a_checkpoint_is_called_as_its_folder_or_repository():
    assert names([local("runs/roses"), hub("bob/roses", "a" * 40)]) == ["roses", "bob/roses"]


def test_equal_names_are_told_apart():
    found = [local("/a/one/best"), local("/a/two/best"), local("/b/two/best")]
    assert names(found) == ["best", "best (2)", "best (3)"], "folders above are not for visitors"
    assert names([local("a/b"), local("a/b (2)"), local("c/b")]) == ["b", "b (2)", "b (3)"]
    found = [hub("bob/roses", "a" * 40), hub("bob/roses", "b" * 40)]
    assert names(found) == ["bob/roses@aaaaaaa", "bob/roses@bbbbbbb"]


def test_the_first_endpoint_is_predict_and_the_others_have_plain_unlike_names():
    found = endpoints(["one", "bob/Roses", "bob_roses", "<b>", "植物", "&"])
    assert found[:3] == ["predict", "predict_bob_roses", "predict_bob_roses_2"]
    assert found[3:] == ["predict_b", "predict_other", "predict_other_2"]


@pytest.mark.parametrize(
    "called", [["flowers", "only"], ["a", "roses", "roses_only"], ["a", "roses_only", "roses"]]
)
def test_endpoints_leave_room_for_those_with_a_list_of_classes(called: list[str]):
    found = endpoints(called)
    every = [*found, *(f"{name}_only" for name in found)]
    assert len(set(every)) == 2 * len(called), every


def test_a_shared_backbone_is_opened_once_and_that_is_said(
    trained: Path,
    tmp_path: Path,
    tiny_backbone: Callable[..., Backbone],
    cache_dir: Path,
    capsys: pytest.CaptureFixture[str],
):
    shutil.copytree(trained, tmp_path / "again")
    both = [str(trained), str(tmp_path / "again")]
    served = open_all(both, device="cpu", cache_dir=cache_dir)
    assert list(served) == ["checkpoint", "again"]
    assert served["again"].backbone is served["checkpoint"].backbone
    assert capsys.readouterr().out == "again shares the backbone of checkpoint.\n"


def test_a_checkpoint_that_is_given_twice_is_an_error(trained: Path, monkeypatch):
    monkeypatch.chdir(trained.parent)
    with pytest.raises(ValueError, match="the same checkpoint as checkpoint, which is"):
        open_all(["checkpoint", "./checkpoint"], device="cpu")


def test_more_checkpoints_than_a_page_serves_are_an_error():
    with pytest.raises(ValueError, match=f"at most {MOST} checkpoints, but 9 are given"):
        open_all([f"run-{number}" for number in range(MOST + 1)], device="cpu")


@pytest.mark.parametrize("option", ["--collect", "--title", "--link"])
def test_what_belongs_to_one_data_set_takes_one_checkpoint(option: str, tmp_path: Path):
    value = tmp_path / "corrections"
    options = parse(["--checkpoint", "a", "--checkpoint", "b", option, str(value)])
    with pytest.raises(ValueError, match=f"{option} works with one checkpoint only, but 2"):
        main(options)
    assert not value.exists()
