"""Layouts of points in two dimensions."""

import numpy as np
import pytest

from vade_jax.reports.layout_2d import layout_2d

RNG = np.random.default_rng(0)


def test_groups_of_points_stay_groups_and_the_seed_decides():
    groups = np.repeat(np.arange(3), 20)
    points = 20 * RNG.normal(size=(3, 5))[groups] + RNG.normal(size=(60, 5))
    layout = layout_2d(points, seed=0)
    assert layout.shape == (60, 2)
    distances = np.linalg.norm(layout[:, None] - layout, axis=-1)
    np.fill_diagonal(distances, np.inf)
    np.testing.assert_array_equal(groups[distances.argmin(axis=1)], groups)
    np.testing.assert_array_equal(layout, layout_2d(points, seed=0))


@pytest.mark.parametrize("shape", [(40, 2), (9, 5)])
def test_few_points_and_two_dimensions_stay_as_they_are(shape):
    points = RNG.normal(size=shape)
    np.testing.assert_array_equal(layout_2d(points, seed=0), points[:, :2])


def test_one_dimension_and_equal_points_have_a_layout():
    np.testing.assert_array_equal(layout_2d(np.arange(20.0)[:, None], seed=0)[:, 1], 0)
    np.testing.assert_array_equal(layout_2d(np.ones((20, 5)), seed=0), np.ones((20, 2)))


@pytest.mark.parametrize("num_points", [10, 31])
def test_few_points_have_a_layout(num_points):
    assert np.isfinite(layout_2d(RNG.normal(size=(num_points, 4)), seed=0)).all()
