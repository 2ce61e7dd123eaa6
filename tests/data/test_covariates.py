"""Covariates of tables and cells: what they become, and how those of new rows are matched."""

import json

import numpy as np
import pandas as pd
import pytest

from vade_jax.data import file_formats, levels
from vade_jax.data.covariates import NO_COVARIATES, KnownCovariates, match_covariates, read_covariates
from vade_jax.data.dataset import ExpectedColumns, ReadOptions, Source, make_dataset
from vade_jax.data.fingerprints import digest
from vade_jax.data.splits import select_split
from vade_jax.system.errors import InputError

FRAME = pd.DataFrame(
    {
        "batch": ["b", "a", None, "b"],
        "plate": [3, 1, 3, 2],
        "age": [50.5, 20.25, np.nan, 31.0],
        "donor": pd.Categorical(["10", "2", "10", "2"]),
        "treated": [True, False, True, False],
    }
)


def read(entries, frame=FRAME):
    return read_covariates(frame, entries, "the table")


def test_text_and_few_whole_numbers_are_levels_and_other_columns_numbers():
    found = read(tuple(FRAME))
    assert found.names == tuple(FRAME)
    assert found.levels == (("a", "b"), ("1", "2", "3"), (), ("10", "2"), ("False", "True"))
    expected = [[1, 0, np.nan, 1], [2, 0, 2, 1], [50.5, 20.25, np.nan, 31], [0, 1, 0, 1], [1, 0, 1, 0]]
    np.testing.assert_array_equal(found.x, np.float32(expected).T)
    assert read(()) is None


def test_the_kind_can_be_given():
    found = read(("plate=number", "age=category", "donor=number"))
    assert found.levels == ((), ("20.25", "31", "50.5"), ())
    np.testing.assert_array_equal(found.x[:, 2], [10, 2, 10, 2])
    many = pd.DataFrame({"plate": range(30)})
    assert read(("plate",), many).levels == ()
    assert len(read(("plate=category",), many).levels[0]) == 30
    assert read(("a=number",), pd.DataFrame({"a=number": ["x", "y"]})).names == ("a=number",)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (("place",), "got 'place', expected a column of the table, which has batch, plate, age, donor, treated"),
        (("batch=number",), "got batch, a column of the table with values such as 'b', expected numbers"),
    ],
)
def test_columns_that_cannot_be_covariates_are_refused(entries, message):
    with pytest.raises(InputError, match=f"^config.data.covariates: {message}"):
        read(entries)


def test_a_name_in_every_row_is_no_covariate():
    with pytest.raises(
        InputError, match="got name, a column of the table with 1,001 different values, expected at most"
    ):
        read(("name",), pd.DataFrame({"name": [f"row {number}" for number in range(1001)]}))


def rows_with(covariates, num_rows=4):
    x = np.arange(2.0 * num_rows).reshape(num_rows, 2)
    return make_dataset(x, None, "rows", ("p", "q"))._replace(covariates=covariates)


def test_a_model_takes_the_covariates_behind_the_features():
    rows = rows_with(read(("plate", "age")))
    np.testing.assert_array_equal(rows.inputs[:, :2], rows.x)
    np.testing.assert_array_equal(rows.inputs[:, 2:], rows.covariates.x)
    bare = rows._replace(covariates=None)
    assert bare.inputs is bare.x
    other = rows_with(read(("plate", "age"), FRAME.assign(plate=[3, 1, 3, 3])))
    assert digest(rows.inputs) != digest(other.inputs)


def test_what_is_known_of_them_outlives_json():
    known = KnownCovariates.of_rows(rows_with(read(("batch", "age"))))
    described = json.loads(json.dumps(known.describe(), allow_nan=False))
    again = KnownCovariates.of_description(described)
    assert again[:2] == known[:2] == (("batch", "age"), (("a", "b"), ()))
    np.testing.assert_array_equal(again.mix, known.mix)
    assert again.entries == ("batch=category", "age=number")
    assert known.in_words() == "batch (2 levels), age (number)"
    assert KnownCovariates.of_description({}) == NO_COVARIATES == KnownCovariates.of_rows(rows_with(None))
    assert NO_COVARIATES.describe() == {}


