"""Random mixture priors, and float64 reference results computed without JAX."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special, stats

from helpers.references import (
    expectation,
    log_joint,
    normal_log_prob,
)
from vade_jax.core import mixture_prior
from vade_jax.core.mixture_prior import GMMPrior


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


@functools.cache
def compiled(name):
    return jax.jit(FUNCTIONS[name][0])
