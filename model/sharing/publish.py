"""The public form of a checkpoint: everything needed to classify, but no training photographs."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from model.checkpoints import checkpoint as checkpoints
from model.checkpoints.card_copy import placed, retitled
from model.checkpoints.checkpoint import CARD, PLOT, Checkpoint
from model.explain.evidence import Evidence

LEFT_OUT = "thumbnails, file names and hashes of training photographs"


def redact(checkpoint: Checkpoint) -> Checkpoint:
    """Remove everything from a checkpoint that shows or names a training photograph.

    Evidence keeps its embeddings and the 32-byte signatures that recognise a training photograph
    when it is sent again; each photograph is named only by its class. An audit keeps its counts.

    Args:
        checkpoint: The checkpoint; it is not changed.

    Returns:
        A checkpoint that gives the same answers.
    """
    evidence, audit = checkpoint.evidence, checkpoint.audit
    return replace(
        checkpoint,
        evidence=evidence and _redact_evidence(evidence, checkpoint.class_ids),
        audit=audit and {**audit, "findings": {problem: [] for problem in audit["findings"]}},
    )


def _redact_evidence(evidence: Evidence, class_ids: list[str]) -> Evidence:
    return replace(
        evidence.without_thumbnails(),
        names=[class_ids[label] for label in evidence.labels],
        digests=np.zeros_like(evidence.digests),
    )


def write(
    folder: Path,
    out: Path,
    *,
    name: str = "",
    license_id: str = "",
    title: str | None = None,
    link: str | None = None,
) -> Checkpoint:
    """Write the public form of a checkpoint, with an empty `skipped.csv`, because rows name files.

    Args:
        folder: The checkpoint folder.
        out: The folder to write; it must be empty or not exist.
        name: The `USER/NAME` on the Hub that the card's commands should use.
        license_id: The Hub's identifier of the licence, for the card.
        title: See `PageTexts.changed`; the checkpoint in `folder` is not changed.
        link: See `PageTexts.changed`.

    Returns:
        The checkpoint that was written.

    Raises:
        FileNotFoundError: There is no checkpoint in `folder`.
        ValueError: The checkpoint cannot be used, `out` is not empty, or a text is invalid.
    """
    stored = checkpoints.load(folder)
    public = replace(redact(stored), page=stored.page.changed(title, link))
    extra = {PLOT: (folder / PLOT).read_bytes()} if (folder / PLOT).is_file() else {}
    if (folder / CARD).is_file():
        card = (folder / CARD).read_text(encoding="utf-8")
        if public.page.title != stored.page.title:
            card = retitled(card, public)
        extra[CARD] = _finish_card(card, name, license_id).encode()
    checkpoints.save(public, out, extra=extra)
    if public.audit:
        checkpoints.save_audit(out, public.audit)
    return public


def _finish_card(text: str, name: str, license_id: str) -> str:
    from huggingface_hub import ModelCard

    card = ModelCard(placed(text, name) if name else text)
    if license_id:
        card.data["license"] = license_id
    return card.content
