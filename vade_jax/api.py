"""The public names of `vade_jax` that need JAX alone. The package imports this file when one of them is used."""

from vade_jax.core.count_likelihoods import (
    log_prob_x_negative_binomial,
    log_prob_x_poisson,
    log_prob_x_zero_inflated_negative_binomial,
    sample_x_negative_binomial,
    sample_x_poisson,
    sample_x_zero_inflated_negative_binomial,
)
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
from vade_jax.core.likelihoods import (
    log_prob_x_bernoulli,
    log_prob_x_categorical,
    log_prob_x_gaussian,
    log_prob_x_student_t,
    sample_x_bernoulli,
    sample_x_categorical,
    sample_x_gaussian,
    sample_x_student_t,
)
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
from vade_jax.data.dataset import Dataset, ReadOptions, Source, make_dataset
from vade_jax.data.scaling import register_scaling
from vade_jax.networks.encoders_decoders import (
    ConvDecoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
    Shapes,
    register_network,
)
from vade_jax.networks.likelihood_base import Likelihood
from vade_jax.networks.likelihoods import register_likelihood

__all__ = [
    "ConvDecoder",
    "ConvEncoder",
    "Dataset",
    "ELBOTerms",
    "GMMPrior",
    "Likelihood",
    "MLPDecoder",
    "MLPEncoder",
    "ReadOptions",
    "SecondForm",
    "Shapes",
    "Source",
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
    "log_prob_x_categorical",
    "log_prob_x_gaussian",
    "log_prob_x_negative_binomial",
    "log_prob_x_poisson",
    "log_prob_x_student_t",
    "log_prob_x_zero_inflated_negative_binomial",
    "log_prob_z",
    "log_prob_z_given_c",
    "log_responsibilities",
    "make_dataset",
    "optimal_log_responsibilities",
    "register_likelihood",
    "register_network",
    "register_scaling",
    "sample_prior",
    "sample_x_bernoulli",
    "sample_x_categorical",
    "sample_x_gaussian",
    "sample_x_negative_binomial",
    "sample_x_poisson",
    "sample_x_student_t",
    "sample_x_zero_inflated_negative_binomial",
    "sample_z",
]
