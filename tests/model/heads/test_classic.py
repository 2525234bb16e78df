"""The tutorial's recipe, step for step, and the one fault of it that is not copied."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from loading import load_source
from torch import nn
from torchvision import transforms

from model.backbones.backbone import Backbone
from model.heads import classic
from model.heads.fit import FittedHead
from model.heads.head import HISTORY_COLUMNS, HeadConfig, cross_entropy
from model.photographs import images
from model.photographs.dataset import DataSet

SMALL = replace(classic.CONFIG, epochs=2, hidden=(16, 8), batch_size=4)


@pytest.fixture
def loaded(photos_dir: Callable[..., Path], cache_dir: Path) -> DataSet:
    return load_source(photos_dir(count=5), cache_dir=cache_dir)


@pytest.fixture
def backbone(tiny_backbone: Callable[..., Backbone], monkeypatch) -> Backbone:
    """A tiny backbone opened as the recipe asks, but for the size."""
    monkeypatch.setattr(classic, "IMAGE_SIZE", 64)
    return tiny_backbone(
        stages=0, image_size=64, framing=classic.FRAMING, interpolation=classic.INTERPOLATION
    )


def fit(
    backbone: Backbone, loaded: DataSet, config: HeadConfig = SMALL, workers: int = 0
) -> FittedHead:
    train, valid = loaded.splits["train"], loaded.splits["valid"]
    return classic.fit_classic(backbone, train, valid, 3, config, workers=workers)


def test_the_figures_are_the_tutorials():
    config = classic.CONFIG
    assert classic.IMAGE_SIZE == 224
    assert classic.FRAMING == "squash"
    assert config.hidden == (1600, 1024)
    assert (config.head, config.dropout, config.epochs) == ("mlp", 0.1, 20)
    assert (config.batch_size, config.lr) == (32, 1e-3)
    assert (config.weight_decay, config.label_smoothing) == (0, 0)


def test_the_head_is_the_tutorials():
    from model.heads.mlp import build

    network = build(1280, 102, classic.CONFIG.hidden, classic.CONFIG.dropout)
    kinds = [type(layer).__name__ for layer in network]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Linear"]
    shapes = [tuple(m.weight.shape) for m in network if isinstance(m, nn.Linear)]
    assert shapes == [(1600, 1280), (1024, 1600), (102, 1024)]
    assert [m.p for m in network if isinstance(m, nn.Dropout)] == [0.1, 0.1]


def test_the_augmentation_is_the_tutorials(loaded: DataSet):
    steps = classic.PhotoDataset(loaded.splits["train"], augment=True).transform.transforms
    resize, affine, flip, _ = steps
    assert isinstance(resize, transforms.Resize)
    assert resize.size == (224, 224)
    assert isinstance(affine, transforms.RandomAffine)
    assert affine.degrees == [0.0, 0.0]
    assert affine.shear == [-10.0, 10.0]
    assert affine.scale == (0.8, 1.2)
    assert affine.translate is None
    assert isinstance(flip, transforms.RandomHorizontalFlip)
    assert flip.p == 0.5


def test_measuring_uses_the_pixels_that_serving_uses(loaded: DataSet, backbone: Backbone):
    photos = loaded.splits["valid"]
    pixels, label = classic.PhotoDataset(photos, augment=False)[1]
    assert label == photos.labels[1]
    served = backbone.transforms.center(images.decode(photos.paths[1]))
    assert np.array_equal(pixels.numpy(), served)


def test_training_shuffles_and_measuring_does_not(loaded: DataSet):
    photos = loaded.splits["train"]
    orders = [
        torch.cat([labels for _, labels in loader]).tolist()
        for loader in (
            classic.photo_loader(photos, train=train, batch_size=4, workers=0, seed=0)
            for train in (True, False)
        )
    ]
    assert orders[0] != orders[1] == photos.labels.tolist()
    assert sorted(orders[0]) == sorted(orders[1])


def test_every_epoch_augments_anew(loaded: DataSet):
    dataset = classic.PhotoDataset(loaded.splits["train"], augment=True)
    assert not torch.equal(dataset[0][0], dataset[0][0])


@pytest.mark.parametrize("workers", [0, 2])
def test_it_trains_whatever_the_number_of_workers(
    workers: int, loaded: DataSet, backbone: Backbone
):
    rows = []
    trained = classic.fit_classic(
        backbone,
        loaded.splits["train"],
        loaded.splits["valid"],
        3,
        SMALL,
        workers=workers,
        on_epoch=rows.append,
    )
    assert trained.history == rows
    assert [row["epoch"] for row in rows] == [1, 2]
    for row in rows:
        assert set(row) == set(HISTORY_COLUMNS)
        assert row["learning_rate"] == 1e-3
        assert all(np.isfinite(value) for value in row.values())
    assert [weight.shape for weight, _ in trained.head.layers] == [(16, 96), (8, 16), (3, 8)]
    features = classic.classic_features(backbone, loaded.splits["valid"], workers=workers)
    logits = trained.head.view_logits(features)
    assert logits.shape == (3, 3)
    best = trained.history[trained.best_epoch - 1]
    right = (logits.argmax(1) == loaded.splits["valid"].labels).mean()
    assert right == pytest.approx(best["valid_accuracy"])


def test_the_backbone_does_not_drift(loaded: DataSet, backbone: Backbone):
    before = {name: tensor.clone() for name, tensor in backbone.module.state_dict().items()}
    assert any(name.endswith("running_var") for name in before)
    fit(backbone, loaded)
    after = backbone.module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module.training for module in backbone.module.modules())


def test_the_same_seed_gives_the_same_weights(loaded: DataSet, backbone: Backbone):
    first, again, other = (
        fit(backbone, loaded, replace(SMALL, seed=seed)).head.layers[-1][0] for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_learning_makes_the_loss_fall(loaded: DataSet, backbone: Backbone):
    config = replace(SMALL, epochs=20, hidden=(64,), dropout=0.0, lr=1e-2)
    history = fit(backbone, loaded, config).history
    assert history[-1]["train_loss"] < 0.8 * history[0]["train_loss"]


def test_label_smoothing_is_not_ignored(loaded: DataSet, backbone: Backbone):
    plain, smoothed = (
        fit(backbone, loaded, replace(SMALL, label_smoothing=share)).head.layers[-1][0]
        for share in (0.0, 0.5)
    )
    assert not np.array_equal(plain, smoothed)


def test_nothing_is_cached(loaded: DataSet, backbone: Backbone, cache_dir: Path, monkeypatch):
    decoded = []
    real = images.decode
    monkeypatch.setattr(
        images, "decode", lambda path, **how: (decoded.append(path), real(path, **how))[1]
    )
    fit(backbone, loaded)
    assert len(decoded) == 2 * (12 + 3)
    assert not (cache_dir / "features").exists()


def test_the_kept_head_is_the_best_epochs_and_not_the_last(loaded: DataSet, backbone: Backbone):
    # A learning rate this high makes later epochs worse; the head must not follow them.
    fitted = fit(backbone, loaded, replace(SMALL, epochs=8, lr=0.5, dropout=0.0))
    losses = [row["valid_loss"] for row in fitted.history]
    assert fitted.best_epoch != len(losses) or len(set(losses)) == 1
    features = classic.classic_features(backbone, loaded.splits["valid"], workers=0)
    logits = fitted.head.view_logits(features)
    found = cross_entropy(logits, loaded.splits["valid"].labels)
    assert found == pytest.approx(losses[fitted.best_epoch - 1], rel=1e-3)
