"""Signatures of light and shade, by which copies of a photograph are recognised; and thumbnails."""

import io
from typing import NamedTuple

import numpy as np
from PIL import Image

from model.photographs.exif import Shot, shot

SIGNATURE_BYTES = 32
_SIDE = 16  # fields a side; _SIDE**2 bits are SIGNATURE_BYTES
_THUMBNAIL_SIDE = 96  # px
_COMPARED = 50  # photographs at a time
_LEAVE_ONE_OUT = 1000  # photographs whose nearest neighbours decide the threshold


def signature(image: Image.Image) -> np.ndarray:
    """Describe a photograph's light and shade coarsely; copies differ in only a few bits.

    Each bit says whether one of 17 x 16 fields is brighter than its left neighbour.

    Args:
        image: A decoded photograph, RGB.

    Returns:
        uint8 `[32]`, 256 bits.

    Source: N. Krawetz, "Kind of Like That" (difference hash), 2013.
    """
    size = (_SIDE + 1, _SIDE)
    grey = np.asarray(image.convert("L").resize(size, Image.Resampling.BOX)).astype(np.int16)
    return np.packbits((grey[:, 1:] > grey[:, :-1]).ravel())


def both_ways(image: Image.Image) -> np.ndarray:
    """Return the signatures of a photograph and of its mirror image, uint8 `[2, 32]`."""
    mirrored = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.stack([signature(image), signature(mirrored)])


def thumbnail(image: Image.Image) -> bytes:
    """Shrink a decoded photograph to a JPEG of at most 96 px a side, without metadata."""
    scale = min(1.0, _THUMBNAIL_SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    small = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=1.5)
    small.info.clear()
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80, optimize=True)
    return file.getvalue()


class Summary(NamedTuple):
    """The stored summary of a photograph.

    Attributes:
        signature: The 32 bytes of `signature`.
        thumbnail: The JPEG from `thumbnail`.
        shot: Camera and time of the photograph; None if the file does not say.
    """

    signature: bytes
    thumbnail: bytes
    shot: Shot | None


def summary(image: Image.Image) -> Summary:
    """Summarise a photograph that was decoded with its EXIF block."""
    return Summary(signature(image).tobytes(), thumbnail(image), shot(image))


def differing_bits(queries: np.ndarray, signatures: np.ndarray) -> np.ndarray:
    """Compare signatures.

    Args:
        queries: uint8 `[M, 32]`.
        signatures: uint8 `[N, 32]`.

    Returns:
        How many bits differ: uint16 `[M, N]`.
    """
    # Eight bytes are compared at a time. An array from a file may start at any byte, so it is
    # copied to be aligned.
    columns = np.ascontiguousarray(np.ascontiguousarray(signatures).view(np.uint64).T)
    asked = np.ascontiguousarray(queries).view(np.uint64)
    bits = np.zeros((len(asked), len(signatures)), np.uint16)
    for row, words in zip(bits, asked, strict=True):
        for word, column in zip(words, columns, strict=True):
            row += np.bitwise_count(word ^ column)
    return bits


def same_below(signatures: np.ndarray) -> int:
    """Choose in how many bits a copy may differ, from the distances between different photographs.

    The nearest neighbour of most photographs is a different photograph, and copies differ in far
    fewer bits. The threshold is a third of the median distance to the nearest neighbour. The few
    copies in a data set hardly change this median; series of near-identical pictures lower it.
    """
    count = len(signatures)
    sample = np.linspace(0, count - 1, min(count, _LEAVE_ONE_OUT)).astype(np.int64)
    nearest = []
    for start in range(0, len(sample), _COMPARED):
        chosen = sample[start : start + _COMPARED]
        bits = differing_bits(signatures[chosen], signatures)
        bits[np.arange(len(chosen)), chosen] = 8 * signatures.shape[1]  # never its own neighbour
        nearest += bits.min(axis=1).tolist()
    return int(np.median(nearest) // 3)
