"""The networks and the likelihood as one model: q(z|x), log p(x|z), E[x|z] and draws x ~ p(x|z)."""

import abc
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, cast, get_args

import jax
import jax.numpy as jnp
from flax import linen as nn

from vade_jax.core import likelihoods
from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.networks.encoders_decoders import NETWORKS, Shapes, SharedLogVar
from vade_jax.system.errors import InputError, first_line
from vade_jax.system.registry import Registry

Params = dict[str, Any]  # {'encoder': ..., 'decoder': ..., 'prior': GMMPrior}
Support = Literal["real", "unit_interval"]


class Likelihood(abc.ABC):
    """A family of distributions p(x|z). The decoder's heads, each [..., D], are its parameters.

    Attributes:
      num_heads: the number of heads that the network's decoder returns.
      support: the values of x that it allows: 'real' for any, 'unit_interval' for x in [0, 1].
    """

    num_heads: int
    support: Support = "real"

    @abc.abstractmethod
    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for x [..., D]."""

    @abc.abstractmethod
    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] [..., D]."""

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D].

        A subclass without this method can train and return E[x|z], but it cannot draw x.

        Raises:
          NotImplementedError: the subclass does not define it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot draw x: define its method sample(key, *heads), or ask for the mean, E[x|z]"
        )

    def wrap_decoder(self, decoder: nn.Module) -> nn.Module:
        """Returns a decoder that returns all the heads that `log_prob` and `mean` take.

        Args:
          decoder: the network's decoder, which returns `num_heads` heads.
        """
        return decoder


@dataclass(frozen=True)
class Bernoulli(Likelihood):
    """p(x|z) = prod_d Ber(x_d | sigmoid(logits_d)), for x in [0, 1]. The head is logits."""

    num_heads = 1
    support = "unit_interval"

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for x [..., D]."""
        (logits,) = heads
        return likelihoods.log_prob_x_bernoulli(x, logits)

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] [..., D]."""
        (logits,) = heads
        return jax.nn.sigmoid(logits)

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D], each value 0 or 1."""
        (logits,) = heads
        return likelihoods.sample_x_bernoulli(key, logits)


@dataclass(frozen=True)
class Gaussian(Likelihood):
    """p(x|z) = N(x | mean, diag(sigma^2)) with a learned log sigma^2 above min_log_var.

    Without that bound a feature that the decoder fits exactly has an unbounded density.
    The heads are the mean and a log-variance before the bound is applied.

    Attributes:
      min_log_var: the lower bound of log sigma^2.
    """

    min_log_var: float
    num_heads = 2

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for x [..., D]."""
        mean, raw_log_var = heads
        return likelihoods.log_prob_x_gaussian(x, mean, self._log_var(raw_log_var))

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] [..., D]."""
        mean, _ = heads
        return mean

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D]."""
        mean, raw_log_var = heads
        return likelihoods.sample_x_gaussian(key, mean, self._log_var(raw_log_var))

    def _log_var(self, raw_log_var: jax.Array) -> jax.Array:
        """log sigma^2, above its lower bound."""
        return self.min_log_var + jax.nn.softplus(raw_log_var - self.min_log_var)


@dataclass(frozen=True)
class SharedGaussian(Gaussian):
    """p(x|z) = N(x | mean, sigma^2 I) with one learned sigma for all features, log sigma^2 above min_log_var.

    With it the autoencoder minimises the squared error for any sigma (Rybkin et al. 2021, arXiv:2006.13202).
    """

    num_heads = 1

    def wrap_decoder(self, decoder: nn.Module) -> nn.Module:
        """Returns a decoder with a second head: the log-variance, one learned number."""
        return SharedLogVar(decoder)


class LikelihoodFactory(Protocol):
    """A function or class that makes a likelihood."""

    def __call__(self, min_log_var: float, /) -> Likelihood:
        """Returns the likelihood.

        Args:
          min_log_var: the setting `model.min_log_var`, for likelihoods with a learned scale.
        """


