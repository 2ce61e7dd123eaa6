"""Damaged and unusable files of every format raise a one-line error; unusual but valid rows are clustered."""

import os
import re
import zipfile

import anndata
import numpy as np
import pandas as pd
import pytest
from helpers.runs import tiny
from scipy.sparse import csr_matrix
from scipy.sparse import save_npz as save_matrix

from vade_jax.commands.train import train
from vade_jax.data import file_formats
from vade_jax.data.dataset import ExpectedColumns, ReadOptions
from vade_jax.system.errors import InputError

ROWS = np.arange(12, dtype=np.float64).reshape(6, 2)


def frame(x):
    return pd.DataFrame(x, columns=list("ab")[: x.shape[1]])


def write_cells(path, x, **obs):
    index = [f"cell {number}" for number in range(len(x))]
    cells = anndata.AnnData(x, obs=pd.DataFrame(obs, index=index), var=pd.DataFrame(index=list("ab")[: x.shape[1]]))
    cells.write_h5ad(path)


WRITE = {
    "x.npy": np.save,
    "x.npz": lambda path, x: np.savez(path, x=x),
    "sparse.npz": lambda path, x: save_matrix(path, csr_matrix(x)),
    "x.csv": lambda path, x: frame(x).to_csv(path, index=False),
    "x.tsv": lambda path, x: frame(x).to_csv(path, index=False, sep="\t"),
    "x.parquet": lambda path, x: frame(x).to_parquet(path),
    "x.h5ad": write_cells,
}


def rows_with(value):
    x = ROWS.copy()
    x[4, 1] = value
    return x


VALUES = {
    "nan": (rows_with(np.nan), r"1 values that are NaN.* row 4, column [b1]"),
    "inf": (rows_with(np.inf), r"1 values that are NaN.* row 4, column [b1]"),
    "-inf": (rows_with(-np.inf), r"1 values that are NaN.* row 4, column [b1]"),
    "1e300": (rows_with(1e300), r"1 values that are NaN.* row 4, column [b1]"),
    "no rows": (ROWS[:0], r"shape \(0, 2\)|holds no rows"),
    "no columns": (ROWS[:, :0], r"shape \(6, 0\)|cannot be read|holds no rows|sparse matrix"),
    "complex": (ROWS.astype(complex), "dtype complex128|not numeric|sparse matrix"),
    "text": (ROWS.astype(str), "dtype <U|not numeric|dtype"),
    "dates": (ROWS.astype("datetime64[s]"), "dtype datetime64|not numeric"),
}
IMPOSSIBLE = {
    *((name, values) for name in ("sparse.npz", "x.h5ad") for values in ("text", "dates")),
    *((name, "text") for name in ("x.csv", "x.tsv")),
    ("x.parquet", "complex"),
    ("x.h5ad", "1e300"),  # an integer, so it is read as a count
}


def assert_rejected(path, words, **data):
    """Training on the path raises a one-line error that matches words; nothing is written."""
    changes = {f"data__{name}": value for name, value in data.items()}
    workdir = path.parent / "run"
    with pytest.raises(InputError, match=words) as caught:
        train(tiny(data__name="file", data__path=str(path), **changes), workdir)
    line = str(caught.value)
    assert re.fullmatch(r"config\.data\.\w+: got .+, expected .+\. .+\.", line), line
    assert str(path) in line
    assert not workdir.exists()


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("name", WRITE)
def test_unusable_values_are_rejected(tmp_path, name, values):
    if (name, values) in IMPOSSIBLE:
        pytest.skip("this format cannot hold these values")
    x, words = VALUES[values]
    WRITE[name](tmp_path / name, x)
    assert_rejected(tmp_path / name, words)


