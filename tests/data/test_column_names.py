"""Columns by their names: in the order of the model, and none of them twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vade_jax.data.column_names import abbreviate, check_names, column_indices
from vade_jax.system.errors import InputError

NAMES = st.lists(st.text("abc", min_size=1, max_size=3), unique=True, min_size=1)


@given(NAMES, st.randoms())
def test_places_are_those_of_the_model_in_its_order(names, random):
    due = random.sample(names, random.randint(1, len(names)))
    assert [names[place] for place in column_indices(names, due, "x.csv")] == due


def test_missing_columns_are_an_error_and_print_nothing(capsys):
    with pytest.raises(InputError, match=r"^config.data.test_split: the rows lack c, d; the model was made for 3 "):
        column_indices(["a", "e"], ["a", "c", "d"], "x.csv", "config.data.test_split")
    assert capsys.readouterr().out == ""


def test_names_that_repeat_are_told_once_each():
    check_names(["a", "b"], "x.csv")
    with pytest.raises(InputError, match=r"x.csv has several columns called a, c; each must have a name of its own"):
        check_names(["a", "c", "a", "a", "b", "c"], "x.csv")


def test_many_names_are_cut_short():
    assert abbreviate(list("abc")) == "a, b, c"
    assert abbreviate(range(1300)).endswith("18, 19 and 1,280 more")