def test_new_rows_get_the_levels_of_the_model_and_unknown_ones_are_counted():
    known = KnownCovariates.of_rows(rows_with(read(("batch", "age"))))
    new = FRAME.assign(batch=["c", "b", "c", "d"])
    with pytest.warns(
        UserWarning, match="new.csv with c, d in the column batch, .*: the model sees the mean of its levels .rows: 3."
    ):
        found = match_covariates(rows_with(read(("age", "batch=category"), new)), known, "new.csv").covariates
    assert (found.names, found.levels) == (("batch", "age"), (("a", "b"), ()))
    np.testing.assert_array_equal(found.x[:, 0], [np.nan, 1, np.nan, np.nan])
    numbers = match_covariates(rows_with(read(("plate",))), KnownCovariates(("plate",), (("1", "2", "3", "4"),)), "x")
    np.testing.assert_array_equal(numbers.covariates.x[:, 0], [2, 0, 2, 1])


def test_new_rows_without_covariates_are_refused():
    known = KnownCovariates(("batch",), (("a",),))
    with pytest.raises(
        InputError, match=r"got new.csv without covariates, expected the covariates of the training rows"
    ):
        match_covariates(rows_with(None), known, "new.csv")
    with pytest.raises(InputError, match="without the columns batch"):
        match_covariates(rows_with(read(("age",))), known, "new.csv")
    assert match_covariates(rows_with(None), NO_COVARIATES, "new.csv").covariates is None


def test_splits_are_joined_with_their_covariates():
    first, second = (rows_with(read(("batch",), FRAME.assign(batch=list(text)))) for text in ("abab", "cbcb"))
    joined = select_split(Source({"train": first, "test": second}), "train[:1]+test[:3]", "config.data.train_split")
    assert joined.covariates.levels == (("a", "b", "c"),)
    np.testing.assert_array_equal(joined.covariates.x[:, 0], [0, 2, 1, 2])
    part = select_split(Source({"train": first}), "train[:3]", "config.data.train_split")
    assert len(part.inputs) == 3
    with pytest.raises(InputError, match="with covariates in train, expected covariates in test too"):
        select_split(Source({"train": first, "test": rows_with(None)}), "all", "config.data.train_split")


def test_covariates_of_a_table_are_no_features(tmp_path):
    frame = FRAME.assign(p=[1.5, 2.0, 3.0, 4.0])[["p", "batch", "age"]]
    frame.to_csv(tmp_path / "x.csv", index=False)
    options = ReadOptions(covariates=("batch", "age"))
    rows = file_formats.read(str(tmp_path / "x.csv"), options)["train"]
    assert (rows.names, rows.covariates.names) == (("p",), ("batch", "age"))
    np.testing.assert_array_equal(rows.covariates.x, read(("batch", "age")).x)
    for_model = options._replace(expected=ExpectedColumns(("p",)), covariates=("batch=category", "age=number"))
    again = file_formats.read(str(tmp_path / "x.csv"), for_model)["train"]
    np.testing.assert_array_equal(again.inputs, rows.inputs)


def test_covariates_of_cells_are_columns_of_obs(tmp_path):
    anndata = pytest.importorskip("anndata")
    obs = FRAME.set_index(pd.Index(list("wxyz"))).assign(batch=pd.Categorical(FRAME["batch"]))
    anndata.AnnData(np.float32([[1.5, 2], [3, 4], [5, 6], [7, 8]]), obs=obs).write_h5ad(tmp_path / "x.h5ad")
    rows = file_formats.read(str(tmp_path / "x.h5ad"), ReadOptions(covariates=("batch", "plate")))["train"]
    np.testing.assert_array_equal(rows.covariates.x, read(("batch", "plate")).x)
    assert levels.levels_of(rows.covariates) == (("a", "b"), ("1", "2", "3"))
