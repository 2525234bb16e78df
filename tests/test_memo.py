"""A run that changes nothing: what was fitted before is found, and only then."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny

import train
from model import memo, training
from model.checkpoints import checkpoint
from model.explain.evidence import Evidence


@pytest.fixture
def folder(photos_dir: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny.install(monkeypatch)
    return photos_dir(count=5)


@pytest.fixture
def run(folder: Path, cache_dir: Path, tmp_path: Path) -> Callable[..., bool]:
    """Train; tell whether a head was fitted."""

    def run(*options: str) -> bool:
        fitted = []
        real = training.train
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "train", lambda *a, **k: (fitted.append(1), real(*a, **k))[1])
            places = ["--cache-dir", str(cache_dir), "--out", str(tmp_path / "out"), "--overwrite"]
            fast = ["--backbone", "test_resnet", "--epochs", "2", "--device", "cpu"]
            assert train.main(train.parse([str(folder), *fast, *places, *options])) == 0
        return bool(fitted)

    return run


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_run_again_fits_nothing_and_writes_the_same(
    run: Callable[..., bool], tmp_path: Path, capsys
):
    assert run()
    first = files(tmp_path / "out")
    capsys.readouterr()
    assert not run()
    assert files(tmp_path / "out") == first
    assert "evidence.safetensors" in first
    loaded = checkpoint.load(tmp_path / "out")
    assert loaded.evidence is not None and loaded.evidence.blob is not None
    shown = capsys.readouterr().out
    assert "Fitted before" in shown and "--refit" in shown
    assert "Top-1" in shown  # the results are shown all the same


def test_refit_fits_anew(run: Callable[..., bool]):
    assert run()
    assert run("--refit")
    assert not run()


@pytest.mark.parametrize(
    "option", [("--lr", "0.01"), ("--seed", "1"), ("--coverage", "0.9"), ("--no-evidence",)]
)
def test_another_option_is_another_fit(run: Callable[..., bool], option: tuple[str, ...]):
    assert run()
    assert run(*option)
    assert not run(*option)
    assert not run()


@pytest.mark.parametrize("change", ["removed", "renamed", "edited", "moved"])
def test_other_photographs_are_another_fit(run: Callable[..., bool], folder: Path, change: str):
    assert run()
    one, other = (min((folder / name).iterdir()) for name in ("daisy", "rose"))
    if change == "removed":
        one.unlink()
    elif change == "renamed":
        one.rename(one.with_name("zzz.jpg"))
    elif change == "edited":
        one.write_bytes(one.read_bytes() + b"more")
    else:
        one.rename(other.with_name("zzz.jpg"))
    assert run()


def test_another_version_of_the_program_is_another_fit(
    run: Callable[..., bool], monkeypatch, tmp_path: Path, cache_dir: Path
):
    assert run()
    package = tmp_path / "package"
    shutil.copytree(Path(memo.__file__).parent, package)
    monkeypatch.setattr(memo, "__file__", str(package / "memo.py"))
    assert not run()
    (package / "head.py").write_text("# another way")
    assert run()
    assert len(list((cache_dir / "fits").iterdir())) == 1  # the other version's are gone


def test_a_damaged_fit_is_made_anew(run: Callable[..., bool], cache_dir: Path):
    assert run()
    (kept,) = (cache_dir / "fits").glob("*/*")
    (kept / "head.safetensors").write_bytes(b"cut off")
    assert run()
    (kept / ".DS_Store").touch()
    assert run("--refit")
    assert not run()


def test_thumbnails_are_not_stored_twice(run: Callable[..., bool], cache_dir: Path):
    assert run()
    (kept,) = (cache_dir / "fits").glob("*/*")
    evidence = Evidence.load(kept / "evidence.safetensors")
    assert evidence.blob is None


def test_a_run_without_thumbnails_comes_back_without(run: Callable[..., bool], tmp_path: Path):
    assert run("--no-thumbnails")
    assert not run("--no-thumbnails")
    assert Evidence.load(tmp_path / "out" / "evidence.safetensors").blob is None


def test_a_cache_that_cannot_be_written_is_a_note(
    run: Callable[..., bool], cache_dir: Path, tmp_path: Path, capsys
):
    (cache_dir / "fits").write_text("a file in its place")
    assert run()
    assert "not kept in the cache" in capsys.readouterr().err
    assert checkpoint.load(tmp_path / "out").evidence is not None


def test_the_classic_recipe_is_never_taken_from_the_cache(
    run: Callable[..., bool], cache_dir: Path
):
    options = ("--recipe", "classic", "--workers", "0", "--hidden", "8")
    assert run(*options)
    assert run(*options)
    assert not (cache_dir / "fits").exists()
