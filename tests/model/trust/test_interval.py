"""Wilson's interval against published values."""

import pytest

from model.trust.interval import wilson


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_the_published_one(right: int, count: int, low: float, high: float):
    """Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I."""
    assert wilson(right / count, count) == pytest.approx((low, high), abs=5e-5)


def test_a_perfect_split_still_leaves_doubt_which_more_photographs_lower():
    lows = [wilson(1.0, count)[0] for count in (1, 10, 1000)]
    assert lows == sorted(lows)
    assert 0.2 < lows[0] < lows[-1] < 1
    assert wilson(1.0, 10)[1] == pytest.approx(1)
