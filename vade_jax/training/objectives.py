"""What a training stage minimises, each one function of the model that returns an Objective."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.core.elbo import ELBOTerms, elbo_terms, elbo_terms_given_q_c, kl_cluster_posterior, sample_z
from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.networks.model import Model, Params
from vade_jax.training.augmentation import Augmentation
from vade_jax.training.dec import log_soft_assignments, mixture_of_centroids, sharpen_targets

_TINY = 1e-30  # for 0 log 0 = 0
_MOVES = 1
ENCODER_INPUT = "seen"  # of a batch: [B, D], what the encoder sees in place of x

Batch = dict[str, jax.Array]  # {'x': [B, D], ...}, one leading axis B
Metrics = dict[str, jax.Array]  # name -> [B], nats

# (params, batch, keys [B], step) -> (loss [B] in nats, metrics). Each example has its own key, so that its noise
# depends neither on the batch nor on the device that holds it.
Objective = Callable[[Params, Batch, jax.Array, jax.Array], tuple[jax.Array, Metrics]]

Weight = Callable[[jax.Array], Any]  # the step -> a factor on a term of the loss


def _weight_one(step: jax.Array) -> float:
    return 1.0


def reconstruction(model: Model) -> Objective:
    """-log p(x | z = mu_z), the autoencoder of the pretraining stage (arXiv:1611.05148, Sec. 4.2).

    Args:
      model: the networks and the likelihood.

    Returns:
      The objective; metrics: log_px_given_z.
    """

    def objective(params, batch, keys, step):
        z_mean, _ = model.encode(params, _seen(batch))
        log_px_given_z = model.log_px_given_z(params, batch["x"], z_mean)
        return -log_px_given_z, {"log_px_given_z": log_px_given_z}

    return objective


def vae(model: Model, kl_weight: Weight = _weight_one) -> Objective:
    """-ELBO(x) of a variational autoencoder, under a standard normal prior: VaDE's with that one cluster.

    Args:
      model: the networks and the likelihood; the prior among their parameters is not read.
      kl_weight: the weight of KL(q(z|x) || N(0, I)) at a step. Where a z tells little of x, a whole one from the first
        step on drives q(z|x) to the prior, and it stays there.

    Returns:
      The objective; metrics: elbo (the true bound, whatever the weight) and its five terms.
    """

    def objective(params, batch, keys, step):
        log_px_given_z, z, z_mean, z_log_var = _sampled_reconstruction(model, params, batch, keys, 1)
        zeros = jnp.zeros((1, z_mean.shape[-1]))
        terms = elbo_terms(log_px_given_z, z, z_mean, z_log_var, GMMPrior(zeros[:, 0], zeros, zeros), "mean")
        return -terms.log_px_given_z + kl_weight(step) * terms.kl, elbo_metrics(terms)

    return objective


# pretrain.objective -> function of the model and of the KL term's weight that returns what an autoencoder minimises.
PRETRAINING: dict[str, Callable[[Model, Weight], Objective]] = {
    "autoencoder": lambda model, kl_weight: reconstruction(model),
    "vae": vae,
}


def negative_elbo(model: Model, estimator: str, num_samples: int, kl_weight: Weight = _weight_one) -> Objective:
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
        terms = batch_elbo_terms(model, params, batch, keys, estimator, num_samples)
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
        log_px_given_z, z, z_mean, z_log_var = _sampled_reconstruction(model, params, batch, keys, num_samples)
        log_q_c = jnp.log(batch["memberships"])
        terms = elbo_terms_given_q_c(log_px_given_z, z_mean, z_log_var, params["prior"], log_q_c)
        kl_c = kl_cluster_posterior(log_q_c, z, params["prior"])
        return -terms.elbo + (kl_c_weight - 1) * kl_c, {**elbo_metrics(terms), "kl_c": kl_c}

    return objective


def dec(model: Model) -> Objective:
    """KL(p || q) of soft assignments q(c|z = mu_z) to the prior's means, towards given targets p (arXiv:1511.06335).

    Args:
      model: the networks; the decoder is not read.

    Returns:
      The objective, for batches with 'targets' [B, K]; metrics: kl_targets.
    """

    def objective(params, batch, keys, step):
        z_mean, _ = model.encode(params, _seen(batch))
        log_q_c = log_soft_assignments(z_mean, params["prior"])
        targets = batch["targets"]
        kl_targets = jnp.sum(targets * (jnp.log(jnp.maximum(targets, _TINY)) - log_q_c), axis=-1)
        return kl_targets, {"kl_targets": kl_targets}

    return objective


def with_augmented_input(objective: Objective, move: Augmentation) -> Objective:
    """The objective with an encoder that sees each image moved, anew in every step; the decoder gives it as it is.

    The bound holds for any q(z|x), for one that looks at a moved image as well; and z keeps what a move leaves.

    Args:
      objective: what to minimise.
      move: (key, x [D]) -> [D].

    Returns:
      The objective, of the same batches.
    """

    def moved(params, batch, keys, step):
        own = jax.vmap(jax.random.fold_in, (0, None))(keys, _MOVES)  # draws of z use the keys as they are
        return objective(params, {**batch, ENCODER_INPUT: jax.vmap(move)(own, batch["x"])}, keys, step)

    return moved


class ClusteringMethod(NamedTuple):
    """A way to train clusters once they are found.

    Attributes:
      objective: (model, estimator, num_samples, kl_weight), as `negative_elbo` takes them, -> what it minimises.
      start: the prior that holds the clusters found -> the prior it begins with.
      targets: (z_mean [N, J], prior) -> 'targets' [N, K] for the batches of an epoch, float32; None for none.
    """

    objective: Callable[..., Objective]
    start: Callable[[GMMPrior], GMMPrior] = lambda prior: prior
    targets: Callable[[np.ndarray, GMMPrior], np.ndarray] | None = None


# train.objective -> the method.
CLUSTERING = {
    "elbo": ClusteringMethod(negative_elbo),
    "dec": ClusteringMethod(
        lambda model, estimator, num_samples, kl_weight: dec(model),
        mixture_of_centroids,
        lambda z_mean, prior: sharpen_targets(np.exp(log_soft_assignments(jnp.asarray(z_mean), prior))),
    ),
}


def batch_elbo_terms(
    model: Model, params: Params, batch: Batch, keys: jax.Array, estimator: str, num_samples: int
) -> ELBOTerms:
    """The bound's terms for a batch, each example with the draws of its own key.

    Args:
      model: the networks and the likelihood.
      params: their parameters and the prior's.
      batch: 'x' [B, D], and where the encoder sees something else, that as `SEEN`.
      keys: [B], JAX random keys.
      estimator: of q(c|x): 'sample', 'mean' or 'optimal'.
      num_samples: L.

    Returns:
      ELBOTerms of [B] each, nats.
    """
    log_px_given_z, z, z_mean, z_log_var = _sampled_reconstruction(model, params, batch, keys, num_samples)
    return elbo_terms(log_px_given_z, z, z_mean, z_log_var, params["prior"], estimator)


def _sampled_reconstruction(model, params, batch, keys, num_samples):
    """log p(x|z) [L, B] of draws z [L, B, J] from q(z|x), the draws, and the moments z_mean and z_log_var [B, J]."""
    z_mean, z_log_var = model.encode(params, _seen(batch))
    z = sample_z_each(keys, z_mean, z_log_var, num_samples)
    return model.log_px_given_z(params, batch["x"], z), z, z_mean, z_log_var


def _seen(batch):
    return batch.get(ENCODER_INPUT, batch["x"])


def sample_z_each(keys: jax.Array, z_mean: jax.Array, z_log_var: jax.Array, num_samples: int) -> jax.Array:
    """Draws z [L, B, J] from q(z|x), example by example from keys [B]."""
    return jax.vmap(sample_z, in_axes=(0, 0, 0, None), out_axes=1)(keys, z_mean, z_log_var, num_samples)


def elbo_metrics(terms: ELBOTerms) -> Metrics:
    """elbo and its five terms by name, each [B], nats."""
    scalars = {name: value for name, value in terms._asdict().items() if name != "log_q_c"}
    return {"elbo": terms.elbo, **scalars}
