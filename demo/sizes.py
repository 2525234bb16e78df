"""Reads file sizes such as `10mb`. Nothing that this module imports makes temporary files."""

_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "b": 1}


def parse_size(text: str) -> int:
    """Read a file size such as `10mb`.

    Args:
        text: A number followed by `b`, `kb`, `mb` or `gb`, in upper or lower case.

    Returns:
        The size in bytes.

    Raises:
        ValueError: The text has another form, or the size is below 1 byte.
    """
    lowered = text.strip().lower()
    unit = next((unit for unit in _UNITS if lowered.endswith(unit)), "")
    try:
        size = round(float(lowered.removesuffix(unit)) * _UNITS[unit])
    except (KeyError, ValueError, OverflowError):
        raise ValueError(
            f"File size '{text}' must be a number followed by b, kb, mb or gb, such as 10mb."
        ) from None
    if size < 1:
        raise ValueError(f"File size '{text}' must be at least 1 byte.")
    return size
