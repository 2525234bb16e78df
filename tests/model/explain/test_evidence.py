"""Evidence: the nearest training photographs, copies of them, and a file that is checked."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from drawing import patterns, recompressed
from PIL import Image
from safetensors.numpy import load_file

from model.explain import evidence
from model.explain.evidence import Evidence
from model.features.signatures import both_ways, signature, thumbnail

R = 24


def directions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, R)).astype(np.float32)


def some_evidence(count: int = 30, *, thumbnails: bool = True) -> Evidence:
    pictures = patterns(count)
    return Evidence.build(
        directions(count),
        np.arange(count) % 3,
        [f"{index:064x}" for index in range(count)],
        [f"class/{index}.jpg" for index in range(count)],
        np.stack([signature(picture) for picture in pictures]),
        [thumbnail(picture) for picture in pictures] if thumbnails else None,
    )


# The nearest


def test_nearest_are_those_of_an_exact_search(monkeypatch):
    monkeypatch.setattr(evidence, "ROWS", 7)  # several blocks
    kept = some_evidence(30)
    queries = directions(4, seed=1)
    unit = [
        rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (queries, directions(30))
    ]
    exact = np.linalg.norm(unit[0][:, None] - unit[1], axis=2)
    distances, indices = kept.nearest(queries, 5)
    assert distances == pytest.approx(np.sort(exact, axis=1)[:, :5], abs=0.01)
    assert (indices[:, 0] == exact.argmin(axis=1)).all()


def test_an_embedding_is_off_by_half_a_scale_at_most():
    kept = some_evidence()
    unit = directions(30) / np.linalg.norm(directions(30), axis=1, keepdims=True)
    error = np.abs(kept.vectors * kept.scales[:, None] - unit)
    assert (error <= kept.scales[:, None] * 0.5001).all()
    assert np.allclose(kept.scales, np.abs(unit).max(axis=1) / 127)


def test_only_the_direction_of_an_embedding_counts():
    kept = some_evidence()
    (_, first), (_, second) = (kept.nearest(directions(1, 2) * scale, 3) for scale in (1, 50))
    assert np.array_equal(first, second)


def test_more_neighbours_than_photographs_are_all_of_them():
    _, indices = some_evidence(3).nearest(directions(1), 9)
    assert sorted(indices[0]) == [0, 1, 2]


def test_a_query_that_does_not_fit_is_an_error():
    kept = some_evidence()
    with pytest.raises(ValueError, match=r"expected \[M, 24\]"):
        kept.nearest(np.zeros((1, 23), np.float32))
    with pytest.raises(ValueError, match="k is 0"):
        kept.nearest(directions(1), 0)


@pytest.mark.parametrize(("answer", "doubted"), [(1, False), (0, True), (2, True)])
def test_the_answer_is_doubted_when_most_neighbours_have_another_label(answer: int, doubted: bool):
    labels = np.array([[0, 0, 1, 1, 1]])
    assert evidence.disagree(labels, np.array([answer])).tolist() == [doubted]


def test_half_of_the_neighbours_do_not_make_a_doubt():
    assert evidence.disagree(np.array([[0, 1]]), np.array([0])).tolist() == [False]


# Copies


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        lambda image: recompressed(image, 60, 1),
        lambda image: recompressed(image, 80, 0.5),
        lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    ],
)
def test_a_copy_of_a_training_photograph_is_recognised(change: Callable):
    kept = some_evidence(30)
    for index, image in enumerate(patterns(30)):
        assert kept.seen(both_ways(change(image))) == f"class/{index}.jpg"


def test_another_photograph_is_not_taken_for_a_copy():
    kept = some_evidence(20)
    assert all(kept.seen(both_ways(image)) is None for image in patterns(30)[20:])


def test_one_photograph_alone_is_evidence_too():
    kept = some_evidence(1)
    assert kept.seen(both_ways(patterns(1)[0])) == "class/0.jpg"


# Thumbnails


def test_a_training_photograph_has_its_own_thumbnail():
    assert some_evidence().thumbnail(7) == thumbnail(patterns(30)[7])


def test_without_thumbnails_none_is_in_the_file(tmp_path: Path):
    kept = some_evidence()
    large = kept.save(tmp_path / "with.safetensors")
    small = kept.without_thumbnails().save(tmp_path / "without.safetensors")
    assert large - small > sum(len(thumbnail(picture)) for picture in patterns(30)[:29])
    assert b"\xff\xd8\xff" not in (tmp_path / "without.safetensors").read_bytes()
    assert kept.without_thumbnails().thumbnail(0) is None
    assert "blob" not in load_file(tmp_path / "without.safetensors")


def test_an_embedding_that_is_not_finite_is_an_error():
    with pytest.raises(ValueError, match="not finite"):
        Evidence.build(
            np.full((1, R), np.nan),
            np.zeros(1, int),
            ["00" * 32],
            ["a"],
            np.zeros((1, 32), np.uint8),
        )


def test_blocks_are_kept_and_searched_as_the_whole_is(monkeypatch):
    whole, rows = some_evidence(30, thumbnails=False), directions(30)
    parts = (rows[:11], rows[11:12], rows[12:])
    digests = [f"{index:064x}" for index in range(30)]
    built = Evidence.build(iter(parts), whole.labels, digests, whole.names, whole.signatures)
    assert np.array_equal(built.vectors, whole.vectors)
    assert np.array_equal(built.scales, whole.scales)
    expected = whole.nearest(directions(9, seed=1), 4)
    monkeypatch.setattr(evidence, "QUERIES", 2)
    distances, indices = built.nearest(directions(9, seed=1), 4)
    assert np.array_equal(indices, expected[1])
    assert distances == pytest.approx(expected[0], abs=1e-5)
