"""What a training stage minimises: functions of the model that return an Objective."""

import abc
import dataclasses
from typing import ClassVar, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.core.elbo import ELBOTerms, elbo_terms, elbo_terms_given_q_c, kl_cluster_posterior, sample_z
from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.networks.model import Model, Params
from vade_jax.training.augmentation import Augmentation
from vade_jax.training.dec import log_soft_assignments, mixture_of_centroids, sharpen_targets

_TINY = 1e-30  # makes 0 log 0 = 0
_AUGMENTATION = 1  # folded into an example's key for its augmentation; draws of z use the key itself
ENCODER_INPUT = "encoder_input"  # batch key: [B, D], given to the encoder instead of x
WEIGHTS = "weights"  # batch key: [B], how much each row counts in the mean loss

Batch = dict[str, jax.Array]  # {'x': [B, D], ...}, one leading axis B
Metrics = dict[str, jax.Array]  # name -> [B], nats


class Objective(Protocol):
    """The loss of each example of a batch. Hashable: compiled programs are kept by it."""

    def __hash__(self) -> int: ...

    def __call__(self, params: Params, batch: Batch, keys: jax.Array, step: jax.Array, /) -> tuple[jax.Array, Metrics]:
        """The loss [B] in nats, and the metrics.

        Args:
          params: the parameters of the networks and of the prior.
          batch: 'x' [B, D] as the model's input, and further arrays [B, ...].
          keys: [B], a random key for each example. So an example's noise does not depend on the batch or the device.
          step: [], the number of updates before this one.
        """
        ...


class Weight(Protocol):
    """A factor on a term of the loss that depends on the step."""

    def __call__(self, step: jax.Array, /) -> jax.Array | float:
        """The factor at a step."""
        ...


class PretrainingObjective(Protocol):
    """Makes the objective of the pretraining stage."""

    def __call__(self, model: Model, kl_weight: Weight, /) -> Objective:
        """The objective for a model and a weight of the KL term, which an objective without that term ignores."""
        ...


def _weight_one(step: jax.Array) -> float:
    return 1.0


def reconstruction(model: Model) -> Objective:
    """-log p(x | z = mu_z), the loss of the pretraining autoencoder (arXiv:1611.05148, Sec. 4.2).

    Args:
      model: the networks and the likelihood.

    Returns:
      The objective; metrics: log_px_given_z.
    """

    def objective(params: Params, batch: Batch, keys: jax.Array, step: jax.Array) -> tuple[jax.Array, Metrics]:
        z_mean, _ = model.encode(params, _encoder_input(batch))
        log_px_given_z = model.log_px_given_z(params, batch["x"], z_mean)
        return -log_px_given_z, {"log_px_given_z": log_px_given_z}

    return objective


def vae(model: Model, kl_weight: Weight = _weight_one) -> Objective:
    """-ELBO(x) of a variational autoencoder with a standard normal prior, which is VaDE with that one cluster.

    Args:
      model: the networks and the likelihood. The parameters of the prior are not read.
      kl_weight: the weight of KL(q(z|x) || N(0, I)) at a step. While z tells little about x, a weight of 1 can drive
        q(z|x) to the prior, where it stays.

    Returns:
      The objective; metrics: elbo (the bound itself, for any weight) and its five terms.
    """

    def objective(params: Params, batch: Batch, keys: jax.Array, step: jax.Array) -> tuple[jax.Array, Metrics]:
        log_px_given_z, z, z_mean, z_log_var = _sampled_reconstruction(model, params, batch, keys, 1)
        zeros = jnp.zeros((1, z_mean.shape[-1]), z_mean.dtype)
        terms = elbo_terms(log_px_given_z, z, z_mean, z_log_var, GMMPrior(zeros[:, 0], zeros, zeros), "mean")
        return -terms.log_px_given_z + kl_weight(step) * terms.kl, elbo_metrics(terms)

    return objective


# By the value of pretrain.objective.
PRETRAINING: dict[str, PretrainingObjective] = {
    "autoencoder": lambda model, kl_weight: reconstruction(model),
    "vae": vae,
}


