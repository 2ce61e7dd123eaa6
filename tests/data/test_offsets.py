"""Offsets of columns: which columns get one, that nothing is lost with it, and that other columns keep their bits."""

import numpy as np
import pytest
from helpers.table_files import WRITE
from hypothesis import given
from hypothesis import strategies as st

from vade_jax.data import file_formats
from vade_jax.data.dataset import ExpectedColumns, ReadOptions, make_dataset
from vade_jax.data.offsets import add_offset, change_offset, choose_offset, source_limits, subtract_offset
from vade_jax.system import large_arrays

UNIT = np.random.default_rng(0).normal(size=(60, 1))


def offset_of(*columns):
    return choose_offset([np.column_stack(columns)])


@pytest.mark.parametrize("size", [8, 2**20])
def test_only_columns_that_float32_cannot_hold_get_an_offset(monkeypatch, size):
    monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", size)
    times = 1.7e9 + 300 * UNIT
    found = offset_of(times, UNIT, 500 + UNIT, 1e6 + np.arange(60), np.full(60, 0.1), -times)
    assert found.tolist() == [times.min(), 0, 0, 0, 0, (-times).min()]  # whole numbers up to 2^24 are exact
    assert offset_of(UNIT, 1e30 * UNIT, np.zeros(60)) is None


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float16, np.float32])
def test_dtypes_that_float32_holds_have_no_offset(dtype):
    assert choose_offset([(100 + np.arange(6).reshape(3, 2) / 64).astype(dtype)]) is None
    assert choose_offset([np.float32(1.7e9) + np.arange(6, dtype=np.float32).reshape(3, 2) * 128]) is None


def test_a_constant_column_has_an_offset_if_it_is_large():
    assert offset_of(np.full(3, 1.7e9 + 1), np.full(3, 0.1)).tolist() == [1.7e9 + 1, 0]


def test_a_column_with_an_infinite_value_has_no_offset():
    assert offset_of([1.7e9, np.nan, np.inf], [1.7e9, np.inf, 1.7e9 + 1], [np.nan, np.nan, np.nan]) is None


def test_gaps_do_not_change_the_offset():
    times = 1.7e9 + np.array([0, np.nan, 1, 0.5])
    assert offset_of(times, [1, np.nan, 2, 3]).tolist() == [1.7e9, 0]
    rows = make_dataset(times[:, None], None, "x")
    np.testing.assert_array_equal(rows.x[:, 0], [0, np.nan, 1, 0.5])


def test_the_first_split_that_needs_an_offset_gives_it():
    first, second = np.column_stack([UNIT, 1e9 + UNIT]), np.column_stack([2e9 + UNIT, 3e9 + UNIT])
    assert choose_offset([first, second]).tolist() == [second[:, 0].min(), first[:, 1].min()]


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_integers_beyond_those_of_float64_keep_their_differences(dtype):
    steps = np.array([[0], [1], [2], [1000]])
    x = (2**62 + 4096 + steps).astype(dtype)
    rows = make_dataset(x, None, "x")
    np.testing.assert_array_equal(np.diff(rows.x, axis=0), np.diff(steps, axis=0))
    assert subtract_offset(np.array([[0], [2**62]], dtype), np.array([2.0**62])).tolist() == [[-(2.0**62)], [0.0]]
    # an offset of other rows that is no integer of this dtype
    assert subtract_offset(np.array([[5]], dtype), np.array([0.5])).tolist() == [[4.5]]
    assert subtract_offset(np.array([[5]], dtype), np.array([-(2.0**70)])).tolist() == [[2.0**70]]


@given(st.floats(-1e12, 1e12), st.floats(1e-3, 1e3))
def test_no_value_moves_by_more_than_a_small_part_of_the_range(centre, unit):
    x = centre + unit * np.column_stack([UNIT, np.linspace(0, 1, 60)])
    rows = make_dataset(x, None, "x")
    moved = np.abs(add_offset(rows.x.astype(np.float64), rows.offset) - x).max(axis=0)
    assert (moved <= 1e-4 * np.ptp(x, axis=0) + np.spacing(np.abs(x).max())).all()


def test_an_offset_can_be_changed_and_added_back():
    x = np.array([[0, 1], [2, 3]], np.float32)
    old = np.array([1e9, 0])
    assert change_offset(x, old, None).tolist() == [[1e9, 1], [1e9, 3]]
    assert change_offset(x, old, np.array([1e9 + 2, 0])).tolist() == [[-2, 1], [0, 3]]
    assert change_offset(x, old, old) is x
    assert change_offset(x, None, None) is x
    assert add_offset(x, old.tolist()).tolist() == [[1e9, 1], [1e9 + 2, 3]]
    assert add_offset(x, None) is x
    assert source_limits(x, old) == (1, 1e9 + 2)
    assert source_limits(x, None) == (0, 3)


def test_images_and_integers_of_8_bits_have_no_offset():
    images = 1e9 + np.arange(8.0).reshape(2, 2, 2) * 64
    assert make_dataset(images, None, "x").offset is None
    rows = make_dataset(np.full((2, 2), 200, np.uint8), None, "x", offset=np.zeros(1))
    assert (rows.x.dtype, rows.offset) == (np.uint8, None)


CENTRES = np.array([1.7e9, 4.5e6, 1e8, 6.1e6])
UNITS = np.array([5, 0.01, 1, 0.05])
BLOBS = np.random.default_rng(0).normal(size=(50, 4))


@pytest.mark.parametrize("name", WRITE)
def test_large_values_are_centred_before_they_become_float32(tmp_path, name):
    x = CENTRES + BLOBS * UNITS
    WRITE[name](tmp_path / name, x)
    rows = file_formats.read(str(tmp_path / name))["train"]
    assert rows.x.dtype == np.float32
    np.testing.assert_allclose((rows.x + rows.offset - CENTRES) / UNITS, BLOBS, atol=1e-5)
    # one new row alone, far from the smallest value, is read with the offset of the training rows
    WRITE[name](tmp_path / name, x[7:8])
    options = ReadOptions(expected=ExpectedColumns(rows.names), prepared=rows.preparation)
    new = file_formats.read(str(tmp_path / name), options)["train"]
    np.testing.assert_array_equal(new.x, rows.x[7:8])
    np.testing.assert_array_equal(new.offset, rows.offset)


@pytest.mark.parametrize("name", WRITE)
def test_ordinary_values_have_no_offset(tmp_path, name):
    WRITE[name](tmp_path / name, BLOBS * 1e3 + 1e4)
    rows = file_formats.read(str(tmp_path / name))["train"]
    assert rows.offset is None
    np.testing.assert_array_equal(rows.x, (BLOBS * 1e3 + 1e4).astype(np.float32))


def test_splits_of_an_npz_share_their_offset(tmp_path):
    x = CENTRES + BLOBS * UNITS
    np.savez(tmp_path / "x.npz", x_train=x, x_test=x[:1] + 1e6)
    splits = file_formats.read(str(tmp_path / "x.npz"))
    np.testing.assert_array_equal(splits["train"].offset, splits["test"].offset)
    np.testing.assert_allclose(splits["test"].x[0] - splits["train"].x[0], 1e6)
