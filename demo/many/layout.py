"""The components of the Many photographs tab."""

from typing import NamedTuple

import gradio as gr

from demo.choices import Unchecked
from demo.many import incoming, scripts, status, view
from demo.markup import show, text
from model.photographs.images import SUFFIXES
from model.photographs.layout import LEFT_BY_SYSTEMS


class Parts(NamedTuple):
    """The components of the tab."""

    drop: gr.HTML
    cancel: gr.Button
    status: gr.HTML
    controls: gr.Column
    shown: gr.Dropdown
    class_id: gr.Dropdown
    order: gr.Dropdown
    csv: gr.DownloadButton
    pack: gr.Button
    packed: gr.DownloadButton
    count: gr.HTML
    table: gr.HTML
    detail: gr.HTML


def lay_out(max_bytes: int) -> Parts:
    """Lay out the tab inside a `gr.Tab`; no events are connected yet.

    Args:
        max_bytes: Largest photograph, in bytes.

    Returns:
        The components.
    """
    show(
        text(
            f"Send up to {incoming.MOST} photographs ({max_bytes / 1e6:g} MB each, "
            f"{incoming.MOST_BYTES / 1e9:g} GB together) as files, a folder or a zip file. They "
            "are deleted after at most an hour, or earlier if other visitors need the space, and "
            "are not shared."
        )
    )
    drop = gr.HTML(
        scripts.DROP,
        js_on_load=scripts.DROP_SCRIPT,
        elem_id="many-drop",
        most=incoming.MOST,
        max_bytes=max_bytes,
        most_bytes=incoming.MOST_BYTES,
        junk=sorted(LEFT_BY_SYSTEMS),
        endings=sorted(SUFFIXES),
    )
    with gr.Row(elem_id="many-status-row"):
        said = gr.HTML(status.EMPTY, elem_id="many-status")
        cancel = gr.Button("Cancel", visible=False, elem_id="many-cancel", scale=0, min_width=110)
    with gr.Column(visible=False, elem_id="many-controls") as controls:
        with gr.Row():
            shown = gr.Dropdown(
                [(name, key) for key, (name, _) in view.FILTERS.items()],
                value=view.ALL,
                label="Show",
                elem_id="many-shown",
                min_width=220,
            )
            class_id = Unchecked(  # when a batch ends, the classes of its answers are listed
                [("All classes", view.ANY_CLASS)],
                value=view.ANY_CLASS,
                label="Class",
                elem_id="many-class",
                min_width=220,
            )
            order = gr.Dropdown(
                [(name, key) for key, (name, _) in view.ORDERS.items()],
                value="sent",
                label="Sort",
                elem_id="many-order",
                min_width=220,
            )
        show(
            text(
                "The CSV file has a line for each photograph. The sorted zip file contains the "
                "photographs, with a folder for each class."
            )
        )
        with gr.Row():
            csv = gr.DownloadButton("Download CSV", elem_id="many-csv")
            pack = gr.Button("Download sorted", elem_id="many-sorted")
            packed = gr.DownloadButton("The zip file", elem_id="many-zip")  # a script clicks it
    count = gr.HTML("", js_on_load=scripts.COUNT_SCRIPT, elem_id="many-count")
    table = gr.HTML("", js_on_load=scripts.TABLE_SCRIPT, elem_id="many-table")
    detail = gr.HTML("", js_on_load=scripts.DETAIL_SCRIPT, elem_id="many-detail")
    return Parts(
        *(drop, cancel, said, controls),
        *(shown, class_id, order, csv, pack, packed, count, table, detail),
    )
