"""Which JPEGs may be decoded at a part of their size, and which lack only a little of their end."""

import io

import numpy as np
from PIL import Image

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a frame; the other three define tables, or are not used."""

_SCALABLE = {0xC0, 0xC1, 0xC2}
"""Baseline, extended sequential and progressive, Huffman-coded: what cameras and browsers use."""

_PROGRESSIVE = 0xC2

_START, _SCAN = 0xD8, 0xDA
_END = b"\xff\xd9"
_MAY_LACK = 0.02  # of the pixels
_FILLER = b"\x55\xa3" * 1000
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length


def can_be_scaled(content: bytes) -> bool:
    """Tell whether a JPEG's decoder can leave out a part of the resolution safely.

    Pillow's `draft` makes room for the smaller picture, but libjpeg cannot scale every kind: a
    lossless frame (SOF3) is written at its whole size, beyond the end of that room. So only the
    kinds whose scaling is in daily use pass, with 8 bits and one frame header alone: two could say
    different things to Pillow and to libjpeg.

    Args:
        content: The file.

    Returns:
        Whether `draft` may be called. False for what is not understood, which may still be decoded
        at its whole size.

    Source: ITU-T T.81, "Digital compression and coding of continuous-tone still images", Annex B.
    """
    return _frame(content) in _SCALABLE


def _frame(content: bytes) -> int | None:
    """Return the marker of a JPEG's only frame; None where it has another number, or an odd one."""
    position, frames = 2, []
    if content[:2] != bytes([0xFF, _START]):
        return None
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _ALONE:
            position += 2
            continue
        if marker == _SCAN:
            return frames[0] if len(frames) == 1 else None
        length = int.from_bytes(content[position + 2 : position + 4])
        if marker in _FRAMES:
            header = content[position + 4 : position + 2 + length]
            if len(header) < 6 or header[0] != 8 or header[5] not in (1, 3, 4):
                return None
            frames.append(marker)
        position += 2 + max(length, 2)
    return None


def completed(content: bytes) -> bytes:
    """End a JPEG that breaks off; libjpeg makes up the pixels that are missing before the end."""
    return content.rstrip(b"\xff") + _END


def lacks_little(content: bytes) -> bool:
    """Tell whether a JPEG that breaks off has nearly all of its pixels, which browsers show.

    It is completed in two ways: where the two differ, no pixel was in the file. A progressive file
    has something of each pixel long before it has all, so of those none is taken.

    Args:
        content: The file.

    Returns:
        Whether at least 98 % of the pixels are there, in a JPEG that can be scaled.
    """
    if _frame(content) not in _SCALABLE - {_PROGRESSIVE}:
        return False
    found = []
    try:
        for ended in (completed(content), completed(content.rstrip(b"\xff") + _FILLER)):
            image = Image.open(io.BytesIO(ended), formats=["JPEG"])
            image.draft(None, (1, 1))  # at an eighth
            found.append(np.asarray(image.convert("RGB")))
    except Exception:  # it is damaged in another way as well
        return False
    return bool((found[0] != found[1]).any(axis=2).mean() <= _MAY_LACK)
