"""Both forms of the bound and the importance-weighted bound, in cases with a known exact answer."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.references import (
    ESTIMATORS,
    RANDOM,
    J,
    L,
    as_dtype,
    as_float64,
    assert_close,
    each_estimator,
    expectation,
    log_joint,
    make_linear_model,
    make_problem,
    normal_log_prob,
    product_grid,
    reference_log_q_c,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from vade_jax.core import likelihoods
from vade_jax.core.elbo import elbo_second_form, elbo_terms, sample_z
from vade_jax.core.importance_weighted import importance_weighted_bound
from vade_jax.core.mixture_prior import GMMPrior

bound, second_form = (jax.jit(form, static_argnums=5) for form in (elbo_terms, elbo_second_form))
weighted_bound = jax.jit(importance_weighted_bound)
draw_z = jax.jit(sample_z, static_argnums=3)


@each_estimator
def test_bound_includes_all_constants(estimator):
    # One of two clusters is far away: q(c|x) is certain, which costs log 2. Four pixels at logits of 0 cost 4 log 2.
    prior = GMMPrior(jnp.zeros(2), jnp.array([[0.0, 0.0], [50.0, 50.0]]), jnp.zeros((2, 2)))
    z_mean, z_log_var = jnp.ones((1, 2)), jnp.log(jnp.full((1, 2), 0.25))
    log_px = likelihoods.log_prob_x_bernoulli(jnp.ones((1, 4)), jnp.zeros((L, 1, 4)))
    z = draw_z(jax.random.key(0), z_mean, z_log_var, L)
    kl_z = 2 * 0.5 * (0.25 + 1 - 1 - np.log(0.25))
    terms = bound(log_px, z, z_mean, z_log_var, prior, estimator)
    np.testing.assert_allclose(terms.elbo, [-4 * np.log(2) - np.log(2) - kl_z], rtol=1e-5)


@each_estimator
def test_one_standard_normal_cluster_gives_the_bound_of_a_vae(estimator):
    problem = make_problem()._replace(prior=GMMPrior(jnp.ones(1), jnp.zeros((1, J)), jnp.zeros((1, J))))
    terms = bound(*problem[:5], estimator)
    log_px, _, z_mean, z_log_var, _ = as_float64(problem[:5])
    kl = 0.5 * (z_mean**2 + np.exp(z_log_var) - 1 - z_log_var).sum(-1)
    assert_close((terms.kl, terms.elbo), (kl, log_px.mean(0) - kl), 1e-5)
    assert_close((terms.log_pc, terms.entropy_c), (np.zeros(5), np.zeros(5)), 0)


@pytest.mark.parametrize("latent", [1, 2])
@each_estimator
def test_both_forms_match_quadrature(estimator, latent):
    problem = as_float64(make_problem((2,), latent=latent, spread=0.7))
    _, _, z_mean, z_log_var, prior = problem[:5]
    # Evenly spaced quantiles, rescaled to a variance of 1, stand for infinitely many draws.
    quantiles = stats.norm.ppf((np.arange(301) + 0.5) / 301)
    z = z_mean + np.exp(z_log_var / 2) * product_grid(quantiles / quantiles.std(), z_mean)
    arguments = as_dtype((np.sin(z).sum(-1), z, z_mean, z_log_var, prior), jnp.float32)
    terms, second = bound(*arguments, estimator), second_form(*arguments, estimator)

    mean = functools.partial(expectation, z_mean=z_mean, z_log_var=z_log_var, count=60)
    log_q_c = reference_log_q_c(problem, estimator)
    if estimator == "sample":
        log_q_c = np.log(mean(lambda z: special.softmax(log_joint(z, prior), axis=-1)))
    q_c = np.exp(log_q_c)
    log_px = mean(lambda z: np.sin(z).sum(-1))
    log_pz = mean(lambda z: special.logsumexp(log_joint(z, prior), axis=-1))
    log_pzc = mean(lambda z: (q_c * log_joint(z, prior)).sum(-1))
    entropy_z = -mean(lambda z: normal_log_prob(z, z_mean, z_log_var))
    kl_c = mean(lambda z: (q_c * (log_q_c - special.log_softmax(log_joint(z, prior), axis=-1))).sum(-1))
    elbo = log_px + log_pzc + entropy_z + special.entr(q_c).sum(-1)
    assert_close((terms.entropy_z, terms.log_pz_given_c + terms.log_pc), (entropy_z, log_pzc), 5e-3)
    assert_close((second.log_weight, second.kl_c), (log_px + log_pz + entropy_z, kl_c), 5e-3)
    assert_close((terms.elbo, second.elbo), (elbo, elbo), 5e-3)


@each_estimator
def test_both_forms_stay_below_the_exact_marginal_likelihood(estimator):
    prior = make_problem().prior
    model = make_linear_model(prior)
    away = np.linspace(0, 2, 20)[:, None, None] * np.random.default_rng(1).standard_normal((2, 20, 4, J))
    # q(z|x) from good to bad
    moments = as_dtype((model.z_mean + away[0], model.z_log_var + away[1]), jnp.float32)
    z = draw_z(jax.random.key(0), *moments, 2000)
    log_px, expected_log_px = model.log_px_given_z(z), model.expected_log_px_given_z(*moments)
    margin = 5 * log_px.std(0) / 2000**0.5
    assert (np.abs(log_px.mean(0) - expected_log_px) < margin).all()

    expected_draws = jnp.broadcast_to(as_dtype(expected_log_px, jnp.float32), log_px.shape)
    first = bound(expected_draws, z, *moments, prior, estimator)
    gap = model.log_px - np.asarray(first.elbo)
    assert gap.min() > -1e-4
    assert gap[0].max() < 1.0  # small for the good q(z|x)
    second = second_form(as_dtype(log_px, jnp.float32), z, *moments, prior, estimator)
    assert (np.asarray(second.elbo) < model.log_px + margin).all()
    assert second.kl_c.min() > -1e-5


@settings(max_examples=15)
@given(
    problem=st.one_of(
        st.builds(functools.partial(make_problem, clusters=clusters, latent=latent), **RANDOM)
        for clusters, latent in ((1, 1), (4, 2), (6, 3))
    ),
    away=st.floats(0, 3),
    estimator=st.sampled_from(ESTIMATORS),
)
def test_the_bound_stays_below_the_exact_marginal_likelihood_for_any_q_and_prior(problem, away, estimator):
    model = make_linear_model(problem.prior)
    rng = np.random.default_rng(0)
    z_mean, z_log_var = (moment + away * rng.standard_normal(moment.shape) for moment in model[4:])
    moments = as_dtype((z_mean, z_log_var), jnp.float32)
    z = draw_z(jax.random.key(0), *moments, L)
    log_px = as_dtype(np.broadcast_to(model.expected_log_px_given_z(*moments), z.shape[:-1]), jnp.float32)
    elbo = bound(log_px, z, *moments, problem.prior, estimator).elbo
    assert (np.asarray(elbo) <= model.log_px + 1e-5 * np.abs(elbo) + 1e-4).all()


def test_importance_weighted_bound_approaches_the_exact_marginal_likelihood():
    prior = make_problem().prior
    model = make_linear_model(prior)
    moments = as_dtype((model.z_mean, model.z_log_var + 1), jnp.float32)
    pool = draw_z(jax.random.key(0), *moments, 20_000)
    x, x_mean = as_dtype((model.x, model.decode(pool)), jnp.float32)
    log_px = likelihoods.log_prob_x_gaussian(x, x_mean, jnp.full_like(x_mean, np.log(0.5)))
    gaps = []
    for draws in (1, 10, 100, 1000):
        # Each set of draws is a union of smaller sets: by Jensen's inequality the averages rise without noise.
        sets = [array.reshape(-1, draws, *array.shape[1:]).swapaxes(0, 1) for array in (log_px, pool)]
        q = [jnp.broadcast_to(moment, sets[1].shape[1:]) for moment in moments]
        gaps.append(model.log_px - weighted_bound(*sets, *q, prior).mean(0))
    assert (np.diff(gaps, axis=0) < 1e-5).all()
    assert np.mean(gaps[0]) > 0.1
    assert np.abs(gaps[-1]).max() < 0.02


def test_bounds_are_tight_at_the_exact_posterior():
    prior = jax.tree.map(lambda array: array[:1], make_problem().prior)
    model = make_linear_model(prior)
    moments = as_dtype((model.z_mean, model.z_log_var), jnp.float32)
    z = draw_z(jax.random.key(0), *moments, 7)
    log_px, expected_log_px = as_dtype((model.log_px_given_z(z), model.expected_log_px_given_z(*moments)), jnp.float32)
    results = [bound(jnp.broadcast_to(expected_log_px, log_px.shape), z, *moments, prior, "optimal").elbo]
    results += [weighted_bound(log_px[kept], z[kept], *moments, prior) for kept in (slice(7), slice(1), slice(1, 2))]
    assert_close(results, [model.log_px] * 4, 1e-4)