@pytest.mark.parametrize("name", WRITE)
def test_damaged_and_missing_files_are_rejected(tmp_path, name):
    path = tmp_path / name
    assert_rejected(path, "cannot be read .*No such file")
    WRITE[name](path, ROWS)
    complete = path.read_bytes()
    text = path.suffix in (".csv", ".tsv")
    for damaged in (b"", b"\x00\xff\xfe" * 100, *(() if text else (complete[: len(complete) // 2],))):
        path.write_bytes(damaged)
        assert_rejected(path, "cannot be read|without a name|with several columns")
    path.unlink()
    path.mkdir()
    assert_rejected(path, "a folder without images")


@pytest.mark.parametrize("name", WRITE)
def test_files_without_permission_are_rejected(tmp_path, name):
    WRITE[name](tmp_path / name, ROWS)
    (tmp_path / name).chmod(0)
    if os.access(tmp_path / name, os.R_OK):
        pytest.skip("root reads everything")
    assert_rejected(tmp_path / name, "cannot be read .*[Pp]ermission")


def text(content):
    return lambda path: path.write_text(content)


def array(x):
    return lambda path: np.save(path, x, allow_pickle=True)


def write_huge_header(path):
    """A file with the header of an array of a petabyte, and no values."""
    with zipfile.ZipFile(path, "w") as file, file.open("x.npy", "w") as member:
        header = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 10**6)}
        np.lib.format.write_array_header_1_0(member, header)


def arrays(**named):
    return lambda path: np.savez(path, **named)


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("x.txt", text("1 2"), r"ends in \.txt, expected a folder of images, or a file that ends in one of \.npy"),
        ("x", text("1 2"), "ends in nothing"),
        ("x.npy", text("1,2"), "cannot be read"),
        ("x.npz", lambda path: path.write_bytes(b"PK\x03\x04 incomplete"), "cannot be read"),
        ("x.npy", array(np.array([{}, {}], object)), "cannot be read .*Python objects"),
        ("x.npz", arrays(x=np.array([{}, {}], object)), "cannot be read .*allow_pickle"),
        ("x.npy", array(np.float64(3)), r"shape \(\)"),
        ("x.npy", array(np.zeros(5)), r"shape \(5,\)"),
        ("x.npy", array(np.zeros((2, 2, 2, 2, 2))), "shape"),
        ("x.npy", array(np.zeros(3, [("a", float)])), "dtype"),
        ("x.npz", arrays(), "holds nothing"),
        ("x.npz", arrays(data=ROWS), "holds data"),
        ("x.npz", arrays(x=ROWS, y=np.zeros(5)), r"6 rows and labels of shape \(5,\)"),
        ("x.npz", arrays(x=ROWS, y=np.zeros((6, 1))), r"6 rows and labels of shape \(6, 1\)"),
        ("x.npz", arrays(x=ROWS, y=np.float64(1)), r"6 rows and labels of shape \(\)"),
        ("x.npz", arrays(x=ROWS, y=np.array([{}] * 6, object)), "cannot be read .*allow_pickle"),
        ("x.npz", arrays(x_train=ROWS, y=np.zeros(5)), r"array x_train with 6 rows and labels of shape \(5,\)"),
        (
            "x.npz",
            arrays(x_train=ROWS, x_test=ROWS, y=np.zeros(6)),
            "labels y beside the rows x_train, x_test,",
        ),
        (
            "x.npz",
            arrays(x_train=ROWS, y_test=np.zeros(6)),
            "labels y_test beside the rows x_train, .* labels y_train",
        ),
        (
            "x.npz",
            arrays(data=[1.0], indices=[0], indptr=[0, 1], shape=[2_000_000, 2_000_000]),
            r"shape \(2000000, 2000000\), which takes 14,901 GiB with its zeros, expected at most .* TMPDIR",
        ),
        ("x.npz", write_huge_header, r"the array x of shape \(1000000000, 1000000\) is larger than the memory"),
        ("x.npz", arrays(x=ROWS, x_train=ROWS), "with the arrays x and x_train, expected one array for the split"),
        (
            "x.npz",
            arrays(x=ROWS, data=[1.0], indices=[0], indptr=[0, 1], shape=[1, 2]),
            "with the arrays x and data",
        ),
        ("x.npz", lambda path: save_matrix(path, csr_matrix(ROWS).tocsc()), "sparse matrix .* format is 'csc'"),
        ("x.npz", arrays(data=[1.0], indices=[9], indptr=[0, 1], shape=[1, 2]), "sparse matrix that cannot be read"),
        ("x.npz", arrays(data=[1.0], indices=[0], indptr=[0, 5], shape=[1, 2]), "sparse matrix that cannot be read"),
        ("x.npz", arrays(data=[1.0], indices=[0], indptr=[0, 1], shape=5), "sparse matrix that cannot be read"),
        (
            "x.npz",
            arrays(data=[1.0], indices=[0], indptr=[0, 1], shape=[1, 2], format=[1, 2]),
            "sparse matrix that cannot be read",
        ),
        ("x.csv", text("\n\n"), "cannot be read"),
        ("x.csv", text("a,b\n"), "holds no rows"),
        ("x.csv", text("a,b\n1,2\n3,4,5,6\n"), "cannot be read .*line 3"),
        ("x.csv", text("a,b\n1,2,3\n4,5,6\n"), "with 2 names and lines of more values"),
        ("x.csv", text("a,b\n1\n3,4\n"), "1 values that are NaN.* row 0, column b"),
        ("x.csv", text("1,2\n3,4\n"), "columns 1, 2, expected a first line of names"),
        ("x.csv", text("a,b\n1,x\n3,4\n"), r"column 'b' is not numeric \(row 0 holds 'x'\)"),
        ("x.csv", text("a,b\n1,2\n3,\n5,?\n7,-\n"), r"column 'b' is not numeric \(row 2 holds '\?'\)"),
        ("x.csv", text("a,b\n1,2021-01-01\n"), "column 'b' is not numeric"),
        ("x.csv", text(f"a,b\n1,{10**60}\n2,3\n"), "not numeric|NaN"),
        ("x.csv", text("a;b\n1;2\n3;4\n"), "reads as one column, 'a;b', .* The separator looks like ';'"),
        ("x.csv", text("a;b\n1,5;2,5\n3,0;4,0\n"), "reads as one column, 'a;b', .* The separator looks like ';'"),
        ("x.tsv", text("a,b\n1,2\n3,4\n"), "reads as one column, 'a,b', .* The separator looks like ','"),
        ("x.csv", text("a,b,a\n1,2,3\n4,5,6\n"), "several columns called a,"),
        ("x.csv", text(",a,b\n0,1,2\n1,4,5\n"), r"a column without a name \('Unnamed: 0'\)"),
        ("x.csv", lambda path: path.write_bytes("a,b\n1,\xe4\n".encode("latin-1")), "cannot be read .*utf-8"),
        ("x.parquet", text("PAR1 no more"), "cannot be read"),
        ("x.parquet", lambda path: pd.DataFrame({"a": [[1], [2]]}).to_parquet(path), "column 'a' is not numeric"),
        ("x.h5ad", lambda path: anndata.AnnData(obs=pd.DataFrame(index=list("ab"))).write_h5ad(path), "cannot be read"),
    ],
)
def test_errors_say_what_is_wrong_and_expected(tmp_path, name, write, words):
    path = tmp_path / name
    write(path)
    assert_rejected(path, words)


