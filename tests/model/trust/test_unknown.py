import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from model.heads.head import Head
from model.trust import unknown
from model.trust.unknown import MAX_DIRECTIONS, fit_detector, fit_embedding

WIDTH, CLASSES = 40, 5


def clusters(count: int, seed: int, centers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, 2, D] around class centres, with a spread that differs by direction."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(len(centers), size=count)
    spread = np.linspace(0.2, 2.0, WIDTH)
    noise = rng.normal(size=(count, 2, WIDTH)) * spread
    return (centers[labels][:, None] + noise).astype(np.float16), labels


@pytest.fixture
def known():
    centers = np.random.default_rng(0).normal(0, 3, (CLASSES, WIDTH))
    head = Head(np.zeros(WIDTH, np.float32), np.ones(WIDTH, np.float32), [])
    features, labels = clusters(400, 1, centers)
    return head, centers, features, labels


def test_the_spread_within_a_class_is_one_in_every_direction(known):
    head, centers, _, _ = known
    rng = np.random.default_rng(5)
    labels = rng.integers(CLASSES, size=2000)
    features = (centers[labels] + rng.normal(0, 3, (2000, WIDTH)))[:, None]
    embedding = fit_embedding(head, features, labels)
    embedded = embedding.project(head, features)
    rest = embedded - embedding.centers[labels]
    assert embedding.basis.shape == (WIDTH, WIDTH)
    assert rest.std(axis=0) == pytest.approx(np.ones(WIDTH), abs=0.1)


def test_directions_with_classes_apart_come_first(known):
    head, _, features, labels = known
    centers = fit_embedding(head, features, labels).centers
    assert centers[:, :4].std() > 3 * centers[:, -10:].std()


def test_distances_are_those_to_the_nearest_class_mean(known):
    head, _, features, labels = known
    embedding = fit_embedding(head, features, labels)
    embedded = embedding.project(head, features[:7])
    expected = ((embedded[:, None] - embedding.centers) ** 2).sum(axis=2).min(axis=1)
    assert embedding.distances(embedded) == pytest.approx(expected, rel=1e-3)


def test_something_else_is_far_and_a_new_photograph_is_not(known):
    head, centers, features, labels = known
    embedding = fit_embedding(head, features, labels)
    fresh, _ = clusters(200, 2, centers)
    other, _ = clusters(200, 3, np.random.default_rng(9).normal(0, 3, (CLASSES, WIDTH)))
    near, far = (embedding.distances(embedding.project(head, x)) for x in (fresh, other))
    assert roc_auc_score([0] * 200 + [1] * 200, np.concatenate([near, far])) > 0.99


def test_fewer_photographs_than_features_give_fewer_directions():
    rng = np.random.default_rng(0)
    width = MAX_DIRECTIONS + 50
    head = Head(np.zeros(width, np.float32), np.ones(width, np.float32), [])
    embedding = fit_embedding(head, rng.normal(size=(9, 2, width)), np.arange(9) % 3)
    assert embedding.basis.shape == (width, 8)
    assert np.isfinite(embedding.basis).all() and np.isfinite(embedding.centers).all()


def test_identical_photographs_give_finite_numbers():
    head = Head(np.zeros(4, np.float32), np.ones(4, np.float32), [])
    embedding = fit_embedding(head, np.ones((6, 2, 4)), np.arange(6) % 2)
    assert np.isfinite(embedding.distances(np.zeros((1, 4), np.float32))).all()


def test_distance_counts_only_beyond_the_known():
    doubt, distance = np.linspace(0, 2, 101), np.linspace(10, 30, 101)
    detector = fit_detector(doubt, distance)
    usual = detector.score(np.array([1.0, 1.0]), np.array([12.0, 29.0]))
    far = detector.score(np.array([1.0]), np.array([60.0]))
    assert usual == pytest.approx([0.0, 0.0])
    assert far[0] > 2


def test_doubt_alone_serves_where_there_is_no_embedding():
    detector = fit_detector(np.linspace(0, 2, 101), None)
    assert detector.score(np.array([1.0, 1.9]), None) == pytest.approx([0, 1])


def test_a_handful_of_certain_answers_does_not_make_a_scale_of_nothing():
    detector = fit_detector(np.full(3, 1e-4), np.full(3, 8.0))
    plausible = detector.score(np.array([-np.log(0.7)]), np.array([11.0]))
    assert plausible[0] < 1
    assert detector.score(np.array([1e-4]), np.array([40.0]))[0] > 3


def test_the_largest_directions_are_those_of_the_whole_solution():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(400, 400)))[0]
    values = np.sort(1 / (1 + np.arange(400.0)))[::-1]  # falls as eigenvalues of features do
    matrix = (basis * values) @ basis.T
    found = unknown.largest_eigenvectors(matrix, 60)
    assert found.shape == (400, 60)
    assert found.T @ found == pytest.approx(np.eye(60), abs=1e-9)
    kept = np.trace(found.T @ matrix @ found)
    assert kept == pytest.approx(values[:60].sum(), rel=1e-3)
    assert np.abs(found[:, 0] @ basis[:, 0]) > 0.9999
    assert np.diag(found.T @ matrix @ found) == pytest.approx(values[:60], rel=0.02)
