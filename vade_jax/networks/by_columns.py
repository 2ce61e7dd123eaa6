"""Likelihoods of rows whose columns are of several kinds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from vade_jax.networks.column_families import KINDS, SCALED_KINDS
from vade_jax.networks.encoders_decoders import LearnedNumbers
from vade_jax.networks.likelihood_base import Likelihood, Limits

BY_COLUMNS = "by_columns"  # the value of model.likelihood for `ByColumns`


class Column(NamedTuple):
    """A column of x.

    Attributes:
      kind: a key of KINDS.
      num_levels: L, of a category; 0 for the other kinds.
    """

    kind: str
    num_levels: int = 0


class ColumnGroup(NamedTuple):
    """Columns of one family.

    Attributes:
      family: of each of them.
      columns: their indices, ascending.
    """

    family: Likelihood
    columns: tuple[int, ...]


@dataclass(frozen=True)
class ByColumns(Likelihood):
    """The product of families over groups of columns.

    The decoder has one head [..., P] with all parameters that depend on z: for each group, its heads one after the
    other. A second head [..., Q] has the numbers that are learned for each column, in the same order, if there are any.

    Attributes:
      groups: every column is in one of them.
    """

    groups: tuple[ColumnGroup, ...]
    num_heads = 1

    @property
    def limits(self) -> Limits:
        """The smallest and the largest x of each column."""
        low, high = (np.zeros(self._num_columns) for _ in range(2))
        for family, columns in self.groups:
            low[list(columns)], high[list(columns)] = family.limits
        return tuple(low.tolist()), tuple(high.tolist())

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for x [..., D]."""
        parts = [family.log_prob(part, *own) for family, part, own in self._parts(x, heads)]
        return sum(parts[1:], parts[0])

    def log_prob_by_column(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns the terms of log p(x|z), [..., D] in nats."""
        return self._join([family.log_prob_by_column(part, *own) for family, part, own in self._parts(x, heads)])

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] [..., D], of a category the most probable level."""
        return self._join([family.mean(*own) for family, own in self._own_heads(heads)])

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D]."""
        keys = jax.random.split(key, len(self.groups))
        return self._join(
            [family.sample(k, *own) for k, (family, own) in zip(keys, self._own_heads(heads), strict=True)]
        )

    def features(self, x: jax.Array) -> jax.Array:
        """Returns the features of each group, [..., F]."""
        return jnp.concatenate([family.features(x[..., np.array(columns)]) for family, columns in self.groups], axis=-1)

    def fill(self, x: jax.Array, weights: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns x [B, D] with its gaps filled as each family does; see `Likelihood.fill`."""
        return self._join([family.fill(part, weights, *own) for family, part, own in self._parts(x, heads)])

    def num_outputs(self, num_features: int) -> int:
        """Returns P."""
        return sum(family.num_heads * len(columns) for family, columns in self.groups)

    def wrap_decoder(self, decoder: nn.Module) -> nn.Module:
        """Returns a decoder with the learned numbers, if there are any, as a second head."""
        first = tuple(number for family, columns in self.groups for number in family.first_numbers for _ in columns)
        return LearnedNumbers(decoder, first, each_column=False) if first else decoder

    @property
    def _num_columns(self) -> int:
        return sum(len(columns) for _, columns in self.groups)

    def _own_heads(self, heads: Sequence[jax.Array]) -> list[tuple[Likelihood, list[jax.Array]]]:
        """Each group's family and heads, [..., columns of the group] each."""
        outputs, *learned = heads
        own, start, first = [], 0, 0
        for family, columns in self.groups:
            count = len(columns)
            starts = [(outputs, start + number * count) for number in range(family.num_heads)]
            starts += [(learned[0], first + number * count) for number in range(len(family.first_numbers))]
            own.append((family, [array[..., begin : begin + count] for array, begin in starts]))
            start += count * family.num_heads
            first += count * len(family.first_numbers)
        return own

    def _parts(self, x: jax.Array, heads: Sequence[jax.Array]) -> list[tuple[Likelihood, jax.Array, list[jax.Array]]]:
        """Each group's family, columns of x and heads."""
        return [
            (family, x[..., np.array(columns)], own)
            for (family, own), (_, columns) in zip(self._own_heads(heads), self.groups, strict=True)
        ]

    def _join(self, parts: Sequence[jax.Array]) -> jax.Array:
        """Arrays [..., columns of a group] as one [..., D], in the order of the columns."""
        order = np.argsort(np.concatenate([columns for _, columns in self.groups]))
        return jnp.concatenate(parts, axis=-1)[..., order]


def scaled_columns(columns: Sequence[Column]) -> np.ndarray | None:
    """Returns the indices of the columns that the setting `data.scaling` is for; None if it is for all."""
    if all(kind in SCALED_KINDS for kind, _ in columns):
        return None
    return np.flatnonzero([kind in SCALED_KINDS for kind, _ in columns])


def positive_columns(columns: Sequence[Column]) -> list[int]:
    """Returns the indices of the columns that are divided by their geometric mean."""
    return [number for number, (kind, _) in enumerate(columns) if kind == "positive"]


def by_columns(columns: Sequence[Column], min_log_var: float) -> ByColumns:
    """Returns the product of the families of the columns' kinds."""
    groups: dict[Column, list[int]] = {}
    for number, column in enumerate(columns):
        groups.setdefault(column, []).append(number)
    return ByColumns(
        tuple(ColumnGroup(KINDS[kind](min_log_var, levels), tuple(found)) for (kind, levels), found in groups.items())
    )
