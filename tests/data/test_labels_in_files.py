"""Labels in files of every format: any text is a label, and a gap is none."""

import numpy as np
import pytest
from helpers.table_files import ROWS, frame, write_cells

from vade_jax.data import file_formats
from vade_jax.data.dataset import ReadOptions


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
