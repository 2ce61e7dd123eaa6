"""Rows of many noisy columns are taken to principal components; other rows are left as they are."""

import numpy as np
import pytest

from vade_jax.initialization.denoising import fit_denoising
from vade_jax.initialization.neighbor_graphs import nearest_neighbors


def clusters_in_noise(num_noisy, offset=0.0):
    """Rows [400, 5 + num_noisy] of four clusters that differ in five columns, and their clusters."""
    rng = np.random.default_rng(0)
    clusters = np.arange(400) % 4
    signal = 3 * rng.normal(size=(4, 5))[clusters] + rng.normal(size=(400, 5))
    return np.hstack([signal, rng.normal(size=(400, num_noisy))]).astype(np.float32) + np.float32(offset), clusters


def agreement(rows, clusters):
    """The share of the ten nearest others of each row that are in its cluster."""
    _, neighbors = nearest_neighbors(rows, rows, 10, np.arange(len(rows)))
    return float((clusters[neighbors] == clusters[:, None]).mean())


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_neighbours_among_noisy_columns_are_of_the_same_cluster_after_denoising(offset):
    rows, clusters = clusters_in_noise(2000, offset)
    denoised = fit_denoising(rows, 4)(rows)
    assert denoised.shape == (400, 8)
    assert denoised.dtype == np.float32
    assert agreement(rows, clusters) < 0.65
    assert agreement(denoised, clusters) > 0.85


def test_new_rows_get_the_same_components():
    rows, _ = clusters_in_noise(2000)
    denoise = fit_denoising(rows, 4)
    np.testing.assert_allclose(denoise(rows[:7]), denoise(rows)[:7], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("shape", [(400, 128), (50, 400)], ids=["few columns", "columns of one signal"])
def test_rows_without_much_noise_are_left_as_they_are(shape):
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(shape[0], 3)) @ rng.normal(size=(3, shape[1])) + 0.1 * rng.normal(size=shape)
    assert fit_denoising(rows, 4)(rows) is rows


def test_columns_without_signal_keep_two_components_for_each_cluster_at_most_one_for_each_row():
    rows = np.random.default_rng(0).normal(size=(12, 300)).astype(np.float32)
    assert fit_denoising(rows, 3)(rows).shape == (12, 6)
    assert fit_denoising(rows, 10)(rows).shape == (12, 12)
