"""The Data tab: what an audit found in the photographs, and what it means for the figures."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice
from typing import Any

from markupsafe import Markup

from demo.evaluation.pair import thumbnail
from demo.evaluation.shares import percent
from demo.evaluation.words import SPLIT_NAMES
from demo.markup import html, join, panel, show, table, text
from model.checkpoints.checkpoint import Checkpoint

_CARDS, _PAIRS = 12, 15


def data_tab(checkpoint: Checkpoint) -> None:
    """Lay out the tab inside a `gr.Tab`.

    Args:
        checkpoint: The checkpoint; it must have an audit.
    """
    show(data_panels(checkpoint), elem_id="data")


def data_panels(checkpoint: Checkpoint) -> Markup:
    """Render the stored audit: sentences and counts, with photographs if thumbnails are kept.

    File names appear beside thumbnails only: visitors cannot open the files.

    Args:
        checkpoint: The checkpoint; its `audit` comes from `findings.Audit.summary`.

    Returns:
        HTML; empty if there is no audit.
    """
    found = checkpoint.audit
    if found is None:
        return Markup()
    album = _Album(checkpoint, found)
    panels = [_summary(found), _label_errors(found, album), _copies(found, album)]
    panels.append(_outliers(found, album))
    return html('<div class="ff-panels">{panels}</div>', panels=join(panels))


class _Album:
    """The thumbnails of the training photographs that an audit names."""

    def __init__(self, checkpoint: Checkpoint, found: dict[str, Any]) -> None:
        self._evidence, self._ids = checkpoint.evidence, checkpoint.class_ids
        self._numbers: dict[str, int] = {}
        if self._evidence is None or self._evidence.blob is None:
            return
        rows = [row for rows in found["findings"].values() for row in rows]
        paths = {path for row in rows for path in (row["path"], row["other_path"]) if path}
        wanted = {name for path in paths for name in _names(path)}
        self._numbers = {
            name: number for number, name in enumerate(self._evidence.names) if name in wanted
        }

    def picture(self, path: str, label: str, caption: str) -> Markup:
        """Render a photograph.

        Args:
            path: The audit's path of the photograph.
            label: The audit's class id of the photograph; "" if it is not known.
            caption: The text under the photograph.

        Returns:
            HTML; empty if it is not a training photograph with a thumbnail.
        """
        number = next((self._numbers[n] for n in _names(path) if n in self._numbers), None)
        if self._evidence is None or number is None:
            return Markup()
        if label and self._ids[self._evidence.labels[number]] != label:
            return Markup()  # another photograph of the same name
        return html(
            "<figure>{image}<figcaption>{caption}<small>{path}</small></figcaption></figure>",
            image=thumbnail(self._evidence, number, "Training photograph"),
            caption=caption,
            path=path,
        )


def _names(path: str) -> tuple[str, ...]:
    """Return the names that training may have given a photograph: the class and the file.

    The audit's path may also contain `train`, and the parents of the class.
    """
    return path, path.removeprefix("train/"), "/".join(path.split("/")[-2:])


def _summary(found: dict[str, Any]) -> Markup:
    sentences = [
        f"{found['photographs']:,} photographs of {found['num_classes']:,} classes in "
        f"{found['data']} were checked for wrong labels, copies and photographs that look unlike "
        "their class.",
        "A simple classifier, never trained on the photograph that it judges, is right on "
        f"{percent(found['accuracy'])} of them.",
    ]
    return panel("What was checked", text(" ".join(sentences)))


def _label_errors(found: dict[str, Any], album: _Album) -> Markup:
    count, names = found["counts"]["label_error"], found["class_names"]
    if not count:
        return panel("Likely label errors", text("No label looks wrong."))
    share = percent(min(1.0, count / max(found["photographs"], 1)))
    said = (
        f"{_photographs(count)} ({share}) {'is' if count == 1 else 'are'} probably mislabelled. "
        "Wrong labels teach the classifier wrong names, and right answers then count as errors."
    )
    rows = found["findings"]["label_error"]
    cards = (
        album.picture(
            row["path"],
            row["label"],
            f"Labelled as {names[row['label']]}. Suggested: {names[row['suggested_label']]}",
        )
        for row in rows
    )
    return panel("Likely label errors", text(said), _cards(cards), _pairs(found, names))


def _pairs(found: dict[str, Any], names: dict[str, str]) -> Markup:
    """Count likely label errors by pair of classes; older audits stored only the first few."""
    rows, total = found["findings"]["label_error"], found["counts"]["label_error"]
    stored = found.get("label_pairs")
    if stored is None:
        counted = Counter((row["label"], row["suggested_label"]) for row in rows)
        stored = [(*pair, count) for pair, count in counted.most_common()]
    if not stored:
        return Markup()
    shown = stored[:_PAIRS]
    sum_shown = sum(count for *_, count in shown)
    note = Markup()
    if sum_shown < total:
        of = "the most suspicious" if "label_pairs" not in found else "the most frequent pairs"
        note = text(f"These are {of}, {sum_shown:,} of the {total:,} photographs.")
    body = table(
        [(names[label], names[other], f"{count:,}") for label, other, count in shown],
        header=("Labelled as", "Suggested", "Photographs"),
    )
    return join([body, note])


def _copies(found: dict[str, Any], album: _Album) -> Markup:
    counts, across = found["counts"], found["across_splits"]
    pairs = counts["exact_duplicate"] + counts["near_duplicate"]
    if not pairs:
        return panel("Copies", text("No photograph is a copy of another."))
    sentences = [
        f"{pairs:,} {'pair' if pairs == 1 else 'pairs'} of copies: "
        f"{counts['exact_duplicate']:,} exact, {counts['near_duplicate']:,} resized, cropped or "
        "edited."
    ]
    if found["leaks"] or across:
        within = max(pairs - across, 0)
        sentences.append(f"Within a split: {within:,}. Across splits: {across:,}.")
    if across:
        sentences.append(
            "Copies of training photographs are easy to recognise, so they can flatter the figures."
        )
    sentences += map(_leak, found["leaks"])
    rows = [*found["findings"]["exact_duplicate"], *found["findings"]["near_duplicate"]]
    cards = (_couple(row, album, found["class_names"]) for row in rows)
    return panel("Copies", text(" ".join(sentences)), _cards(cards))


def _leak(leak: dict[str, Any]) -> str:
    split = SPLIT_NAMES.get(leak["split"], leak["split"])
    count, copies = leak["photographs"], leak["copies"]
    if not copies:
        return f"None of the {count:,} {split} photographs is a copy of a training photograph."
    said = (
        f"Of the {count:,} {split} photographs, {copies:,} "
        f"{'is a copy' if copies == 1 else 'are copies'} of training photographs"
    )
    if leak["accuracy_without"] is None:
        return f"{said}; there are no others."
    return (
        f"{said}: a simple classifier is right on {percent(leak['accuracy'])} with them and on "
        f"{percent(leak['accuracy_without'])} without them."
    )


def _couple(row: dict[str, Any], album: _Album, names: dict[str, str]) -> Markup:
    first = album.picture(row["path"], row["label"], f"Labelled as {names[row['label']]}")
    second = album.picture(row["other_path"], "", "Its copy")
    if not first or not second:
        return Markup()
    return html('<div class="ff-couple">{first}{second}</div>', first=first, second=second)


def _outliers(found: dict[str, Any], album: _Album) -> Markup:
    count, names = found["counts"]["outlier"], found["class_names"]
    if not count:
        return panel("Outliers", text("No photograph looks unlike its class."))
    verb = "looks" if count == 1 else "look"
    said = (
        f"{_photographs(count)} {verb} unlike all others of the same class: an unusual view, a "
        "bad photograph or something else altogether. Remove those that do not belong."
    )
    cards = (
        album.picture(row["path"], row["label"], f"Labelled as {names[row['label']]}")
        for row in found["findings"]["outlier"]
    )
    return panel("Outliers", text(said), _cards(cards))


def _photographs(count: int) -> str:
    return f"{count:,} {'photograph' if count == 1 else 'photographs'}"


def _cards(cards: Iterable[Markup]) -> Markup:
    """Lay out the first cards that have a picture."""
    shown = list(islice(filter(None, cards), _CARDS))  # lazily, so that the others are not built
    if not shown:
        return Markup()
    return html('<div class="ff-cards">{cards}</div>', cards=join(shown))
