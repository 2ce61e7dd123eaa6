"""VaDE's networks and likelihood as one value: q(z|x), log p(x|z) and E[x|z] as functions of the parameters."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from flax import linen as nn

from vade_jax.core.likelihoods import log_prob_x_bernoulli, log_prob_x_gaussian
from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.networks.encoders_decoders import NETWORKS, Shapes, SharedLogVar

Params = dict[str, Any]  # {'encoder': ..., 'decoder': ..., 'prior': GMMPrior}


class Likelihood(NamedTuple):
    """A family p(x|z), as functions of the decoder's heads, each [..., D].

    Attributes:
      num_heads: how many heads it asks of the network's decoder.
      log_prob: (x [..., D], *heads) -> log p(x|z) [...], nats.
      mean: (*heads) -> E[x|z] [..., D].
      complete: the network's decoder -> one that returns all the heads that are read.
    """

    num_heads: int
    log_prob: Callable[..., jax.Array]
    mean: Callable[..., jax.Array]
    complete: Callable[[nn.Module], nn.Module] = lambda decoder: decoder


def bernoulli() -> Likelihood:
    """p(x|z) = prod_d Ber(x_d | sigmoid(logits_d)), for x in [0, 1]."""
    return Likelihood(1, log_prob_x_bernoulli, jax.nn.sigmoid)


def gaussian(min_log_var: float) -> Likelihood:
    """p(x|z) = N(x | mean, diag(sigma^2)) with log sigma^2 learned and above min_log_var.

    Without that bound a feature that the decoder fits exactly has an unbounded density.
    """

    def log_prob(x, mean, raw_log_var):
        return log_prob_x_gaussian(x, mean, min_log_var + jax.nn.softplus(raw_log_var - min_log_var))

    return Likelihood(2, log_prob, lambda mean, raw_log_var: mean)


def gaussian_shared(min_log_var: float) -> Likelihood:
    """p(x|z) = N(x | mean, sigma^2 I) with one sigma for all features, learned, log sigma^2 above min_log_var.

    With it the autoencoder minimises the squared error, whatever sigma is (Rybkin et al. 2021, arXiv:2006.13202).
    """
    return gaussian(min_log_var)._replace(num_heads=1, complete=SharedLogVar)


class Model(NamedTuple):
    """An encoder, a decoder and a likelihood; the parameters travel apart, as Params.

    Attributes:
      encoder: x [..., D] -> (z_mean [..., J], z_log_var [..., J]).
      decoder: z [..., J] -> the likelihood's heads, [..., D] each.
      likelihood: p(x|z).
    """

    encoder: nn.Module
    decoder: nn.Module
    likelihood: Likelihood

    def encode(self, params: Params, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(z_mean, z_log_var), each [..., J], of q(z|x) for x [..., D]."""
        return cast(tuple[jax.Array, jax.Array], self.encoder.apply(params["encoder"], x))

    def log_px_given_z(self, params: Params, x: jax.Array, z: jax.Array) -> jax.Array:
        """log p(x|z), [L, ...] in nats, for x [..., D] and draws z [L, ..., J]."""
        return self.likelihood.log_prob(x, *self.decoder.apply(params["decoder"], z))

    def mean_x(self, params: Params, z: jax.Array) -> jax.Array:
        """E[x|z], [..., D], for z [..., J]."""
        return self.likelihood.mean(*self.decoder.apply(params["decoder"], z))


def make_model(
    *,
    network: str,
    likelihood: str,
    num_features: int,
    image_shape: tuple[int, int, int] | None,
    latent_dim: int,
    hidden: tuple[int, ...],
    min_log_var: float,
) -> Model:
    """The model of these names and sizes.

    Args:
      network: a key of NETWORKS.
      likelihood: a key of LIKELIHOODS.
      num_features: D.
      image_shape: (H, W, C), or None where rows are no images.
      latent_dim: J.
      hidden: widths of the hidden layers.
      min_log_var: the least log sigma^2 of the Gaussian likelihood.

    Returns:
      The model, without parameters.

    Raises:
      ValueError: the network does not suit the data.
    """
    family = LIKELIHOODS[likelihood](min_log_var)
    encoder, decoder = NETWORKS[network](Shapes(num_features, image_shape, latent_dim, hidden, family.num_heads))
    return Model(encoder, family.complete(decoder), family)


# name -> function of the least log-variance that returns the Likelihood.
LIKELIHOODS: dict[str, Callable[[float], Likelihood]] = {
    "bernoulli": lambda min_log_var: bernoulli(),
    "gaussian": gaussian,
    "gaussian_shared": gaussian_shared,
}


def init_params(key: jax.Array, model: Model, num_features: int, num_clusters: int, latent_dim: int) -> Params:
    """Fresh parameters: the networks' own initialization, and a standard normal prior in every cluster.

    Args:
      key: a JAX random key.
      model: the model.
      num_features: D.
      num_clusters: K.
      latent_dim: J.

    Returns:
      {'encoder', 'decoder', 'prior'}.
    """
    encoder_key, decoder_key = jax.random.split(key)
    return {
        # One program each: call by call a dozen are compiled.
        "encoder": jax.jit(model.encoder.init)(encoder_key, jnp.zeros((1, num_features))),
        "decoder": jax.jit(model.decoder.init)(decoder_key, jnp.zeros((1, latent_dim))),
        "prior": GMMPrior(
            jnp.zeros(num_clusters), jnp.zeros((num_clusters, latent_dim)), jnp.zeros((num_clusters, latent_dim))
        ),
    }
