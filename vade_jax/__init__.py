"""Variational Deep Embedding (Jiang et al. 2017, arXiv:1611.05148) as pure JAX functions.

For other JAX code: the mixture prior, every term of the bound, the bound in both of its forms, and the networks. For
rows to cluster: `VaDE`, a scikit-learn estimator.
"""

from typing import TYPE_CHECKING, Any

from vade_jax.core.elbo import (
    ELBOTerms,
    SecondForm,
    elbo_second_form,
    elbo_terms,
    elbo_terms_given_q_c,
    entropy_c,
    entropy_z,
    kl_cluster_posterior,
    log_cluster_posterior,
    sample_z,
)
from vade_jax.core.importance_weighted import importance_weighted_bound
from vade_jax.core.likelihoods import log_prob_x_bernoulli, log_prob_x_gaussian
from vade_jax.core.mixture_prior import (
    GMMPrior,
    expected_log_prob_z_given_c,
    log_prob_c,
    log_prob_z,
    log_prob_z_given_c,
    log_responsibilities,
    optimal_log_responsibilities,
    sample_prior,
)
from vade_jax.networks.encoders_decoders import ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder

if TYPE_CHECKING:
    from vade_jax.estimator import VaDE

__version__ = "0.1.0"

__all__ = [
    "ConvDecoder",
    "ConvEncoder",
    "ELBOTerms",
    "GMMPrior",
    "MLPDecoder",
    "MLPEncoder",
    "SecondForm",
    "VaDE",
    "elbo_second_form",
    "elbo_terms",
    "elbo_terms_given_q_c",
    "entropy_c",
    "entropy_z",
    "expected_log_prob_z_given_c",
    "importance_weighted_bound",
    "kl_cluster_posterior",
    "log_cluster_posterior",
    "log_prob_c",
    "log_prob_x_bernoulli",
    "log_prob_x_gaussian",
    "log_prob_z",
    "log_prob_z_given_c",
    "log_responsibilities",
    "optimal_log_responsibilities",
    "sample_prior",
    "sample_z",
]


def __getattr__(name: str) -> Any:
    """The estimator, imported where it is asked: it brings scikit-learn and all that trains."""
    if name == "VaDE":
        from vade_jax.estimator import VaDE

        return VaDE
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
