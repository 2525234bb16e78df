"""What an audit of the data found, as panels under the Evaluation tab."""

import html
from collections.abc import Sequence
from typing import Any

from model.audit.findings import leak_text
from model.audit.gains import MORE
from model.checkpoints.card import percent
from model.checkpoints.checkpoint import Checkpoint

_ROWS = 10


def audit_panels(checkpoint: Checkpoint) -> str:
    """Render the stored audit, or how to make one.

    Args:
        checkpoint: The checkpoint; `audit` is `findings.Audit.summary`.

    Returns:
        HTML; whatever comes from folder and file names is escaped.
    """
    found = checkpoint.audit
    if found is None:
        return (
            '<div class="ff-panel"><h3>Data check</h3><p class="ff-text">The data has not been '
            "searched for copies, wrong labels and outliers. To show the result here, run "
            "<code>python -m model audit PHOTOGRAPHS --checkpoint CHECKPOINT --save</code>"
            "</p></div>"
        )
    panels = _head(found) + "".join(_panel(*panel) for panel in _tables(found))
    return f'<div class="ff-panels">{panels}</div>'


def _head(found: dict[str, Any]) -> str:
    counts = found["counts"]
    pairs = counts["exact_duplicate"] + counts["near_duplicate"]
    sentences = [
        f"{found['photographs']:,} photographs of {found['data']}: "
        f"{counts['label_error']:,} likely label errors, {pairs:,} pairs of copies "
        f"({found['across_splits']:,} across splits), {counts['outlier']:,} outliers.",
        f"A head fitted without each photograph in turn is right on {percent(found['accuracy'])}.",
        *map(leak_text, found["leaks"]),
    ]
    text = html.escape(" ".join(sentences))
    return f'<div class="ff-panel"><h3>Data check</h3><p class="ff-text">{text}</p></div>'


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
        (
            f"What {MORE} more photographs would bring",
            ("Class", "Photographs", "Right", "Taken for", "Points"),
            [
                (
                    name[row["class_id"]],
                    f"{row['photographs']:,}",
                    percent(row["accuracy"]),
                    name.get(row["taken_for"], ""),
                    f"{100 * row['gain']:+.1f}",
                )
                for row in found["classes"]
            ],
        ),
    ]


def _panel(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""

    def line(cells: Sequence[str], tag: str) -> str:
        *most, last = (html.escape(str(cell)) for cell in cells)
        left = "".join(f"<{tag}>{cell}</{tag}>" for cell in most)
        return f'{left}<{tag} class="number">{last}</{tag}>'

    body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows[:_ROWS])
    return (
        f'<div class="ff-panel"><h3>{html.escape(title)}</h3><table class="ff-table"><thead><tr>'
        f"{line(columns, 'th')}</tr></thead><tbody>{body}</tbody></table></div>"
    )
