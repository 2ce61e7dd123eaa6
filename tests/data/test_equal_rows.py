"""Equal rows, against NumPy's comparison of all rows."""

import numpy as np
import pytest

from vade_jax.data.equal_rows import first_equal_rows, is_first
from vade_jax.system import large_arrays


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
def test_first_equal_rows_match_numpy(monkeypatch, dtype, order):
    monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", 50)  # equal rows lie in different slices
    x = np.random.default_rng(0).integers(0, 3, (300, 4)).astype(dtype, order=order)
    _, first, groups = np.unique(x, axis=0, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(first_equal_rows(x), first[groups])
    assert is_first(first_equal_rows(x)).sum() == len(first) < 100


def test_zeros_of_both_signs_are_equal(tmp_path):
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float32, (4, 2))
    x[:] = [[0.0, 1.0], [1.0, 0.0], [-0.0, 1.0], [0.0, 1.0 + 1e-7]]
    np.testing.assert_array_equal(first_equal_rows(x), [0, 1, 0, 3])
