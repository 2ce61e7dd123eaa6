"""Output files hold the same rows in every format, and are written completely or not at all."""

import numpy as np
import pandas as pd
import pytest

from vade_jax.data import output_files
from vade_jax.system import large_arrays
from vade_jax.system.errors import InputError

COLUMNS = {
    "id": np.array(["a", "b", "c", "d", "e"], object),
    "cluster": np.arange(5, dtype=np.int32),
    "responsibilities": np.arange(10, dtype=np.float32).reshape(5, 2) / 8,
    "outlier": np.array([True, False, False, True, False]),
}
NAMES = {"responsibilities": ["p", "q"]}


@pytest.mark.parametrize(("ending", "read"), [(".csv", pd.read_csv), (".parquet", pd.read_parquet)])
@pytest.mark.parametrize("part", [2**25, 4])  # values: all rows at once, and two rows at a time
def test_table_has_a_line_for_each_row(tmp_path, monkeypatch, ending, read, part):
    monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", part)
    output_files.write(tmp_path / f"out{ending}", COLUMNS, NAMES)
    frame = read(tmp_path / f"out{ending}")
    assert list(frame) == ["id", "cluster", "p", "q", "outlier"]
    assert frame["id"].tolist() == COLUMNS["id"].tolist()
    np.testing.assert_array_equal(frame[["p", "q"]], COLUMNS["responsibilities"])
    assert frame["outlier"].tolist() == COLUMNS["outlier"].tolist()
    assert [path.name for path in tmp_path.iterdir()] == [f"out{ending}"]


def test_npz_holds_the_arrays_without_objects(tmp_path):
    output_files.write(tmp_path / "out.npz", COLUMNS, NAMES)
    with np.load(tmp_path / "out.npz") as loaded:
        assert loaded["id"].tolist() == COLUMNS["id"].tolist()
        np.testing.assert_array_equal(loaded["responsibilities"], COLUMNS["responsibilities"])


def test_columns_of_one_name_are_all_written_and_the_last_keeps_it(tmp_path):
    columns = {"cluster": np.arange(2), "log_likelihood": np.array([0.5, 0.25]), "x": np.arange(6).reshape(2, 3)}
    output_files.write(tmp_path / "out.csv", columns, {"x": ["cluster", "b", "cluster_vade"]})
    frame = pd.read_csv(tmp_path / "out.csv")
    assert list(frame) == ["cluster_vade_vade", "log_likelihood", "cluster", "b", "cluster_vade"]
    assert frame["cluster_vade_vade"].tolist() == [0, 1]
    assert frame["cluster"].tolist() == [0, 3]


@pytest.mark.parametrize("taken", ["id", "cluster", "p", "q", "outlier"])
def test_a_feature_keeps_its_name_beside_a_column_of_ours(tmp_path, taken):
    columns = {**COLUMNS, "x": np.arange(5.0)[:, None] + 10}
    output_files.write(tmp_path / "out.parquet", columns, {**NAMES, "x": [taken]})
    frame = pd.read_parquet(tmp_path / "out.parquet")
    ours = [f"{name}_vade" if name == taken else name for name in ["id", "cluster", "p", "q", "outlier"]]
    assert list(frame) == [*ours, taken]
    assert frame[taken].tolist() == [10, 11, 12, 13, 14]


@pytest.mark.parametrize("ending", [".CSV", ".Parquet", ".NPZ"])
def test_endings_are_compared_without_case(tmp_path, ending):
    path = tmp_path / f"out{ending}"
    output_files.check(path, "config.predict.output")
    output_files.write(path, COLUMNS, NAMES)
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    if ending == ".NPZ":
        with np.load(path) as loaded:
            np.testing.assert_array_equal(loaded["cluster"], COLUMNS["cluster"])
    else:
        read = pd.read_csv if ending == ".CSV" else pd.read_parquet
        assert read(path)["cluster"].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("ending", output_files.WRITERS)
def test_failed_write_keeps_the_old_file(tmp_path, monkeypatch, ending):
    path = tmp_path / f"out{ending}"
    path.write_text("old")

    def fail_after(partial, *_):
        partial.write_text("half")
        raise OSError("disk full")

    monkeypatch.setitem(output_files.WRITERS, ending, fail_after)
    with pytest.raises(OSError, match="disk full"):
        output_files.write(path, COLUMNS, NAMES)
    assert path.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == [f"out{ending}"]


@pytest.mark.parametrize("name", ["out.txt", "nowhere/out.csv", "folder.csv"])
def test_unwritable_path_is_rejected(tmp_path, name):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"^config.predict.output: got .*, expected a file that ends in one of \.csv"):
        output_files.check(tmp_path / name, "config.predict.output")
    output_files.check(tmp_path / "out.png", "config.generate.output", (".png",))
