"""The Many photographs tab: up to 500 photographs, a table of answers, and two downloads."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import get_blocks_context
from markupsafe import Markup
from PIL import Image

from demo.answer import TOP, answer
from demo.gpu import on_gpu
from demo.many import downloads, incoming, scripts, status, updates, view
from demo.many.batch import REMOVED, Batch, Batches, Row, Shelf
from demo.many.layout import Parts, lay_out
from demo.markup import html
from demo.photo import refusal
from demo.pictures import picture_url
from demo.tabs.classify import preview
from demo.tabs.why import why
from model.classifier import Classifier, Prediction
from model.photographs import images

_BATCHES_AT_ONCE = 2
"""Most visitors whose batches are classified at the same time; the others wait."""

_ROWS_AT_ONCE = 4
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def detail(row: Row, photo: Image.Image, bars_part: Markup, why_part: Markup) -> Markup:
    """Render the photograph of a row with its answer, as the Classify tab does.

    Args:
        row: The row.
        photo: Its photograph, decoded again.
        bars_part: The answer and its bars.
        why_part: Heat map and evidence.

    Returns:
        HTML.
    """
    return html(
        '<section class="ff-detail" tabindex="-1" aria-label="{name}"><div class="ff-detail-head">'
        '<h2>{name}</h2><button type="button" data-close="{number}">Back to the table</button>'
        '</div><div class="ff-detail-two"><img src="{source}" alt="">{bars}</div>{why}</section>',
        name=row.name,
        number=row.number,
        source=picture_url(preview(photo)),
        bars=bars_part,
        why=why_part,
    )


def many_tab(classifier: Classifier, max_bytes: int, shelf: Shelf) -> None:
    """Lay out the tab inside a `gr.Tab`.

    Args:
        classifier: The loaded classifier.
        max_bytes: Largest photograph, in bytes.
        shelf: The shelf for the batches of all classifiers of the page.
    """
    parts = lay_out(max_bytes)
    uploads = Path(parts.drop.GRADIO_CACHE)
    batches = Batches(uploads, shelf)
    _classify_events(parts, classifier, batches, max_bytes)
    _table_events(parts, batches)
    _download_events(parts, batches)
    _row_event(parts, classifier, batches)
    page = get_blocks_context()
    if page is not None:
        page.root_block.unload(_leaver(batches))


def _visitor(request: gr.Request) -> str:
    visitor = request.session_hash
    if not visitor:
        raise refusal("This works only on the page. Programs can use /predict.")
    return visitor


def _kept(batches: Batches, request: gr.Request) -> Batch:
    batch = batches.get(_visitor(request))
    if batch is None:
        raise refusal(status.GONE_TEXT)
    return batch


def _classify_events(
    parts: Parts, classifier: Classifier, batches: Batches, max_bytes: int
) -> None:
    """Connect the events that classify a batch, cancel it, and refuse one that is too large."""
    run = on_gpu(classifier.predict)
    least_side = classifier.backbone.transforms.least_side
    uploads = Path(parts.drop.GRADIO_CACHE)

    def classify(event: gr.EventData, request: gr.Request) -> Iterator[dict[Any, Any]]:
        values = event._data if isinstance(event._data, dict) else {}
        sent, visitor = incoming.read_list(values.get("files")), _visitor(request)
        batch = batches.start(visitor)
        batch.is_running = True
        try:
            incoming.accept(sent, batch, uploads, max_bytes)
            yield from answers(batch, visitor)
        finally:
            batch.is_running = False
            if batches.get(visitor) is not batch:
                batch.close()  # a second time, as a thumbnail may have been written since

    def answers(batch: Batch, visitor: str) -> Iterator[dict[Any, Any]]:
        yield updates.begun(parts, batch)
        started = time.monotonic()
        for _ in batch.classify(lambda photos: run(photos, TOP), least_side):
            if batches.get(visitor) is not batch:
                break
            changed = {parts.status: status.busy(batch, time.monotonic() - started)}
            if len(batch.done) < view.PAGE + 8:  # later rows do not change the first page
                changed[parts.table] = view.table(batch, view.Choice())
            yield changed
        kept = batches.get(visitor)
        if kept is batch:
            yield updates.finished(parts, batch, TOP)
        elif kept is None:  # deleted after an hour, or because the visitor has left
            yield updates.cleared(parts, status.GONE)

    def refused(event: gr.EventData) -> None:
        values = event._data if isinstance(event._data, dict) else {}
        incoming.read_list(values.get("files"), values.get("count"), values.get("size"))

    def stopped(request: gr.Request) -> dict[Any, Any]:
        batch = batches.get(_visitor(request))
        if batch is None:
            return updates.cleared(parts, status.EMPTY)
        if batch.is_running:  # another batch, sent meanwhile, was refused; this one continues
            return gr.skip()
        return updates.finished(parts, batch, TOP)

    def cancel(request: gr.Request) -> None:
        _kept(batches, request).cancel()

    changed = [
        *(parts.status, parts.cancel, parts.detail, parts.controls, parts.table, parts.csv),
        *(parts.shown, parts.class_id, parts.order, parts.packed, parts.count),
    ]
    parts.drop.submit(None, None, parts.status, js=scripts.STARTING_SCRIPT, **_PRIVATE)
    begun = parts.drop.submit(
        classify,
        None,
        changed,
        concurrency_limit=_BATCHES_AT_ONCE,
        concurrency_id="many",  # shared by all classifiers of the page
        trigger_mode="multiple",
        **_PRIVATE,
    )
    begun.failure(stopped, None, changed, **_PRIVATE)
    parts.drop.input(refused, None, None, **_PRIVATE)
    parts.cancel.click(cancel, None, None, **_PRIVATE)


def _table_events(parts: Parts, batches: Batches) -> None:
    """Connect filters, sorting and pages; each of them also closes an open photograph."""

    def changed(choice: view.Choice, request: gr.Request) -> dict[Any, Any]:
        return {**updates.shown(parts, _kept(batches, request), choice), parts.detail: ""}

    def filtered(shown: str, class_id: str, order: str, request: gr.Request) -> dict[Any, Any]:
        return changed(view.Choice(shown, class_id, order), request)

    def turned(
        shown: str, class_id: str, order: str, event: gr.EventData, request: gr.Request
    ) -> dict[Any, Any]:
        return changed(view.Choice(shown, class_id, order, _number(event, "page")), request)

    choice, outputs = [parts.shown, parts.class_id, parts.order], [parts.count, parts.table]
    for component in choice:
        component.input(filtered, choice, [*outputs, parts.detail], **_PRIVATE)
    parts.table.input(turned, choice, [*outputs, parts.detail], **_PRIVATE)


def _number(event: gr.EventData, key: str) -> int:
    values = event._data if isinstance(event._data, dict) else {}
    number = values.get(key)
    if not isinstance(number, int):
        raise refusal("There is no such row. Please reload the page.")
    return number


def _row_event(parts: Parts, classifier: Classifier, batches: Batches) -> None:
    """Connect the rows: choosing one shows its photograph, and computes the heat map."""
    run = on_gpu(classifier.predict)
    transforms, device = classifier.backbone.transforms, classifier.backbone.device_text

    def open_row(event: gr.EventData, request: gr.Request) -> Markup:
        number, rows = _number(event, "row"), _kept(batches, request).rows
        row = rows[number] if 0 <= number < len(rows) else None
        if row is None or row.path is None or not isinstance(row.outcome, Prediction):
            raise refusal("There is no such photograph in the table.")
        try:
            photo = images.decode(row.path, least_side=transforms.least_side)
        except images.BadImageError as error:
            reason = f"{error}" if row.path.exists() else REMOVED
            raise refusal(f"{row.name} {reason}.") from None
        prediction = run([photo], TOP, explain=True)[0]
        return detail(
            row,
            photo,
            answer(prediction, classifier.checkpoint, device),
            why(photo, prediction, transforms),
        )

    parts.table.select(
        open_row,
        None,
        parts.detail,
        concurrency_limit=_ROWS_AT_ONCE,
        concurrency_id="row",
        **_PRIVATE,
    )


def _download_events(parts: Parts, batches: Batches) -> None:
    """Connect the button that packs the sorted photographs, for one visitor at a time."""

    def pack(request: gr.Request) -> Any:
        return gr.update(value=str(downloads.write_sorted(_kept(batches, request))))

    parts.pack.click(
        pack, None, parts.packed, show_progress="minimal", api_visibility="private"
    ).success(None, None, None, js=scripts.DOWNLOAD_SCRIPT, api_visibility="private")


def _leaver(batches: Batches) -> Callable[[gr.Request], None]:
    def leave(request: gr.Request) -> None:
        if request.session_hash:
            batches.close(request.session_hash)

    return leave
