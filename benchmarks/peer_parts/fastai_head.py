"""Trains by fastai's own recipe on the same photographs and weights; `train_speed.py` runs it.

It uses `vision_learner` as fastai's documentation does: the body is frozen except for BatchNorm,
with fastai's head and augmentation, and `fit_one_cycle`. The weights of the body are the packaged
ones, so nothing is downloaded.
"""

import json
import sys
from pathlib import Path

sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from fastai.vision.all import (  # pyrefly: ignore[missing-import]
    ImageDataLoaders,
    Normalize,
    Resize,
    accuracy,
    aug_transforms,
    vision_learner,
)

from model.backbones.weights import load_network


def main(folder: Path, backbone: str, epochs: int, seed: int, out: Path) -> None:
    """Train on `folder/train`, measure on `folder/valid`, write the accuracy to `out`."""
    network, _, config = load_network(backbone)
    size = config["input_size"][-1]
    loaders = ImageDataLoaders.from_folder(
        folder,
        train="train",
        valid="valid",
        seed=seed,
        bs=32,
        item_tfms=Resize(size),
        batch_tfms=[
            *aug_transforms(size=size),
            Normalize.from_stats(config["mean"], config["std"], cuda=False),
        ],
        num_workers=0,
        device="cpu",
    )
    learner = vision_learner(
        loaders, f"tf_{backbone}", pretrained=False, normalize=False, metrics=accuracy
    )
    body = learner.model[0].model
    trained = network.state_dict()
    body.load_state_dict({name: trained[name] for name in body.state_dict()})
    learner.freeze()
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(epochs)
        _, found = learner.validate()
    out.write_text(json.dumps({"accuracy": float(found)}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
