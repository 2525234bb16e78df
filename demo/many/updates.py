"""Updates of the Many photographs tab, for no batch, a new one, or one that has ended."""

from typing import Any

import gradio as gr
from markupsafe import Markup

from demo.many import downloads, status, view
from demo.many.batch import Batch
from demo.many.layout import Parts


def cleared(parts: Parts, said: Markup) -> dict[Any, Any]:
    """Show a sentence instead of a batch."""
    return {
        parts.status: said,
        parts.cancel: gr.update(visible=False),
        parts.controls: gr.update(visible=False),
        parts.detail: "",
        parts.count: "",
        parts.table: "",
        parts.packed: gr.update(value=None),
    }


def begun(parts: Parts, batch: Batch) -> dict[Any, Any]:
    """Show that a batch is being classified."""
    return {
        **cleared(parts, status.busy(batch, 0)),
        parts.cancel: gr.update(visible=True),
    }


def finished(parts: Parts, batch: Batch, top: int) -> dict[Any, Any]:
    """Show the answers of a batch, or say that they were deleted if its folder was.

    Args:
        parts: The components.
        batch: The batch.
        top: How many classes the CSV file names.

    Returns:
        Component -> its new value.
    """
    if not batch.folder.is_dir():
        return cleared(parts, status.GONE)
    rows = batch.done
    return {
        parts.status: status.ended(batch),
        parts.cancel: gr.update(visible=False),
        parts.controls: gr.update(visible=bool(rows)),
        parts.shown: gr.update(choices=view.filter_choices(rows), value=view.ALL),
        parts.class_id: gr.update(choices=view.class_choices(rows), value=view.ANY_CLASS),
        parts.order: gr.update(value="sent"),
        parts.csv: gr.update(value=str(downloads.write_csv(batch, top))),
        **shown(parts, batch, view.Choice()),
    }


def shown(parts: Parts, batch: Batch, choice: view.Choice) -> dict[Any, Any]:
    """Show the rows that a visitor wants to see, and say how many they are.

    Args:
        parts: The components.
        batch: The batch.
        choice: The visitor's filters and order.

    Returns:
        Component -> its new value.
    """
    return {
        parts.count: status.count(batch.done, choice),
        parts.table: view.table(batch, choice),
    }
