"""Sends training rows to the devices: once if all rows fit there, else in shards that Grain reads ahead."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.system.devices import gather_rows, replicate, rows_of_this_process
from vade_jax.training.objectives import Batch, Metrics
from vade_jax.training.train_state import TrainState

_BLOCK = 32  # neighbouring rows that are shuffled as one block


class Feed:
    """The rows that epochs train on.

    Attributes:
      resident: whether every device holds all rows.
      x: [N, D], on the devices if resident, else on the host.
    """

    def __init__(
        self,
        x: np.ndarray,
        max_resident: float,
        shard_bytes: float,
        held_out: np.ndarray | None = None,
        extra_bytes: int = 0,
    ):
        """Sends the rows to every device if they are small enough.

        Args:
          x: [N, D], as stored, in memory or in a memory-mapped file.
          max_resident: bytes; rows that take more, with their extra arrays, are streamed to the devices, one shard at a
            time.
          shard_bytes: size of a shard, which holds at least one batch.
          held_out: the indices of rows that are not trained on; other random rows take their places.
          extra_bytes: of all rows in the extra arrays of `train`, at most.
        """
        self.resident = x.nbytes + extra_bytes <= max_resident
        self._rows = None if held_out is None or not len(held_out) else _with_others(held_out, len(x))
        self.x: Any = x
        if self.resident:
            own = rows_of_this_process(len(x))
            self.x = gather_rows(x[own] if self._rows is None else x[self._rows[own]], len(x))
        self._shard_bytes = shard_bytes

    def train(
        self,
        epoch: Callable[[TrainState, Batch], tuple[TrainState, Metrics]],
        state: TrainState,
        extra_arrays: dict[str, np.ndarray],
        batch_size: int,
        num_passes: int = 1,
    ) -> tuple[TrainState, Metrics]:
        """Trains one epoch.

        Args:
          epoch: as `make_epoch` returns it, for num_passes if resident, else for one.
          state: the state before the epoch; its buffers are donated.
          extra_arrays: further arrays [N, ...] for the objective's batches, on the host.
          batch_size: B.
          num_passes: how often the epoch goes through the rows.

        Returns:
          The state after the epoch, and the mean of each metric over its steps.
        """
        if self.resident:
            return epoch(state, {"x": self.x} | replicate(self.trained_rows(extra_arrays)))
        steps: list[int] = []
        means: list[Metrics] = []
        for _ in range(num_passes):
            seed = int(jax.random.bits(jax.random.fold_in(state.key, state.step), dtype=jnp.uint32))
            for num_rows, shard in self._shards({"x": self.x, **extra_arrays}, batch_size, seed):
                if num_rows < batch_size:
                    break
                state, shard_means = epoch(state, {name: gather_rows(part, num_rows) for name, part in shard.items()})
                jax.block_until_ready(means[-1:])  # so that the devices hold at most this shard and the one before
                steps.append(num_rows // batch_size)
                means.append(shard_means)
        return state, jax.tree.map(lambda *values: np.average(values, weights=steps), *means)

    def trained_rows(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns arrays [N, ...] of all rows as arrays [N, ...] of the rows that x on the devices holds."""
        return arrays if self._rows is None else {name: array[self._rows] for name, array in arrays.items()}

    def _shards(self, arrays: dict[str, np.ndarray], batch_size: int, seed: int) -> Iterator[tuple[int, Any]]:
        """Yields all rows in shards of complete batches: the number of rows of a shard, and its arrays.

        The order depends on the seed only. If several processes train together, each reads its part of every shard.

        Blocks of neighbouring rows are shuffled: reading single rows in random order would take longer than a small
        network trains on them. The epoch shuffles the rows within the shard.
        """
        import grain

        num_rows = len(self.x)
        row_bytes = sum(array[:1].nbytes for array in arrays.values())
        unit = math.lcm(batch_size, _BLOCK)
        shard_rows = max(1, int(self._shard_bytes / row_bytes) // unit) * unit
        num_blocks = num_rows // _BLOCK
        order = grain.MapDataset.range(num_blocks).shuffle(seed=seed)
        # The last N mod _BLOCK rows stay outside the blocks; the offset makes them different rows in every epoch.
        offset = int(np.random.default_rng(seed).integers(num_rows))

        def read(shard: int) -> tuple[int, dict[str, np.ndarray]]:
            first, stop = shard * shard_rows, min((shard + 1) * shard_rows, num_rows)
            blocks = [order[i] for i in range(first // _BLOCK, min(stop // _BLOCK, num_blocks))]
            in_blocks = (np.array(blocks, np.int64)[:, None] * _BLOCK + np.arange(_BLOCK)).ravel()
            outside = np.arange(num_blocks * _BLOCK if stop == num_rows else stop, stop)
            row_indices = np.sort((np.concatenate([in_blocks, outside]) + offset) % num_rows)
            own = row_indices[rows_of_this_process(len(row_indices))]
            own = own if self._rows is None else self._rows[own]
            return len(row_indices), {name: array[own] for name, array in arrays.items()}

        shards = grain.MapDataset.range(math.ceil(num_rows / shard_rows)).map(read)
        return iter(shards.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)))


def _with_others(held_out: np.ndarray, num_rows: int) -> np.ndarray:
    """Returns the row indices [N], where other random rows take the places of the held-out ones."""
    rows = np.arange(num_rows)
    rows[held_out] = np.random.default_rng(0).choice(np.setdiff1d(rows, held_out), len(held_out))
    return rows
