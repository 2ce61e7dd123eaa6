"""Embeddings -> the prior to start clustering from, without a label."""

import warnings
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from vade_jax.priors import GMMPrior

_MIN_VAR = 1e-3  # added to every variance, relative to the embeddings' mean variance
_MAX_ITERATIONS = 200
COVARIANCES = ("full", "diag")


class Initialization(NamedTuple):
    """A prior for the embeddings and how it was chosen.

    Attributes:
      prior: the mixture, K clusters.
      clusters: [N], the cluster of each embedding under it.
      scores: the mean log-likelihood of each restart, nats per row; the highest was taken.
    """

    prior: GMMPrior
    clusters: np.ndarray
    scores: list[float]


def fit_gmm(embeddings: np.ndarray, num_clusters: int, seed: int, num_restarts: int, covariance: str) -> Initialization:
    """A Gaussian mixture by expectation-maximization, the likeliest of several restarts (arXiv:1611.05148, Sec. 4.2).

    Weights and variances are kept, not the means alone. Of full covariances the prior takes the diagonals.

    Args:
      embeddings: [N, J], real.
      num_clusters: K, at most N.
      seed: restarts take their random numbers from it.
      num_restarts: at least 1.
      covariance: of the mixture that is fitted, 'full' or 'diag'.

    Returns:
      The best restart.
    """
    embeddings = np.asarray(embeddings, np.float64)
    mean_var = float(embeddings.var(axis=0).mean())
    with warnings.catch_warnings():  # a restart that is cut short competes by its likelihood like any other
        warnings.simplefilter("ignore", ConvergenceWarning)
        restarts = [
            GaussianMixture(
                num_clusters,
                covariance_type=covariance,
                reg_covar=_MIN_VAR * mean_var if mean_var > 0 else _MIN_VAR,
                max_iter=_MAX_ITERATIONS,
                random_state=int(restart_seed),
            ).fit(embeddings)
            for restart_seed in np.random.SeedSequence(seed).generate_state(num_restarts)
        ]
    scores = [float(mixture.score(embeddings)) for mixture in restarts]
    best = restarts[int(np.argmax(scores))]
    variances = best.covariances_ if covariance == "diag" else np.diagonal(best.covariances_, axis1=1, axis2=2)
    prior = GMMPrior(
        *(jnp.asarray(array, jnp.float32) for array in (np.log(best.weights_), best.means_, np.log(variances)))
    )
    return Initialization(prior, best.predict(embeddings), scores)


# name -> function (embeddings [N, J], num_clusters, seed, num_restarts, covariance) that returns an Initialization.
METHODS = {"gmm": fit_gmm}
