"""The mixture prior's densities, responsibilities and draws, against float64 references."""

import functools
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.references import (
    RANDOM,
    SIZES,
    all_finite,
    as_dtype,
    as_float64,
    assert_close,
    expectation,
    log_joint,
    normal_log_prob,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from vade_jax.core import mixture_prior
from vade_jax.core.mixture_prior import GMMPrior

LEADING = [(), (5,), (2, 3)]


class Inputs(NamedTuple):
    """Arguments of every density: `z` is used both as z and as the mean of q(z|x)."""

    z: Any  # [..., J]
    z_log_var: Any  # [..., J]
    prior: GMMPrior


def make_inputs(leading=(5,), seed=0, clusters=4, latent=3, spread=1.0, dtype=jnp.float32):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return jnp.asarray(spread * rng.standard_normal(shape), dtype)

    prior = GMMPrior(normal(clusters), normal(clusters, latent), normal(clusters, latent))
    return Inputs(normal(*leading, latent), normal(*leading, latent), prior)


def reference_log_prob_z_given_c(inputs):
    return normal_log_prob(inputs.z[..., None, :], inputs.prior.means, inputs.prior.log_vars)


def reference_log_prob_z(inputs):
    densities = [
        stats.multivariate_normal(mean, np.diag(np.exp(log_var))).logpdf(inputs.z).reshape(inputs.z.shape[:-1])
        for mean, log_var in zip(inputs.prior.means, inputs.prior.log_vars, strict=True)
    ]
    return special.logsumexp(np.stack(densities, -1) + special.log_softmax(inputs.prior.logits), axis=-1)


def reference_log_responsibilities(inputs):
    return log_joint(inputs.z, inputs.prior) - reference_log_prob_z(inputs)[..., None]


def reference_expected_log_prob_z_given_c(inputs):
    return expectation(lambda z: reference_log_prob_z_given_c(inputs._replace(z=z)), inputs.z, inputs.z_log_var)


def reference_optimal_log_responsibilities(inputs):
    return special.log_softmax(expectation(lambda z: log_joint(z, inputs.prior), inputs.z, inputs.z_log_var), axis=-1)


# Name -> the function of Inputs and its reference. All return [..., K], except log_prob_c [K] and log_prob_z [...].
FUNCTIONS = {
    "log_prob_c": (lambda i: mixture_prior.log_prob_c(i.prior), lambda i: special.log_softmax(i.prior.logits)),
    "log_prob_z_given_c": (lambda i: mixture_prior.log_prob_z_given_c(i.z, i.prior), reference_log_prob_z_given_c),
    "log_prob_z": (lambda i: mixture_prior.log_prob_z(i.z, i.prior), reference_log_prob_z),
    "log_responsibilities": (
        lambda i: mixture_prior.log_responsibilities(i.z, i.prior),
        reference_log_responsibilities,
    ),
    "expected_log_prob_z_given_c": (
        lambda i: mixture_prior.expected_log_prob_z_given_c(*i),
        reference_expected_log_prob_z_given_c,
    ),
    "optimal_log_responsibilities": (
        lambda i: mixture_prior.optimal_log_responsibilities(*i),
        reference_optimal_log_responsibilities,
    ),
}
RESPONSIBILITIES = ["log_responsibilities", "optimal_log_responsibilities"]
each_function = pytest.mark.parametrize("name", FUNCTIONS)
each_responsibility = pytest.mark.parametrize("name", RESPONSIBILITIES)
random_inputs = st.builds(make_inputs, **RANDOM)
inputs_of_any_size = st.one_of(st.builds(functools.partial(make_inputs, **size), **RANDOM) for size in SIZES)


compiled_sample_prior = jax.jit(mixture_prior.sample_prior, static_argnums=2)


@functools.cache
def compiled(name):
    return jax.jit(FUNCTIONS[name][0])


@functools.cache
def compiled_gradient(name):
    """(inputs, weights) -> the gradient of the weighted sum of the results."""
    return jax.jit(jax.grad(lambda inputs, weights: jnp.sum(weights * FUNCTIONS[name][0](inputs))))


@pytest.mark.parametrize("leading", LEADING)
@each_function
def test_matches_the_float64_reference(name, leading):
    reference = FUNCTIONS[name][1]
    inputs = make_inputs(leading)
    result = compiled(name)(inputs)
    assert result.dtype == jnp.float32
    assert result.shape == leading * (name != "log_prob_c") + (4,) * (name != "log_prob_z")
    assert_close(result, reference(as_float64(inputs)), 1e-5)


@each_function
def test_float64_matches_the_reference_in_double_precision(name):
    function, reference = FUNCTIONS[name]
    inputs = as_float64(make_inputs())
    with jax.enable_x64(True):
        result = jax.jit(function)(inputs)
    assert result.dtype == np.float64
    assert_close(result, reference(inputs), 1e-12)


@each_function
def test_jit_vmap_and_single_rows_agree_with_the_batch(name):
    inputs = make_inputs((5,))
    batched = FUNCTIONS[name][0](inputs)
    assert_close(compiled(name)(inputs), batched, 1e-5)
    if name == "log_prob_c":
        return  # it takes only the prior
    assert_close(jax.vmap(compiled(name), in_axes=(Inputs(0, 0, None),))(inputs), batched, 1e-5)
    one_by_one = [compiled(name)(inputs._replace(z=inputs.z[n], z_log_var=inputs.z_log_var[n])) for n in range(5)]
    assert_close(jnp.stack(one_by_one), batched, 1e-5)


@each_function
def test_gradient_matches_finite_differences_of_the_reference(name):
    inputs, direction = make_inputs(seed=1), as_float64(make_inputs(seed=2))
    reference = FUNCTIONS[name][1]
    # Random weights, since equal ones cancel in sums over a softmax.
    weights = np.random.default_rng(3).standard_normal(reference(as_float64(inputs)).shape)

    def stepped(size):
        return (weights * reference(jax.tree.map(lambda a, b: a + size * b, as_float64(inputs), direction))).sum()

    gradient = compiled_gradient(name)(inputs, jnp.asarray(weights, jnp.float32))
    slope = sum(np.vdot(*pair) for pair in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    np.testing.assert_allclose(slope, (stepped(1e-6) - stepped(-1e-6)) / 2e-6, rtol=1e-4)


def many_clusters(shift=0.0):
    """More than `_FEW_CLUSTERS` clusters of different widths, spread like those of an embedding."""
    inputs = make_inputs(leading=(4, 30), clusters=mixture_prior._FEW_CLUSTERS + 36, latent=10)
    prior = inputs.prior._replace(means=3 * inputs.prior.means + shift)
    return inputs._replace(z=3 * inputs.z + shift, prior=prior)


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_many_clusters_match_the_float64_reference(shift):
    """A common shift of all clusters does not increase the rounding error of the matrix product."""
    inputs = many_clusters(shift)
    exact = as_float64(inputs)
    log_pz_given_c = reference_log_prob_z_given_c(exact)
    variances = np.exp(exact.z_log_var[..., None, :] - exact.prior.log_vars).sum(-1)
    log_p_c = special.log_softmax(exact.prior.logits)

    def close(actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-3)

    close(compiled("log_prob_z_given_c")(inputs), log_pz_given_c)
    close(compiled("log_prob_z")(inputs), special.logsumexp(log_pz_given_c + log_p_c, axis=-1))
    close(compiled("expected_log_prob_z_given_c")(inputs), log_pz_given_c - 0.5 * variances)
    for name, expected in [
        ("log_responsibilities", log_pz_given_c),
        ("optimal_log_responsibilities", log_pz_given_c - 0.5 * variances),
    ]:
        q_c = np.exp(compiled(name)(inputs))
        np.testing.assert_allclose(q_c, special.softmax(expected + log_p_c, axis=-1), atol=1e-3)


@pytest.mark.parametrize("name", ["log_prob_z", "optimal_log_responsibilities"])
def test_many_clusters_build_no_array_of_rows_by_clusters_by_dimensions(name):
    inputs = make_inputs(leading=(256,), clusters=1000, latent=10)
    compiled = jax.jit(jax.value_and_grad(lambda i: jnp.mean(FUNCTIONS[name][0](i)))).lower(inputs).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 4 * 256 * 1000 * 10


def test_log_prob_normal_is_the_diagonal_normal_density():
    x, mean, log_var = make_inputs(seed=4).z, *make_inputs(seed=5)[:2]
    assert_close(
        mixture_prior.log_prob_normal(x, mean, log_var), normal_log_prob(*as_float64((x, mean, log_var))), 1e-5
    )


@pytest.mark.parametrize("distance", [0.0, 1e3])
@each_responsibility
def test_cluster_weights_count_once_not_once_per_latent_dimension(name, distance):
    prior = GMMPrior(jnp.log(jnp.array([0.9, 0.1])), jnp.ones((2, 10)), jnp.ones((2, 10)))
    log_q_c = FUNCTIONS[name][0](Inputs(jnp.full(10, distance), jnp.zeros(10), prior))
    np.testing.assert_allclose(jnp.exp(log_q_c), [0.9, 0.1], rtol=1e-5)


@each_responsibility
def test_points_far_from_every_cluster_keep_correct_responsibilities(name):
    function, reference = FUNCTIONS[name]
    means = jnp.array([[0.0, 0.0], [2.0, -1.0], [-3.0, 4.0]])
    prior = GMMPrior(jnp.array([0.0, 1.0, -1.0]), means, jnp.zeros((3, 2)))
    z = jnp.array([[1000.0, 0.0], [0.0, -1000.0], [-1000.0, 1000.0], [1000.0, 1999.0]])
    inputs = Inputs(z, jnp.zeros_like(z), prior)
    log_q_c = function(inputs)
    expected = reference(as_float64(inputs))
    # float32 rounds log p(z|c) of about -1e6 to 0.1 nats, so differences are no more exact.
    np.testing.assert_allclose(log_q_c, expected, rtol=1e-4, atol=0.3)
    np.testing.assert_allclose(jnp.exp(log_q_c).sum(-1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(log_q_c.argmax(-1), expected.argmax(-1))
    assert float(jnp.exp(log_q_c).max(-1).min()) > 0.5  # a uniform posterior would be at 1/3


@pytest.mark.parametrize("shift", [-20.0, 0.0, 20.0])
def test_any_logits_and_log_vars_give_a_normalized_density(shift):
    prior = GMMPrior(*(jnp.asarray(array) for array in ([shift, 3.0, -50.0], [[0.0]] * 3, [[shift], [1.0], [-2.0]])))
    np.testing.assert_allclose(jnp.exp(mixture_prior.log_prob_c(prior)).sum(), 1.0, rtol=1e-6)
    # The points are dense at the narrowest cluster and reach the widest one, whose sigma is e^10.
    z = jnp.sinh(jnp.linspace(-30.0, 30.0, 20_001, dtype=jnp.float32)) * 1e-7
    mass = np.trapezoid(jnp.exp(mixture_prior.log_prob_z(z[:, None], prior)), z)
    np.testing.assert_allclose(mass, 1.0, rtol=1e-3)


def test_densities_halve_the_log_variance_and_include_all_constants():
    prior = GMMPrior(jnp.zeros(1), jnp.zeros((1, 2)), jnp.log(jnp.full((1, 2), 4.0)))
    at_the_mean = -np.log(2 * np.pi) - 2 * np.log(2.0)  # two dimensions of N(0 | 0, 4)
    np.testing.assert_allclose(mixture_prior.log_prob_z_given_c(jnp.zeros(2), prior), [at_the_mean], rtol=1e-6)
    np.testing.assert_allclose(mixture_prior.log_prob_z_given_c(jnp.full(2, 2.0), prior), [at_the_mean - 1], rtol=1e-6)
    expected = mixture_prior.expected_log_prob_z_given_c(jnp.zeros(2), jnp.log(jnp.full(2, 4.0)), prior)
    np.testing.assert_allclose(expected, [at_the_mean - 1], rtol=1e-6)


def test_latent_dimensions_are_summed_not_averaged():
    inputs = make_inputs((5,))
    twice = jax.tree.map(lambda array: jnp.concatenate([array, array], -1), inputs)
    twice = twice._replace(prior=twice.prior._replace(logits=inputs.prior.logits))
    for name in ("log_prob_z_given_c", "expected_log_prob_z_given_c"):
        function = FUNCTIONS[name][0]
        np.testing.assert_allclose(function(twice), 2 * function(inputs), rtol=1e-5)


EXTREMES = {
    "log_vars_20": {"log_vars": [20.0, 20.0, 20.0], "z_log_var": -20.0},
    "log_vars_-20": {"log_vars": [-20.0, -20.0, -20.0], "z_log_var": 20.0},
    "log_vars_of_both_signs": {"log_vars": [-20.0, 0.0, 20.0], "z_log_var": 0.0},
    "far": {"z": 1000.0},
    "far_and_narrow": {"z": 1000.0, "log_vars": [-20.0, -20.0, -20.0]},
    "a_weight_of_e^-50": {"logits": [0.0, 0.0, -50.0]},
}


@pytest.mark.parametrize("extreme", EXTREMES)
@each_function
def test_extremes_have_finite_values_and_gradients(name, extreme):
    case = {"z": 1.0, "z_log_var": 0.0, "logits": [0.0] * 3, "log_vars": [0.0] * 3} | EXTREMES[extreme]
    log_vars = jnp.broadcast_to(jnp.array(case["log_vars"])[:, None], (3, 2))
    prior = GMMPrior(jnp.array(case["logits"]), jnp.array([[0.0, 0.0], [1.0, 1.0], [-2.0, 3.0]]), log_vars)
    inputs = Inputs(jnp.full((4, 2), jnp.array(case["z"])), jnp.full((4, 2), jnp.array(case["z_log_var"])), prior)
    result = compiled(name)(inputs)
    assert all_finite((result, compiled_gradient(name)(inputs, jnp.ones_like(result))))
    # Responsibilities are differences of log densities, which float32 rounds in proportion to their size.
    size = np.abs(reference_expected_log_prob_z_given_c(as_float64(inputs))).max()
    np.testing.assert_allclose(result, FUNCTIONS[name][1](as_float64(inputs)), rtol=1e-4, atol=1e-6 * size)


@each_function
def test_bfloat16_inputs_are_computed_in_float32(name):
    function = FUNCTIONS[name][0]
    rounded = as_dtype(make_inputs((5,), latent=4096), jnp.bfloat16)
    exact = as_dtype(rounded, jnp.float32)
    mixed = rounded._replace(prior=exact.prior._replace(means=rounded.prior.means), z_log_var=exact.z_log_var)
    for inputs in (rounded, mixed):
        result = function(inputs)
        assert result.dtype == jnp.float32
        np.testing.assert_allclose(result, function(exact), rtol=1e-6)


SHAPE_MISTAKES = {
    "log_prob_c": (lambda z, p: mixture_prior.log_prob_c(p._replace(logits=z)), [(5, 2), (3, 2)]),
    "log_prob_z_given_c": (lambda z, p: mixture_prior.log_prob_z_given_c(z[:, :1], p), [(5, 1), (3, 2)]),
    "log_prob_z": (lambda z, p: mixture_prior.log_prob_z(z[0, 0], p), [(), (3, 2)]),
    "log_responsibilities": (lambda z, p: mixture_prior.log_responsibilities(z.T, p), [(2, 5), (3, 2)]),
    "expected_log_prob_z_given_c": (lambda z, p: mixture_prior.expected_log_prob_z_given_c(z, z[0], p), [(5, 2), (2,)]),
    "expected_log_prob_z_given_c, J": (
        lambda z, p: mixture_prior.expected_log_prob_z_given_c(z.T, z.T, p),
        [(2, 5), (3, 2)],
    ),
    "optimal_log_responsibilities": (
        lambda z, p: mixture_prior.optimal_log_responsibilities(z, z[0], p),
        [(5, 2), (2,)],
    ),
    "sample_prior": (
        lambda z, p: mixture_prior.sample_prior(jax.random.key(0), p._replace(means=z), ()),
        [(5, 2), (3, 2)],
    ),
}


@pytest.mark.parametrize("name", SHAPE_MISTAKES)
def test_shape_mistakes_name_both_shapes(name):
    mistake, shapes = SHAPE_MISTAKES[name]
    prior = GMMPrior(jnp.zeros(3), jnp.zeros((3, 2)), jnp.zeros((3, 2)))
    with pytest.raises(ValueError, match=re.escape(str(shapes[0]))) as error:
        mistake(jnp.zeros((5, 2)), prior)
    assert all(str(shape) in str(error.value) for shape in shapes)


@pytest.mark.parametrize("shape", [(), (2, 3)])
def test_sample_prior_has_the_given_shape(shape):
    z, c = compiled_sample_prior(jax.random.key(0), make_inputs().prior, shape)
    assert (z.shape, z.dtype) == ((*shape, 3), jnp.float32)
    assert (c.shape, c.dtype) == (shape, jnp.int32)


def test_sample_prior_draws_the_same_under_vmap():
    prior = make_inputs().prior
    keys = jax.random.split(jax.random.key(0), 2)
    z, c = jax.jit(jax.vmap(lambda key: mixture_prior.sample_prior(key, prior, (5,))))(keys)
    for n in range(2):
        one_z, one_c = compiled_sample_prior(keys[n], prior, (5,))
        np.testing.assert_allclose(z[n], one_z, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(c[n], one_c)


def test_sample_prior_has_the_frequencies_and_moments_of_the_mixture():
    # With K = J, noise shared by c and z would change the moments.
    prior = make_inputs(clusters=3).prior._replace(logits=jnp.log(jnp.array([0.2, 0.5, 0.3])))
    count = 30_000
    z, c = compiled_sample_prior(jax.random.key(1), prior, (count,))
    np.testing.assert_allclose(np.bincount(c) / count, [0.2, 0.5, 0.3], atol=5 * 0.5 / count**0.5)
    for cluster in range(3):
        draws = np.asarray(z[c == cluster], np.float64)
        scale = np.exp(np.asarray(prior.log_vars[cluster]) / 2)
        error = 5 * scale / len(draws) ** 0.5
        assert (np.abs(draws.mean(0) - prior.means[cluster]) < error).all()
        assert (np.abs(draws.std(0) - scale) < error).all()


def test_sample_prior_draws_from_the_given_cluster():
    prior = GMMPrior(jnp.zeros(3), jnp.array([[-100.0], [0.0], [100.0]]), jnp.zeros((3, 1)))
    key = jax.random.key(0)
    for cluster in (2, jnp.array([0, 1, 2]), np.array([[1], [2]])):
        z, c = mixture_prior.sample_prior(key, prior, (2, 3), cluster)
        np.testing.assert_array_equal(c, np.broadcast_to(cluster, (2, 3)))
        np.testing.assert_array_equal(jnp.round(z[..., 0] / 100), c - 1)


def test_sample_prior_differentiates_through_the_moments():
    prior = make_inputs().prior
    gradient = jax.jit(jax.grad(lambda p: mixture_prior.sample_prior(jax.random.key(0), p, (7,), 1)[0].sum()))(prior)
    np.testing.assert_allclose(gradient.means[1], 7.0)
    z, _ = mixture_prior.sample_prior(jax.random.key(0), prior, (7,), 1)
    np.testing.assert_allclose(gradient.log_vars[1], (z - prior.means[1:2]).sum(0) / 2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cluster", [-1, 3, np.int64(3)])
def test_sample_prior_rejects_a_cluster_out_of_range(cluster):
    prior = GMMPrior(jnp.zeros(3), jnp.zeros((3, 2)), jnp.zeros((3, 2)))
    with pytest.raises(ValueError, match=rf"cluster is {cluster}; .* 0 to 2"):
        mixture_prior.sample_prior(jax.random.key(0), prior, (), cluster)


@each_function
@settings(max_examples=8)
@given(inputs=inputs_of_any_size)
def test_every_size_and_type_matches_the_reference(name, inputs):
    result = compiled(name)(inputs)
    assert result.dtype == jnp.float32
    assert_close(result, FUNCTIONS[name][1](as_float64(inputs)), 1e-4)


@each_function
@settings(max_examples=3)
@given(inputs=inputs_of_any_size)
def test_every_size_and_type_agrees_with_and_without_jit(name, inputs):
    assert_close(FUNCTIONS[name][0](inputs), compiled(name)(inputs), 1e-4)


@given(inputs=random_inputs)
def test_probabilities_sum_to_one(inputs):
    for name in ("log_prob_c", *RESPONSIBILITIES):
        np.testing.assert_allclose(jnp.exp(FUNCTIONS[name][0](inputs)).sum(-1), 1.0, rtol=1e-5)


@given(inputs=random_inputs, order=st.permutations(range(4)))
def test_permuting_the_clusters_permutes_the_results(inputs, order):
    permuted = inputs._replace(prior=jax.tree.map(lambda array: array[jnp.array(order)], inputs.prior))
    for name, (function, _) in FUNCTIONS.items():
        result = function(inputs)
        expected = result[..., jnp.array(order)] if name != "log_prob_z" else result
        np.testing.assert_allclose(function(permuted), expected, rtol=1e-4, atol=1e-4)


@given(inputs=random_inputs, logit=st.floats(-50, 50, width=32))
def test_only_differences_of_logits_matter(inputs, logit):
    shifted = inputs._replace(prior=inputs.prior._replace(logits=inputs.prior.logits + logit))
    np.testing.assert_allclose(
        mixture_prior.log_prob_c(shifted.prior), mixture_prior.log_prob_c(inputs.prior), atol=1e-4
    )
