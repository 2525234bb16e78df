"""Which JPEGs can be decoded at reduced size, and which lack only a little at their end."""

import io
import math

from PIL import Image

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a frame; the three excluded ones define tables or are not used."""

_SCALABLE = {0xC0, 0xC1, 0xC2}
"""Markers of the Huffman-coded kinds that cameras and browsers use: baseline to progressive."""

_PROGRESSIVE = 0xC2

_START, _SCAN = 0xD8, 0xDA
_END = b"\xff\xd9"
_MAY_LACK = 0.02  # of the pixels
_PADDING = b"\xff\x00" * 8
"""The 64 bits that libjpeg reads ahead. A code never consists of 1s only, so they add hardly any
blocks."""

_LONGEST_SIDE = 65_500  # px, libjpeg's limit
_ALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length


def can_be_scaled(content: bytes) -> bool:
    """Return whether a JPEG can safely be decoded at reduced size.

    Pillow's `draft` allocates room for the smaller picture, but libjpeg cannot scale every kind: it
    writes a lossless frame (SOF3) at full size, beyond the end of that room. So only the kinds that
    are scaled in everyday use are accepted, with 8 bits and exactly one frame header, because
    Pillow and libjpeg could interpret two headers differently.

    Args:
        content: The file.

    Returns:
        Whether `draft` may be called. False if the header is not understood; the file may still be
        decoded at full size.

    Source: ITU-T T.81, "Digital compression and coding of continuous-tone still images", Annex B.
    """
    found = _headers(content)
    return found is not None and content[found[0] + 1] in _SCALABLE


def _headers(content: bytes) -> tuple[int, int] | None:
    """Return where a JPEG's only frame header and its first scan header begin.

    Returns None if the number of frames is not one, or a header is unusual.
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
    """Add an end marker to a truncated JPEG; libjpeg then makes up the missing pixels."""
    return content.rstrip(b"\xff") + _END


def lacks_little(content: bytes) -> bool:
    """Return whether a truncated JPEG still has nearly all of its pixels, as browsers show it.

    Files in several scans, such as progressive ones, are never accepted, because long before they
    are complete they contain something of every pixel.

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
        if content[scan + 4] != content[frame + 9]:  # the scan lacks some components of the frame
            return False
        image = Image.open(io.BytesIO(_shortened(content, frame)), formats=["JPEG"])
        image.draft(None, (1, 1))  # at an eighth
        image.load()  # fails if the file ends before the picture is full
    except Exception:  # the file is damaged in some other way
        return False
    return True


def _shortened(content: bytes, frame: int) -> bytes:
    """Change a JPEG's header to declare only the share of the pixels that must be present.

    A scan is a sequence of equal blocks, and nothing in it depends on where a line of the picture
    ends. So any width and height that hold the right number of blocks will do, and a narrow, tall
    picture comes closest to it.
    """
    height = int.from_bytes(content[frame + 5 : frame + 7])
    width = int.from_bytes(content[frame + 7 : frame + 9])
    components = content[frame + 9]
    sampling = content[frame + 11 : frame + 10 + 3 * components : 3]
    across = down = 8  # px per block
    if components > 1:
        across *= max(factors >> 4 for factors in sampling)
        down *= max(factors & 15 for factors in sampling)
    columns, rows = math.ceil(width / across), math.ceil(height / down)
    lines = math.ceil(height / 8)  # at an eighth of the size
    last = lines - (rows - 1) * down // 8  # the last row of blocks may extend below the picture
    may_lack = _MAY_LACK * lines
    lacking = may_lack / last if may_lack < last else 1 + (may_lack - last) * 8 / down  # in rows
    needed = columns * rows - int(columns * lacking)
    columns = math.ceil(needed / (_LONGEST_SIDE // down))
    rows = math.ceil(needed / columns)
    size = (rows * down).to_bytes(2) + (columns * across).to_bytes(2)
    return content[: frame + 5] + size + content[frame + 9 :].rstrip(b"\xff") + _PADDING
