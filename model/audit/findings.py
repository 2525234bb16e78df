"""The findings of an audit, as values, as a summary in JSON and as a table in CSV."""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from model.photographs.class_names import path_text
from model.photographs.dataset import Collection

COLUMNS = ("path", "problem", "score", "suggested_label", "other_path")
MAX_PAIRS = 50
"""The most pairs of classes whose label errors are counted in a summary."""
PROBLEMS = ("label_error", "exact_duplicate", "near_duplicate", "outlier")


class Finding(NamedTuple):
    """A row of the table.

    Attributes:
        path: The photograph.
        problem: One of `PROBLEMS`.
        score: A higher score is more suspicious. For label_error: surprise at the label, in nats;
            for duplicates: similarity, 0-1; for outlier: robust z-score of the distance.
        suggested_label: For label_error, the class folder that the leave-one-out scores prefer.
        other_path: For duplicates, the photograph that comes first: those in train come before
            others, then the name decides.
    """

    path: Path
    problem: str
    score: float
    suggested_label: str = ""
    other_path: Path | None = None


class Leak(NamedTuple):
    """How copies in `train` change the accuracy of a ridge head that is fitted to `train`.

    Attributes:
        split: The split that is measured.
        photographs: Number of its photographs.
        accuracy: Accuracy on all of them, 0-1.
        copies: How many of them have a copy in `train`.
        accuracy_without: Accuracy without those, 0-1; None if no photograph is left.
    """

    split: str
    photographs: int
    accuracy: float
    copies: int
    accuracy_without: float | None


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    Attributes:
        data: The photographs that were audited.
        backbone: Name of the backbone.
        findings: Problem -> findings, the most suspicious first; label_error ranks all N.
        suspected: For how many photographs another class has a probability above 0.5.
        across_splits: How many pairs of duplicates are in two different splits.
        accuracy: Leave-one-out accuracy, 0-1; copies are left out together.
        accuracy_with_copies: The same, but a photograph's copies stay.
        leaks: One entry for each split other than `train`, if there is a `train`.
    """

    data: Collection
    backbone: str
    findings: dict[str, list[Finding]]
    suspected: int
    across_splits: int
    accuracy: float
    accuracy_with_copies: float
    leaks: list[Leak]

    def summary(self, top: int = 10) -> dict[str, Any]:
        """Return counts, figures and the first findings as plain JSON values, with relative paths.

        Args:
            top: The most findings for each problem.
        """
        folder, photos = self.data.folder, self.data.photos
        label = {
            p: self.data.class_ids[i] for p, i in zip(photos.paths, photos.labels, strict=True)
        }

        def row(finding: Finding) -> dict[str, Any]:
            other = finding.other_path
            return {
                "path": path_text(finding.path.relative_to(folder)),
                "label": label[finding.path],
                "score": finding.score,
                "suggested_label": finding.suggested_label,
                "other_path": path_text(other.relative_to(folder)) if other else "",
            }

        counts = {problem: len(rows) for problem, rows in self.findings.items()}
        suspected = self.findings["label_error"][: self.suspected]
        pairs = Counter((label[finding.path], finding.suggested_label) for finding in suspected)
        return {
            "data": Path(self.data.name).resolve().name,
            "photographs": len(photos),
            "num_classes": len(self.data.class_ids),
            "class_names": dict(zip(self.data.class_ids, self.data.class_names, strict=True)),
            "skipped": len(self.data.skipped),
            "backbone": self.backbone,
            "counts": counts | {"label_error": self.suspected},
            "across_splits": self.across_splits,
            "accuracy": self.accuracy,
            "accuracy_with_copies": self.accuracy_with_copies,
            "leaks": [leak._asdict() for leak in self.leaks],
            "label_pairs": [[*pair, count] for pair, count in pairs.most_common(MAX_PAIRS)],
            "findings": {
                problem: [row(finding) for finding in self.shown(problem, top)]
                for problem in PROBLEMS
            },
        }

    def shown(self, problem: str, top: int) -> list[Finding]:
        """Return the first `top` findings of a problem; of label errors, only suspected ones."""
        limit = self.suspected if problem == "label_error" else len(self.findings[problem])
        return self.findings[problem][: min(top, limit)]


def write_csv(found: Audit, path: Path) -> int:
    """Write all findings, grouped by problem, the most suspicious first.

    Every photograph has one row as label_error.

    Args:
        found: The findings.
        path: The file. Paths in it start with the data folder as the user gave it.

    Returns:
        Number of rows.
    """
    rows = [finding for problem in PROBLEMS for finding in found.findings[problem]]
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in rows:
            values = (row.path, row.problem, f"{row.score:.6f}", row.suggested_label)
            writer.writerow([*values, row.other_path or ""])
    return len(rows)


def leak_text(leak: dict[str, Any]) -> str:
    """Describe how copies in `train` change the accuracy of another split, in a sentence or two."""
    split, accuracy = leak["split"], leak["accuracy"]
    measured = f"A ridge head fitted on train is right on {accuracy:.2%} of {split}"
    if not leak["copies"]:
        return f"{measured} ({leak['photographs']:,} photographs); none has a copy in train."
    without = leak["accuracy_without"]
    rest = leak["photographs"] - leak["copies"]
    effect = "no other photograph is left"
    if without is not None:
        points = 100 * (accuracy - without)
        effect = (
            f"without them it is right on {without:.2%} of {rest:,}, so they change the accuracy "
            f"by {points:+.2f} points"
        )
    return (
        f"{measured} ({leak['photographs']:,} photographs). {leak['copies']:,} of them have a copy "
        f"in train; {effect}."
    )
