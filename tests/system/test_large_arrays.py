"""Large arrays are kept in temporary files and processed in slices."""

import numpy as np
import pytest

from vade_jax.system import large_arrays


@pytest.mark.parametrize("max_bytes", [0, 2**20])
def test_empty_array_leaves_no_file(tmp_path, monkeypatch, max_bytes):
    monkeypatch.setattr(large_arrays, "_BYTES_IN_MEMORY", max_bytes)
    array = large_arrays.empty_array((3, 2), np.float32, tmp_path)
    assert isinstance(array, np.memmap) == (max_bytes == 0)
    assert (array.shape, array.dtype) == ((3, 2), np.float32)
    array[:] = [[1, 2], [3, 4], [5, 6]]
    assert array.sum() == 21
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("num_rows", [1, 3, 4, 9])
def test_row_slices_cover_all_rows_in_order(monkeypatch, num_rows):
    monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", 8)
    x = np.arange(2 * num_rows).reshape(num_rows, 2)
    parts = [x[rows] for rows in large_arrays.row_slices(x)]
    assert max(map(len, parts)) <= 4
    np.testing.assert_array_equal(np.concatenate(parts), x)


def test_row_slices_have_at_least_one_row(monkeypatch):
    monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", 1)
    assert list(large_arrays.row_slices(np.zeros((2, 5)))) == [slice(0, 1), slice(1, 2)]