@pytest.mark.parametrize(
    ("name", "fields", "words"),
    [
        ("x.csv", {"label_column": "c"}, "config.data.label_column: got 'c', expected a column of .*, which has a, b"),
        ("x.parquet", {"id_column": "c"}, "config.data.id_column: got 'c', expected a column of .*, which has a, b"),
        ("x.csv", {"label_column": "a", "id_column": "b"}, r"shape \(6, 0\)"),
        (
            "x.npy",
            {"label_column": "a"},
            "config.data.label_column: got 'a', expected no name, since the columns of .* have none",
        ),
        (
            "x.npz",
            {"id_column": "a"},
            "config.data.id_column: got 'a', expected no name, since the columns of .* have none",
        ),
        ("x.h5ad", {"label_column": "a"}, "config.data.label_column: got 'a', expected a column of .*, which has none"),
        *(
            (name, {"image_size": 28}, "config.data.image_size: got 28, expected 0 for .* not a folder")
            for name in WRITE
        ),
    ],
)
def test_settings_that_do_not_fit_the_file_are_rejected(tmp_path, name, fields, words):
    WRITE[name](tmp_path / name, ROWS)
    assert_rejected(tmp_path / name, words, **fields)


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.h5ad"])
@pytest.mark.parametrize("labels", [["a", "b", None, "b", "NA", "None"], [1.0, 2.0, np.nan, 2.0, 10.0, 3.0]])
def test_any_text_is_a_label_and_an_empty_cell_is_unlabelled(tmp_path, name, labels):
    if name == "x.h5ad":
        write_cells(tmp_path / name, ROWS, kind=labels)
    else:
        table = frame(ROWS).assign(kind=labels)
        table.to_csv(tmp_path / name, index=False) if name == "x.csv" else table.to_parquet(tmp_path / name)
    rows = file_formats.read(str(tmp_path / name), ReadOptions("kind"))["train"]
    if labels[0] == "a":
        assert rows.label_names == ("NA", "None", "a", "b")
        assert rows.labels.tolist() == [2, 3, -1, 3, 0, 1]
    else:
        assert [float(label) for label in rows.label_names] == [1, 2, 3, 10]
        assert rows.labels.tolist() == [0, 1, -1, 1, 3, 2]


