"""Levels of category columns: of numbers, of several data sets, and of a model."""

import numpy as np
import pytest

from vade_jax.data.dataset import Dataset, Source
from vade_jax.data.levels import indicator_columns, match_levels, named_columns, with_categories
from vade_jax.data.splits import select_split
from vade_jax.system.errors import InputError

NAN = np.nan


def rows_of(x, levels=(), names=("a", "b"), offset=None):
    return Dataset(np.array(x, np.float32), None, None, names, levels=levels, offset=offset)


def test_numbers_become_levels_in_their_order():
    rows = rows_of([[0, 10], [1, 2], [2, NAN], [3, 2.5]])
    found = with_categories(rows, [1], "X")
    assert found.levels == ((), ("2", "2.5", "10"))
    np.testing.assert_array_equal(found.x[:, 1], [2, 0, NAN, 1])
    np.testing.assert_array_equal(found.x[:, 0], rows.x[:, 0])
    assert with_categories(rows, [], "X") is rows
    again = match_levels(rows, found.levels, "X")
    np.testing.assert_array_equal(again.x, found.x)
    many = rows_of(np.arange(4004).reshape(2002, 2))
    with pytest.raises(InputError, match=r"^config.data.columns: got b=category, a column of X with 2002 different"):
        with_categories(many, [1], "X")


def test_a_year_with_an_offset_becomes_levels():
    found = with_categories(rows_of([[0, 0], [1, 2]], offset=np.array([0.0, 1.7e9])), [1], "X")
    assert found.levels == ((), ("1700000000", "1700000002"))
    assert found.offset.tolist() == [0, 0]


def test_levels_of_a_model_are_matched_by_their_names():
    model = ((), ("cat", "dog"))
    new = rows_of([[0, 0], [1, 1], [2, 2]], ((), ("ant", "cat", "dog")))
    with pytest.warns(UserWarning, match="new.csv with ant in the column b, which no training row has"):
        found = match_levels(new, model, "new.csv")
    np.testing.assert_array_equal(found.x[:, 1], [NAN, 0, 1])
    assert found.levels == model
    with pytest.raises(InputError, match=r"got new.csv with ant in the column b, .*, expected the levels of the train"):
        match_levels(new, model, "new.csv", takes_gaps=False)
    with pytest.raises(InputError, match=r"got new.csv with text in the column b, such as ant, expected numbers in it"):
        match_levels(new, (), "new.csv")


def test_splits_share_their_levels():
    source = Source({"one": rows_of([[0, 0]], ((), ("dog",))), "two": rows_of([[1, 0], [2, 1]], ((), ("cat", "dog")))})
    joined = select_split(source, "all", "field")
    assert joined.levels == ((), ("cat", "dog"))
    np.testing.assert_array_equal(joined.x, [[0, 1], [1, 0], [2, 1]])


def test_columns_are_written_with_the_names_of_levels():
    numbers, animals = named_columns(np.array([[1.5, 1], [2, NAN]]), ((), ("cat", "dog")), [10, 0])
    assert numbers.tolist() == [11.5, 12]
    assert animals.tolist() == ["dog", None]


def test_levels_are_columns_of_0_and_1_in_reports():
    told = indicator_columns(rows_of([[1.5, 1], [2, NAN]], ((), ("cat", "dog"))))
    assert told.names == ("a", "b = cat", "b = dog")
    np.testing.assert_array_equal(told.x, [[1.5, 0, 1], [2, NAN, NAN]])
