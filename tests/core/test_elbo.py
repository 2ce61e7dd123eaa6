"""The likelihoods and the bounds against float64 references: values, gradients, extremes, types, shapes, properties."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.references import (
    BATCH_AXES,
    ESTIMATORS,
    RANDOM,
    SIZES,
    D,
    J,
    K,
    L,
    Problem,
    all_finite,
    as_dtype,
    as_float64,
    assert_close,
    each_estimator,
    make_problem,
    normal_log_prob,
    reference_kl_c,
    reference_log_q_c,
    reference_log_weights,
    reference_second_form,
    reference_terms,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from vade_jax.core import elbo, likelihoods
from vade_jax.core.elbo import elbo_second_form, elbo_terms, elbo_terms_given_q_c, sample_z
from vade_jax.core.importance_weighted import importance_weighted_bound
from vade_jax.core.mixture_prior import log_responsibilities

# Name -> the function of a Problem, and its reference with the same leaves.
FUNCTIONS = {
    "log_prob_x_bernoulli": (
        lambda p: likelihoods.log_prob_x_bernoulli(p.x, p.logits),
        lambda p: (p.x * np.log(special.expit(p.logits)) + (1 - p.x) * np.log(special.expit(-p.logits))).sum(-1),
    ),
    "log_prob_x_gaussian": (
        lambda p: likelihoods.log_prob_x_gaussian(p.x, p.logits, p.log_var),
        lambda p: normal_log_prob(p.x, p.logits, p.log_var),
    ),
    "entropy_z": (
        lambda p: elbo.entropy_z(p.z_log_var),
        lambda p: stats.norm.entropy(scale=np.exp(p.z_log_var / 2)).sum(-1),
    ),
    "entropy_c": (lambda p: elbo.entropy_c(p.log_q_c), lambda p: special.entr(np.exp(p.log_q_c)).sum(-1)),
    "elbo_terms_given_q_c": (
        lambda p: elbo_terms_given_q_c(p.log_px, p.z_mean, p.z_log_var, p.prior, p.log_q_c),
        lambda p: reference_terms(p, p.log_q_c),
    ),
    "kl_cluster_posterior": (
        lambda p: elbo.kl_cluster_posterior(p.log_q_c, p.z, p.prior),
        lambda p: reference_kl_c(p, p.log_q_c),
    ),
    "importance_weighted_bound": (
        lambda p: importance_weighted_bound(*p[:5]),
        lambda p: special.logsumexp(reference_log_weights(p), axis=0) - np.log(len(p.z)),
    ),
}
for _e in ESTIMATORS:
    FUNCTIONS |= {
        f"log_cluster_posterior, {_e}": (
            lambda p, e=_e: elbo.log_cluster_posterior(*p[1:5], e),
            lambda p, e=_e: reference_log_q_c(p, e),
        ),
        f"elbo_terms, {_e}": (
            lambda p, e=_e: elbo_terms(*p[:5], e),
            lambda p, e=_e: reference_terms(p, reference_log_q_c(p, e)),
        ),
        f"elbo_second_form, {_e}": (
            lambda p, e=_e: elbo_second_form(*p[:5], e),
            lambda p, e=_e: reference_second_form(p, e),
        ),
    }
each_function = pytest.mark.parametrize("name", FUNCTIONS)
random_problems = st.builds(make_problem, **RANDOM)
problems_of_any_size = st.one_of(
    st.builds(functools.partial(make_problem, **size, data=data, draws=draws), **RANDOM)
    for size, data, draws in zip(SIZES, (1, 7, 7, 1), (1, 4, 1, 4), strict=True)
)


@functools.cache
def compiled(name):
    return jax.jit(FUNCTIONS[name][0])


@functools.cache
def compiled_gradient(name):
    """(problem, weights) -> the gradient of the weighted sum of the results."""

    def weighted(problem, weights):
        leaves = jax.tree.leaves(FUNCTIONS[name][0](problem))
        return sum(jnp.sum(weight * leaf) for weight, leaf in zip(weights, leaves, strict=True))

    return jax.jit(jax.grad(weighted))


@pytest.mark.parametrize("leading", [(), (5,), (2, 3)])
@each_function
def test_matches_the_float64_reference(name, leading):
    problem = make_problem(leading)
    result = compiled(name)(problem)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(result))
    assert_close(result, FUNCTIONS[name][1](as_float64(problem)), 2e-5)


@each_function
def test_vmap_and_single_rows_agree_with_the_batch(name):
    problem = make_problem((5,))
    batched = compiled(name)(problem)
    batch_axis = 1 if name.startswith("log_prob_x") else 0  # the likelihoods keep L as the first axis
    vmapped = jax.jit(jax.vmap(FUNCTIONS[name][0], in_axes=(BATCH_AXES,), out_axes=batch_axis))(problem)
    assert_close(vmapped, batched, 1e-5)
    for n in range(5):
        one = Problem(*(a if axis is None else a.take(n, axis) for a, axis in zip(problem, BATCH_AXES, strict=True)))
        assert_close(compiled(name)(one), jax.tree.map(lambda a, n=n: a.take(n, batch_axis), batched), 1e-5)


@each_function
def test_gradient_matches_finite_differences_of_the_reference(name):
    problem, direction = make_problem(seed=1), as_float64(make_problem(seed=2))
    reference = FUNCTIONS[name][1]
    rng = np.random.default_rng(3)  # random, since equal weights cancel in sums over a softmax
    weights = [rng.standard_normal(leaf.shape) for leaf in jax.tree.leaves(reference(as_float64(problem)))]

    def stepped(size):
        leaves = jax.tree.leaves(reference(jax.tree.map(lambda a, b: a + size * b, as_float64(problem), direction)))
        return sum((weight * leaf).sum() for weight, leaf in zip(weights, leaves, strict=True))

    gradient = compiled_gradient(name)(problem, as_dtype(weights, jnp.float32))
    slope = sum(np.vdot(*pair) for pair in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True))
    np.testing.assert_allclose(slope, (stepped(1e-5) - stepped(-1e-5)) / 2e-5, rtol=1e-4)


def fill(record, **values):
    """Returns the named tuple with some fields filled with constants."""
    return record._replace(**{field: jnp.full_like(getattr(record, field), values[field]) for field in values})


def fill_prior(problem, **values):
    return problem._replace(prior=fill(problem.prior, **values))


EXTREMES = {
    "broad_q_narrow_p": lambda p: fill_prior(fill(p, z_log_var=20), log_vars=-20),
    "narrow_q_broad_p": lambda p: fill_prior(fill(p, z_log_var=-20), log_vars=20),
    "far_from_every_cluster": lambda p: fill(p, z=1e3, z_mean=1e3),
    "far_and_narrow": lambda p: fill_prior(fill(p, z=1e3, z_mean=1e3), log_vars=-20),
    "a_weight_of_e^-50": lambda p: p._replace(prior=p.prior._replace(logits=jnp.array([0.0, 0.0, 0.0, -50.0]))),
    "one_hot_q_c": lambda p: p._replace(log_q_c=jnp.log(jnp.eye(K)[:1].repeat(5, 0))),
    "white_and_saturated": lambda p: fill(p, x=1, logits=1e4, log_var=20),
    "white_and_wrong": lambda p: fill(p, x=1, logits=-1e4, log_var=-20),
    "black_and_wrong": lambda p: fill(p, x=0, logits=1e4, log_var=20),
    "black_and_undecided": lambda p: fill(p, x=0, logits=0, log_var=-20),
}


@pytest.mark.parametrize("extreme", EXTREMES)
@each_function
def test_extremes_have_finite_values_and_gradients(name, extreme):
    problem = EXTREMES[extreme](make_problem())
    result = compiled(name)(problem)
    gradient = compiled_gradient(name)(problem, [jnp.ones_like(leaf) for leaf in jax.tree.leaves(result)])
    results = jax.tree.leaves(result)
    if name == "elbo_terms_given_q_c":
        results.pop()  # log_q_c is returned as it was given, with -inf
    assert all_finite((results, gradient))


@each_function
def test_bfloat16_inputs_are_computed_in_float32(name):
    rounded = as_dtype(make_problem((2,), latent=256, data=4096), jnp.bfloat16)
    exact = as_dtype(rounded, jnp.float32)
    mixed = exact._replace(z=rounded.z, z_log_var=rounded.z_log_var, x=rounded.x, log_var=rounded.log_var)
    expected = FUNCTIONS[name][0](exact)
    for problem in (rounded, mixed):
        result = FUNCTIONS[name][0](problem)
        assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(result))
        assert_close(result, expected, 1e-6)


@pytest.mark.parametrize(
    ("name", "field", "shape", "other"),
    [
        ("log_prob_x_bernoulli", "x", (5, 1), (L, 5, D)),
        ("log_prob_x_bernoulli", "x", (4, D), (L, 5, D)),
        ("log_prob_x_bernoulli", "x", (), (L, 5, D)),
        ("log_prob_x_gaussian", "x", (5, 1), (L, 5, D)),
        ("log_prob_x_gaussian", "log_var", (5, D), (L, 5, D)),
        ("log_cluster_posterior, sample", "z", (L, 4, J), (5, J)),
        ("log_cluster_posterior, optimal", "z_log_var", (5, 1), (5, J)),
        ("elbo_terms, mean", "z", (5, J), (5, J)),
        ("elbo_terms, sample", "z_log_var", (J,), (5, J)),
        ("elbo_terms, optimal", "log_px", (5,), (L, 5, J)),
        ("elbo_terms, mean", "log_px", (L + 1, 5), (L, 5, J)),
        ("log_cluster_posterior, mean", "z_log_var", (7, 3), (5, J)),
        ("elbo_terms_given_q_c", "log_px", (), (5, J)),
        ("elbo_terms_given_q_c", "log_q_c", (5, K + 1), (5, K)),
        ("elbo_second_form, mean", "log_px", (L + 1, 5), (L, 5, J)),
        ("importance_weighted_bound", "z_log_var", (5, 1), (5, J)),
        ("importance_weighted_bound", "log_px", (1, 5), (L, 5, J)),
    ],
)
def test_shape_mistakes_name_both_shapes(name, field, shape, other):
    problem = make_problem()._replace(**{field: jnp.zeros(shape)})
    with pytest.raises(ValueError, match=re.escape(str(shape))) as error:
        FUNCTIONS[name][0](problem)
    assert str(other) in str(error.value)


def test_unknown_estimator_names_the_choices():
    with pytest.raises(ValueError, match=r"'paper'.*'sample', 'mean', 'optimal'"):
        elbo.log_cluster_posterior(*make_problem()[1:5], "paper")


def test_sample_estimator_is_the_mean_over_draws_of_p_c_given_z():
    problem = make_problem()
    q_c = jnp.exp(elbo.log_cluster_posterior(*problem[1:5], "sample"))
    np.testing.assert_allclose(q_c, jnp.exp(log_responsibilities(problem.z, problem.prior)).mean(0), rtol=1e-5)


@each_estimator
def test_estimators_agree_for_a_narrow_posterior(estimator):
    problem = fill(make_problem(), z_log_var=-20)
    problem = problem._replace(z=sample_z(jax.random.key(0), problem.z_mean, problem.z_log_var, L))
    expected = log_responsibilities(problem.z_mean, problem.prior)
    assert_close(elbo.log_cluster_posterior(*problem[1:5], estimator), expected, 2e-3)


def test_features_are_summed_not_averaged():
    problem = make_problem()
    doubled = ("x", "logits", "log_var", "z_log_var")
    twice = problem._replace(**{field: jnp.concatenate([getattr(problem, field)] * 2, -1) for field in doubled})
    for name in ("log_prob_x_bernoulli", "log_prob_x_gaussian", "entropy_z"):
        assert_close(compiled(name)(twice), 2 * compiled(name)(problem), 1e-5)


@each_function
@settings(max_examples=8)
@given(problem=problems_of_any_size)
def test_every_size_and_type_matches_the_reference(name, problem):
    result = compiled(name)(problem)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(result))
    assert_close(result, FUNCTIONS[name][1](as_float64(problem)), 1e-4)


@each_function
@settings(max_examples=3)
@given(problem=problems_of_any_size.filter(lambda problem: min(problem.z_mean.shape[:-1], default=0) > 0))
def test_every_size_and_type_agrees_with_and_without_jit_and_vmap(name, problem):
    function, batch_axis = FUNCTIONS[name][0], 1 if name.startswith("log_prob_x") else 0
    result = compiled(name)(problem)
    assert_close(function(problem), result, 1e-4)
    vmapped = jax.vmap(function, in_axes=(BATCH_AXES,), out_axes=batch_axis)
    assert_close(jax.jit(vmapped)(problem), result, 1e-4)


@given(problem=random_problems)
def test_every_q_c_is_normalized_and_gives_consistent_terms(problem):
    for name in ("elbo_terms_given_q_c", *(f"elbo_terms, {estimator}" for estimator in ESTIMATORS)):
        terms = compiled(name)(problem)
        np.testing.assert_allclose(jnp.exp(terms.log_q_c).sum(-1), 1.0, rtol=1e-5)
        assert bool(((terms.entropy_c > -1e-6) & (terms.entropy_c < np.log(K) + 1e-5)).all())
        rounding = 1e-6 * sum(jnp.abs(term) for term in terms[:5])
        assert bool((terms.kl >= -rounding).all())
        assert bool((jnp.abs(terms.elbo - sum(terms[:5])) <= rounding).all())


@given(problem=random_problems)
def test_optimal_responsibilities_give_the_tightest_bound(problem):
    best = compiled("elbo_terms, optimal")(problem).elbo
    for name in ("elbo_terms, sample", "elbo_terms, mean", "elbo_terms_given_q_c"):
        assert bool((compiled(name)(problem).elbo <= best + 1e-5 * jnp.abs(best)).all())


@given(problem=random_problems, order=st.permutations(range(K)).map(np.array))
def test_permuting_the_clusters_permutes_only_q_c(problem, order):
    permuted = problem._replace(
        prior=jax.tree.map(lambda array: array[order], problem.prior), log_q_c=problem.log_q_c[:, order]
    )
    for name in ("elbo_terms_given_q_c", *(f"elbo_terms, {estimator}" for estimator in ESTIMATORS)):
        terms = compiled(name)(problem)
        expected = terms._replace(log_q_c=terms.log_q_c[:, order])
        assert_close(compiled(name)(permuted), expected, 1e-4)
    name = "importance_weighted_bound"
    assert_close(compiled(name)(permuted), compiled(name)(problem), 1e-4)
