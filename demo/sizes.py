"""Sizes of files, as people write them. Nothing is imported here that makes temporary files."""

_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "b": 1}


def parse_size(text: str) -> int:
    """Read a file size such as `10mb`.

    Args:
        text: A number and `b`, `kb`, `mb` or `gb`, in either case.

    Returns:
        Bytes.

    Raises:
        ValueError: It is not such a text, or below 1 byte.
    """
    lowered = text.strip().lower()
    unit = next((unit for unit in _UNITS if lowered.endswith(unit)), "")
    try:
        size = round(float(lowered.removesuffix(unit)) * _UNITS[unit])
    except (KeyError, ValueError, OverflowError):
        raise ValueError(f"File size '{text}' is not a number with b, kb, mb or gb.") from None
    if size < 1:
        raise ValueError(f"File size '{text}' must be at least 1 byte.")
    return size
