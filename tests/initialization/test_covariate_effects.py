"""Rows without the effect of their covariates."""

import numpy as np

from vade_jax.initialization.covariate_effects import without_effects


def test_rows_of_each_level_have_the_same_mean_and_follow_no_number():
    rng = np.random.default_rng(0)
    level, number = rng.integers(0, 3, 200), rng.normal(size=200)
    x = rng.normal(size=(200, 5)) + 4 * level[:, None] + 2 * number[:, None]
    freed = without_effects(x, np.column_stack([np.eye(3)[level], number]))
    np.testing.assert_allclose(freed.mean(0), x.mean(0))
    for one in range(3):  # what is left is uncorrelated with the indicators and the number
        np.testing.assert_allclose((freed - x.mean(0))[level == one].sum(0), 0, atol=1e-9)
    np.testing.assert_allclose(number @ (freed - x.mean(0)), 0, atol=1e-9)


def test_rows_without_covariates_and_with_one_level_stay():
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    assert without_effects(x, np.zeros((20, 0))) is x
    same = without_effects(x, np.ones((20, 1)))
    np.testing.assert_allclose(same, x, rtol=1e-6)
    assert same.dtype == np.float32
