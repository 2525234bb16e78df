"""How far chance alone can move a measured share."""

import math

_Z = 1.959964  # a normal value lies within this many standard deviations in 95 % of cases


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share.

    Args:
        share: The measured share, 0-1.
        count: Number of photographs, 1 or more. They should be independent: if several show the
            same thing, the true interval is wider.

    Returns:
        Lower and upper bound, 0-1.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    middle = share + _Z**2 / (2 * count)
    half = _Z * math.sqrt(share * (1 - share) / count + _Z**2 / (4 * count**2))
    scale = 1 + _Z**2 / count
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
