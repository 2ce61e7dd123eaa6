"""One error names every problem of a file."""

import numpy as np
import pytest

from vade_jax.data import column_names, splits
from vade_jax.data.dataset import Source, make_dataset
from vade_jax.data.problems import Problem, raise_problems
from vade_jax.runs.workdir import differing_rows
from vade_jax.settings.columns import read_levels
from vade_jax.system.errors import InputError


def test_one_problem_reads_like_any_error():
    raise_problems([], "x.csv")
    with pytest.raises(InputError, match=r"^config.data.path: got x.csv with a, expected b. Do it.$"):
        raise_problems([Problem("a", "b", "Do it.")], "x.csv")


def test_ten_problems_are_named_and_the_others_counted():
    problems = [Problem(f"p{number}", "b", "Do it.") for number in range(12)]
    with pytest.raises(
        InputError, match=r"got x with 12 problems: \(1\) p0, .*\(10\) p9 and 2 more, expected b. Do it.$"
    ):
        raise_problems(problems, "x")


X = np.array([[1, 0, np.nan], [2, 1, 3], [np.nan, np.nan, np.nan], [4, 0, 5]])
LEVELS = ((), ("no", "yes"), ())


def with_gaps(x=X):
    return make_dataset(x, None, "x.csv", ("a", "b", "c"), levels=LEVELS)


def test_rows_can_have_gaps_but_no_infinite_values():
    np.testing.assert_array_equal(with_gaps().x, X)
    with pytest.raises(InputError, match=r"1 values that are infinite or beyond .* row 1, column c"):
        with_gaps(np.where(X == 3, np.inf, X))


def test_levels_stay_with_their_columns():
    rows = column_names.match_columns(with_gaps(), ("b", "a"), 2, "x.csv", "config.data.path")
    assert rows.levels == (("no", "yes"), ())
    assert splits.select_split(Source({"a": rows, "b": rows}), "all", "f").levels == rows.levels


def test_splits_have_the_levels_of_all():
    other = with_gaps()._replace(levels=((), ("YES", "no"), ()))
    joined = splits.select_split(Source({"a": with_gaps(), "b": other}), "all", "f")
    assert joined.levels == ((), ("YES", "no", "yes"), ())
    np.testing.assert_array_equal(joined.x[:, 1], [1, 2, np.nan, 1, 0, 1, np.nan, 0])


def test_rows_whose_levels_have_other_names_are_other_rows():
    assert read_levels({}) == ()
    known = {"levels": [["no", "yes"], []]}
    assert read_levels(known) == (("no", "yes"), ())
    assert differing_rows(known, {"levels": (("no", "yes"), ())}) == ""
    assert differing_rows(known, {}) == "rows whose categories have other names"