def _bernoulli(min_log_var: float) -> Likelihood:
    return Bernoulli()


LIKELIHOODS: Registry[LikelihoodFactory] = Registry(
    "likelihood",
    "model.likelihood",
    {"bernoulli": _bernoulli, "gaussian": Gaussian, "gaussian_shared": SharedGaussian},
)


def register_likelihood(name: str, factory: LikelihoodFactory) -> None:
    """Adds a likelihood that the setting `model.likelihood` can name.

    Args:
      name: a new name.
      factory: function of `model.min_log_var` that returns a `Likelihood`. Its `log_prob` maps x [..., D] and
        num_heads arrays [..., D] to log p(x|z) [...] in nats; its `mean` maps these arrays to E[x|z] [..., D]; its
        `sample`, which only draws of x need, maps a random key and these arrays to x ~ p(x|z) [..., D].

    Raises:
      ValueError: the name is taken, or cannot be used.

    Example:
      >>> class Laplace(Likelihood):
      ...     num_heads = 1
      ...     def log_prob(self, x, *heads):
      ...         return -jnp.abs(x - heads[0]).sum(-1) - x.shape[-1] * jnp.log(2.0)
      ...     def mean(self, *heads):
      ...         return heads[0]
      ...     def sample(self, key, *heads):
      ...         return heads[0] + jax.random.laplace(key, heads[0].shape)
      >>> register_likelihood("laplace", lambda min_log_var: Laplace())  # then: --config.model.likelihood=laplace
    """
    LIKELIHOODS.register(name, factory)


def make_likelihood(name: str, min_log_var: float) -> Likelihood:
    """Returns the likelihood of this name in LIKELIHOODS.

    Raises:
      InputError: there is no such likelihood, or its factory returns something else.
    """
    likelihood = LIKELIHOODS[name](min_log_var)
    if not isinstance(likelihood, Likelihood) or likelihood.support not in get_args(Support):
        raise InputError(
            "config.model.likelihood",
            f"{name!r}, which makes {likelihood!r}",
            f"a factory of a vade_jax.Likelihood whose support is one of {', '.join(map(repr, get_args(Support)))}",
            "Change the factory.",
        )
    return likelihood


class Model(NamedTuple):
    """An encoder, a decoder and a likelihood. The parameters are separate, as Params.

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

    def sample_x(self, params: Params, key: jax.Array, z: jax.Array) -> jax.Array:
        """A draw x ~ p(x|z), [..., D], for z [..., J].

        Raises:
          NotImplementedError: the likelihood has no `sample`.
        """
        return self.likelihood.sample(key, *self.decoder.apply(params["decoder"], z))


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
    """Returns the model of these names and sizes.

    Args:
      network: a name in NETWORKS.
      likelihood: a name in LIKELIHOODS.
      num_features: D.
      image_shape: (H, W, C), or None if rows are not images.
      latent_dim: J.
      hidden: widths of the hidden layers.
      min_log_var: the lower bound of the Gaussian likelihood's log sigma^2.

    Returns:
      The model, without parameters.

    Raises:
      InputError: there is no such network or likelihood, or the network cannot have these shapes.
    """
    family = make_likelihood(likelihood, min_log_var)
    shapes = Shapes(
        num_features=num_features,
        image_shape=image_shape,
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
    return Model(encoder, family.wrap_decoder(decoder), family)


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
    return {
        # Under jit one program is compiled for each network, instead of one for each operation.
        "encoder": jax.jit(model.encoder.init)(encoder_key, jnp.zeros((1, num_features))),
        "decoder": jax.jit(model.decoder.init)(decoder_key, jnp.zeros((1, latent_dim))),
        "prior": GMMPrior(
            jnp.zeros(num_clusters), jnp.zeros((num_clusters, latent_dim)), jnp.zeros((num_clusters, latent_dim))
        ),
    }
