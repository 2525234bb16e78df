"""The tutorial's recipe, step for step; the baseline for accuracy and speed.

Every epoch decodes and augments every photograph, runs the frozen network, and takes one Adam step
for each batch. Nothing is cached. There is one difference: the tutorial leaves the network in train
mode, so its BatchNorm statistics drift although its weights are frozen; here it stays in eval mode.
"""

import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from model.backbones.backbone import Backbone
from model.backbones.transforms import Framing
from model.features.files import decode_again
from model.heads.fit import FittedHead
from model.heads.head import HeadConfig, Row
from model.heads.mlp import build, to_head
from model.photographs import images
from model.photographs.dataset import Photos
from model.recipes import CLASSIC

IMAGE_SIZE = 224
FRAMING: Framing = "squash"
INTERPOLATION = "bilinear"  # the default of torchvision's Resize
CONFIG = HeadConfig(**{name: value for name, value in CLASSIC.items() if name != "backbone"})


class PhotoDataset(Dataset):
    """Decodes a photograph whenever it is requested, as the tutorial's ImageFolder does."""

    def __init__(self, photos: Photos, augment: bool) -> None:
        """Wrap photographs, with or without augmentation.

        Args:
            photos: The photographs.
            augment: Shear, scale and flip each photograph at random, as for training.
        """
        self.photos, self._largest = photos, images.largest()
        steps: list[Callable] = [transforms.Resize((IMAGE_SIZE, IMAGE_SIZE))]
        if augment:
            steps.append(transforms.RandomAffine(0, shear=10, scale=(0.8, 1.2)))
            steps.append(transforms.RandomHorizontalFlip())
        self.transform = transforms.Compose([*steps, transforms.PILToTensor()])

    def __len__(self) -> int:
        """Return the number of photographs."""
        return len(self.photos)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        """Return a photograph's pixels, uint8 `[S, S, 3]`, and its label."""
        images.allow(self._largest)  # a DataLoader's process starts without this limit
        image = decode_again(self.photos.paths[index], self.photos.digests[index])
        return self.transform(image).permute(1, 2, 0), int(self.photos.labels[index])


def photo_loader(
    photos: Photos, *, train: bool, batch_size: int, workers: int, seed: int
) -> DataLoader[tuple[torch.Tensor, torch.Tensor]]:
    """Create a loader that decodes photographs in separate processes.

    Args:
        photos: N photographs.
        train: Shuffle and augment them.
        batch_size: B, photographs in a batch.
        workers: Processes.
        seed: Seed of the order.

    Returns:
        A loader of batches: pixels uint8 `[B, S, S, 3]`, labels int64 `[B]`.
    """
    return DataLoader(
        PhotoDataset(photos, augment=train),
        batch_size=batch_size,
        shuffle=train,
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
        backbone: Backbone opened with `stages=0` and this module's size, framing and interpolation.
            Its torch module is used here, whichever engine serves the result later.
        train: N photographs.
        valid: M photographs.
        num_classes: C.
        config: The tutorial's settings by default; others can be compared with them.
        workers: Processes of the DataLoader that decode.
        on_epoch: Called with each row of the history.

    Returns:
        The head of the best epoch on `valid`, and the history.
    """
    torch.manual_seed(config.seed)
    # Torch warns on machines with fewer cores, but 4 processes are part of the tutorial's recipe.
    warnings.filterwarnings("ignore", message="This DataLoader will create")
    hidden = config.hidden if config.head == "mlp" else ()
    network = build(backbone.embed_dim, num_classes, hidden, config.dropout).to(backbone.device)
    rate = CLASSIC["lr"] if config.lr is None else config.lr
    optimizer = torch.optim.Adam(network.parameters(), lr=rate, weight_decay=config.weight_decay)
    how = {"batch_size": config.batch_size, "workers": workers, "seed": config.seed}
    train_loader = photo_loader(train, train=True, **how)
    valid_loader = photo_loader(valid, train=False, **how)
    zeros, ones = np.zeros(backbone.embed_dim), np.ones(backbone.embed_dim)
    fitted = FittedHead(to_head(network, zeros, ones))
    for epoch in range(1, config.epochs + 1):
        started = time.perf_counter()
        row: Row = {"epoch": epoch, "learning_rate": rate}
        row["train_loss"], row["train_accuracy"] = _run_phase(
            backbone, network, train_loader, optimizer, config.label_smoothing
        )
        row["valid_loss"], row["valid_accuracy"] = _run_phase(backbone, network, valid_loader)
        row["seconds"] = time.perf_counter() - started
        fitted.add(row, to_head(network, zeros, ones))
        if on_epoch:
            on_epoch(row)
    return fitted


def _run_phase(
    backbone: Backbone,
    network: nn.Module,
    loader: DataLoader[tuple[torch.Tensor, torch.Tensor]],
    optimizer: torch.optim.Optimizer | None = None,
    label_smoothing: float = 0.0,
) -> tuple[float, float]:
    """Run one pass, and train if there is an optimizer; return the mean loss and the accuracy."""
    count, loss_sum, correct = 0, 0.0, 0
    network.train(optimizer is not None)
    for pixels, targets in loader:
        with torch.no_grad():  # the frozen backbone
            features = backbone.forward(pixels)
        labels = targets.to(backbone.device)
        with torch.set_grad_enabled(optimizer is not None):
            logits = network(features)
            loss = functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)
        if optimizer:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        count += len(labels)
        loss_sum += loss.item() * len(labels)
        correct += int((logits.argmax(1) == labels).sum())
    return loss_sum / count, correct / count


def classic_features(backbone: Backbone, photos: Photos, *, workers: int = 4) -> np.ndarray:
    """Decode photographs, and compute the features of their centre views.

    Args:
        backbone: Backbone opened as for `fit_classic`.
        photos: N photographs.
        workers: Processes of the DataLoader that decode.

    Returns:
        float32 `[N, 1, D]`.
    """
    loader = photo_loader(
        photos, train=False, batch_size=CONFIG.batch_size, workers=workers, seed=0
    )
    return np.concatenate([backbone.features(pixels.numpy()) for pixels, _ in loader])[:, None]
