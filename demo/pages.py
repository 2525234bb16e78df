"""The tabs that describe a checkpoint: Training history, Evaluation, About."""

import html

import gradio as gr
import pandas as pd

from demo.audit import audit_panels
from demo.charts import history_chart, reliability_chart
from model.checkpoints.card import percent
from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.history import thinned
from model.trust.metrics import most_confused

_SPLIT_NAMES = {"valid": "validation", "test": "test"}


def _figures(figures: dict[str, str]) -> str:
    cells = "".join(
        f'<div class="ff-figure"><b>{html.escape(value)}</b><span>{html.escape(name)}</span></div>'
        for name, value in figures.items()
    )
    return f'<div class="ff-figures">{cells}</div>'


def headline_split(checkpoint: Checkpoint) -> str:
    """Name the split whose figures are shown first: `test` where it was measured, else `valid`."""
    return "test" if "test" in checkpoint.metrics["splits"] else "valid"


def subtitle(checkpoint: Checkpoint) -> str:
    """Say in a line what the classifier knows and how well."""
    split = headline_split(checkpoint)
    values = checkpoint.metrics["splits"][split]
    return (
        f"Knows {len(checkpoint.class_names)} classes. Right on {percent(values['top1'])} of "
        f"{values['photographs']:,} {_SPLIT_NAMES[split]} photographs."
    )


def history_tab(checkpoint: Checkpoint) -> None:
    """Lay out the stored training history: headline, two charts, the table."""
    history, best = checkpoint.history, checkpoint.training["best_epoch"]
    row = next(row for row in history if row["epoch"] == best)
    gr.HTML(
        _figures(
            {
                "best epoch on validation": f"{best} of {len(history)}",
                "validation accuracy": percent(row["valid_accuracy"]),
                "training accuracy": percent(row["train_accuracy"]),
                "seconds for all epochs": f"{sum(row['seconds'] for row in history):,.1f}",
            }
        )
    )
    gr.HTML(_LEGEND)
    with gr.Row():
        for measure in ("loss", "accuracy"):
            with gr.Column(min_width=320):
                gr.Plot(
                    history_chart(history, measure),
                    label="Loss (nats)" if measure == "loss" else "Accuracy",
                    elem_id=f"history-{measure}",
                )
    rows = thinned(history)
    title = "All epochs"
    if len(rows) < len(history):
        title = f"{len(rows):,} of {len(history):,} epochs; history.csv holds all"
    with gr.Accordion(title, open=False):
        frame = pd.DataFrame(rows)
        frame["epoch"] = frame["epoch"].astype(int)
        for column in ("train_loss", "valid_loss"):
            frame[column] = frame[column].map("{:.4f}".format)
        for column in ("train_accuracy", "valid_accuracy"):
            frame[column] = frame[column].map("{:.2%}".format)
        frame["learning_rate"] = frame["learning_rate"].map("{:.1e}".format)
        frame["seconds"] = frame["seconds"].map("{:.2f}".format)
        frame.columns = [column.replace("_", " ").capitalize() for column in frame.columns]
        gr.Dataframe(frame, interactive=False, show_label=False, max_height=360)


def evaluation_tab(checkpoint: Checkpoint) -> None:
    """Lay out the figures: headline, most confused pairs, a searchable table of classes."""
    split = headline_split(checkpoint)
    values, data = checkpoint.metrics["splits"][split], checkpoint.metrics["data"]
    gr.HTML(
        _figures(
            {
                "first answer right": percent(values["top1"]),
                "right answer among five": percent(values["top5"]),
                "macro F1": percent(values["macro_f1"]),
                f"{_SPLIT_NAMES[split]} photographs": f"{values['photographs']:,}",
            }
        )
        + f'<p class="ff-text">Measured on the {_SPLIT_NAMES[split]} split of '
        f"{html.escape(data['name'])} (seed {checkpoint.metrics['seed']}), which the head was not "
        + ("trained on" if split == "test" else "trained on; its best epoch was chosen there")
        + ".</p>"
    )
    with gr.Row():
        with gr.Column(min_width=320):
            gr.HTML(_confusions(checkpoint, split), elem_id="confusions")
        with gr.Column(min_width=320):
            gr.HTML(
                '<p class="ff-text">Every class, the weakest first. Precision: how many answers '
                "with its name were right. Recall: how many of its photographs were found.</p>"
            )
            frame = pd.DataFrame(
                {
                    "Class": checkpoint.class_names,
                    "Precision %": [
                        round(100 * row["precision"], 1) for row in values["per_class"]
                    ],
                    "Recall %": [round(100 * row["recall"], 1) for row in values["per_class"]],
                    "Photos": [row["support"] for row in values["per_class"]],
                }
            ).sort_values(["Recall %", "Precision %", "Class"])
            gr.Dataframe(
                frame,
                show_label=False,
                interactive=False,
                show_search="search",
                elem_id="per-class",
                max_height=460,
                datatype=["str", "number", "number", "number"],
                column_widths=["37%", "25%", "20%", "18%"],
            )
    with gr.Row():
        with gr.Column(min_width=320):
            gr.Plot(
                reliability_chart(values["reliability"]),
                label="How often the first answer is right, by its probability",
                elem_id="reliability",
            )
        with gr.Column(min_width=320):
            gr.HTML(_honesty(checkpoint, split), elem_id="honesty")
    gr.HTML(audit_panels(checkpoint), elem_id="audit")


