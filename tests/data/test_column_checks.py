"""Warnings about columns whose values float32 cannot tell apart, and about extreme values."""

import warnings

import numpy as np
import pytest

from vade_jax.data.column_checks import check_extreme_values, checked_values, warn_of_codes_for_gaps
from vade_jax.data.dataset import make_dataset
from vade_jax.system.errors import InputError

UNIT = np.random.default_rng(0).normal(size=(300, 3))


def test_columns_that_lose_distinct_values_are_named_in_one_line():
    times = 1.7e9 + np.arange(300.0)
    times[5] = 0
    x = np.column_stack([UNIT[:, 0], times, times[::-1]])
    with pytest.warns(UserWarning, match="distinct values") as caught:
        make_dataset(x, None, "x.csv", ("a", " t", "u"))
    assert len(caught) == 1
    assert "x.csv: float32 keeps few of the distinct values of the columns ' t' (4 of 300" in str(caught[0].message)
    assert ", u (" in str(caught[0].message)


@pytest.mark.parametrize(
    "x",
    [
        UNIT,
        1.7e9 + UNIT,
        np.random.default_rng(0).standard_cauchy((5000, 2)),
        100 + np.random.default_rng(0).random((100_000, 2)),
        np.tile([0.3, 0.1 + 0.2], 50)[:, None],  # equal but for rounding errors
        np.exp(5 * np.random.default_rng(0).normal(size=(5000, 2))),
        10.0 ** np.random.default_rng(0).uniform(-20, 0, (5000, 2)),
        np.where(np.random.default_rng(0).random((5000, 2)) < 0.005, 1e12, 0.0),
    ],
    ids=["normal", "times", "cauchy", "many rows", "rounding", "lognormal", "log-uniform", "rare events"],
)
def test_ordinary_values_and_heavy_tails_give_no_warning(x):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = make_dataset(x, None, "x")
        check_extreme_values(rows.x, (), "x")


def test_an_extreme_value_is_named_by_row_and_column():
    x = UNIT.astype(np.float32)
    x[17, 1] = -1e30
    with pytest.warns(UserWarning, match=r"x.csv: beside the extreme values -1e\+30 in row 17, column b, float32"):
        check_extreme_values(x, "abc", "x.csv")
    x[17] = 1e30
    with pytest.raises(InputError, match=r"x.csv with the extreme values 1e\+30 in row 17, column 0, .* rows that dif"):
        check_extreme_values(x, (), "x.csv")


def test_grey_values_and_constant_columns_are_not_extreme():
    check_extreme_values(np.array([[0, 255]] * 3, np.uint8), (), "x")
    check_extreme_values(np.array([[0, 1]] * 3 + [[1e30, 1]], np.float32), (), "x")


MASKED = np.ma.masked_array(UNIT[:3], mask=np.eye(3, dtype=bool) & (np.arange(3) > 0))


def test_masked_values_are_refused():
    words = "with 2 masked values .the first at .1, 1.., expected a value everywhere"
    with pytest.raises(InputError, match=f"X {words}"), checked_values(MASKED):
        pass
    with pytest.raises(InputError, match=r"X with 1 masked values"), checked_values(list(MASKED)):
        pass
    with pytest.raises(InputError, match=f"x.npy {words}"):
        make_dataset(MASKED, None, "x.npy")
    with checked_values(np.ma.masked_array(UNIT)):
        assert make_dataset(np.ma.masked_array(UNIT), None, "x").x.dtype == np.float32


def test_integers_that_float64_cannot_hold_are_refused():
    with (
        pytest.raises(InputError, match=r"^X: got a number that cannot be read \(int too large"),
        checked_values([[1]]),
    ):
        float(10**400)


AGES = np.array([18.0, 20, 31, 45, 62, 79])


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (
            [999, 999],
            "x.csv: these values may stand for gaps: 999 in 2 rows of the column age, whose other values are 18",
        ),
        ([-1, -1, -1], r"-1 in 3 rows .* 18 to 79\. If so, leave the fields empty, or write NaN\."),
        ([-99, -99, np.nan], "-99 in 2 rows"),
    ],
)
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_values_that_may_stand_for_gaps_are_named(codes, words, offset):
    x = np.concatenate([AGES, codes])[:, None] - offset
    with pytest.warns(UserWarning, match=words):
        warn_of_codes_for_gaps(x, np.array([offset]), ["age"], "x.csv")


@pytest.mark.parametrize(
    "column",
    [
        [*AGES, 999],  # one row
        [*AGES, 99, 99],  # near the others
        [0, 1, 2, 3, 4, 5, -1, -1],
        [1, 2, 3, 999, 999],  # a category
        [*AGES, 1000, 1000],
        np.random.default_rng(0).normal(size=50),
    ],
)
def test_ordinary_values_do_not_stand_for_gaps(column):
    warn_of_codes_for_gaps(np.array(column, np.float32)[:, None], None, (), "x.csv")
