"""The facts about a classifier for visitors: its purpose, data, parts and limits."""

from collections.abc import Iterator

from markupsafe import Markup

from demo.markup import html, join, panel
from model.backbones.weights import PACKAGED
from model.checkpoints.card import limits
from model.checkpoints.checkpoint import Checkpoint
from model.photographs.named import KnownData, known_data
from model.trust.restrict import Allowed

_SPLITS = {"train": "training", "valid": "validation", "test": "test"}
_VERSIONS = {"python": "Python", "torch": "PyTorch", "timm": "timm", "onnxruntime": "ONNX Runtime"}


def facts_panel(checkpoint: Checkpoint, device: str, allowed: Allowed | None = None) -> Markup:
    """Render the facts about the classifier.

    Args:
        checkpoint: The checkpoint.
        device: The device, in words.
        allowed: The classes with which this page answers; None for all.

    Returns:
        HTML.
    """
    facts = join(
        html("<div><dt>{name}</dt><dd>{value}</dd></div>", name=name, value=value)
        for name, value in _facts(checkpoint, device, allowed)
    )
    return panel("What it is", html('<dl class="ff-facts">{facts}</dl>', facts=facts))


def limits_panel(checkpoint: Checkpoint) -> Markup:
    """Render what the classifier must not be used for, and when it makes errors."""
    items = join(html("<li>{limit}</li>", limit=limit) for limit in limits(checkpoint))
    return panel("Its limits", html('<ul class="ff-limits">{items}</ul>', items=items))


def _facts(
    checkpoint: Checkpoint, device: str, allowed: Allowed | None
) -> Iterator[tuple[str, object]]:
    """Yield the name and the text of each fact, the most useful ones for visitors first."""
    spec, training, data = checkpoint.backbone, checkpoint.training, checkpoint.metrics["data"]
    count = len(checkpoint.class_ids)
    known = known_data(data["name"], count)
    asked = f"{count:,} classes" if allowed is None else f"{len(allowed):,} classes"
    purpose = f"Names which of {asked} a photograph shows, or says that it is none of them."
    if allowed is not None:
        purpose += f" It was trained on {count:,}; this page answers only with these."
    yield "Purpose", purpose
    counts = ", ".join(
        f"{number:,} {_SPLITS[split]}" for split, number in data["photographs"].items()
    )
    yield "Data", f"{known.title if known else data['name']}: {counts} photographs"
    if known:
        yield "Data source", _source(known)
        yield "Data licence", known.licence
    members = " and ".join(f"{m.name} ({m.image_size} px)" for m in spec.members)
    packaged = all(member.name in PACKAGED for member in spec.members)
    pretrained = "pretrained on ImageNet" if packaged else "pretrained"
    yield "Backbone", f"{members}, {pretrained} and frozen{spec.pooled_text}"
    if packaged:
        yield "Backbone licence", "Apache-2.0"
    features = len(checkpoint.head.mean)
    yield "Head", f"{training['head_text']} on {features:,} features, trained with Frostflower"
    yield "Training", training["text"]
    framing, views = spec.transforms, " and ".join(checkpoint.views)
    yield "Framing", f"{framing.framing}, {framing.image_size} px; views averaged: {views}"
    versions = checkpoint.metrics.get("versions", {})
    made_with = [f"{name} {versions[key]}" for key, name in _VERSIONS.items() if key in versions]
    if made_with:
        yield "Trained with", ", ".join(made_with)
    yield "Runs on", device


def _source(known: KnownData) -> Markup:
    return html(
        '{citation} <a href="{url}" target="_blank" rel="noopener noreferrer">{url}</a>',
        citation=known.citation,
        url=known.url,
    )
