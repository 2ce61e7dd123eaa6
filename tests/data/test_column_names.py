"""Columns are found by their names, in the model's order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vade_jax.data.column_names import abbreviate, check_names, column_indices, match_columns
from vade_jax.data.dataset import make_dataset
from vade_jax.system.errors import InputError

NAMES = st.lists(st.text("abc", min_size=1, max_size=3), unique=True, min_size=1)


@given(NAMES, st.randoms())
def test_column_indices_follow_the_models_order(names, random):
    expected = random.sample(names, random.randint(1, len(names)))
    assert [names[index] for index in column_indices(names, expected, "x.csv")] == expected


def test_missing_columns_raise_and_print_nothing(capsys):
    with pytest.raises(
        InputError, match=r"^config.data.test_split: got rows of x.csv without the columns c, d, expected .* 3 columns"
    ):
        column_indices(["a", "e"], ["a", "c", "d"], "x.csv", "config.data.test_split")
    assert capsys.readouterr().out == ""


def test_matched_columns_keep_their_offsets():
    rows = make_dataset(np.array([[0.5, 1.7e9], [1.5, 1.7e9 + 1]]), None, "x", ("a", "b"))
    matched = match_columns(rows, ("b", "a"), 2, "x", "field")
    assert matched.offset.tolist() == [1.7e9, 0]
    assert matched.x.tolist() == [[0, 0.5], [1, 1.5]]


def test_images_of_another_shape_are_refused():
    images = make_dataset(np.zeros((2, 3, 2), np.uint8), None, "x")
    with pytest.raises(InputError, match=r"field: got x with images of 3 x 2 x 1, expected the .* of 2 x 3 x 1"):
        match_columns(images, (), 6, "x", "field", (2, 3, 1))
    assert match_columns(images, (), 6, "x", "field", (3, 2, 1)) is images


def test_repeated_names_raise_and_are_listed_once():
    check_names(["a", "b"], "x.csv")
    with pytest.raises(InputError, match=r"x.csv with several columns called a, c, expected a different name for each"):
        check_names(["a", "c", "a", "a", "b", "c"], "x.csv")


def test_abbreviate_lists_at_most_twenty_names_and_quotes_blanks():
    assert abbreviate(list("abc")) == "a, b, c"
    assert abbreviate(["a", " b", "c  d", "", "e\n"]) == "a, ' b', 'c  d', '', 'e\\n'"
    assert abbreviate(range(1300)).endswith("18, 19 and 1,280 more")
