"""Which JPEGs may be decoded at a part of their size."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that begin a frame; the other three define tables, or are not used."""

_SCALABLE = {0xC0, 0xC1, 0xC2}
"""Baseline, extended sequential and progressive, Huffman-coded: what cameras and browsers use."""

_START, _SCAN = 0xD8, 0xDA
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
    position, frames = 2, []
    if content[:2] != bytes([0xFF, _START]):
        return False
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _ALONE:
            position += 2
            continue
        if marker == _SCAN:
            return len(frames) == 1 and frames[0] in _SCALABLE
        length = int.from_bytes(content[position + 2 : position + 4])
        if marker in _FRAMES:
            header = content[position + 4 : position + 2 + length]
            if len(header) < 6 or header[0] != 8 or header[5] not in (1, 3, 4):
                return False
            frames.append(marker)
        position += 2 + max(length, 2)
    return False
