"""The likelihoods of x given z, and draws from them against float64 references."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
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


DRAWS = 20_000
draw_bernoulli, draw_gaussian = jax.jit(likelihoods.sample_x_bernoulli), jax.jit(likelihoods.sample_x_gaussian)


def test_bernoulli_draws_have_the_probabilities_of_the_logits():
    logits = np.array([-200.0, -4.0, -1.0, 0.0, 0.3, 2.0, 200.0])
    x = draw_bernoulli(jax.random.key(0), jnp.broadcast_to(jnp.float32(logits), (DRAWS, 7)))
    assert (x.shape, x.dtype) == ((DRAWS, 7), jnp.float32)
    x = np.asarray(x, np.float64)
    assert set(np.unique(x)) == {0.0, 1.0}
    probability = special.expit(logits)
    error = 5 * stats.bernoulli.std(probability) / DRAWS**0.5
    assert (np.abs(x.mean(0) - probability) <= error).all()
    correlations = np.corrcoef(x[:, 1:-1].T)
    assert np.abs(correlations - np.eye(5)).max() < 5 / DRAWS**0.5  # features are independent given z


def test_gaussian_draws_have_the_distribution_of_the_moments():
    mean, log_var = np.array([-3.0, 0.0, 1e3, 0.5]), np.array([-6.0, 0.0, 4.0, 1.0])
    moments = (jnp.broadcast_to(jnp.float32(part), (DRAWS, 4)) for part in (mean, log_var))
    x = np.asarray(draw_gaussian(jax.random.key(0), *moments), np.float64)
    for feature, (location, scale) in enumerate(zip(mean, np.exp(log_var / 2), strict=True)):
        assert stats.kstest(x[:, feature], stats.norm(location, scale).cdf).pvalue > 1e-3
    assert np.abs(np.corrcoef(x.T) - np.eye(4)).max() < 5 / DRAWS**0.5


def test_log_prob_of_draws_is_minus_the_entropy():
    mean, log_var = jax.random.normal(jax.random.key(1), (2, 6))
    scale = np.exp(np.asarray(log_var, np.float64) / 2)
    many = [jnp.broadcast_to(part, (DRAWS, 6)) for part in (mean, log_var)]
    gaussian = likelihoods.log_prob_x_gaussian(draw_gaussian(jax.random.key(0), *many), *many)
    bernoulli = likelihoods.log_prob_x_bernoulli(draw_bernoulli(jax.random.key(0), many[0]), many[0])
    entropies = stats.norm.entropy(scale=scale).sum(), stats.bernoulli.entropy(special.expit(np.float64(mean))).sum()
    for values, entropy in zip((gaussian, bernoulli), entropies, strict=True):
        values = np.asarray(values, np.float64)
        assert abs(values.mean() + entropy) < 5 * values.std() / DRAWS**0.5


def test_draws_are_the_same_under_vmap_and_float32_for_bfloat16():
    keys = jax.random.split(jax.random.key(0), 3)
    mean, log_var = jnp.zeros((4, 2), jnp.bfloat16), jnp.ones((4, 2), jnp.bfloat16)
    mapped = jax.vmap(likelihoods.sample_x_gaussian, (0, None, None))(keys, mean, log_var)
    one = likelihoods.sample_x_gaussian(keys[1], mean, log_var)
    assert one.dtype == likelihoods.sample_x_bernoulli(keys[1], mean).dtype == jnp.float32
    np.testing.assert_allclose(mapped[1], one, rtol=1e-6)


def test_float64_draws_are_float64_and_invert_to_standard_normals():
    mean, log_var = np.array([1e8, -2.0]), np.array([-20.0, 1.0])
    with jax.enable_x64(True):
        x = likelihoods.sample_x_gaussian(jax.random.key(0), mean, log_var)
        noise = jax.random.normal(jax.random.key(0), (2,), jnp.float64)
        assert likelihoods.sample_x_bernoulli(jax.random.key(0), mean).dtype == np.float64
    assert x.dtype == np.float64
    np.testing.assert_allclose(x, mean + np.exp(log_var / 2) * np.asarray(noise), rtol=1e-15)


def test_gaussian_draws_differentiate_through_the_moments():
    mean, log_var = jnp.zeros(5), jnp.full(5, 0.7)
    gradients = jax.grad(lambda *moments: likelihoods.sample_x_gaussian(jax.random.key(0), *moments).sum(), (0, 1))
    by_mean, by_log_var = gradients(mean, log_var)
    np.testing.assert_allclose(by_mean, np.ones(5))
    np.testing.assert_allclose(
        by_log_var, likelihoods.sample_x_gaussian(jax.random.key(0), mean, log_var) / 2, rtol=1e-6
    )


def test_gaussian_draws_name_both_shapes():
    with pytest.raises(ValueError, match=r"mean has shape \(2,\) and log_var \(1, 2\)"):
        likelihoods.sample_x_gaussian(jax.random.key(0), jnp.zeros(2), jnp.zeros((1, 2)))
