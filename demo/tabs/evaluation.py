"""The Evaluation tab: how reliable the classifier is, and which classes it confuses."""

from typing import Any

import gradio as gr
import pandas as pd
from markupsafe import Markup

from demo.charts import reliability_chart
from demo.evaluation import scripts, words
from demo.evaluation.matrix import matrix, short, unconfused
from demo.evaluation.pair import chosen_pair, pair
from demo.evaluation.shares import percent
from demo.markup import show, text
from model.checkpoints.checkpoint import Checkpoint
from model.trust.metrics import confused_pairs

ROWS = 200
"""Most classes in the table; the search finds the others."""

_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def subtitle(checkpoint: Checkpoint) -> str:
    """Say in one line how many classes the classifier knows, and how often it is right."""
    split = words.headline_split(checkpoint)
    values = checkpoint.metrics["splits"][split]
    return (
        f"This classifier knows {len(checkpoint.class_names):,} classes and was right on "
        f"{percent(values['top1'])} of {values['photographs']:,} "
        f"{words.SPLIT_NAMES[split]} photographs."
    )


def evaluation_tab(checkpoint: Checkpoint) -> None:
    """Lay out the tab inside a `gr.Tab`: how often it is right, its errors, and details.

    Args:
        checkpoint: The checkpoint.
    """
    split = words.headline_split(checkpoint)
    values = checkpoint.metrics["splits"][split]
    confused = confused_pairs(values)
    errors = sum(row["support"] > 0 and row["recall"] < 1 for row in values["per_class"])
    show(words.top(checkpoint, split, errors), elem_id="reliance")
    with gr.Row():
        with gr.Column(min_width=320, scale=3):
            grid = gr.HTML(
                matrix(confused, values, checkpoint.class_names),
                elem_id="confusion-matrix",
                js_on_load=scripts.MATRIX_SCRIPT,
            )
            detail = gr.HTML(
                "",
                html_template='<div role="status">${value}</div>',
                elem_id="confused-pair",
                js_on_load=scripts.PAIR_SCRIPT,
            )
            show(unconfused(confused, values, checkpoint.class_names), elem_id="unconfused")
        with gr.Column(min_width=320, scale=2):
            pairs = gr.HTML(
                words.pairs_table(confused, checkpoint, split),
                elem_id="confusions",
                js_on_load=scripts.PAIRS_SCRIPT,
            )
            show(words.weakest_table(checkpoint, split), elem_id="weakest")

    def chosen(event: gr.EventData) -> Markup:
        return pair(checkpoint, values, confused, *chosen_pair(event._data, confused))

    for component in (grid, pairs):
        component.select(chosen, None, detail, **_PRIVATE)
    with gr.Row():
        with gr.Column(min_width=320):
            gr.Plot(
                reliability_chart(values["reliability"]),
                label="How often the first answer is right, by its probability",
                elem_id="reliability",
            )
        with gr.Column(min_width=320):
            show(words.honesty(checkpoint, split), elem_id="honesty")
    if levels := words.by_level(checkpoint, split):
        show(levels, elem_id="by-level")
    _classes(checkpoint, split)


def class_figures(checkpoint: Checkpoint, split: str, search: str = "") -> pd.DataFrame:
    """Tabulate the classes, the weakest first.

    Args:
        checkpoint: The checkpoint.
        split: Name of the split.
        search: Part of a class name, in upper or lower case; "" for all classes.

    Returns:
        At most `ROWS` rows; shares in percent.
    """
    rows = checkpoint.metrics["splits"][split]["per_class"]
    frame = pd.DataFrame(
        {
            "Class": checkpoint.class_names,
            "Recognised": [round(100 * row["recall"], 1) for row in rows],
            "Answers right": [round(100 * row["precision"], 1) for row in rows],
            "Photos": [row["support"] for row in rows],
        }
    )
    found = frame[_matches(checkpoint, search)]
    return found.sort_values(["Recognised", "Answers right", "Class"]).head(ROWS)


def found_text(checkpoint: Checkpoint, search: str) -> str:
    """Say how many classes a search finds; "" if the search is empty.

    Args:
        checkpoint: The checkpoint.
        search: Part of a class name, in upper or lower case.
    """
    wanted = search.strip()
    if not wanted:
        return ""
    count = sum(_matches(checkpoint, search))
    if not count:
        return f"No class contains “{short(wanted)}”."
    return f"{count:,} {'class' if count == 1 else 'classes'}"


def _matches(checkpoint: Checkpoint, search: str) -> list[bool]:
    wanted = search.strip().casefold()
    return [wanted in name.casefold() for name in checkpoint.class_names]


def _classes(checkpoint: Checkpoint, split: str) -> None:
    count = len(checkpoint.class_names)
    limit = f" The table shows {ROWS} at once." if count > ROWS else ""
    show(
        text(
            "Every class, the weakest first, in percent. Recognised (recall): how many of its "
            "photographs got its name. Answers right (precision): how many of the answers with "
            f"its name were right.{limit}"
        )
    )
    search = gr.Textbox(
        label="Find a class", elem_id="find-class", placeholder="Part of its name", max_lines=1
    )
    status = gr.HTML(
        "", html_template='<div role="status" class="ff-text">${value}</div>', elem_id="found"
    )
    found = gr.Dataframe(
        class_figures(checkpoint, split),
        label="Every class",
        show_label=False,
        interactive=False,
        elem_id="per-class",
        max_height=460,
        datatype=["str", "number", "number", "number"],
        column_widths=["33%", "25%", "21%", "21%"],
    )

    def find(part: str) -> tuple[dict[str, Any], Markup]:
        rows = class_figures(checkpoint, split, part)
        said = Markup.escape(found_text(checkpoint, part))
        return gr.update(value=rows, visible=not rows.empty), said

    search.change(find, search, [found, status], trigger_mode="always_last", **_PRIVATE)
