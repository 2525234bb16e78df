"""The Training history tab: figures of the best epoch, and charts and a table of all epochs."""

import gradio as gr
import pandas as pd

from demo.charts import history_chart, left_out_text
from demo.evaluation.shares import percent
from demo.markup import figures, html, join, show, text
from model.checkpoints.checkpoint import Checkpoint
from model.checkpoints.history import thinned
from model.heads.head import Row

_EXPLAINED = (
    "One epoch is one pass over the training photographs. The validation photographs are kept out "
    "of training. Accuracy: higher is better; loss: lower is better."
)
_LEGEND = """<p class="ff-legend"><span><i style="background:#8b6bb1"></i>Training</span>
<span><i style="background:#139488"></i>Validation</span></p>"""


def history_tab(checkpoint: Checkpoint) -> None:
    """Lay out the tab inside a `gr.Tab`.

    Args:
        checkpoint: The checkpoint.
    """
    history, best = checkpoint.history, checkpoint.training["best_epoch"]
    row = next(row for row in history if row["epoch"] == best)
    show(
        figures(
            {
                "best epoch on validation": f"{best} of {len(history)}",
                "validation accuracy": percent(row["valid_accuracy"]),
                "training accuracy": percent(row["train_accuracy"]),
                "seconds for all epochs": f"{sum(row['seconds'] for row in history):,.1f}",
            }
        )
    )
    show(join([text(_EXPLAINED), html(_LEGEND)]))
    with gr.Row():
        for measure in ("loss", "accuracy"):
            with gr.Column(min_width=320):
                gr.Plot(
                    history_chart(history, measure),
                    label=measure.title(),
                    elem_id=f"history-{measure}",
                )
                if left_out := left_out_text(history, measure):
                    show(text(left_out))
    rows = thinned(history)
    title = "All epochs"
    if len(rows) < len(history):
        title = f"{len(rows):,} of {len(history):,} epochs; history.csv has all"
    with gr.Accordion(title, open=False):
        gr.Dataframe(_table(rows), interactive=False, show_label=False, max_height=360)


def _table(rows: list[Row]) -> pd.DataFrame:
    """Format the rows of the history for the table on the page."""
    frame = pd.DataFrame(rows)
    frame["epoch"] = frame["epoch"].astype(int)
    for column in ("train_loss", "valid_loss"):
        frame[column] = frame[column].map("{:.4f}".format)
    for column in ("train_accuracy", "valid_accuracy"):
        frame[column] = frame[column].map(percent)
    frame["learning_rate"] = frame["learning_rate"].map("{:.1e}".format)
    frame["seconds"] = frame["seconds"].map("{:.2f}".format)
    frame.columns = [column.replace("_", " ").capitalize() for column in frame.columns]
    return frame
