"""The Evaluation tab: how often it is right, which classes it confuses, how far to trust it."""

import gradio as gr
import pandas as pd
from markupsafe import Markup

from demo.charts import reliability_chart
from demo.markup import figures, join, panel, show, table, text
from demo.tabs.audit import audit_panels
from model.checkpoints.card import percent, split_sentences
from model.checkpoints.checkpoint import Checkpoint
from model.trust.metrics import most_confused

_SPLIT_NAMES = {"valid": "validation", "test": "test"}


def headline_split(checkpoint: Checkpoint) -> str:
    """Name the split whose figures are shown first: `test` where it was measured, else `valid`."""
    return "test" if "test" in checkpoint.metrics["splits"] else "valid"


def subtitle(checkpoint: Checkpoint) -> str:
    """Say in a line what the classifier knows and how well."""
    split = headline_split(checkpoint)
    values = checkpoint.metrics["splits"][split]
    return (
        f"This classifier knows {len(checkpoint.class_names):,} classes and was right on "
        f"{percent(values['top1'])} of {values['photographs']:,} {_SPLIT_NAMES[split]} photographs."
    )


def evaluation_tab(checkpoint: Checkpoint) -> None:
    """Lay out the tab inside a `gr.Tab`: headline, confused pairs, classes, calibration, audit.

    Args:
        checkpoint: The checkpoint.
    """
    split = headline_split(checkpoint)
    values = checkpoint.metrics["splits"][split]
    about = [_measured_on(checkpoint, split), *split_sentences(checkpoint)]
    show(join([_headline(checkpoint, split), *map(text, about)]))
    with gr.Row():
        with gr.Column(min_width=320):
            show(_confusions(checkpoint, split), elem_id="confusions")
        with gr.Column(min_width=320):
            show(
                text(
                    "Every class, the weakest first. Precision: how many answers with its name "
                    "were right. Recall: how many of its photographs were found."
                )
            )
            gr.Dataframe(
                _classes(checkpoint, split),
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
            show(_honesty(checkpoint, split), elem_id="honesty")
    show(audit_panels(checkpoint), elem_id="audit")


def _headline(checkpoint: Checkpoint, split: str) -> Markup:
    values = checkpoint.metrics["splits"][split]
    return figures(
        {
            "first answer right": percent(values["top1"]),
            "right answer among five": percent(values["top5"]),
            "macro F1": percent(values["macro_f1"]),
            f"{_SPLIT_NAMES[split]} photographs": f"{values['photographs']:,}",
        }
    )


def _measured_on(checkpoint: Checkpoint, split: str) -> str:
    chosen = "trained on" if split == "test" else "trained on; its best epoch was chosen there"
    return (
        f"Measured on the {_SPLIT_NAMES[split]} split of {checkpoint.metrics['data']['name']} "
        f"(seed {checkpoint.metrics['seed']}), which the head was not {chosen}."
    )


def _classes(checkpoint: Checkpoint, split: str) -> pd.DataFrame:
    rows = checkpoint.metrics["splits"][split]["per_class"]
    frame = pd.DataFrame(
        {
            "Class": checkpoint.class_names,
            "Precision %": [round(100 * row["precision"], 1) for row in rows],
            "Recall %": [round(100 * row["recall"], 1) for row in rows],
            "Photos": [row["support"] for row in rows],
        }
    )
    return frame.sort_values(["Recall %", "Precision %", "Class"])


def _honesty(checkpoint: Checkpoint, split: str) -> Markup:
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
    how = (
        "Each fifth of the validation photographs was calibrated by the other four. "
        if split == "valid"
        else ""
    )
    return panel(
        "How far to trust it",
        table(rows.items()),
        text(
            f"{how}On the dashed line, answers given with 80 % are right in 80 %; below it they "
            "promise too much. Every point stands for equally many photographs."
        ),
    )


def _confusions(checkpoint: Checkpoint, split: str) -> Markup:
    values = checkpoint.metrics["splits"][split]
    pairs = most_confused(values, checkpoint.class_names)
    if not pairs:
        none = text("No photograph of this split was taken for another class.")
        return panel("Most confused", none)
    header = ("Is", "Was taken for", "Photographs")
    return panel("Most confused", table(pairs, header=header))
