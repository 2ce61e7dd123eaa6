"""Densities of many clusters, which are computed by a matrix product."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.prior_references import FUNCTIONS, compiled, make_inputs, reference_log_prob_z_given_c
from helpers.references import (
    as_float64,
)
from scipy import special

from vade_jax.core import mixture_prior


def many_clusters(shift=0.0):
    """More than `_FEW_CLUSTERS` clusters of different widths, spread like those of an embedding."""
    inputs = make_inputs(leading=(4, 30), clusters=mixture_prior._FEW_CLUSTERS + 36, latent=10)
    prior = inputs.prior._replace(means=3 * inputs.prior.means + shift)
    return inputs._replace(z=3 * inputs.z + shift, prior=prior)


@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_many_clusters_match_the_float64_reference(shift):
    """A common shift of all clusters does not increase the rounding error of the matrix product."""
    inputs = many_clusters(shift)
    exact = as_float64(inputs)
    log_pz_given_c = reference_log_prob_z_given_c(exact)
    variances = np.exp(exact.z_log_var[..., None, :] - exact.prior.log_vars).sum(-1)
    log_p_c = special.log_softmax(exact.prior.logits)

    def close(actual, expected):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=2e-3)

    close(compiled("log_prob_z_given_c")(inputs), log_pz_given_c)
    close(compiled("log_prob_z")(inputs), special.logsumexp(log_pz_given_c + log_p_c, axis=-1))
    close(compiled("expected_log_prob_z_given_c")(inputs), log_pz_given_c - 0.5 * variances)
    for name, expected in [
        ("log_responsibilities", log_pz_given_c),
        ("optimal_log_responsibilities", log_pz_given_c - 0.5 * variances),
    ]:
        q_c = np.exp(compiled(name)(inputs))
        np.testing.assert_allclose(q_c, special.softmax(expected + log_p_c, axis=-1), atol=1e-3)


@pytest.mark.parametrize("name", ["log_prob_z", "optimal_log_responsibilities"])
def test_many_clusters_build_no_array_of_rows_by_clusters_by_dimensions(name):
    inputs = make_inputs(leading=(256,), clusters=1000, latent=10)
    compiled = jax.jit(jax.value_and_grad(lambda i: jnp.mean(FUNCTIONS[name][0](i)))).lower(inputs).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 4 * 256 * 1000 * 10
