"""Draws x ~ p(x|z) of every likelihood, and of one without `sample`."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vade_jax.networks.likelihood_base import Likelihood
from vade_jax.networks.likelihoods import Bernoulli, FixedGaussian, StudentT, make_likelihood
from vade_jax.networks.model import Model

DRAWS, FEATURES = 20_000, 5


def heads_of(likelihood):
    one = np.random.default_rng(0).normal(size=(3, 1, FEATURES)).astype(np.float32)
    one[2] += 5  # degrees of freedom, so that draws have a variance
    count = {Bernoulli: 1, FixedGaussian: 1, StudentT: 3}.get(type(likelihood), 2)
    return [jnp.broadcast_to(head, (DRAWS, FEATURES)) for head in one[:count]]


@pytest.mark.parametrize("name", ["bernoulli", "gaussian", "gaussian_shared", "gaussian_fixed", "student_t"])
def test_draws_have_the_mean_and_the_log_prob_of_the_likelihood(name):
    likelihood = make_likelihood(name, -1.0)  # a bound that changes the variance
    heads = heads_of(likelihood)
    x = np.asarray(likelihood.sample(jax.random.key(0), *heads), np.float64)
    assert x.shape == (DRAWS, FEATURES)
    assert (np.abs(x.mean(0) - likelihood.mean(*heads)[0]) < 5 * x.std(0) / DRAWS**0.5).all()
    # The score E[d log p(x|z) / d heads] is 0 for draws of p(x|z) and for no other mean or variance.
    for index in range(len(heads)):
        score = jax.grad(lambda *heads: likelihood.log_prob(jnp.float32(x), *heads).sum(), index)
        gradient = np.asarray(score(*heads), np.float64)
        assert (np.abs(gradient.mean(0)) < 5 * gradient.std(0) / DRAWS**0.5).all()


class WithoutSample(Likelihood):
    """As one that was written before likelihoods had `sample`."""

    num_heads = 1

    def log_prob(self, x, *heads):
        return -jnp.abs(x - heads[0]).sum(-1) - x.shape[-1] * jnp.log(2.0)

    def mean(self, *heads):
        return heads[0]


class Identity:
    def apply(self, params, z):
        return (z,)


def test_a_likelihood_without_sample_still_has_a_mean():
    model, z = Model(Identity(), Identity(), WithoutSample()), jnp.ones((3, 2))
    np.testing.assert_array_equal(model.mean_x({"decoder": {}}, z), z)
    with pytest.raises(NotImplementedError, match=r"^WithoutSample cannot draw x: define its method sample"):
        jax.jit(model.sample_x)({"decoder": {}}, jax.random.key(0), z)


def test_a_fixed_gaussian_weights_the_squared_error():
    x, mean = np.random.default_rng(0).normal(size=(2, 3, FEATURES)).astype(np.float32)
    likelihood = make_likelihood("gaussian_fixed", math.log(1 / 10))
    error = np.square(x - mean).sum(-1)
    constant = -FEATURES / 2 * math.log(2 * math.pi / 10)
    np.testing.assert_allclose(likelihood.log_prob(x, mean), constant - 5 * error, rtol=1e-5)
