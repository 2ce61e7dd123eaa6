"""Tables: what is read, the errors, and columns in another order."""

import numpy as np
import pandas as pd
import pytest
from helpers.runs import tiny
from sklearn.datasets import make_blobs

from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.data import column_names, file_formats
from vade_jax.data.dataset import ExpectedColumns, ReadOptions
from vade_jax.reports.results import summary
from vade_jax.system.errors import InputError

TABLE = pd.DataFrame(
    {
        "name": ["ann", "bob", "cid"],
        "age": [30, 41, 52],
        "height": [1.6, 1.7, 1.8],
        "left": [True, False, True],
        "kind": ["b", "a", "b"],
    }
)
WRITE = {
    ".csv": lambda path: TABLE.to_csv(path, index=False),
    ".tsv": lambda path: TABLE.to_csv(path, index=False, sep="\t"),
    ".parquet": lambda path: TABLE.to_parquet(path, index=False),
}


@pytest.mark.parametrize("ending", WRITE)
def test_table_is_read_with_labels_and_ids(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    WRITE[ending](path)
    rows = file_formats.read(str(path), ReadOptions("kind", "name"))["train"]
    np.testing.assert_allclose(rows.x, [[30, 1.6, 1], [41, 1.7, 0], [52, 1.8, 1]], rtol=1e-6)
    assert rows.x.dtype == np.float32
    assert rows.names == ("age", "height", "left")
    assert rows.labels.tolist() == [1, 0, 1]
    assert rows.ids.tolist() == ["ann", "bob", "cid"]
    assert rows.image_shape is None


IDS = ["00000", "1e5", "12345678901234567", "NA", "TRUE", "", "null", " x"]


@pytest.mark.parametrize("ending", WRITE)
def test_ids_are_read_to_the_letter(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    if ending == ".parquet":
        pd.DataFrame({"id": IDS, "a": range(8), "kind": IDS}).to_parquet(path)
    else:
        separator = "," if ending == ".csv" else "\t"
        path.write_text(
            "\n".join(separator.join(line) for line in [("id", "a", "kind"), *zip(IDS, "01234567", IDS, strict=True)])
        )
    rows = file_formats.read(str(path), ReadOptions("kind", "id"))["train"]
    assert rows.ids.tolist() == IDS
    assert [*rows.label_names, ""] == [*sorted(set(IDS) - {""}), ""]
    assert rows.labels[5] == -1
    assert rows.x[:, 0].tolist() == list(range(8))
    for_model = ReadOptions("", "id", expected=ExpectedColumns(("a",)))
    assert file_formats.read(str(path), for_model)["train"].ids.tolist() == IDS


def test_parquet_integers_beside_a_missing_one_are_ids_to_the_letter(tmp_path):
    numbers = pd.array([12345678901234567, None, 5], "Int64")
    pd.DataFrame({"id": numbers, "kind": numbers, "a": [1.0, 2.0, 3.0]}).to_parquet(tmp_path / "x.parquet")
    rows = file_formats.read(str(tmp_path / "x.parquet"), ReadOptions("kind", "id"))["train"]
    assert rows.ids.tolist() == ["12345678901234567", "", "5"]
    assert rows.label_names == ("5", "12345678901234567")
    assert rows.labels.tolist() == [1, -1, 0]
    pd.DataFrame({"id": [7, 8, 9], "a": [1.0, 2.0, 3.0]}).to_parquet(tmp_path / "y.parquet")
    assert file_formats.read(str(tmp_path / "y.parquet"), ReadOptions("", "id"))["train"].ids.tolist() == [7, 8, 9]


def test_integers_of_64_bits_are_not_rounded(tmp_path):
    pd.DataFrame({"a": [2**60, 2**60 + 1, 2**60 + 5]}).to_csv(tmp_path / "x.csv", index=False)
    rows = file_formats.read(str(tmp_path / "x.csv"))["train"]
    assert rows.x[:, 0].tolist() == [0, 1, 5]


def test_names_with_blanks_are_quoted(tmp_path):
    (tmp_path / "x.csv").write_text(" a,b\n1,2\n3,\n")
    with pytest.raises(InputError, match=r"rows of .*csv without the columns 'b ', expected"):
        file_formats.read(str(tmp_path / "x.csv"), ReadOptions(expected=ExpectedColumns((" a", "b "))))
    with pytest.raises(InputError, match=r"config.data.id_column: got 'a', expected a column of .*, which has ' a', b"):
        file_formats.read(str(tmp_path / "x.csv"), ReadOptions("", "a"))


def test_label_column_is_optional_for_a_trained_model(tmp_path):
    path = tmp_path / "x.csv"
    TABLE[["age", "name"]].to_csv(path, index=False)
    rows = file_formats.read(str(path), ReadOptions("kind", "name", expected=ExpectedColumns(("age",))))["train"]
    assert (rows.names, rows.labels) == (("age",), None)
    assert rows.ids.tolist() == ["ann", "bob", "cid"]


def test_match_columns_reorders_to_the_models_columns(tmp_path):
    TABLE[["left", "age", "height"]].to_csv(tmp_path / "x.csv", index=False)
    rows = file_formats.read(str(tmp_path / "x.csv"))["train"]
    ordered = column_names.match_columns(rows, ("age", "height", "left"), 3, "x.csv", "config.data.path")
    assert ordered.x[0].tolist() == pytest.approx([30, 1.6, 1])
    with pytest.raises(
        InputError, match=r"config.data.path: got rows of .* without the columns width, expected all of the model's 3 "
    ):
        column_names.match_columns(rows, ("age", "height", "width"), 3, "x.csv", "config.data.path")
    with pytest.raises(InputError, match=r"config.data.path: got rows of .* with 3 columns, expected the model's 4"):
        column_names.match_columns(rows, (), 4, "x.csv", "config.data.path")


def test_a_missing_integer_is_a_gap(tmp_path):
    frame = pd.DataFrame({"a": pd.array([1, 2, None], "Int64"), "nan": [1.0, 2.0, 3.0]})
    frame.to_parquet(tmp_path / "x.parquet")
    x = file_formats.read(str(tmp_path / "x.parquet"))["train"].x
    np.testing.assert_array_equal(x, np.float32([[1, 1], [2, 2], [np.nan, 3]]))
    frame[["nan"]].to_csv(tmp_path / "x.csv", index=False)  # 'nan' is a name here, although float('nan') works
    assert file_formats.read(str(tmp_path / "x.csv"))["train"].x.tolist() == [[1], [2], [3]]


def test_missing_pandas_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(InputError, match=r"pip install 'vade-jax\[tables\]'"):
        file_formats.read(str(tmp_path / "x.csv"))


KINDS = ["NA", "None", "b"]


@pytest.fixture(scope="module")
def clustered(tmp_path_factory):
    """A folder with a clustered table of three blobs, the table and the results."""
    folder = tmp_path_factory.mktemp("table")
    x, labels = make_blobs([60, 80, 100], n_features=4, cluster_std=0.5, random_state=0)
    frame = pd.DataFrame(x, columns=list("abcd"))
    frame["who"], frame["kind"] = [f"{number:05}" for number in range(240)], [KINDS[label] for label in labels]
    frame.loc[[3, 5], "kind"], frame.loc[7, "who"] = "", ""
    frame.to_csv(folder / "x.csv", index=False)
    config = tiny(
        data__name="file",
        data__path=str(folder / "x.csv"),
        data__label_column="kind",
        data__id_column="who",
        data__scaling="standardize",
        model__likelihood="gaussian_shared",
        model__num_clusters=3,
        pretrain__num_epochs=20,
        checkpoint__every_epochs=20,
    )
    return folder, frame, train(config, folder / "run")


def test_table_is_clustered_and_predicted(clustered):
    folder, frame, results = clustered
    assert results["accuracy"] > 0.95
    assert (results["scored_rows"], results["labelled_rows"]) == (240, 238)
    assert "rows without a label   2, left out of the scores" in summary(results)
    path = predict(folder / "run", "", str(folder / "out.csv"))
    answer = pd.read_csv(path, dtype={"id": str}, keep_default_na=False)
    probabilities = ["probability_0", "probability_1", "probability_2"]
    assert list(answer) == ["id", "cluster", *probabilities, "log_likelihood", "outlier"]
    assert answer["id"].tolist() == frame["who"].tolist()
    with np.load(folder / "run" / "assignments.npz") as assigned:
        np.testing.assert_array_equal(answer["cluster"], assigned["cluster"])
    np.testing.assert_allclose(answer.filter(like="probability").sum(axis=1), 1, atol=1e-5)


def test_new_rows_may_have_other_columns_and_no_label_or_id(clustered, capsys):
    folder, frame, _ = clustered
    frame[["d", "a", "c", "b"]].iloc[:7].to_csv(folder / "new.csv", index=False)
    answer = pd.read_parquet(predict(folder / "run", str(folder / "new.csv"), str(folder / "new.parquet")))
    with np.load(folder / "run" / "assignments.npz") as assigned:
        np.testing.assert_array_equal(answer["cluster"], assigned["cluster"][:7])
    assert "id" not in answer
    more = frame[["d", "a", "c", "b", "kind"]].iloc[:7].assign(kind=None, note="text")
    more.to_csv(folder / "more.csv", index=False)
    again = pd.read_parquet(predict(folder / "run", str(folder / "more.csv"), str(folder / "new.parquet")))
    pd.testing.assert_frame_equal(again, answer)
    assert capsys.readouterr().out == (
        f"{folder / 'more.csv'}: 1 columns that the model does not know are left out: note\n"
    )
    frame[["a", "b", "c"]].to_csv(folder / "fewer.csv", index=False)
    with pytest.raises(
        InputError, match=r"config.data.path: got rows of .* without the columns d, expected all of the model's 4 "
    ):
        predict(folder / "run", str(folder / "fewer.csv"), "")


def test_npz_keeps_ids_without_objects(clustered):
    folder, frame, _ = clustered
    with np.load(predict(folder / "run", "", str(folder / "out.npz"))) as answer:
        assert answer["id"].tolist() == frame["who"].tolist()
        assert answer["probabilities"].shape == (240, 3)


@pytest.mark.parametrize("name", ["out.txt", "nowhere/out.csv"])
def test_unwritable_output_is_rejected(clustered, name):
    folder, _, _ = clustered
    with pytest.raises(InputError, match=r"config.predict.output: got .*, expected a file that ends in one of \.csv"):
        predict(folder / "run", "", str(folder / name))
