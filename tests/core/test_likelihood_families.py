"""Student-t, categorical and count likelihoods against scipy.stats: values, gradients, edges, types, and draws."""

import functools
from collections import namedtuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

import vade_jax

L, LEVELS = 3, 4


def negative_binomial(log_mean, log_dispersion):
    r = np.exp(-log_dispersion)
    return stats.nbinom(r, r / (r + np.exp(log_mean)))


def zero_inflated(x, log_mean, log_dispersion, zero_logits):
    counted = special.log_expit(-zero_logits) + negative_binomial(log_mean, log_dispersion).logpmf(x)
    return np.where(x == 0, np.logaddexp(special.log_expit(zero_logits), counted), counted)


def student_t(rng, shape):
    return rng.normal(size=shape), rng.normal(size=shape), rng.uniform(0.5, 30, shape)


def normal(count):
    return lambda rng, shape: tuple(rng.normal(size=(count, *shape)))


# The parameters of a shape [..., D], log p of each x, draws of x for a shape, the mean and the variance.
Family = namedtuple("Family", "parameters log_prob draw mean var")
FAMILIES = {
    "student_t": Family(
        student_t,
        lambda x, mean, log_scale, df: stats.t.logpdf(x, df, mean, np.exp(log_scale)),
        lambda rng, shape: rng.normal(size=shape) * 3,
        lambda mean, log_scale, df: mean,
        lambda mean, log_scale, df: np.exp(2 * log_scale) * df / (df - 2),
    ),
    "categorical": Family(
        lambda rng, shape: (rng.normal(size=(*shape, LEVELS)),),
        lambda x, logits: np.take_along_axis(
            special.log_softmax(logits, -1), np.broadcast_to(x, logits.shape[:-1])[..., None].astype(int), -1
        )[..., 0],
        lambda rng, shape: rng.integers(LEVELS, size=shape),
        lambda logits: special.softmax(logits, -1) @ np.arange(LEVELS),
        lambda logits: (
            special.softmax(logits, -1) @ np.arange(LEVELS) ** 2
            - (special.softmax(logits, -1) @ np.arange(LEVELS)) ** 2
        ),
    ),
    "poisson": Family(
        normal(1),
        lambda x, log_rate: stats.poisson.logpmf(x, np.exp(log_rate)),
        lambda rng, shape: rng.poisson(2, shape),
        np.exp,
        np.exp,
    ),
    "negative_binomial": Family(
        normal(2),
        lambda x, log_mean, log_dispersion: negative_binomial(log_mean, log_dispersion).logpmf(x),
        lambda rng, shape: rng.poisson(2, shape),
        lambda log_mean, log_dispersion: np.exp(log_mean),
        lambda log_mean, log_dispersion: np.exp(log_mean) + np.exp(log_dispersion + 2 * log_mean),
    ),
    "zero_inflated_negative_binomial": Family(
        normal(3),
        zero_inflated,
        lambda rng, shape: rng.poisson(2, shape),
        lambda m, a, zero: special.expit(-zero) * np.exp(m),
        lambda m, a, zero: (
            special.expit(-zero) * (np.exp(m) + np.exp(a + 2 * m) + np.exp(2 * m))
            - (special.expit(-zero) * np.exp(m)) ** 2
        ),
    ),
}
each_family = pytest.mark.parametrize("name", FAMILIES)


@functools.cache
def log_prob(name):
    return jax.jit(getattr(vade_jax, f"log_prob_x_{name}"))


def as_float64(*arrays):
    return [np.asarray(array, np.float64) for array in arrays]


@each_family
@pytest.mark.parametrize("leading", [(5,), (2, 0)])
@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(["float32", "bfloat16", "float64"]), data=st.just(6))
def test_log_prob_equals_scipys(name, leading, seed, dtype, data):
    rng = np.random.default_rng(seed)
    family = FAMILIES[name]
    with jax.enable_x64(dtype == "float64"):
        x = jnp.asarray(family.draw(rng, (*leading, data)), dtype)
        parameters = [jnp.asarray(p, dtype) for p in family.parameters(rng, (L, *leading, data))]
        result = log_prob(name)(x, *parameters)
    assert (result.shape, result.dtype) == ((L, *leading), np.float64 if dtype == "float64" else np.float32)
    expected = family.log_prob(*as_float64(x, *parameters)).sum(-1)
    np.testing.assert_allclose(result, expected, rtol=1e-10 if dtype == "float64" else 2e-5, atol=2e-5)


def test_counts_of_any_size_and_dispersion_equal_scipys():
    x = np.array([0, 1, 7, 300, 5000, 10**6])
    x, log_mean, log_dispersion = np.meshgrid(x, np.log([1e-3, 1, 250, 1e6]), [-18.0, -9, -4.7, -4.5, 0, 5])
    expected = negative_binomial(log_mean, log_dispersion).logpmf(x)
    poisson = stats.poisson.logpmf(x, np.exp(log_mean))
    nearly_poisson = log_dispersion < -17  # scipy's own difference of gammaln fails there
    spread = 1e-4 + 0.6 * np.exp(log_dispersion) * ((x - np.exp(log_mean)) ** 2 + x + 1)
    for dtype, tolerance, rounding in (("float64", 1e-9, 1e-14), ("float32", 1e-4, 3e-7)):
        with jax.enable_x64(dtype == "float64"):
            arrays = [jnp.asarray(a[..., None], dtype) for a in (x, log_mean, log_dispersion)]
            result = np.asarray(log_prob("negative_binomial")(*arrays), np.float64)
        rounded = rounding * (1 + x) * np.log(2 + x + np.exp(log_mean))  # the terms of a count x are as large
        error = np.where(nearly_poisson, result - poisson, result - expected)
        allowed = tolerance * np.abs(expected) + 10 * rounded + np.where(nearly_poisson, spread, 0)
        assert (np.abs(error) <= allowed).all()


