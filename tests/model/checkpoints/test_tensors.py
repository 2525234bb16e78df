"""The safetensors files of a checkpoint: what comes back from them, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawing import patterns
from safetensors.numpy import load_file, save_file
from small_checkpoint import made

from model.checkpoints import tensors
from model.checkpoints.checkpoint import save
from model.checkpoints.files import InvalidFile
from model.explain.evidence import Evidence
from model.features.signatures import signature, thumbnail

R = 24


def some_evidence(count: int = 30, *, thumbnails: bool = True) -> Evidence:
    pictures = patterns(count)
    return Evidence.build(
        np.random.default_rng(0).normal(size=(count, R)).astype(np.float32),
        np.arange(count) % 3,
        [f"{index:064x}" for index in range(count)],
        [f"class/{index}.jpg" for index in range(count)],
        np.stack([signature(picture) for picture in pictures]),
        [thumbnail(picture) for picture in pictures] if thumbnails else None,
    )


def edit(path: Path, name: str, change: Callable[[np.ndarray], np.ndarray] | None) -> None:
    """Change a tensor of a file, or remove it."""
    content = load_file(path)
    if change is None:
        del content[name]
    else:
        content[name] = np.ascontiguousarray(change(content[name]))
    save_file(content, path)


def at(place: int | tuple[int, ...], value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Change one value."""

    def change(tensor: np.ndarray) -> np.ndarray:
        tensor = tensor.copy()
        tensor[place] = value
        return tensor

    return change


# the evidence


@pytest.fixture
def path(tmp_path: Path) -> Path:
    some_evidence().save(tmp_path / tensors.EVIDENCE)
    return tmp_path / tensors.EVIDENCE


@pytest.mark.parametrize("thumbnails", [True, False])
def test_evidence_comes_back_from_its_file(thumbnails: bool, tmp_path: Path):
    kept = some_evidence(thumbnails=thumbnails)
    path = tmp_path / tensors.EVIDENCE
    assert kept.save(path) == path.stat().st_size
    loaded = tensors.evidence(path, R, 3)
    queries = np.random.default_rng(4).normal(size=(3, R)).astype(np.float32)
    assert np.array_equal(loaded.nearest(queries), kept.nearest(queries))
    assert loaded.same_below == kept.same_below
    assert loaded.names == kept.names
    assert np.array_equal(loaded.signatures, kept.signatures)


def test_names_may_hold_any_character_and_show_the_printable_ones(tmp_path: Path):
    kept = replace(some_evidence(2), names=["a\nb\u202e/ü 花.jpg", "c\t'\".jpg"])
    kept.save(tmp_path / tensors.EVIDENCE)
    names = tensors.evidence(tmp_path / tensors.EVIDENCE, R, 3).names
    assert names == ["a\ufffdb\ufffd/ü 花.jpg", "c\ufffd'\".jpg"]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "vectors",
            lambda a: a.astype(np.int16),
            "vectors is I16 [30, 24]; expected int8 [any, 24]",
        ),
        ("vectors", lambda a: a[:, :8], "vectors is int8 [30, 8]; expected int8 [any, 24]"),
        ("vectors", lambda a: a[:0], "vectors has 0 rows; expected 1 to 10,000,000"),
        ("scales", lambda a: a[:-1], "scales is float32 [29]; expected float32 [30]"),
        ("scales", at(4, np.nan), "scales[4] is nan; expected finite numbers"),
        ("scales", at(5, 0), "scales[5] is 0.0; expected numbers above 0, at most 0.008"),
        ("scales", at(5, 1), "scales[5] is 1.0; expected numbers above 0, at most 0.008"),
        ("labels", at(9, -1), "labels[9] is -1; expected 0 to 2"),
        ("labels", at(9, 3), "labels[9] is 3; expected 0 to 2"),
        ("digests", lambda a: a[:, :8], "digests is uint8 [30, 8]; expected uint8 [30, 16]"),
        ("signatures", lambda a: a[1:], "signatures is uint8 [29, 32]; expected uint8 [30, 32]"),
        ("names", lambda a: a[:9], "names has 1 names; expected 30, one per vector"),
        ("names", at(3, 255), "names is not UTF-8 at byte 3"),
        (
            "names",
            lambda a: np.concatenate([np.full(5000, 65, np.uint8), a]),
            "one of 5,011 charac",
        ),
        ("same_below", lambda a: a + 1000, "; expected 0 to 256"),
        ("same_below", lambda a: a[None], "same_below is int32 [1, 1]; expected int32 [1]"),
        ("version", lambda a: a + 1, "version[0] is 2; expected 1"),
        ("offsets", lambda a: a[:-1], "offsets is int64 [30]; expected int64 [31]"),
        ("offsets", lambda a: a[::-1], "offsets goes from"),
        ("offsets", lambda a: a + 1, "offsets goes from 1 to"),
        ("offsets", at(7, 2**62), "expected the next to be 1 to 65,536 more"),
        ("blob", lambda a: a[:-10], "offsets goes from 0 to"),
        ("blob", None, "blob is missing"),
        ("offsets", None, "offsets is missing"),
        ("labels", None, "labels is missing"),
    ],
)
def test_edited_evidence_is_refused(name: str, change: Callable | None, message: str, path: Path):
    edit(path, name, change)
    with pytest.raises(InvalidFile) as error:
        tensors.evidence(path, R, 3)
    assert str(error.value).startswith("evidence.safetensors: ")
    assert message in str(error.value)


