"""Reads, hashes and checks one file, and uses the pixels once decoded; on any machine."""

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
"""Renders views of a photograph, given the SHA-256 of its content and its pixels."""


class Reading(NamedTuple):
    """The result of reading a photograph that can be decoded.

    Attributes:
        stamp: The state of the file before it was read.
        digest: SHA-256 of its content, hexadecimal.
        is_new: True if it was decoded now; False if its content was known to be decodable.
        summary: Its signature and thumbnail; None if no summary is wanted.
        views: The views whose features are still to be computed, uint8 `[V, S, S, 3]`; None if
            there are none.
        features: Features of the views, float32 `[V, D]`; None if they are not computed yet.
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
    """Read a file; if its content is not known yet, decode it, and make summary and views.

    Args:
        path: The file.
        summaries: Summarise the photograph.
        frame: Renders views of the photograph; None to render none.
        is_sound: Tells, given a SHA-256, whether an earlier run decoded this content; None if that
            is not known.

    Returns:
        The reading.

    Raises:
        images.BadImageError: The file cannot be used; the message is the reason, without the path.
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
        digest: SHA-256 of its content when it was checked, hexadecimal.
        least_side: Passed to `images.decode`, in px.
        exif: Passed to `images.decode`.

    Returns:
        The photograph.

    Raises:
        ValueError: The file cannot be read any more, or its content has changed.
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
