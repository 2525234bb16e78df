"""The model card: a Markdown description of a checkpoint for people and the Hugging Face Hub."""

import textwrap
from typing import Any

from model.checkpoints.checkpoint import Checkpoint
from model.photographs.named import known_data
from model.trust.levels import SURE

PLACE = "THIS_FOLDER"
"""Stands for the checkpoint's name in a card; an upload replaces it with the real one."""


def percent(share: float) -> str:
    """Write a share of 0-1 as a percentage with one decimal place."""
    return f"{share:.1%}".replace("%", " %")


def limits(checkpoint: Checkpoint) -> list[str]:
    """Tell visitors where a classifier makes mistakes, and what it must not be used for."""
    known = known_data(checkpoint.metrics["data"]["name"], len(checkpoint.class_ids))
    return [
        "'None of these' does not catch everything: things that look like one of the classes can "
        "be taken for it.",
        "Its figures hold for photographs like those it was trained on. Other cameras, seasons, "
        "framings or picture styles can lower them.",
        known.warning if known else "Do not use it where a wrong answer can harm somebody.",
    ]


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


LEVEL_COLUMNS = ("Level", "Groups", "Top-1", "Answers", "Correct answers")
"""Columns of `level_rows`."""


def level_rows(figures: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Return the accuracy and the share of answers of each level as table rows.

    Args:
        figures: The figures of a split, see `calibrate.measure`.

    Returns:
        One row per level, with the cells of `LEVEL_COLUMNS`; empty if no class has a parent.
    """
    levels = figures.get("levels", [])
    rows = []
    for row in levels:
        is_last = row is levels[-1]
        name = "classes" if is_last else f"level {row['level']}"
        right = "none" if row["answered_right"] is None else percent(row["answered_right"])
        cells = (percent(row["top1"]), percent(row["answered"]), right)
        rows.append((name, f"{row['nodes']:,}", *cells))
    return rows


def answered_text(figures: dict[str, Any]) -> str:
    """Say how often some level was certain enough for an answer, and how often that was correct.

    Args:
        figures: The figures of a split whose classes have parents, see `calibrate.measure`.

    Returns:
        A sentence.
    """
    text = (
        f"The answer is the lowest class or parent with a probability of at least "
        f"{100 * SURE:.0f} %: {percent(figures['answered'])} of the photographs have one"
    )
    right = figures["answered_right"]
    if right is None:
        return f"{text}."
    return f"{text}, and {percent(right)} of these answers are correct."


def trust_text(checkpoint: Checkpoint) -> str:
    """Report how calibration, sets and "none of these" perform on held-out data."""
    promised, split = checkpoint.calibration.trust, "test"
    if split not in checkpoint.metrics["splits"]:
        split = "valid"
    values = checkpoint.metrics["splits"][split]
    how = "each fifth calibrated with the others" if split == "valid" else "not used before"
    sentences = [
        f"On {split} ({values['photographs']:,} photographs, {how}), probabilities are off by "
        f"{percent(values['ece'])} on average (ECE).",
        f"Sets that should contain the right class for {percent(promised.coverage)} of photographs "
        f"contain it for {percent(values['coverage'])}, with {values['mean_set_size']:.2f} classes "
        "on average.",
        f"{percent(values['known_pass_rate'])} of the photographs are not called 'none of "
        f"these' (target: {percent(promised.known_pass_rate)}).",
    ]
    options = checkpoint.training["options"]
    if min(promised.coverage - options["coverage"], 0) or min(
        promised.known_pass_rate - options["known_pass_rate"], 0
    ):
        count = checkpoint.metrics["splits"]["valid"]["photographs"]
        sentences.append(
            f"{count} validation photographs are too few to promise more than "
            f"{percent(count / (count + 1))}."
        )
    return " ".join(sentences)


def split_sentences(checkpoint: Checkpoint) -> list[str]:
    """Describe groups, photographs with a copy in `train`, and the background class."""
    data, sentences = checkpoint.metrics["data"], []
    total = sum(data["photographs"].values())
    if "groups" in data and data["groups"] < total:
        sentences.append(
            f"The {total:,} photographs form {data['groups']:,} groups that belong together, such "
            f"as copies and bursts (--group-by {data['grouped_by']})."
        )
    for split, values in checkpoint.metrics["splits"].items():
        name = {"valid": "validation"}.get(split, split)
        if count := values.get("in_train"):
            without, rest = values["top1_without"], values["photographs"] - count
            figure = "there are no others."
            if without is not None:
                figure = f"{percent(without)} of the other {rest:,} are classified correctly."
            sentences.append(
                f"{count:,} of the {values['photographs']:,} {name} photographs have a copy or "
                f"another photograph of their group among the training photographs; {figure}"
            )
        if count := values.get("background"):
            sentences.append(
                f"Of {count:,} {name} photographs of the background "
                f"'{checkpoint.calibration.background}', {percent(values['background_rejected'])} "
                "are called 'none of these'."
            )
    return sentences


def _levels_text(checkpoint: Checkpoint) -> str:
    """Return the figures by level as a Markdown table and a sentence, after an empty line."""
    splits = checkpoint.metrics["splits"]
    split = "test" if "test" in splits else "valid"
    if not (rows := level_rows(splits[split])):
        return ""
    lines = [LEVEL_COLUMNS, ("---",) * len(LEVEL_COLUMNS), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"\nBy level, on {split}:\n\n{table}\n\n{answered_text(splits[split])}\n"


def titles(checkpoint: Checkpoint) -> tuple[str, str]:
    """Return a card's title for the metadata, and its heading."""
    name, count = checkpoint.metrics["data"]["name"], len(checkpoint.class_names)
    title = checkpoint.page.title
    return (
        title or f"Image classifier: {name}",
        title or f"Image classifier with {count} classes",
    )


def front_matter(checkpoint: Checkpoint) -> str:
    """Return the card's metadata as YAML, including the figures of every measured split."""
    from huggingface_hub import EvalResult, ModelCardData

    data = checkpoint.metrics["data"]
    title, _ = titles(checkpoint)
    results = [
        EvalResult(
            task_type="image-classification",
            dataset_type="imagefolder",
            dataset_name=data["name"],
            dataset_split={"valid": "validation"}.get(split, split),
            metric_type=metric,
            metric_name=name,
            metric_value=values[key],
        )
        for split, values in checkpoint.metrics["splits"].items()
        for metric, name, key in (
            ("accuracy", "Top-1 accuracy", "top1"),
            ("accuracy", "Top-5 accuracy", "top5"),
            ("f1", "Macro F1", "macro_f1"),
        )
    ]
    return ModelCardData(
        title=title,
        library_name="frostflower",
        pipeline_tag="image-classification",
        tags=["image-classification", "frostflower", "transfer-learning"],
        model_name=title,
        eval_results=results,
    ).to_yaml()


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
    sizes = " and ".join(f"{m.name} at {m.image_size} px" for m in checkpoint.backbone.members)
    pooled = checkpoint.backbone.pooled_text
    split = " ".join(split_sentences(checkpoint))
    listed = "\n".join(
        textwrap.fill(limit, 98, initial_indent="- ", subsequent_indent="  ")
        for limit in limits(checkpoint)
    )
    photographs = ", ".join(f"{count:,} {split}" for split, count in data["photographs"].items())
    return f"""---
{front_matter(checkpoint)}
---

# {titles(checkpoint)[1]}

A {training["head_text"]} on a frozen pretrained backbone ({sizes}{pooled}).
Trained with Frostflower.

Classes: {names}{more}.

## Figures

{results_table(checkpoint.metrics)}

Data: `{data["name"]}` ({photographs} photographs), fingerprint `{data["fingerprint"][:16]}`, seed
{training["seed"]}. The epoch was chosen on `valid`; `test`, if there is one, was used only once.
{split}

{trust_text(checkpoint)}
{_levels_text(checkpoint)}
## Use

```sh
python -m model predict PHOTOGRAPH --checkpoint {PLACE}
python -m demo --checkpoint {PLACE}
```

A checkpoint on the Hugging Face Hub is named `USER/NAME`. `USER/NAME@COMMIT` always means the same
one, whatever is uploaded later; the first use of a name prints the form with the commit.

## Training

```sh
{command}
```

Photographs are framed by `{transforms.framing}` to {transforms.image_size} px; prediction averages
the logits of these views: {", ".join(checkpoint.views)}. {training["text"]}

## Limits

{listed}

## Licence

Frostflower and its packaged EfficientNet-Lite weights are Apache-2.0. The head in this folder has
the licence named above; if none is named, ask the person who trained it.
"""
