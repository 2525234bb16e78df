"""The model card: what a checkpoint is, in Markdown, for people and for the Hugging Face Hub."""

import json
from typing import Any

from model.checkpoint import Checkpoint

_LIMITS = """\
- It always names one of its classes: a photograph of anything else gets an answer too.
- Its figures hold for photographs like those it was trained on. Other cameras, seasons, framings
  or picture styles can lower them.
- Do not use it to decide whether a plant, mushroom or anything else is safe to eat or touch."""


def percent(share: float) -> str:
    """Write a share of 0-1 as a percentage with one decimal."""
    return f"{share:.1%}".replace("%", " %")


def results_table(metrics: dict[str, Any]) -> str:
    """Return the figures of every measured split as a Markdown table."""
    lines = [
        "| split | photographs | top-1 | top-5 | macro F1 | loss |",
        "|---|---|---|---|---|---|",
    ]
    for split, values in metrics["splits"].items():
        lines.append(
            f"| {split} | {values['photographs']:,} | {percent(values['top1'])} | "
            f"{percent(values['top5'])} | {percent(values['macro_f1'])} | {values['loss']:.3f} |"
        )
    return "\n".join(lines)


def render(checkpoint: Checkpoint, command: str) -> str:
    """Write the card of a checkpoint.

    Args:
        checkpoint: The checkpoint.
        command: The command that trained it.

    Returns:
        Markdown with front matter.
    """
    training, transforms = checkpoint.training, checkpoint.backbone.transforms
    data = checkpoint.metrics["data"]
    names = ", ".join(checkpoint.class_names[:20])
    more = (
        f" and {len(checkpoint.class_names) - 20} more" if len(checkpoint.class_names) > 20 else ""
    )
    # JSON strings are YAML strings too, whatever characters a folder name has.
    title = json.dumps(f"Image classifier: {data['name']}", ensure_ascii=False)
    sizes = " and ".join(f"{m.name} at {m.image_size} px" for m in checkpoint.backbone.members)
    stages = checkpoint.backbone.stages
    pooled = f", with the pooled outputs of its last {stages} stages" if stages else ""
    photographs = ", ".join(f"{count:,} {split}" for split, count in data["photographs"].items())
    return f"""---
title: {title}
library_name: frostflower
pipeline_tag: image-classification
tags: [image-classification, frostflower, transfer-learning]
---

# Image classifier with {len(checkpoint.class_names)} classes

A {training["head_text"]} on a frozen pretrained backbone ({sizes}{pooled}).
Trained with Frostflower.

Classes: {names}{more}.

## Figures

{results_table(checkpoint.metrics)}

Data: `{data["name"]}` ({photographs} photographs), fingerprint `{data["fingerprint"][:16]}`, seed
{training["seed"]}. The epoch was chosen on `valid`; `test`, where there is one, was touched once.

## Use

```sh
python -m model predict PHOTOGRAPH --checkpoint THIS_FOLDER
python -m demo --checkpoint THIS_FOLDER
```

## Training

```sh
{command}
```

Photographs are framed by `{transforms.framing}` to {transforms.image_size} px; prediction averages
the logits of these views: {", ".join(checkpoint.views)}. {training["text"]}

## Limits

{_LIMITS}
"""
