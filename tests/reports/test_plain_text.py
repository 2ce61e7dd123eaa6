"""Numbers and lists as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vade_jax.reports.plain_text import counted, fixed, listed, number, percent, probability


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-0.0, "0"),
        (13.0, "13.0"),
        (13.04, "13.0"),
        (0.7984, "0.798"),
        (-746.89, "-747"),
        (74310.2, "74,300"),
        (999.96, "1,000"),
        (1234567, "1,230,000"),
        (0.000123456, "0.000123"),
        (2.5e-7, "2.50·10⁻⁷"),
        (3.1e12, "3.10·10¹²"),
        (math.nan, "-"),
        (-math.inf, "-∞"),
    ],
)
def test_numbers_have_three_significant_digits_and_thousands_separators(value, text):
    assert number(value) == text


def test_more_digits_show_small_differences_of_large_numbers():
    assert number(1.7e9 + 5, 10) == "1,700,000,005"
    assert number(12.3456, 5) == "12.346"


@given(st.floats(1e-4, 1e7, exclude_max=True) | st.floats(-1e7, -1e-4, exclude_min=True))
def test_ordinary_numbers_have_no_exponent_and_the_right_value(value):
    text = number(value)
    assert "e" not in text
    assert float(text.replace(",", "").replace("·10⁷", "e7")) == pytest.approx(value, rel=0.0051)
    assert "·" not in text or abs(value) >= 9.995e6


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0"),
        (1, "100"),
        (0.12, "12"),
        (0.0042, "0.4"),
        (0.0996, "10"),
        (0.0994, "9.9"),
        (0.998, "99.8"),
        (0.99999, "more than 99.9"),
        (0.0002, "less than 0.1"),
    ],
)
def test_shares_are_percent(share, text):
    assert percent(share) == text


def test_probabilities_are_not_rounded_to_certainty():
    assert [probability(p) for p in (0, 0.004, 0.123, 0.994, 0.999, 1)] == [
        "0.00",
        "under 0.01",
        "0.12",
        "0.99",
        "over 0.99",
        "1.00",
    ]


def test_counts_and_lists():
    assert counted(1, "row") == "1 row"
    assert counted(1797, "row") == "1,797 rows"
    assert [listed(items) for items in ([], ["a"], ["a", 2], "abc")] == ["", "a", "a and 2", "a, b and c"]
    assert fixed(-12345.678, 1) == "-12,345.7"
