"""Pandas frames whose columns are text, numbers and numbers as people write them."""

import numpy as np
import pandas as pd
import pytest

from vade_jax.data.frames import encoded_frame
from vade_jax.system.errors import InputError


def encoded(**columns):
    frame, levels = encoded_frame(pd.DataFrame(columns), for_training=True)
    return frame.to_numpy().tolist(), levels


def test_money_percent_and_separated_thousands_are_numbers():
    rows, levels = encoded(a=["$1,234.50", " $7 "], b=["45%", "3 %"], c=["1 000 000", 2])
    assert rows == [[1234.5, 45, 1e6], [7, 3, 2]]
    assert levels == ()


def test_decimal_commas_of_one_column_make_those_of_another_clear():
    rows, _ = encoded(a=["1,234", "2,345"], b=["0,5 €", "1.000,25 €"])
    assert rows == [[1.234, 0.5], [2.345, 1000.25]]


def test_gaps_and_categories_stay():
    rows, levels = encoded(a=["$5", None], b=["low", "high"])
    np.testing.assert_array_equal(rows, [[5, 1], [np.nan, 0]])
    assert levels == ((), ("high", "low"))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["$5", "45%"], r"a frame with two units in a column \('\$5' in the column a, row 0 and '45%' in the column a"),
        (["1,234", "2,345"], "a frame with numbers that can be thousands or not"),
    ],
)
def test_unclear_numbers_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        encoded(a=values)
