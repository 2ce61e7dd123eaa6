"""Rows on their way to the devices: whole and once where they fit there, in shards that Grain reads ahead otherwise."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from vade_jax.system.devices import gather_rows, replicate, rows_of_this_process
from vade_jax.training.objectives import Metrics
from vade_jax.training.train_state import TrainState

_BLOCK = 32  # rows that are read together


class Feed:
    """The rows that epochs train on.

    Attributes:
      resident: whether they lie whole on every device.
      x: [N, D], there or on the host.
    """

    def __init__(self, x: np.ndarray, max_resident: float, shard_bytes: float):
        """Takes rows to train on.

        Args:
          x: [N, D], as stored, in memory or in a memory-mapped file.
          max_resident: bytes; of more rows, a shard at a time is on the devices.
          shard_bytes: of a shard, a batch at least.
        """
        self.resident = x.nbytes <= max_resident
        self.x: Any = gather_rows(x[rows_of_this_process(len(x))], len(x)) if self.resident else x
        self._shard_bytes = shard_bytes

    def train(
        self,
        epoch: Callable[..., tuple[TrainState, Metrics]],
        state: TrainState,
        rows: dict[str, np.ndarray],
        batch_size: int,
    ) -> tuple[TrainState, Metrics]:
        """An epoch.

        Args:
          epoch: what `training.make_epoch` returned.
          state: before it, donated.
          rows: further arrays [N, ...] for the objective's batches, on the host.
          batch_size: B.

        Returns:
          The state after it, and the means of its metrics over its steps.
        """
        if self.resident:
            return epoch(state, {"x": self.x} | replicate(rows))
        seed = int(jax.random.bits(jax.random.fold_in(state.key, state.step)))
        steps: list[int] = []
        means: list[Metrics] = []
        for num_rows, shard in self._shards({"x": self.x, **rows}, batch_size, seed):
            if num_rows < batch_size:
                break
            state, shard_means = epoch(state, {name: gather_rows(part, num_rows) for name, part in shard.items()})
            jax.block_until_ready(means[-1:])  # two shards on the devices: this one, and the one before
            steps.append(num_rows // batch_size)
            means.append(shard_means)
        return state, jax.tree.map(lambda *values: np.average(values, weights=steps), *means)

    def _shards(self, arrays: dict[str, np.ndarray], batch_size: int, seed: int) -> Iterator[tuple[int, Any]]:
        """All rows in an order that the seed alone decides, some whole batches of them at a time: how many, and them.

        Where several processes train together, each reads its part of them.

        Blocks of neighbouring rows are shuffled, for an order of single ones takes longer than a small network trains
        on them; the epoch draws an order of its own within the shard.
        """
        import grain

        num_rows = len(self.x)
        row_bytes = sum(array[:1].nbytes for array in arrays.values())
        unit = math.lcm(batch_size, _BLOCK)
        shard_rows = max(1, int(self._shard_bytes / row_bytes) // unit) * unit
        num_blocks = num_rows // _BLOCK
        order = grain.MapDataset.range(num_blocks).shuffle(seed=seed)
        offset = int(np.random.default_rng(seed).integers(num_rows))  # so that no row is always of the last, loose ones

        def read(shard: int) -> tuple[int, dict[str, np.ndarray]]:
            first, stop = shard * shard_rows, min((shard + 1) * shard_rows, num_rows)
            blocks = [order[place] for place in range(first // _BLOCK, min(stop // _BLOCK, num_blocks))]
            numbers = (np.array(blocks, np.int64)[:, None] * _BLOCK + np.arange(_BLOCK)).ravel()
            loose = np.arange(num_blocks * _BLOCK if stop == num_rows else stop, stop)
            numbers = np.sort((np.concatenate([numbers, loose]) + offset) % num_rows)
            own = numbers[rows_of_this_process(len(numbers))]
            return len(numbers), {name: array[own] for name, array in arrays.items()}

        shards = grain.MapDataset.range(math.ceil(num_rows / shard_rows)).map(read)
        return iter(shards.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)))
