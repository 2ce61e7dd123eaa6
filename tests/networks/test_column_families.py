"""Families of columns against scipy.stats: values, draws and edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vade_jax.networks.column_families import ColumnLogNormal

MIN_LOG_VAR = -6.0
FAMILY = ColumnLogNormal(MIN_LOG_VAR)
HEADS = jnp.array([[0.3, -1.0, 2.0]]), jnp.array([[-0.5, 0.4, -3.0]])
SD = np.exp(0.5 * (MIN_LOG_VAR + np.log1p(np.exp(np.asarray(HEADS[1], np.float64) - MIN_LOG_VAR))))
OF_SCIPY = stats.lognorm(SD, scale=np.exp(np.asarray(HEADS[0], np.float64)))


def test_positive_columns_are_log_normal():
    x = np.float32([[0.5, 1.0, 7.0], [20.0, 0.01, 9.0]])
    np.testing.assert_allclose(FAMILY.log_prob(x, *HEADS), OF_SCIPY.logpdf(x).sum(axis=-1), rtol=1e-5)
    np.testing.assert_allclose(FAMILY.log_prob_by_column(x, *HEADS), OF_SCIPY.logpdf(x), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(FAMILY.mean(*HEADS), OF_SCIPY.mean(), rtol=1e-5)
    np.testing.assert_allclose(FAMILY.features(x), np.log(x), rtol=1e-6)


def test_draws_have_the_moments_of_a_log_normal():
    drawn = np.asarray(FAMILY.sample(jax.random.key(0), *(jnp.broadcast_to(head, (100_000, 3)) for head in HEADS)))
    assert (drawn > 0).all()
    logs = np.log(drawn)
    np.testing.assert_allclose(logs.mean(axis=0), HEADS[0][0], atol=5 * SD.max() / 100_000**0.5)
    np.testing.assert_allclose(logs.std(axis=0), SD[0], rtol=0.02)


@pytest.mark.parametrize("x", [-1.0, 0.0, 1e-30, 1e30])
def test_values_at_the_edges_have_finite_densities_and_gradients(x):
    def log_prob(*heads):
        return FAMILY.log_prob(jnp.full((1, 3), x), *heads).sum()

    value, gradients = jax.value_and_grad(log_prob, (0, 1))(*HEADS)
    assert np.isfinite(value)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
    far = jnp.full((1, 3), 1e4), HEADS[1]
    assert np.isfinite(FAMILY.mean(*far)).all()
    assert np.isfinite(FAMILY.sample(jax.random.key(0), *far)).all()