def test_npz_labels_may_be_text_or_have_gaps(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=ROWS, y_train=[0, 1, 2, np.nan, 1, 2], x_test=ROWS, y_test=list("ab") * 3)
    splits = file_formats.read(str(tmp_path / "x.npz"))
    assert splits["train"].label_names == ("0", "1", "2")
    assert splits["train"].labels.tolist() == [0, 1, 2, -1, 1, 2]
    assert splits["test"].label_names == ("a", "b")


def test_labels_y_belong_to_the_only_rows(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=ROWS, y=[0, 1, 2, 0, 1, 2])
    assert file_formats.read(str(tmp_path / "x.npz"))["train"].labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_unrelated_arrays_of_an_npz_are_not_read(tmp_path):
    np.savez(tmp_path / "x.npz", x=ROWS, notes=np.array([{}, None], object), indices=np.array(["a"], object))
    np.testing.assert_array_equal(file_formats.read(str(tmp_path / "x.npz"))["train"].x, ROWS)


CENTRES = np.array([1.7e9, 4.5e6, 1e8, 6.1e6])
UNITS = np.array([5, 0.01, 1, 0.05])
BLOBS = np.random.default_rng(0).normal(size=(50, 4))
WRITE_FOUR = {
    "x.npy": np.save,
    "x.npz": lambda path, x: np.savez(path, x=x),
    "sparse.npz": lambda path, x: save_matrix(path, csr_matrix(x)),
    "x.csv": lambda path, x: pd.DataFrame(x, columns=list("abcd")).to_csv(path, index=False),
    "x.tsv": lambda path, x: pd.DataFrame(x, columns=list("abcd")).to_csv(path, index=False, sep="\t"),
    "x.parquet": lambda path, x: pd.DataFrame(x, columns=list("abcd")).to_parquet(path),
    "x.h5ad": lambda path, x: anndata.AnnData(
        x, obs=pd.DataFrame(index=list(map(str, range(len(x))))), var=pd.DataFrame(index=list("abcd"))
    ).write_h5ad(path),
}


