"""The mixture prior's densities, responsibilities and draws, against float64 references."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.prior_references import (
    FUNCTIONS,
    Inputs,
    compiled,
    make_inputs,
    reference_expected_log_prob_z_given_c,
)
from helpers.references import (
    RANDOM,
    SIZES,
    all_finite,
    as_dtype,
    as_float64,
    assert_close,
    normal_log_prob,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from vade_jax.core import mixture_prior
from vade_jax.core.mixture_prior import GMMPrior

LEADING = [(), (5,), (2, 3)]


RESPONSIBILITIES = ["log_responsibilities", "optimal_log_responsibilities"]
each_function = pytest.mark.parametrize("name", FUNCTIONS)
each_responsibility = pytest.mark.parametrize("name", RESPONSIBILITIES)
random_inputs = st.builds(make_inputs, **RANDOM)
inputs_of_any_size = st.one_of(st.builds(functools.partial(make_inputs, **size), **RANDOM) for size in SIZES)


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


@pytest.mark.parametrize("clusters", [3, 100])
@each_responsibility
def test_responsibilities_sum_to_1_where_every_density_overflows(name, clusters):
    inputs = make_inputs((5,), clusters=clusters)
    q_c = np.exp(compiled(name)(inputs._replace(z=1e25 * inputs.z)))
    np.testing.assert_allclose(q_c.sum(axis=-1), 1, rtol=1e-5)
