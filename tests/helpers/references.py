"""Random problems, and float64 reference results computed without JAX."""

from collections import namedtuple
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import special, stats

from vade_jax.core.mixture_prior import GMMPrior

L, D, J, K = 3, 6, 2, 4
ESTIMATORS = ["sample", "mean", "optimal"]
each_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)

# The arguments of all functions; the first five are those of the bounds. BATCH_AXES has the position of the batch axes.
Problem = namedtuple("Problem", "log_px z z_mean z_log_var prior log_q_c x logits log_var")
BATCH_AXES = Problem(1, 1, 0, 0, None, 0, 0, 1, 1)


def make_problem(leading=(5,), seed=0, spread=1.0, latent=J, data=D, clusters=K, draws=L, dtype=jnp.float32):
    rng = np.random.default_rng(seed)

    def normal(*shape):
        return spread * rng.standard_normal(shape)

    z_mean, z_log_var = normal(*leading, latent), normal(*leading, latent)
    problem = Problem(
        log_px=normal(draws, *leading) - 3.0,
        z=z_mean + np.exp(z_log_var / 2) * rng.standard_normal((draws, *leading, latent)),
        z_mean=z_mean,
        z_log_var=z_log_var,
        prior=GMMPrior(normal(clusters), normal(clusters, latent), normal(clusters, latent)),
        log_q_c=special.log_softmax(normal(*leading, clusters), axis=-1),
        x=rng.uniform(size=(*leading, data)),
        logits=normal(draws, *leading, data),
        log_var=normal(draws, *leading, data),
    )
    return as_dtype(problem, dtype)


# Arguments of `make_problem` and of `make_inputs`. There are few sizes, because each is compiled; 1 and 0 are included.
RANDOM = {"seed": st.integers(0, 2**32 - 1), "spread": st.sampled_from([1e-3, 0.1, 1.0, 3.0])}
SIZES = [
    {"leading": (), "latent": 1, "clusters": 1, "dtype": jnp.float32},
    {"leading": (3,), "latent": 5, "clusters": 2, "dtype": jnp.bfloat16},
    {"leading": (1, 2), "latent": 2, "clusters": 6, "dtype": jnp.float32},
    {"leading": (2, 0), "latent": 3, "clusters": 4, "dtype": jnp.bfloat16},
]


def reference_log_q_c(problem, estimator):
    _, z, z_mean, z_log_var, prior = problem[:5]
    if estimator == "sample":
        return special.logsumexp(special.log_softmax(log_joint(z, prior), axis=-1), axis=0) - np.log(len(z))
    if estimator == "mean":
        return special.log_softmax(log_joint(z_mean, prior), axis=-1)
    return special.log_softmax(expectation(lambda z: log_joint(z, prior), z_mean, z_log_var), axis=-1)


def reference_terms(problem, log_q_c):
    log_px, _, z_mean, z_log_var, prior = problem[:5]
    q_c, log_pc = np.exp(log_q_c), special.log_softmax(prior.logits)
    log_pz_given_c = expectation(lambda z: log_joint(z, prior) - log_pc, z_mean, z_log_var)
    entropy_z = stats.norm.entropy(scale=np.exp(z_log_var / 2)).sum(-1)
    expectations_c = [(q_c * log_pz_given_c).sum(-1), (q_c * log_pc).sum(-1)]
    return log_px.mean(0), *expectations_c, entropy_z, special.entr(q_c).sum(-1), log_q_c


def reference_log_weights(problem):
    log_px, z, z_mean, z_log_var, prior = problem[:5]
    return log_px + special.logsumexp(log_joint(z, prior), axis=-1) - normal_log_prob(z, z_mean, z_log_var)


def reference_kl_c(problem, log_q_c):
    log_pc_given_z = special.log_softmax(log_joint(problem.z, problem.prior), axis=-1)
    return (np.exp(log_q_c) * (log_q_c - log_pc_given_z)).sum(-1).mean(0)