@pytest.mark.parametrize("keep", [0, 5, 100, -100])
def test_a_truncated_file_is_refused(keep: int, path: Path):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InvalidFile, match=r"evidence\.safetensors: the file is damaged"):
        tensors.evidence(path, R, 3)


def test_a_header_that_would_fill_the_memory_is_not_read(path: Path):
    path.write_bytes((10**7).to_bytes(8, "little") + b" " * 2 * 10**7)
    with pytest.raises(InvalidFile, match=r"damaged \(its header has 10,000,000 bytes\)"):
        tensors.evidence(path, R, 3)


# the head


@pytest.fixture
def head(tmp_path: Path) -> Path:
    save(made((5,)), tmp_path / "checkpoint")
    return tmp_path / "checkpoint" / tensors.HEAD


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("mean", at(2, np.nan), "mean[2] is nan; expected finite numbers"),
        ("mean", at(2, 3e38), "layers.0.weight is so large that a result can reach"),
        ("std", at(2, 0), "std[2] is 0.0; expected numbers of at least 5e-07"),
        ("std", at(2, -1), "std[2] is -1.0; expected numbers of at least 5e-07"),
        ("std", None, "std is missing"),
        ("std", lambda a: a[:-1], "std is float32 [5]; expected float32 [6]"),
        ("std", lambda a: a.astype(np.float64), "std is F64 [6]; expected float32 [6]"),
        ("layers.0.weight", at((1, 2), np.inf), "layers.0.weight[1, 2] is inf; expected finite"),
        ("layers.0.weight", at((1, 2), -np.inf), "layers.0.weight[1, 2] is -inf; expected finite"),
        ("layers.0.weight", at((1, 2), -3e38), "layers.0.weight is so large that a result can"),
        ("layers.0.weight", lambda a: a[:2], "float32 [2, 6]; expected float32 [5, 6]"),
        ("layers.1.weight", lambda a: a * 1e30, "layers.1.weight is so large that a result can"),
        ("layers.1.bias", at(0, 3e38), "layers.1.weight is so large that a result can reach 3e+38"),
        ("layers.1.bias", None, "layers.1.bias is missing"),
        ("embedding.basis", at((0, 0), np.nan), "embedding.basis[0, 0] is nan; expected finite"),
        ("embedding.basis", lambda a: a[:0], "embedding.basis takes 0 features; expected 1 to 6"),
        (
            "embedding.basis",
            lambda a: np.concatenate([a, a]),
            "embedding.basis takes 12 features; expected 1 to 6",
        ),
        ("embedding.basis", lambda a: a[:, :0], "embedding.basis has 0 directions; expected 1"),
        ("embedding.centers", at((0, 0), 1e30), "embedding.centers is so large that a result"),
        ("embedding.centers", None, "embedding.centers is missing"),
    ],
)
def test_an_edited_head_is_refused(name: str, change: Callable | None, message: str, head: Path):
    edit(head, name, change)
    with pytest.raises(InvalidFile) as error:
        tensors.head(head, 6, [5], 3)
    assert str(error.value).startswith("head.safetensors: ")
    assert message in str(error.value)


def test_whatever_is_accepted_gives_finite_answers(head: Path):
    edit(head, "std", lambda a: np.full_like(a, 6e-7))
    edit(head, "layers.0.weight", lambda a: np.full_like(a, 3e7))
    edit(head, "layers.1.weight", lambda a: np.full_like(a, 1e13))
    edit(head, "embedding.basis", lambda a: np.full_like(a, 60_000))
    found, embedding = tensors.head(head, 6, [5], 3)
    assert embedding is not None
    for feature in (-65_504.0, 0.0, 65_504.0):
        features = np.full((1, 2, 6), feature, np.float32)
        assert np.isfinite(found.view_logits(features) / np.float32(1e-3)).all()
        embedded = embedding.project(found, features)
        assert np.isfinite(embedded).all()
        assert np.isfinite(embedding.distances(embedded)).all()
