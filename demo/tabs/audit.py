"""What an audit of the data found, as panels under the Evaluation tab."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from demo.markup import html, join, panel, table, text
from model.audit.findings import leak_text
from model.checkpoints.card import percent
from model.checkpoints.checkpoint import Checkpoint

_ROWS = 10


def audit_panels(checkpoint: Checkpoint) -> Markup:
    """Render the stored audit, or how to make one.

    Args:
        checkpoint: The checkpoint; `audit` is `findings.Audit.summary`.

    Returns:
        HTML.
    """
    found = checkpoint.audit
    if found is None:
        missing = (
            "The data has not been searched for copies, wrong labels and outliers. To show the "
            "result here, run <code>{command}</code>"
        )
        command = "python -m model audit PHOTOGRAPHS --checkpoint CHECKPOINT --save"
        return panel("Data check", text(html(missing, command=command)))
    panels = [_head(found), *(_findings(*entry) for entry in _tables(found))]
    return html('<div class="ff-panels">{panels}</div>', panels=join(panels))


def _head(found: dict[str, Any]) -> Markup:
    counts = found["counts"]
    pairs = counts["exact_duplicate"] + counts["near_duplicate"]
    sentences = [
        f"{found['photographs']:,} photographs of {found['data']}: "
        f"{counts['label_error']:,} likely label errors, {pairs:,} pairs of copies "
        f"({found['across_splits']:,} across splits), {counts['outlier']:,} outliers.",
        f"A head fitted without each photograph in turn is right on {percent(found['accuracy'])}.",
        *map(leak_text, found["leaks"]),
    ]
    return panel("Data check", text(" ".join(sentences)))


def _tables(found: dict[str, Any]) -> list[tuple[str, Sequence[str], list[Sequence[str]]]]:
    """Return title, columns and rows of each panel; the last column holds numbers."""
    rows, name = found["findings"], found["class_names"]
    copies = [*rows["exact_duplicate"], *rows["near_duplicate"]]
    return [
        (
            "Likely label errors",
            ("Photograph", "Is in", "Rather", "Score"),
            [
                (
                    row["path"],
                    name[row["label"]],
                    name[row["suggested_label"]],
                    f"{row['score']:.1f}",
                )
                for row in rows["label_error"]
            ],
        ),
        (
            "Copies",
            ("Photograph", "Same as", "Similarity"),
            [(row["path"], row["other_path"], f"{row['score']:.3f}") for row in copies],
        ),
        (
            "Outliers",
            ("Photograph", "Is in", "Score"),
            [(row["path"], name[row["label"]], f"{row['score']:.1f}") for row in rows["outlier"]],
        ),
    ]


def _findings(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    return panel(title, table(rows[:_ROWS], header=columns)) if rows else Markup()