def negative_elbo(model: Model, estimator: str, num_samples: int, kl_weight: Weight = _weight_one) -> Objective:
    """-ELBO(x), with a weight on KL(q(z, c|x) || p(z, c)) for warm-up.

    Args:
      model: the networks and the likelihood.
      estimator: of q(c|x): 'sample', 'mean' or 'optimal'.
      num_samples: L, draws from q(z|x).
      kl_weight: the weight at a step; 1 gives the bound itself.

    Returns:
      The objective; metrics: elbo (the bound itself, for any weight) and its five terms.
    """

    def objective(params: Params, batch: Batch, keys: jax.Array, step: jax.Array) -> tuple[jax.Array, Metrics]:
        terms = batch_elbo_terms(model, params, batch, keys, estimator, num_samples)
        loss = -terms.log_px_given_z + kl_weight(step) * terms.kl
        return loss, elbo_metrics(terms)

    return objective


def guided_negative_elbo(model: Model, num_samples: int, kl_c_weight: float = 1.0) -> Objective:
    """-ELBO(x) with q(c|x) fixed to given memberships; the bound holds for any q(c|x) that does not depend on z.

    The networks and the prior learn the given clusters. The paper's second form of the bound subtracts
    E_q(z|x)[KL(q(c|x) || p(c|z))] (arXiv:1611.05148, Sec. 3.2). With more weight on this KL term, the model's own
    clusters get closer to the memberships.

    Args:
      model: the networks and the likelihood.
      num_samples: L, draws from q(z|x).
      kl_c_weight: the weight of this KL term; 1 gives the bound itself.

    Returns:
      The objective, for batches with 'memberships' [B, K]; metrics: elbo, its five terms, and kl_c, this KL term.
    """

    def objective(params: Params, batch: Batch, keys: jax.Array, step: jax.Array) -> tuple[jax.Array, Metrics]:
        log_px_given_z, z, z_mean, z_log_var = _sampled_reconstruction(model, params, batch, keys, num_samples)
        log_q_c = jnp.log(batch["memberships"])
        terms = elbo_terms_given_q_c(log_px_given_z, z_mean, z_log_var, params["prior"], log_q_c)
        kl_c = kl_cluster_posterior(log_q_c, z, params["prior"])
        return -terms.elbo + (kl_c_weight - 1) * kl_c, {**elbo_metrics(terms), "kl_c": kl_c}

    return objective


def dec(model: Model) -> Objective:
    """KL(p || q) of given targets p from soft assignments q(c|z = mu_z) to the prior's means (arXiv:1511.06335).

    Args:
      model: the networks; the decoder is not used.

    Returns:
      The objective, for batches with 'targets' [B, K]; metrics: kl_targets.
    """

    def objective(params: Params, batch: Batch, keys: jax.Array, step: jax.Array) -> tuple[jax.Array, Metrics]:
        z_mean, _ = model.encode(params, _encoder_input(batch))
        log_q_c = log_soft_assignments(z_mean, params["prior"])
        targets = batch["targets"]
        kl_targets = jnp.sum(targets * (jnp.log(jnp.maximum(targets, _TINY)) - log_q_c), axis=-1)
        return kl_targets, {"kl_targets": kl_targets}

    return objective


def with_augmented_input(objective: Objective, augmentation: Augmentation) -> Objective:
    """The objective with a random augmentation of the encoder's input in each step; the decoder's target is x itself.

    The bound holds for any q(z|x), so also for one that reads an augmented image. z learns to ignore the augmentation.

    Args:
      objective: what to minimise.
      augmentation: applied to each row of 'x'.

    Returns:
      The objective, for the same batches.
    """

    def augmented(params: Params, batch: Batch, keys: jax.Array, step: jax.Array) -> tuple[jax.Array, Metrics]:
        augmentation_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, _AUGMENTATION)
        encoder_input = jax.vmap(augmentation)(augmentation_keys, batch["x"])
        return objective(params, {**batch, ENCODER_INPUT: encoder_input}, keys, step)

    return augmented


