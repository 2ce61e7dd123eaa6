"""Scaling from stored rows to the model's input, in one slice or several."""

import numpy as np
import pytest

from vade_jax.data.scaling import SCALINGS
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
