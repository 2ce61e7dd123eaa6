"""The likelihoods of x given z."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats

from vade_jax.core import likelihoods


def test_gradient_of_the_bernoulli_likelihood_is_x_minus_its_mean():
    x, logits = jnp.array([0.0, 1.0, 0.3, 0.0, 1.0, 1.0]), jnp.array([0.0, 0.0, 0.0, 1e4, 1e4, -1e4])
    gradient = jax.grad(likelihoods.log_prob_x_bernoulli, argnums=1)(x, logits)
    np.testing.assert_allclose(gradient, [-0.5, 0.5, -0.2, -1.0, 0.0, 1.0], atol=1e-7)


def test_bernoulli_likelihood_accepts_integer_pixels():
    x, logits = np.array([[0, 1, 1, 0]]), jnp.array([[0.3, -2.0, 5.0, 1.0]])
    expected = stats.bernoulli.logpmf(x, special.expit(np.float64(logits))).sum(-1)
    np.testing.assert_allclose(likelihoods.log_prob_x_bernoulli(jnp.asarray(x, jnp.uint8), logits), expected, rtol=1e-6)
