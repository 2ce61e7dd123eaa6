"""Likelihoods of rows of counts: size factors, features, learned totals, and a fit that finds cells by their genes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from helpers.estimators import FAST
from scipy import special, stats
from sklearn.metrics import adjusted_rand_score

from vade_jax import VaDE
from vade_jax.networks.likelihoods import make_likelihood

NAMES = ["poisson", "negative_binomial", "zero_inflated_negative_binomial"]
X = jnp.array([[3.0, 0, 7], [0, 0, 0]])


class Fixed(nn.Module):
    """A decoder with the same heads for each z."""

    num_heads: int

    @nn.compact
    def __call__(self, z):
        shares = jnp.array([[0.3, -1.0, 2.0], [-2.0, 0.0, 1.0]])[: self.num_heads]
        return tuple(jnp.broadcast_to(head, (*z.shape[:-1], 3)) for head in shares)


@functools.cache
def likelihood_and_heads(name, leading=(5, 2)):
    """The likelihood and its heads for z [5, 2, 4], with learned numbers that differ by column."""
    likelihood = make_likelihood(name, -6.0)
    decoder = likelihood.wrap_decoder(Fixed(likelihood.num_heads))
    params = decoder.init(jax.random.key(0), jnp.zeros((1, 4)))
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda leaf: leaf + 0.05 * jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params)
    return likelihood, decoder.apply(params, jnp.zeros((*leading, 4)))


def reference(name, x, heads):
    """log p of each count, and the mean, for the size factors of rows x."""
    shares, learned, zeros = heads[0] + heads[-1 - (1 if name == "poisson" else 2)], heads[-2], heads[1]
    mean = np.maximum(x.sum(-1, keepdims=True), 1) * special.softmax(np.float64(shares), axis=-1)
    if name == "poisson":
        return stats.poisson.logpmf(x, mean), mean
    r = np.exp(-np.float64(learned))
    counted = stats.nbinom.logpmf(x, r, r / (r + mean))
    if name == "negative_binomial":
        return counted, mean
    kept = special.log_expit(-zeros) + counted
    return np.where(x == 0, np.logaddexp(special.log_expit(zeros), kept), kept), mean * special.expit(-zeros)


@pytest.mark.parametrize("name", NAMES)
def test_log_prob_is_that_of_the_rows_own_total(name):
    likelihood, heads = likelihood_and_heads(name)
    expected, _ = reference(name, np.asarray(X), [np.asarray(head) for head in heads])
    assert likelihood.log_prob(X, *heads).shape == (5, 2)
    np.testing.assert_allclose(likelihood.log_prob(X, *heads), expected.sum(-1), rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_draws_have_the_learned_totals_and_their_median_row_is_the_mean(name):
    likelihood, heads = likelihood_and_heads(name, (20_000,))
    x, mean = np.asarray(likelihood.sample(jax.random.key(0), *heads)), likelihood.mean(*heads)[0]
    location, log_deviation = np.asarray(heads[-1][0])
    factor = np.exp(0.5 * np.exp(2 * log_deviation))  # of the mean of log-normal totals to their median
    np.testing.assert_allclose(x.mean(0), factor * mean, rtol=0.1)
    median = np.exp(location) * special.softmax(np.asarray(heads[0] + heads[-2 if name == "poisson" else -3])[0])
    if name != "zero_inflated_negative_binomial":
        np.testing.assert_allclose(mean, median, rtol=1e-5)


def test_the_totals_are_learned_and_change_no_log_prob():
    likelihood, (*heads, totals) = likelihood_and_heads("poisson")

    def log_prob(totals):
        return likelihood.log_prob(X[:1], *heads, totals).sum()

    np.testing.assert_allclose(log_prob(totals + 1), log_prob(totals), rtol=1e-6)
    gradient = jax.grad(log_prob)(totals)[0, 0]
    location, log_deviation = totals[0, 0]
    np.testing.assert_allclose(gradient[0], (np.log(10) - location) / np.exp(2 * log_deviation), rtol=1e-4)


def test_features_are_normalized_logs():
    features = make_likelihood("poisson", -6.0).features(X)
    np.testing.assert_allclose(features, np.log1p([[3000, 0, 7000], [0, 0, 0]]), rtol=1e-5)


def test_cells_are_found_by_the_shares_of_their_genes():
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    shares = rng.dirichlet(np.full(12, 0.7), 3)[labels]
    x = rng.poisson(rng.lognormal(6.5, 0.5, (150, 1)) * shares)
    settings = {**FAST, "init.method": "communities", "report": False}
    model = VaDE(3, latent_dim=3, hidden=(16,), likelihood="negative_binomial", settings=settings).fit(x)
    assert model._settings["data"]["scaling"] == "none"
    assert adjusted_rand_score(labels, model.labels_) > 0.9
    drawn, _ = model.sample(50)
    assert (drawn == np.round(drawn)).all()
    assert 0.3 < np.median(drawn.sum(1)) / np.median(x.sum(1)) < 3
    with pytest.warns(UserWarning, match="^1 of 150 rows .* have values outside the range of the likelihood"):
        assert np.isfinite(model.predict_proba(np.where(np.arange(150)[:, None] == 7, -1, x))).all()
