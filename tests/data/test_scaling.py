"""Scaling from stored rows to the model's input, in one slice or several."""

import numpy as np
import pytest

from vade_jax.data.scaling import (
    SCALINGS,
    Scaling,
    clip_to_unit_interval,
    count_outside,
    full_scale,
)
from vade_jax.system import large_arrays


@pytest.mark.parametrize("size", [1, 2**20])
def test_scalings_match_numpy(monkeypatch, size):
    monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", size)
    x = np.array([[0, 5, 7], [10, 5, 3], [4, 5, 255]], np.uint8)
    apply = {name: (x - shift) * scale for name, (shift, scale) in ((n, f(x)) for n, f in SCALINGS.items())}
    std = x.std(axis=0)
    np.testing.assert_allclose(apply["range"], x / 255, rtol=1e-6)
    np.testing.assert_allclose(apply["standardize"], (x - x.mean(axis=0)) / np.where(std > 0, std, 1), atol=1e-6)
    np.testing.assert_allclose(apply["rescale"], (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0).mean()), atol=1e-6)
    np.testing.assert_array_equal(apply["none"], x)


@pytest.mark.parametrize(
    ("largest", "scale"),
    [(1, 1), (2, 2), (3, 3), (4, 4), (5, 7), (8, 8), (9, 15), (16, 16), (17, 31), (100, 127), (128, 128), (200, 255)],
)
def test_grey_values_are_scaled_by_the_full_scale_of_their_bits(largest, scale):
    assert full_scale(largest) == scale
    grey = np.array([[largest // 2, largest], [largest, 1]], np.uint8)
    shift, factor = SCALINGS["range"](grey)
    np.testing.assert_array_equal((grey - shift) * factor, grey * (np.float32(1) / np.float32(scale)))
    shift, factor = SCALINGS["range"](grey.astype(np.float32))  # the range of other values is that of the rows
    assert ((grey - shift) * factor).max() == 1
    assert shift.item() == grey.min()


def test_values_outside_the_unit_interval_are_clipped_and_their_rows_counted(monkeypatch):
    monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", 4)
    x = np.array([[10, 20], [10 - 1e-6, 20 + 1e-6], [9, 15], [15, 15], [10, 31], [1e37, -1e37]], np.float32)
    scaling = Scaling(np.full((1, 2), 10, np.float32), np.full((1, 2), 0.1, np.float32))
    assert count_outside(x, scaling, np.zeros(1), np.ones(1)) == 3
    assert count_outside(x[[0, 1, 3]], scaling, np.zeros(1), np.ones(1)) == 0
    clipped = np.asarray(clip_to_unit_interval(scaling(x)))
    np.testing.assert_allclose(clipped, [[0, 1], [0, 1], [0, 0.5], [0.5, 0.5], [0, 1], [1, 0]], atol=2e-6)
    inside = np.array([-1e-7, 0, 0.3, 1, 1 + 1e-7], np.float32)
    np.testing.assert_array_equal(clip_to_unit_interval(inside), inside)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_constant_rows_stay_finite(scaling):
    shift, scale = SCALINGS[scaling](np.full((3, 2), 7, np.float32))
    assert np.isfinite((7 - shift) * scale).all()


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("size", [1e-42, 1e-38, 1e37])
def test_values_of_any_size_stay_finite(scaling, size):
    x = (size * np.array([[-1, 1], [1, 0.5], [0.2, -1]])).astype(np.float32)
    shift, scale = SCALINGS[scaling](x)
    assert scale.min() >= np.finfo(np.float32).tiny  # a smaller value is 0 on the device
    assert np.isfinite((x - shift) * scale).all()


def test_moments_far_from_zero_are_accurate(monkeypatch):
    monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", 7)
    x = 1e6 + np.random.default_rng(0).normal(size=(101, 1))
    shift, scale = SCALINGS["standardize"](x)
    np.testing.assert_allclose(1 / scale, x.std(axis=0, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(shift, x.mean(axis=0, keepdims=True))