def reference_second_form(problem, estimator):
    return reference_log_weights(problem).mean(0), reference_kl_c(problem, reference_log_q_c(problem, estimator))


def as_dtype(tree, dtype):
    return jax.tree.map(lambda array: jnp.asarray(array, dtype), tree)


def as_float64(tree):
    return jax.tree.map(lambda array: np.asarray(array, np.float64), tree)


def assert_close(tree, expected, tolerance):
    """Asserts that all leaves have the same shapes and close values; the tree types may differ."""
    for leaf, expected_leaf in zip(jax.tree.leaves(tree), jax.tree.leaves(expected), strict=True):
        assert leaf.shape == np.shape(expected_leaf)
        np.testing.assert_allclose(leaf, expected_leaf, rtol=tolerance, atol=tolerance)


def all_finite(tree):
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))


def normal_log_prob(x, mean, log_var):
    return stats.norm.logpdf(x, mean, np.exp(log_var / 2)).sum(-1)


def log_joint(z, prior):
    """log p(c, z), [..., K]."""
    return special.log_softmax(prior.logits) + normal_log_prob(z[..., None, :], prior.means, prior.log_vars)


def product_grid(axis, z_mean):
    """The points [n^J, 1.., J] whose coordinates are in `axis` [n]."""
    grid = np.stack(np.meshgrid(*z_mean.shape[-1] * [axis]), -1)
    return grid.reshape(-1, *(1,) * (z_mean.ndim - 1), z_mean.shape[-1])


def expectation(function, z_mean, z_log_var, count=3):
    """E_q(z|x) of a function of z by Gauss-Hermite quadrature; 3 nodes are exact for the log density of a normal."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    grid, products = (product_grid(axis, z_mean) for axis in (nodes, weights / weights.sum()))
    return np.tensordot(products.prod(-1).ravel(), function(z_mean + np.exp(z_log_var / 2) * grid), 1)


class LinearModel(NamedTuple):
    """p(x|z) = N(W z + b, 1/2 I) with a mixture prior, so that p(x) is a mixture of normals."""

    matrix: np.ndarray  # W, [D, J], with orthogonal columns, so that p(z|x, c) is a diagonal normal
    offset: np.ndarray  # b, [D]
    x: np.ndarray  # [B, D]
    log_px: np.ndarray  # [B], log p(x)
    z_mean: np.ndarray  # [B, J], of p(z|x, c) for the most probable c given x
    z_log_var: np.ndarray  # [B, J], of the same

    def decode(self, z):
        return np.asarray(z, np.float64) @ self.matrix.T + self.offset

    def log_px_given_z(self, z):
        return normal_log_prob(self.x, self.decode(z), np.log(0.5))

    def expected_log_px_given_z(self, z_mean, z_log_var):
        trace = (np.exp(as_float64(z_log_var)) * (self.matrix**2).sum(0)).sum(-1)
        return self.log_px_given_z(z_mean) - trace


def make_linear_model(prior):
    rng = np.random.default_rng(0)
    logits, means, log_vars = as_float64(prior)
    matrix = np.linalg.qr(rng.standard_normal((3, means.shape[1])))[0] * rng.uniform(0.5, 2, means.shape[1])
    offset, x = rng.standard_normal(3), 2 * rng.standard_normal((4, 3))
    log_pxc = np.tile(special.log_softmax(logits), (len(x), 1))
    for c, (mean, log_var) in enumerate(zip(means, log_vars, strict=True)):
        covariance = matrix @ np.diag(np.exp(log_var)) @ matrix.T + np.eye(3) / 2
        log_pxc[:, c] += stats.multivariate_normal(matrix @ mean + offset, covariance).logpdf(x)
    best = log_pxc.argmax(-1)
    prior_precision = np.exp(-log_vars[best])
    precision = prior_precision + 2 * (matrix**2).sum(0)
    z_mean = (prior_precision * means[best] + 2 * (x - offset) @ matrix) / precision
    return LinearModel(matrix, offset, x, special.logsumexp(log_pxc, axis=-1), z_mean, -np.log(precision))
