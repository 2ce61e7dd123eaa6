"""Damaged and unusable files of every format raise a one-line error; unusual but valid rows are clustered."""

import os
import re
import zipfile

import anndata
import numpy as np
import pandas as pd
import pytest
from helpers.runs import tiny
from helpers.table_files import ROWS, WRITE
from scipy.sparse import csr_array, csr_matrix
from scipy.sparse import save_npz as save_matrix

from vade_jax.commands.train import train
from vade_jax.data import file_formats
from vade_jax.system.errors import InputError


def rows_with(value):
    x = ROWS.copy()
    x[4, 1] = value
    return x


VALUES = {
    "inf": (rows_with(np.inf), r"1 values that are infinite.* row 4, column [b1]"),
    "-inf": (rows_with(-np.inf), r"1 values that are infinite.* row 4, column [b1]"),
    "1e300": (rows_with(1e300), r"1 values that are infinite.* row 4, column [b1]"),
    "no rows": (ROWS[:0], r"shape \(0, 2\)|holds no rows"),
    "no columns": (ROWS[:, :0], r"shape \(6, 0\)|cannot be read|holds no rows|sparse matrix"),
    "complex": (ROWS.astype(complex), "dtype complex128|not numeric|sparse matrix|no column that can be used"),
    "text": (ROWS.astype(str), "dtype <U"),
    "dates": (ROWS.astype("datetime64[s]"), "dtype datetime64|no column that can be used: a .dates; --config"),
}
IMPOSSIBLE = {
    *((name, values) for name in ("sparse.npz", "x.h5ad") for values in ("text", "dates")),
    *((name, "text") for name in ("x.csv", "x.tsv", "x.parquet")),  # numbers, as text
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
        ("x.doc", text("1 2"), r"ends in \.doc, expected a folder of images, or a file that ends in one of \.npy"),
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
        (
            "x.npz",
            arrays(data=[1.0], indices=[0], indptr=[0, 1], shape=[1, 2], format="lil"),
            "sparse matrix .* format is 'lil'",
        ),
        (
            "x.npz",
            arrays(data=[1.0], row=[5], col=[0], shape=[1, 2], format="coo"),
            "sparse matrix that cannot be read .*index 5 exceeds",
        ),
        ("x.npz", arrays(data=[1.0], row=[0], col=[0], shape=[1, 2]), "sparse matrix that cannot be read .'ind"),
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
        ("x.csv", text("a,b\n1,2\n3,4,5,6\n"), r"1 lines of more values than the 2 names \(line 3 has 4\)"),
        ("x.csv", text("a,b\n1,2,3\n4,5,6\n"), "with 2 names and lines of more values"),
        ("x.csv", text("1,2\n3,4\n"), "columns 1, 2, expected a first line of names"),
        ("x.csv", text("a,b\n1,x\n3,4\n"), r"the column 'b', which is not numeric \(row 0 holds 'x'\)"),
        ("x.csv", text("b\n2021-01-01\n"), "no column that can be used: b .dates; --config.data.dates=number makes"),
        ("x.csv", text(f"a,b\n1,{10**60}\n2,3\n"), "1 values that are infinite or beyond .* row 0, column b"),
        ("x.csv", text("a,b,a\n1,2,3\n4,5,6\n"), "several columns called a,"),
        ("x.csv", text(",a,b\n0,1,2\n1,4,5\n"), r"a column without a name \('Unnamed: 0'\)"),
        ("x.csv", lambda path: path.write_bytes(b"a,b\n1,\xe4\0\n"), "cannot be read .it is no text"),
        ("x.parquet", text("PAR1 no more"), "cannot be read"),
        (
            "x.parquet",
            lambda path: pd.DataFrame({"a": [[1], [2]]}).to_parquet(path),
            "the column 'a', which is not numeric",
        ),
        ("x.h5ad", lambda path: anndata.AnnData(obs=pd.DataFrame(index=list("ab"))).write_h5ad(path), "without X"),
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


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("dtype", [np.int8, np.float64])
def test_sparse_matrices_of_every_format_are_read_with_their_labels(tmp_path, kind, dtype):
    parts = tmp_path / "parts.npz"
    for name, matrix in (("matrix", csr_matrix(ROWS.astype(dtype))), ("array", csr_array(ROWS.astype(dtype)))):
        save_matrix(parts, matrix.asformat(kind))
        with np.load(parts) as saved:
            np.savez(tmp_path / f"{name}.npz", **saved, y=np.arange(6) % 2)
        rows = file_formats.read(str(tmp_path / f"{name}.npz"))["train"]
        np.testing.assert_array_equal(rows.x, ROWS)
        assert rows.x.dtype == np.float32
        assert rows.labels.tolist() == [0, 1] * 3


def test_unrelated_arrays_of_an_npz_are_not_read(tmp_path):
    np.savez(tmp_path / "x.npz", x=ROWS, notes=np.array([{}, None], object), indices=np.array(["a"], object))
    np.testing.assert_array_equal(file_formats.read(str(tmp_path / "x.npz"))["train"].x, ROWS)


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
