"""Which JPEGs may be decoded at a part of their size, and which lack only a little of their end."""

import io
import math

from PIL import Image

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a frame; the other three define tables, or are not used."""

_SCALABLE = {0xC0, 0xC1, 0xC2}
"""Baseline, extended sequential and progressive, Huffman-coded: what cameras and browsers use."""

_PROGRESSIVE = 0xC2

_START, _SCAN = 0xD8, 0xDA
_END = b"\xff\xd9"
_MAY_LACK = 0.02  # of the pixels
_PADDING = b"\xff\x00" * 8
"""The 64 bits that libjpeg reads ahead. Only 1s are never a code, so they make hardly a block."""

_LONGEST_SIDE = 65_500  # px, libjpeg's limit
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
    found = _headers(content)
    return found is not None and content[found[0] + 1] in _SCALABLE


def _headers(content: bytes) -> tuple[int, int] | None:
    """Return where a JPEG's only frame header and its first scan header begin.

    None where it has another number of frames, or an odd one.
    """
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
            return (frames[0], position) if len(frames) == 1 else None
        length = int.from_bytes(content[position + 2 : position + 4])
        if marker in _FRAMES:
            header = content[position + 4 : position + 2 + length]
            if len(header) < 6 or header[0] != 8 or header[5] not in (1, 3, 4):
                return None
            frames.append(position)
        position += 2 + max(length, 2)
    return None


def completed(content: bytes) -> bytes:
    """End a JPEG that breaks off; libjpeg makes up the pixels that are missing before the end."""
    return content.rstrip(b"\xff") + _END


def lacks_little(content: bytes) -> bool:
    """Tell whether a JPEG that breaks off has nearly all of its pixels, which browsers show.

    A file in several scans, such as a progressive one, has something of each pixel long before it
    has all, so of those none is taken.

    Args:
        content: The file.

    Returns:
        Whether at least 98 % of the pixels are there, in a JPEG that can be scaled.
    """
    found = _headers(content)
    if found is None or content[found[0] + 1] not in _SCALABLE - {_PROGRESSIVE}:
        return False
    frame, scan = found
    try:
        if content[scan + 4] != content[frame + 9]:  # components in the scan, and in the frame
            return False
        image = Image.open(io.BytesIO(_shortened(content, frame)), formats=["JPEG"])
        image.draft(None, (1, 1))  # at an eighth
        image.load()  # fails where the file ends before the picture is full
    except Exception:  # or it is damaged in another way
        return False
    return True


def _shortened(content: bytes, frame: int) -> bytes:
    """Make a JPEG's header ask for only the part of the pixels that must be there.

    A scan is a row of equal blocks, and nothing in it depends on where a line of the picture ends.
    So the width and height can be any that hold the right number of blocks: a narrow, high picture
    comes closest.
    """
    height = int.from_bytes(content[frame + 5 : frame + 7])
    width = int.from_bytes(content[frame + 7 : frame + 9])
    components = content[frame + 9]
    sampling = content[frame + 11 : frame + 10 + 3 * components : 3]
    across = down = 8  # px of a block
    if components > 1:
        across *= max(factors >> 4 for factors in sampling)
        down *= max(factors & 15 for factors in sampling)
    columns, rows = math.ceil(width / across), math.ceil(height / down)
    lines = math.ceil(height / 8)  # at an eighth
    last = lines - (rows - 1) * down // 8  # blocks of the last row may reach below the picture
    may_lack = _MAY_LACK * lines
    lacking = may_lack / last if may_lack < last else 1 + (may_lack - last) * 8 / down  # in rows
    needed = columns * rows - int(columns * lacking)
    columns = math.ceil(needed / (_LONGEST_SIDE // down))
    rows = math.ceil(needed / columns)
    size = (rows * down).to_bytes(2) + (columns * across).to_bytes(2)
    return content[: frame + 5] + size + content[frame + 9 :].rstrip(b"\xff") + _PADDING