def test_a_large_number_of_degrees_of_freedom_gives_the_gaussian():
    x, mean, log_scale = np.linspace(-3, 3, 7), np.full(7, 0.3), np.full(7, -0.5)
    gaussian = stats.norm.logpdf(x, mean, np.exp(log_scale)).sum()
    for df in (1e6, 1e12, 1e30):
        np.testing.assert_allclose(log_prob("student_t")(x, mean, log_scale, np.full(7, df)), gaussian, rtol=1e-4)


EDGES = {
    "student_t": ([0.0, 1e30, -1e30, 0.0], [[0.0, -1e30, 0.0, 0.0], [0.0, -3.0, 3.0, -40.0], [1e-3, 1.0, 1e8, 99.0]]),
    "categorical": ([0, 3, 1, 2], [[[0.0, 1e4, -1e4, 0.0]] * 4]),
    "poisson": ([0, 0, 5, 10**6], [[-np.inf, -200.0, 2.0, 14.0]]),
    "negative_binomial": ([0, 0, 5, 10**6], [[-200.0, 0.0, 2.0, 10.0], [-30.0, 30.0, -40.0, 1.0]]),
    "zero_inflated_negative_binomial": (
        [0, 0, 5, 10**6],
        [[-200.0, 0.0, 2.0, 10.0], [-30.0, 30.0, -40.0, 1.0], [-1e4, 1e4, -200.0, 5.0]],
    ),
}


@each_family
def test_values_and_gradients_are_finite_at_the_edges(name):
    x, parameters = EDGES[name]
    x, parameters = jnp.asarray(x, jnp.float32), [jnp.asarray(p, jnp.float32) for p in parameters]
    function = getattr(vade_jax, f"log_prob_x_{name}")
    value, gradients = jax.value_and_grad(lambda *p: function(x, *p), range(len(parameters)))(*parameters)
    assert np.isfinite(value)
    for gradient, parameter in zip(gradients, parameters, strict=True):
        assert np.isfinite(gradient).all(), (gradient, parameter)


@each_family
def test_gradients_equal_differences(name):
    rng, family, step = np.random.default_rng(1), FAMILIES[name], 1e-6
    x, parameters = family.draw(rng, (6,)), family.parameters(rng, (6,))
    with jax.enable_x64(True):
        function = getattr(vade_jax, f"log_prob_x_{name}")
        gradients = jax.grad(lambda *p: function(x, *p), range(len(parameters)))(*map(jnp.asarray, parameters))
    for number, gradient in enumerate(gradients):
        around = [[p + sign * step * (i == number) for i, p in enumerate(parameters)] for sign in (1, -1)]
        by_step = (family.log_prob(x, *around[0]) - family.log_prob(x, *around[1])) / (2 * step)
        summed = np.asarray(gradient) if gradient.shape == (6,) else np.asarray(gradient).sum(-1)
        np.testing.assert_allclose(summed, by_step, rtol=1e-5, atol=1e-5)


@each_family
def test_draws_have_the_moments_of_the_parameters(name):
    count, family = 20_000, FAMILIES[name]
    parameters = family.parameters(np.random.default_rng(3), (5,))
    if name == "student_t":
        parameters = (*parameters[:2], np.array([5.0, 8, 20, 100, 1e6]))
    many = [jnp.broadcast_to(jnp.float32(p), (count, *p.shape)) for p in parameters]
    x = jax.jit(getattr(vade_jax, f"sample_x_{name}"))(jax.random.key(0), *many)
    assert (x.shape, x.dtype) == ((count, 5), jnp.float32)
    x = np.asarray(x, np.float64)
    var = family.var(*parameters)
    assert (np.abs(x.mean(0) - family.mean(*parameters)) < 5 * np.sqrt(var / count)).all()
    fourth = ((x - x.mean(0)) ** 4).mean(0)
    assert (np.abs(x.var(0) - var) < 6 * np.sqrt(fourth / count)).all()
    assert np.abs(np.corrcoef(x.T) - np.eye(5)).max() < 5 / count**0.5
    if name != "student_t":
        assert (x == np.round(x)).all()
        assert (x >= 0).all()


@each_family
def test_shapes_that_do_not_match_are_named(name):
    parameters = FAMILIES[name].parameters(np.random.default_rng(0), (3,))
    with pytest.raises(ValueError, match=r"x has shape \(2,\)"):
        getattr(vade_jax, f"log_prob_x_{name}")(jnp.zeros(2), *map(jnp.asarray, parameters))
    if len(parameters) > 1:
        wrong = [*map(jnp.asarray, parameters[:-1]), jnp.zeros((1, 3))]
        with pytest.raises(ValueError, match=r"has shape \(3,\) and \w+ \(1, 3\)"):
            getattr(vade_jax, f"sample_x_{name}")(jax.random.key(0), *wrong)


def test_the_number_of_no_level_has_no_probability():
    logits = jnp.zeros((4, 3))
    values = [float(log_prob("categorical")(jnp.array([0.0, x, 0.0, 0.0]), logits)) for x in (2, 3, -1, np.nan)]
    assert np.isfinite(values[0])
    assert np.isnan(values[1:]).all()
