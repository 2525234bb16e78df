"""One file: read, hashed, checked, and used while it is decoded; on this machine or another."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from model.features.signatures import Summary, summary
from model.features.store import PhotographStore, Stamp
from model.photographs import images

Frame = Callable[[str, Image.Image], np.ndarray | None]
"""Renders the wanted views of a photograph, given its content's SHA-256 and its pixels."""


class Reading(NamedTuple):
    """What reading a sound photograph gave.

    Attributes:
        stamp: The state of the file before it was read.
        digest: SHA-256 of its content, hexadecimal.
        is_new: It was decoded; where it is False, its content was known to be sound.
        summary: Its signature and thumbnail; None where none is wanted.
        views: The views whose features are to be computed, uint8 `[V, S, S, 3]`; None for none.
        features: Of these views, float32 `[V, D]`; None where they are still to be computed.
    """

    stamp: Stamp
    digest: str
    is_new: bool
    summary: Summary | None = None
    views: np.ndarray | None = None
    features: np.ndarray | None = None


def read_file(
    path: Path,
    *,
    summaries: bool,
    frame: Frame | None,
    is_sound: Callable[[str], bool] | None = None,
) -> Reading:
    """Read a file; a content that is not known yet is checked, and used while it is decoded.

    Args:
        path: The file.
        summaries: Summarise the photograph.
        frame: Renders views of it; None for none.
        is_sound: Tells whether a content was decoded by an earlier run; None where nobody knows.

    Returns:
        What was found.

    Raises:
        images.BadImageError: It cannot be used; the message is the reason, without the path.
    """
    try:
        stamp = PhotographStore.stamp(path)
    except OSError as error:
        raise images.BadImageError((error.strerror or str(error)).lower()) from error
    with images.opened(path) as content:
        digest = hashlib.sha256(content).hexdigest()
        if is_sound and is_sound(digest):
            return Reading(stamp, digest, False)
        if not (summaries or frame):
            images.check(content)
            return Reading(stamp, digest, True)
        image = images.decode(content, exif=True)
    made = summary(image) if summaries else None
    return Reading(stamp, digest, True, made, frame(digest, image) if frame else None)


def decode_again(
    path: Path, digest: str, *, least_side: int | None = images.LEAST_SIDE, exif: bool = False
) -> Image.Image:
    """Decode a photograph that was checked before, and make sure that it is the same one.

    Args:
        path: The file.
        digest: SHA-256 of its content, hexadecimal, when it was checked.
        least_side: As `images.decode`.
        exif: As `images.decode`.

    Returns:
        The photograph.

    Raises:
        ValueError: It cannot be read any more, or somebody has replaced it.
    """
    try:
        with images.opened(path) as content:
            if hashlib.sha256(content).hexdigest() == digest:
                return images.decode(content, least_side=least_side, exif=exif)
    except images.BadImageError as error:
        raise ValueError(f"{path} {error}; it was sound when it was checked.") from error
    raise ValueError(
        f"{path} has changed since it was checked. Repeat the command; what was computed of "
        "the other photographs is kept."
    )
