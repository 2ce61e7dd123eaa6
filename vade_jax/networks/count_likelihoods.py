"""Likelihoods of rows of counts, such as the genes of cells. A row's total is its size factor."""

import abc
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import linen as nn

from vade_jax.core.count_likelihoods import (
    log_prob_x_negative_binomial,
    log_prob_x_poisson,
    log_prob_x_zero_inflated_negative_binomial,
    sample_x_negative_binomial,
    sample_x_poisson,
    sample_x_zero_inflated_negative_binomial,
)
from vade_jax.core.mixture_prior import log_prob_normal
from vade_jax.core.shapes import prepend_axes
from vade_jax.networks.encoders_decoders import LearnedNumbers
from vade_jax.networks.likelihood_base import Likelihood

_FEATURE_TOTAL = 10_000.0  # as in scanpy's and Seurat's normalization
_FIRST_LOG_TOTAL = 7.0  # before training, the mean of log totals; about 1,000 counts


@dataclass(frozen=True)
class _Counts(Likelihood):
    """Counts of the means total * softmax(shares), where total is the sum of the row.

    So log p(x|z) does not depend on how many counts a row has, but on how they are shared out. A row of zeros counts as
    one with a total of 1. Draws and E[x|z] have the log-normal totals of the training rows and their median.

    The heads are the shares before softmax [..., D], a learned number for each column that is added to them, the
    family's further parameters [..., D], and the mean and the log-deviation of the log totals [..., 2].
    """

    num_heads = 1
    support = "count"
    factorizes = False  # the size factor is a sum over columns

    @abc.abstractmethod
    def _log_prob(self, x: jax.Array, log_mean: jax.Array, *others: jax.Array) -> jax.Array:
        """log p(x|z) [...] for the log of the size factor times the shares, [..., D]."""

    @abc.abstractmethod
    def _sample(self, key: jax.Array, log_mean: jax.Array, *others: jax.Array) -> jax.Array:
        """A draw x [..., D]."""

    def _mean(self, log_mean: jax.Array, *others: jax.Array) -> jax.Array:
        """E[x|z] [..., D]."""
        return jnp.exp(log_mean)

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for counts x [..., D], given the total of each row."""
        log_shares, others, totals = self._split(heads)
        log_total = prepend_axes(_log_total(x), log_shares.ndim)
        log_prob = self._log_prob(x, log_total + log_shares, *others)
        log_prob_total = log_prob_normal(log_total, totals[..., :1], 2 * totals[..., 1:])
        return log_prob + log_prob_total - jax.lax.stop_gradient(log_prob_total)  # it is learned, and adds nothing

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] [..., D] of rows with the median total."""
        log_shares, others, totals = self._split(heads)
        return self._mean(totals[..., :1] + log_shares, *others)

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D], with a random total for each row."""
        log_shares, others, totals = self._split(heads)
        total_key, count_key = jax.random.split(key)
        noise = jax.random.normal(total_key, (*log_shares.shape[:-1], 1), log_shares.dtype)
        return self._sample(count_key, totals[..., :1] + jnp.exp(totals[..., 1:]) * noise + log_shares, *others)

    def features(self, x: jax.Array) -> jax.Array:
        """Returns log(1 + 10,000 x / total) [..., D]."""
        return jnp.log1p(_FEATURE_TOTAL * jnp.exp(-_log_total(x)) * x)

    def wrap_decoder(self, decoder: nn.Module) -> nn.Module:
        """Returns a decoder with further heads: the numbers that are learned for each column and for the totals."""
        return LearnedNumbers(super().wrap_decoder(decoder), (_FIRST_LOG_TOTAL, 0.0), each_column=False)

    def _split(self, heads: tuple[jax.Array, ...]) -> tuple[jax.Array, tuple[jax.Array, ...], jax.Array]:
        """The log shares of the columns, the family's further parameters, and the parameters of the totals."""
        own, learned, totals = heads[: self.num_heads], heads[self.num_heads : -1], heads[-1]
        return jax.nn.log_softmax(own[0] + learned[0], axis=-1), (*learned[1:], *own[1:]), totals


def _log_total(x: jax.Array) -> jax.Array:
    return jnp.log(jnp.maximum(jnp.sum(x, axis=-1, keepdims=True), 1.0))


@dataclass(frozen=True)
class Poisson(_Counts):
    """Poisson counts, whose variance is their mean."""

    first_numbers = (0.0,)  # added to the shares

    def _log_prob(self, x: jax.Array, log_mean: jax.Array, *others: jax.Array) -> jax.Array:
        return log_prob_x_poisson(x, log_mean)

    def _sample(self, key: jax.Array, log_mean: jax.Array, *others: jax.Array) -> jax.Array:
        return sample_x_poisson(key, log_mean)


@dataclass(frozen=True)
class NegativeBinomial(_Counts):
    """Counts of the variance mean + dispersion mean^2, with one learned dispersion for each column."""

    first_numbers = (0.0, 0.0)  # added to the shares; log-dispersion

    def _log_prob(self, x: jax.Array, log_mean: jax.Array, *others: jax.Array) -> jax.Array:
        return log_prob_x_negative_binomial(x, log_mean, *others)

    def _sample(self, key: jax.Array, log_mean: jax.Array, *others: jax.Array) -> jax.Array:
        return sample_x_negative_binomial(key, log_mean, *others)


@dataclass(frozen=True)
class ZeroInflatedNegativeBinomial(NegativeBinomial):
    """The same with more zeros. Their logits are a second head of the network."""

    num_heads = 2

    def _log_prob(self, x: jax.Array, log_mean: jax.Array, *others: jax.Array) -> jax.Array:
        return log_prob_x_zero_inflated_negative_binomial(x, log_mean, *others)

    def _sample(self, key: jax.Array, log_mean: jax.Array, *others: jax.Array) -> jax.Array:
        return sample_x_zero_inflated_negative_binomial(key, log_mean, *others)

    def _mean(self, log_mean: jax.Array, *others: jax.Array) -> jax.Array:
        _, zero_logits = others
        return jax.nn.sigmoid(-zero_logits) * jnp.exp(log_mean)
