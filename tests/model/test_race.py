"""The race between backbones: what it compares, on which photographs, and what it says."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny

from model.commands import main as cli
from model.photographs.scan import list_folder
from model.race import sample


@pytest.fixture
def race(cache_dir: Path, monkeypatch) -> Callable[..., int]:
    tiny.install(monkeypatch)

    def run(folder: Path, *options: str, backbones: str = "test_resnet,test_vit") -> int:
        arguments = ["race", str(folder), "--backbones", backbones, "--device", "cpu"]
        parsed = cli.parse([*arguments, "--cache-dir", str(cache_dir), *options])
        return parsed.run(parsed)

    return run


def test_it_ranks_backbones_on_the_same_photographs(
    race: Callable[..., int], photos_dir: Callable[..., Path], capsys
):
    folder = photos_dir(count=6)
    assert race(folder) == 0
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if line.startswith("test_")]
    assert {row[0] for row in rows} == {"test_resnet", "test_vit"}
    accuracies = [float(row[1]) for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert "Accuracy on 18 photographs" in printed
    assert f"python train.py {folder} --backbone {rows[0][0]}" in printed


def test_no_photograph_of_a_test_split_takes_part(photos_dir: Callable[..., Path]):
    listing = list_folder(photos_dir(count=6, splits=("train", "valid", "test")))
    drawn = sample(listing, 1000, 0)
    assert {entry.split for entry in drawn.entries} == {"train", "valid"}


def test_every_beginning_of_a_sample_holds_of_each_class_its_share(
    photos_dir: Callable[..., Path],
):
    listing = list_folder(photos_dir(count=8))
    drawn = [entry.class_id for entry in sample(listing, 12, 0).entries]
    assert len(drawn) == 12
    for end in (3, 6, 9, 12):
        counts = np.unique(drawn[:end], return_counts=True)[1]
        assert len(counts) == 3 and np.ptp(counts) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seconds", "0"], "--seconds 0.0 must be above 0"),
        (["--seconds", "nan"], "--seconds nan must be above 0"),
        (["--photographs", "1"], "--photographs 1 is outside 2 to 2000"),
        (["--photographs", "4"], "4 usable photographs of 3 classes; a race needs"),
    ],
)
def test_wrong_options_are_a_sentence(
    options: list[str], message: str, race: Callable[..., int], photos_dir: Callable[..., Path]
):
    with pytest.raises(ValueError, match=message):
        race(photos_dir(count=6), *options)


def test_no_backbone_and_an_unknown_one_are_errors(
    race: Callable[..., int], photos_dir: Callable[..., Path]
):
    folder = photos_dir(count=6)
    with pytest.raises(ValueError, match="--backbones names none"):
        race(folder, backbones=" , ")
    with pytest.raises(ValueError, match="names test_resnet twice"):
        race(folder, backbones="test_resnet+test_resnet")