@dataclasses.dataclass(frozen=True)
class ClusteringMethod(abc.ABC):
    """How the last stage trains the model from its starting clusters.

    Attributes:
      has_targets: whether the batches need 'targets', computed before each epoch.
    """

    has_targets: ClassVar[bool] = False

    @abc.abstractmethod
    def objective(self, model: Model, estimator: str, num_samples: int, kl_weight: Weight) -> Objective:
        """What the stage minimises; the arguments are those of `negative_elbo`."""

    def start(self, prior: GMMPrior) -> GMMPrior:
        """The prior at the first step, from the prior fitted to the starting clusters."""
        return prior

    def targets(self, z_mean: np.ndarray, prior: GMMPrior) -> np.ndarray:
        """The targets [N, K] of an epoch, float32, from the rows' z_mean [N, J]; only if has_targets."""
        raise NotImplementedError(f"{type(self).__name__} has no targets")


@dataclasses.dataclass(frozen=True)
class ElboMethod(ClusteringMethod):
    """VaDE: maximizes the ELBO (arXiv:1611.05148)."""

    def objective(self, model: Model, estimator: str, num_samples: int, kl_weight: Weight) -> Objective:
        """-ELBO(x)."""
        return negative_elbo(model, estimator, num_samples, kl_weight)


@dataclasses.dataclass(frozen=True)
class DecMethod(ClusteringMethod):
    """DEC: sharpens soft assignments to the prior's means (Xie et al. 2016, arXiv:1511.06335)."""

    has_targets: ClassVar[bool] = True

    def objective(self, model: Model, estimator: str, num_samples: int, kl_weight: Weight) -> Objective:
        """KL(targets || soft assignments); it depends only on the model."""
        return dec(model)

    def start(self, prior: GMMPrior) -> GMMPrior:
        """The mixture of the prior's means as centroids."""
        return mixture_of_centroids(prior)

    def targets(self, z_mean: np.ndarray, prior: GMMPrior) -> np.ndarray:
        """The sharpened soft assignments."""
        return sharpen_targets(np.exp(log_soft_assignments(jnp.asarray(z_mean), prior)))


# By the value of train.objective.
CLUSTERING: dict[str, ClusteringMethod] = {"elbo": ElboMethod(), "dec": DecMethod()}


def batch_elbo_terms(
    model: Model, params: Params, batch: Batch, keys: jax.Array, estimator: str, num_samples: int
) -> ELBOTerms:
    """The terms of the ELBO for a batch; each example's draws of z use its own key.

    Args:
      model: the networks and the likelihood.
      params: the parameters of the networks and of the prior.
      batch: 'x' [B, D], and ENCODER_INPUT [B, D] if the encoder's input is not x.
      keys: [B], JAX random keys.
      estimator: of q(c|x): 'sample', 'mean' or 'optimal'.
      num_samples: L.

    Returns:
      ELBOTerms of [B] each, nats.
    """
    log_px_given_z, z, z_mean, z_log_var = _sampled_reconstruction(model, params, batch, keys, num_samples)
    return elbo_terms(log_px_given_z, z, z_mean, z_log_var, params["prior"], estimator)


def _sampled_reconstruction(
    model: Model, params: Params, batch: Batch, keys: jax.Array, num_samples: int
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """log p(x|z) [L, B] for draws z from q(z|x), the draws [L, B, J], and their z_mean and z_log_var, [B, J] each."""
    z_mean, z_log_var = model.encode(params, _encoder_input(batch))
    z = sample_z_each(keys, z_mean, z_log_var, num_samples)
    return model.log_px_given_z(params, batch["x"], z), z, z_mean, z_log_var


def _encoder_input(batch: Batch) -> jax.Array:
    return batch.get(ENCODER_INPUT, batch["x"])


def sample_z_each(keys: jax.Array, z_mean: jax.Array, z_log_var: jax.Array, num_samples: int) -> jax.Array:
    """Draws z [L, B, J] from q(z|x), with one key of keys [B] for each example."""
    return jax.vmap(sample_z, in_axes=(0, 0, 0, None), out_axes=1)(keys, z_mean, z_log_var, num_samples)


def elbo_metrics(terms: ELBOTerms) -> Metrics:
    """The ELBO ('elbo') and its five terms by name, each [B], nats."""
    scalars = {name: value for name, value in terms._asdict().items() if name != "log_q_c"}
    return {"elbo": terms.elbo, **scalars}
