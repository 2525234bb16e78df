"""The tutorial's recipe, step for step: the yardstick for accuracy and speed.

Every epoch decodes every photograph, augments it, runs the frozen network and takes one Adam step
a batch. Nothing is cached. One thing is not copied: the tutorial leaves the network in train mode,
so that its BatchNorm statistics drift although its weights are frozen; here it stays in eval mode.
"""

import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as tv

from model.backbones.backbone import Backbone
from model.backbones.transforms import Framing
from model.heads.fit import FittedHead
from model.heads.head import HeadConfig, Row
from model.heads.mlp import build, to_head
from model.photographs import images
from model.photographs.dataset import Photos
from model.recipes import CLASSIC

IMAGE_SIZE = 224
FRAMING: Framing = "squash"
INTERPOLATION = "bilinear"  # what torchvision's Resize does unless told otherwise
CONFIG = HeadConfig(**{name: value for name, value in CLASSIC.items() if name != "backbone"})


class _PhotoDataset(Dataset):
    """Decodes a photograph each time it is asked for, as the tutorial's ImageFolder does."""

    def __init__(self, photos: Photos, augment: bool) -> None:
        self.photos = photos
        steps: list[Callable] = [tv.Resize((IMAGE_SIZE, IMAGE_SIZE))]
        if augment:
            steps += [tv.RandomAffine(0, shear=10, scale=(0.8, 1.2)), tv.RandomHorizontalFlip()]
        self.transform = tv.Compose([*steps, tv.PILToTensor()])

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = images.decode(self.photos.paths[index])
        return self.transform(image).permute(1, 2, 0), int(self.photos.labels[index])


def _loader(
    photos: Photos, augment: bool, batch_size: int, workers: int, seed: int
) -> DataLoader[tuple[torch.Tensor, torch.Tensor]]:
    return DataLoader(
        _PhotoDataset(photos, augment),
        batch_size=batch_size,
        shuffle=augment,
        num_workers=workers,
        generator=torch.Generator().manual_seed(seed),
        pin_memory=torch.cuda.is_available(),
    )


def fit_classic(
    backbone: Backbone,
    train: Photos,
    valid: Photos,
    num_classes: int,
    config: HeadConfig = CONFIG,
    *,
    workers: int = 4,
    on_epoch: Callable[[Row], None] | None = None,
) -> FittedHead:
    """Train the tutorial's MLP.

    Args:
        backbone: Opened with `stages=0` and this module's size, framing and interpolation; its
            torch module is used, whatever engine serves the result.
        train: N photographs.
        valid: M photographs.
        num_classes: C.
        config: The tutorial's figures, or others for comparison.
        workers: Processes of the DataLoader that decode.
        on_epoch: Called with each row of the history.

    Returns:
        The head of the best epoch on `valid`, and the history.
    """
    torch.manual_seed(config.seed)
    # The tutorial's 4 processes are part of its recipe, also on a machine with fewer cores.
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    device = backbone.device
    hidden = config.hidden if config.head == "mlp" else ()
    network = build(backbone.embed_dim, num_classes, hidden, config.dropout).to(device)
    optimizer = torch.optim.Adam(
        network.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )
    phases = {
        "train": _loader(train, True, config.batch_size, workers, config.seed),
        "valid": _loader(valid, False, config.batch_size, workers, config.seed),
    }
    zeros, ones = np.zeros(backbone.embed_dim), np.ones(backbone.embed_dim)
    fit = FittedHead(to_head(network, zeros, ones))
    for epoch in range(1, config.epochs + 1):
        started = time.perf_counter()
        row: Row = {"epoch": epoch, "learning_rate": config.lr}
        for phase, loader in phases.items():
            network.train(phase == "train")
            count = len(train if phase == "train" else valid)
            loss_sum, correct = _run_phase(
                backbone,
                network,
                loader,
                optimizer if phase == "train" else None,
                config.label_smoothing if phase == "train" else 0.0,
                device,
            )
            row[f"{phase}_loss"] = loss_sum / count
            row[f"{phase}_accuracy"] = correct / count
        row["seconds"] = time.perf_counter() - started
        fit.add(row, to_head(network, zeros, ones))
        if on_epoch:
            on_epoch(row)
    return fit


def _run_phase(
    backbone: Backbone,
    network: nn.Module,
    loader: DataLoader[tuple[torch.Tensor, torch.Tensor]],
    optimizer: torch.optim.Optimizer | None,
    label_smoothing: float,
    device: str,
) -> tuple[float, int]:
    """Run one pass; return the summed loss and the number of correct answers."""
    loss_sum, correct = 0.0, 0
    for pixels, targets in loader:
        with torch.no_grad():  # the frozen backbone
            features = backbone.forward(pixels)
        labels = targets.to(device)
        with torch.set_grad_enabled(optimizer is not None):
            logits = network(features)
            loss = functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
        if optimizer:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss_sum += loss.item() * len(labels)
        correct += int((logits.argmax(1) == labels).sum())
    return loss_sum, correct


def classic_features(backbone: Backbone, photos: Photos, *, workers: int = 4) -> np.ndarray:
    """Compute the features of photographs' centre views, decoded anew.

    Args:
        backbone: As `fit_classic`.
        photos: N photographs.
        workers: Processes of the DataLoader that decode.

    Returns:
        float32 `[N, 1, D]`.
    """
    loader = _loader(photos, False, CONFIG.batch_size, workers, 0)
    return np.concatenate([backbone.features(pixels.numpy()) for pixels, _ in loader])[:, None]
