"""What a training stage minimises, each one function of the model that returns an Objective."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from vade_jax.losses import ELBOTerms, elbo_terms, elbo_terms_given_q_c, kl_cluster_posterior, sample_z
from vade_jax.model import Model, Params

Batch = dict[str, jax.Array]  # {'x': [B, D], ...}, one leading axis B
Metrics = dict[str, jax.Array]  # name -> [B], nats

# (params, batch, keys [B], step) -> (loss [B] in nats, metrics). Each example has its own key, so that its noise
# depends neither on the batch nor on the device that holds it.
Objective = Callable[[Params, Batch, jax.Array, jax.Array], tuple[jax.Array, Metrics]]


def reconstruction(model: Model) -> Objective:
    """-log p(x | z = mu_z), the autoencoder of the pretraining stage (arXiv:1611.05148, Sec. 4.2).

    Args:
      model: the networks and the likelihood.

    Returns:
      The objective; metrics: log_px_given_z.
    """

    def objective(params, batch, keys, step):
        z_mean, _ = model.encode(params, batch["x"])
        log_px_given_z = model.log_px_given_z(params, batch["x"], z_mean)
        return -log_px_given_z, {"log_px_given_z": log_px_given_z}

    return objective


def negative_elbo(
    model: Model, estimator: str, num_samples: int, kl_weight: Callable[[jax.Array], Any] = lambda step: 1.0
) -> Objective:
    """-ELBO(x), with a weight on KL(q(z, c|x) || p(z, c)) for warm-up.

    Args:
      model: the networks and the likelihood.
      estimator: of q(c|x): 'sample', 'mean' or 'optimal'.
      num_samples: L, draws from q(z|x).
      kl_weight: the weight at a step; 1 is the bound itself.

    Returns:
      The objective; metrics: elbo (the true bound, whatever the weight) and its five terms.
    """

    def objective(params, batch, keys, step):
        terms = batch_elbo_terms(model, params, batch["x"], keys, estimator, num_samples)
        loss = -terms.log_px_given_z + kl_weight(step) * terms.kl
        return loss, elbo_metrics(terms)

    return objective


def guided_negative_elbo(model: Model, num_samples: int, kl_c_weight: float = 1.0) -> Objective:
    """-ELBO(x) with q(c|x) held at given memberships; the bound holds for any q(c|x) that does not depend on z.

    Networks and prior learn together to hold clusters that were found elsewhere. In its second form the bound subtracts
    E_q(z|x)[KL(q(c|x) || p(c|z))] (arXiv:1611.05148, Sec. 3.2): with more weight on that, the model's own clusters
    come closer to the memberships.

    Args:
      model: the networks and the likelihood.
      num_samples: L, draws from q(z|x).
      kl_c_weight: of that KL term; 1 is the bound itself.

    Returns:
      The objective, for batches with 'memberships' [B, K]; metrics: elbo, its five terms, and kl_c, that KL term.
    """

    def objective(params, batch, keys, step):
        log_px_given_z, z, z_mean, z_log_var = _sampled_reconstruction(model, params, batch["x"], keys, num_samples)
        log_q_c = jnp.log(batch["memberships"])
        terms = elbo_terms_given_q_c(log_px_given_z, z_mean, z_log_var, params["prior"], log_q_c)
        kl_c = kl_cluster_posterior(log_q_c, z, params["prior"])
        return -terms.elbo + (kl_c_weight - 1) * kl_c, {**elbo_metrics(terms), "kl_c": kl_c}

    return objective


def batch_elbo_terms(
    model: Model, params: Params, x: jax.Array, keys: jax.Array, estimator: str, num_samples: int
) -> ELBOTerms:
    """The bound's terms for a batch, each example with the draws of its own key.

    Args:
      model: the networks and the likelihood.
      params: their parameters and the prior's.
      x: [B, D].
      keys: [B], JAX random keys.
      estimator: of q(c|x): 'sample', 'mean' or 'optimal'.
      num_samples: L.

    Returns:
      ELBOTerms of [B] each, nats.
    """
    log_px_given_z, z, z_mean, z_log_var = _sampled_reconstruction(model, params, x, keys, num_samples)
    return elbo_terms(log_px_given_z, z, z_mean, z_log_var, params["prior"], estimator)


def _sampled_reconstruction(model, params, x, keys, num_samples):
    """log p(x|z) [L, B] of draws z [L, B, J] from q(z|x), the draws, and the moments z_mean and z_log_var [B, J]."""
    z_mean, z_log_var = model.encode(params, x)
    z = sample_z_each(keys, z_mean, z_log_var, num_samples)
    return model.log_px_given_z(params, x, z), z, z_mean, z_log_var


def sample_z_each(keys: jax.Array, z_mean: jax.Array, z_log_var: jax.Array, num_samples: int) -> jax.Array:
    """Draws z [L, B, J] from q(z|x), example by example from keys [B]."""
    return jax.vmap(sample_z, in_axes=(0, 0, 0, None), out_axes=1)(keys, z_mean, z_log_var, num_samples)


def elbo_metrics(terms: ELBOTerms) -> Metrics:
    """elbo and its five terms by name, each [B], nats."""
    scalars = {name: value for name, value in terms._asdict().items() if name != "log_q_c"}
    return {"elbo": terms.elbo, **scalars}
