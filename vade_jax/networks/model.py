"""The networks and the likelihood as one model: q(z|x), log p(x|z), E[x|z] and draws x ~ p(x|z)."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import linen as nn

from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.networks.by_columns import Column, by_columns
from vade_jax.networks.covariates import NO_COVARIATES, Covariates
from vade_jax.networks.encoders_decoders import NETWORKS, Shapes
from vade_jax.networks.likelihood_base import Likelihood
from vade_jax.networks.likelihoods import make_likelihood
from vade_jax.networks.with_gaps import with_gaps
from vade_jax.system.errors import InputError, first_line

Params = dict[str, Any]  # {'encoder': ..., 'decoder': ..., 'prior': GMMPrior}


@dataclass(frozen=True, eq=False)  # compared by identity: any network and likelihood can then be a key of programs
class Model:
    """An encoder, a decoder and a likelihood. The parameters are separate, as Params.

    Rows x [..., D + S] have their S covariates behind their D columns; S = 0 without covariates.

    Attributes:
      encoder: the likelihood's `encoder_input` of x [..., D], with the encoded covariates behind it ->
        (z_mean [..., J], z_log_var [..., J]).
      decoder: z [..., J], with the encoded covariates behind it -> the likelihood's heads, [..., D] each.
      likelihood: p(x|z).
      covariates: of the rows. The prior does not depend on them.
    """

    encoder: nn.Module
    decoder: nn.Module
    likelihood: Likelihood
    covariates: Covariates = NO_COVARIATES

    def encoder_input(self, x: jax.Array) -> jax.Array:
        """What the encoder sees of rows x [..., D + S]."""
        features, covariates = self.covariates.split(x)
        return self.covariates.beside(self.likelihood.encoder_input(features), covariates)

    def encode(self, params: Params, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(z_mean, z_log_var), each [..., J], of q(z|x) for x [..., D + S]."""
        encoded = self.encoder.apply(params["encoder"], self.encoder_input(x))
        return cast(tuple[jax.Array, jax.Array], encoded)

    def heads(self, params: Params, z: jax.Array, covariates: jax.Array | None = None) -> tuple[jax.Array, ...]:
        """The parameters of p(x|z) for z [..., J] and covariates [..., S], scaled; None if unknown."""
        heads = self.decoder.apply(params["decoder"], self.covariates.beside(z, covariates))
        return cast(tuple[jax.Array, ...], heads)

    def log_px_given_z(self, params: Params, x: jax.Array, z: jax.Array) -> jax.Array:
        """log p(x|z), [L, ...] in nats, for x [..., D + S] and draws z [L, ..., J]."""
        x, covariates = self.covariates.split(x)
        return self.likelihood.log_prob(x, *self.heads(params, z, covariates))

    def mean_x(self, params: Params, z: jax.Array, covariates: jax.Array | None = None) -> jax.Array:
        """E[x|z], [..., D], for z [..., J] and covariates [..., S], scaled; None if unknown."""
        return self.likelihood.mean(*self.heads(params, z, covariates))

    def fill(self, params: Params, x: jax.Array, z: jax.Array, weights: jax.Array) -> jax.Array:
        """x [B, D + S] with E[x|z] in its gaps, as the mean over draws z [L, B, J] of the weights [L, B]."""
        x, covariates = self.covariates.split(x)
        filled = self.likelihood.fill(x, weights, *self.heads(params, z, covariates))
        return self.covariates.join(filled, covariates)

    def sample_x(self, params: Params, key: jax.Array, z: jax.Array, covariates: jax.Array | None = None) -> jax.Array:
        """A draw x ~ p(x|z), [..., D], for z [..., J] and covariates [..., S], scaled; None if they are not known.

        Raises:
          NotImplementedError: the likelihood has no `sample`.
        """
        return self.likelihood.sample(key, *self.heads(params, z, covariates))


@functools.lru_cache(maxsize=32)  # one object for one model, so that its compiled programs are found again
def make_model(
    *,
    network: str,
    likelihood: str,
    num_features: int,
    image_shape: tuple[int, int, int] | None,
    latent_dim: int,
    hidden: tuple[int, ...],
    min_log_var: float,
    columns: tuple[Column, ...] = (),
    gaps: bool = False,
    covariates: tuple[int, ...] = (),
) -> Model:
    """Returns the model of these names and sizes.

    Args:
      network: a name in NETWORKS.
      likelihood: a name in LIKELIHOODS, or BY_COLUMNS.
      num_features: D.
      image_shape: (H, W, C), or None if rows are not images.
      latent_dim: J.
      hidden: widths of the hidden layers.
      min_log_var: the lower bound of the Gaussian likelihood's log sigma^2.
      columns: the kinds of the D columns for BY_COLUMNS; () for the other likelihoods.
      gaps: whether rows can have gaps, entries that are NaN.
      covariates: the number of levels of each covariate, 0 for a number; () for none.

    Returns:
      The model, without parameters; the same object for the same arguments.

    Raises:
      InputError: there is no such network or likelihood, the network cannot have these shapes, or the likelihood
        cannot have gaps.
    """
    family = _make_family(likelihood, min_log_var, columns, gaps)
    shapes = Shapes(
        num_features=family.num_outputs(num_features),
        image_shape=None if gaps or columns or covariates else image_shape,  # the encoder does not see x alone
        latent_dim=latent_dim,
        hidden=hidden,
        num_heads=family.num_heads,
    )
    factory = NETWORKS[network]
    try:
        encoder, decoder = factory(shapes)
    except ValueError as error:
        raise InputError(
            "config.model.network",
            f"{network!r}, which these rows do not suit: {first_line(error)}",
            "a network for these rows",
            "Set --config.model.network=mlp, which takes any rows. Images [N, H, W] or [N, H, W, C] suit 'conv'.",
        ) from error
    return Model(encoder, family.wrap_decoder(decoder), family, Covariates(covariates))


def _make_family(likelihood: str, min_log_var: float, columns: tuple[Column, ...], gaps: bool) -> Likelihood:
    """Returns the likelihood of rows with these columns, with or without gaps."""
    family = by_columns(columns, min_log_var) if columns else make_likelihood(likelihood, min_log_var)
    if not gaps:
        return family
    if not family.factorizes:
        raise InputError(
            "config.model.likelihood",
            f"{likelihood!r} for rows with gaps",
            "a likelihood that is a product over columns",
            "Set --config.model.likelihood=auto, fill the gaps, or leave out rows with gaps.",
        )
    return with_gaps(family)


def init_params(key: jax.Array, model: Model, num_features: int, num_clusters: int, latent_dim: int) -> Params:
    """Returns new parameters: the networks' own initialization, and a standard normal prior for every cluster.

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
    prior_shapes = (num_clusters,), (num_clusters, latent_dim), (num_clusters, latent_dim)
    init_encoder, init_decoder = _initializers(model)
    covariates = jnp.zeros((1, model.covariates.count), jnp.float32)
    x = model.covariates.join(jnp.zeros((1, num_features), jnp.float32), covariates)
    z = jnp.zeros((1, latent_dim), jnp.float32)
    return {
        "encoder": init_encoder(encoder_key, model.encoder_input(x)),
        "decoder": init_decoder(decoder_key, model.covariates.beside(z, covariates)),
        "prior": GMMPrior(*(jnp.zeros(shape, jnp.float32) for shape in prior_shapes)),
    }


@functools.lru_cache(maxsize=32)
def _initializers(model: Model) -> tuple[Callable, Callable]:
    """The networks' own initialization, compiled as one program each instead of one for each operation."""
    return jax.jit(model.encoder.init), jax.jit(model.decoder.init)