@pytest.mark.parametrize("name", WRITE_FOUR)
def test_large_values_are_centred_before_they_become_float32(tmp_path, name):
    x = CENTRES + BLOBS * UNITS
    WRITE_FOUR[name](tmp_path / name, x)
    rows = file_formats.read(str(tmp_path / name))["train"]
    assert rows.x.dtype == np.float32
    np.testing.assert_allclose((rows.x + rows.offset - CENTRES) / UNITS, BLOBS, atol=1e-5)
    # one new row alone, far from the smallest value, is read with the offset of the training rows
    WRITE_FOUR[name](tmp_path / name, x[7:8])
    options = ReadOptions(expected=ExpectedColumns(rows.names), prepared=rows.preparation)
    new = file_formats.read(str(tmp_path / name), options)["train"]
    np.testing.assert_array_equal(new.x, rows.x[7:8])
    np.testing.assert_array_equal(new.offset, rows.offset)


@pytest.mark.parametrize("name", WRITE_FOUR)
def test_ordinary_values_have_no_offset(tmp_path, name):
    WRITE_FOUR[name](tmp_path / name, BLOBS * 1e3 + 1e4)
    rows = file_formats.read(str(tmp_path / name))["train"]
    assert rows.offset is None
    np.testing.assert_array_equal(rows.x, (BLOBS * 1e3 + 1e4).astype(np.float32))


def test_splits_of_an_npz_share_their_offset(tmp_path):
    x = CENTRES + BLOBS * UNITS
    np.savez(tmp_path / "x.npz", x_train=x, x_test=x[:1] + 1e6)
    splits = file_formats.read(str(tmp_path / "x.npz"))
    np.testing.assert_array_equal(splits["train"].offset, splits["test"].offset)
    np.testing.assert_allclose(splits["test"].x[0] - splits["train"].x[0], 1e6)


def test_normalize_is_a_setting_of_cells_alone(tmp_path):
    np.save(tmp_path / "x.npy", ROWS)
    assert_rejected(tmp_path / "x.npy", "config.data.normalize: got 'none', expected 'auto' for", normalize="none")


def test_empty_path_is_rejected():
    with pytest.raises(
        InputError, match=r"config.data.path: got an empty path, expected a folder of images, or a file"
    ):
        file_formats.read("")


@pytest.mark.parametrize(
    ("num_rows", "num_clusters", "words"),
    [
        (1, 1, "config.data.train_split: got 1 row, expected rows that differ"),
        (5, 6, "config.model.num_clusters: got 6, expected at most the number of rows, 5"),
    ],
)
def test_too_few_rows_for_a_run_are_rejected(tmp_path, num_rows, num_clusters, words):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(num_rows, 3)))
    config = tiny(data__name="file", data__path=str(tmp_path / "x.npy"), model__num_clusters=num_clusters)
    with pytest.raises(InputError, match=words):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


UNUSUAL = np.random.default_rng(0).normal(size=(70, 3))


@pytest.mark.parametrize(
    ("x", "num_clusters"),
    [
        (UNUSUAL[:, :1], 3),
        (UNUSUAL[:2], 2),
        (np.repeat(UNUSUAL[:2], 35, axis=0), 2),
        (np.column_stack([UNUSUAL, np.full(70, 0.1), 10**17 + np.arange(70)]), 3),
        (UNUSUAL * 1e36, 3),
        (np.random.default_rng(0).integers(0, 256, (70, 4, 4, 2), dtype=np.uint8), 3),
    ],
    ids=["one column", "two rows", "two rows repeated", "constant and huge", "all huge", "two channels"],
)
def test_unusual_rows_are_clustered(tmp_path, x, num_clusters):
    np.save(tmp_path / "x.npy", x)
    config = tiny(
        data__name="file",
        data__path=str(tmp_path / "x.npy"),
        data__scaling="standardize",
        model__likelihood="gaussian_shared",
        model__num_clusters=num_clusters,
        pretrain__num_epochs=1,
        train__num_epochs=1,
    )
    results = train(config, tmp_path / "run")
    assert np.isfinite([results["elbo"], results["log_likelihood"]]).all()
    assert sum(results["occupancy"]) == len(x)