def _honesty(checkpoint: Checkpoint, split: str) -> str:
    """Say what probabilities, sets and "none of these" are worth."""
    promised, values = checkpoint.calibration.trust, checkpoint.metrics["splits"][split]
    rows = {
        "A probability is off by, on average (ECE)": percent(values["ece"]),
        f"Sets hold the right class (promised: {percent(promised.coverage)})": percent(
            values["coverage"]
        ),
        "Classes in a set, on average": f"{values['mean_set_size']:.2f}",
        "Photographs of its classes not called “none of these” "
        f"(promised: {percent(promised.known_pass_rate)})": percent(values["known_pass_rate"]),
    }
    cells = "".join(
        f'<tr><td>{html.escape(name)}</td><td class="number">{value}</td></tr>'
        for name, value in rows.items()
    )
    how = (
        "Each fifth of the validation photographs was calibrated by the other four. "
        if split == "valid"
        else ""
    )
    return (
        f'<div class="ff-panel"><h3>How far to trust it</h3><table class="ff-table">{cells}</table>'
        f'<p class="ff-text">{how}On the dashed line, answers given with 80 % are right in 80 %; '
        "below it they promise too much. Every point stands for equally many photographs.</p></div>"
    )


def _confusions(checkpoint: Checkpoint, split: str) -> str:
    values = checkpoint.metrics["splits"][split]
    pairs = most_confused(values, checkpoint.class_names)
    if not pairs:
        return (
            '<div class="ff-panel"><h3>Most confused</h3><p class="ff-text">No photograph of this '
            "split was taken for another class.</p></div>"
        )
    rows = "".join(
        f'<tr><td>{html.escape(true)}</td><td>{html.escape(taken)}</td><td class="number">{count}'
        "</td></tr>"
        for true, taken, count in pairs
    )
    return (
        '<div class="ff-panel"><h3>Most confused</h3><table class="ff-table"><thead><tr><th>Is</th>'
        f'<th>Was taken for</th><th class="number">Photographs</th></tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def about_tab(checkpoint: Checkpoint, device: str) -> None:
    """Lay out what it is, how it was trained, its limits, and how to call it."""
    training, data = checkpoint.training, checkpoint.metrics["data"]
    transforms, stages = checkpoint.backbone.transforms, checkpoint.backbone.stages
    members = " and ".join(f"{m.name} ({m.image_size} px)" for m in checkpoint.backbone.members)
    pooled = f", with the pooled outputs of its last {stages} stages" if stages else ""
    counts = ", ".join(f"{count:,} {split}" for split, count in data["photographs"].items())
    rows = {
        "Backbone": f"{members}, pretrained and frozen{pooled}",
        "Head": f"{training['head_text']} on {len(checkpoint.head.mean):,} features",
        "Training": training["text"],
        "Data": f"{data['name']}: {counts} photographs",
        "Framing": f"{transforms.framing}, {transforms.image_size} px; "
        f"averages over {' and '.join(checkpoint.views)}",
        "Runs on": device,
    }
    table = "".join(
        f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in rows.items()
    )
    gr.HTML(f'<div class="ff-panel"><table class="ff-table">{table}</table></div>')
    with gr.Row():
        with gr.Column(min_width=320):
            gr.Markdown(_LIMITS, container=True, elem_classes="ff-markdown")
        with gr.Column(min_width=320):
            gr.Markdown(_API, container=True, elem_classes="ff-markdown")
    names = ", ".join(
        html.escape(name) for name in sorted(checkpoint.class_names, key=str.casefold)
    )
    with gr.Accordion(f"All {len(checkpoint.class_names)} classes", open=False):
        gr.HTML(f'<p class="ff-text">{names}</p>')


_LEGEND = """<p class="ff-legend"><span><i style="background:#8b6bb1"></i>Training</span>
<span><i style="background:#139488"></i>Validation</span></p>"""

_LIMITS = """### Limits

- "None of these" is a warning, not a wall: what looks much like one of the classes can pass, and a
  known class photographed in an unusual way can be refused.
- The figures hold for photographs like those it was trained on; another camera, season or style can
  lower them.
- Do not use it to decide whether a plant is safe to eat or touch.
"""

_API = """### Call it

```python
from gradio_client import Client, handle_file

client = Client("http://127.0.0.1:7860")  # or a Space: "USER/NAME"
client.predict(handle_file("photograph.jpg"), api_name="/predict")
```

It returns two values: `{"label": …, "confidences": [{"label": …, "confidence": …}, …]}`, and
`{"top": […], "set": […], "none_of_these": …, "unknown_score": …, "evidence": …}`.
"""
