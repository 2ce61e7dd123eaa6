"""The speedup of single code changes: python -m benchmarks.changes.

Each change is a pair of functions with the same result: the simple version and the faster one. Both run alternately in
every round, so that other load on the machine affects both alike. The record goes to
benchmarks/results/changes_<name>.json. The speedup is the median over rounds.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from benchmarks import provenance, records, text_tables

Pair = tuple[Callable[[], Any], Callable[[], Any]]


def main() -> None:
    """Measures every change and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--name", default="cpu", help="name of the record")
    parser.add_argument("--changes", type=lambda text: text.split(","), default=list(CHANGES))
    options = parser.parse_args()
    record = {
        "cpus": os.cpu_count(),
        "processor": records.processor(),
        **provenance.stamp(__file__),
        "changes": {name: measure(CHANGES[name](), options.rounds) for name in options.changes},
    }
    path = records.RESULTS / f"changes_{options.name}.json"
    records.write(path, record)
    print(text_tables.aligned(rows(record)))
    print(f"wrote {path}")


def measure(pair: Pair, num_rounds: int) -> dict[str, Any]:
    """Times both functions of a pair, after one call of each that compiles.

    Args:
      pair: the simple version and the faster one.
      num_rounds: how often each is called.

    Returns:
      'before' and 'after': seconds, one for each round.
    """
    times: dict[str, list[float]] = {"before": [], "after": []}
    for call in pair:
        call()
    for _ in range(num_rounds):
        for name, call in zip(times, pair, strict=True):
            started = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - started)
    return times


def rows(record: dict[str, Any]) -> list[list[str]]:
    """The record as a text table; the first row has the column names."""
    table = [["change", "before, ms", "after, ms", "times faster"]]
    for name, times in record["changes"].items():
        ratio = statistics.median(a / b for a, b in zip(times["before"], times["after"], strict=True))
        before, after = (1e3 * statistics.median(times[key]) for key in ("before", "after"))
        table.append([name, text_tables.number(before, 1), text_tables.number(after, 1), text_tables.number(ratio, 1)])
    return table


def _densities() -> Pair:
    """log p(z) and its gradient for 256 rows, 1,000 clusters, 50 dimensions."""
    import jax

    from vade_jax.core import mixture_prior

    keys = jax.random.split(jax.random.key(0), 3)
    z = jax.random.normal(keys[0], (256, 50))
    prior = mixture_prior.GMMPrior(jax.numpy.zeros(1000), *(jax.random.normal(key, (1000, 50)) for key in keys[1:]))

    def compiled() -> Callable[[], Any]:
        slope = jax.jit(jax.grad(lambda prior: mixture_prior.log_prob_z(z, prior).mean())).lower(prior).compile()
        return lambda: jax.block_until_ready(slope(prior))

    with mock.patch.object(mixture_prior, "_FEW_CLUSTERS", 1000):
        before = compiled()
    return before, compiled()


def _convolutions() -> Pair:
    """Four gradient steps in a scan: two 3 x 3 convolutions with stride 2 on 64 images of 28 x 28."""
    import jax
    import jax.numpy as jnp

    from vade_jax.networks.encoders_decoders import _patches

    keys = jax.random.split(jax.random.key(0), 3)
    images = jax.random.normal(keys[0], (64, 28, 28, 1))
    kernels = [0.1 * jax.random.normal(keys[1], (3, 3, 1, 32)), 0.1 * jax.random.normal(keys[2], (3, 3, 32, 64))]

    def by_xla(h: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(h, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def by_patches(h: jax.Array, kernel: jax.Array) -> jax.Array:
        return _patches(h, 3, 2) @ kernel.reshape(-1, kernel.shape[-1])

    def steps(convolve: Callable[[jax.Array, jax.Array], jax.Array]) -> Callable[[], Any]:
        def loss(kernels: list[jax.Array]) -> jax.Array:
            h = images
            for kernel in kernels:
                h = jax.nn.relu(convolve(h, kernel))
            return jnp.square(h).mean()

        def step(kernels: list[jax.Array], _: None) -> tuple[list[jax.Array], None]:
            return jax.tree.map(lambda kernel, slope: kernel - slope, kernels, jax.grad(loss)(kernels)), None

        run = jax.jit(lambda kernels: jax.lax.scan(step, kernels, length=4)[0])
        return lambda: jax.block_until_ready(run(kernels))

    return steps(by_xla), steps(by_patches)


def _threads() -> Pair:
    """Five mixtures with ten clusters on 1,797 rows of ten columns."""
    from threadpoolctl import threadpool_limits

    from vade_jax.initialization.gaussian_mixtures import fit_mixture

    layout = _digits(1797)[:, :10]

    def mixtures() -> list[Any]:
        return [fit_mixture(layout, "full", 10, seed) for seed in range(5)]

    def on_one_thread() -> list[Any]:
        with threadpool_limits(1):
            return mixtures()

    return mixtures, on_one_thread


def _layout_epochs() -> Pair:
    """The layout of 5,000 rows."""
    from vade_jax.initialization.neighbor_graphs import nearest_neighbors_without_hubs
    from vade_jax.initialization.umap_layouts import umap_layout

    embeddings = _digits(5000)
    distances, neighbors = nearest_neighbors_without_hubs(embeddings, 15)

    def with_epochs_of_umap_learn() -> np.ndarray:
        return umap_layout(embeddings, distances, neighbors, seed=0, num_epochs=500)

    return with_epochs_of_umap_learn, lambda: umap_layout(embeddings, distances, neighbors, seed=0)


def _processes() -> Pair:
    """Clusters on two layouts of 10,000 rows."""
    from vade_jax.initialization import best_of_layouts

    embeddings = _digits(10_000)

    def in_parallel() -> Any:
        return best_of_layouts.best_on_layouts(
            embeddings, 10, best_of_layouts.Search(20, [0, 1], [0], components=2, part_rows=0)
        )

    def one_by_one() -> Any:
        with mock.patch.object(best_of_layouts, "_ROWS_FOR_PROCESSES", 10**9):
            return in_parallel()

    return one_by_one, in_parallel


def _digits(num_rows: int) -> np.ndarray:
    """scikit-learn's digits, repeated and with added noise, [num_rows, 64]."""
    from sklearn.datasets import load_digits

    x = np.resize(load_digits().data, (num_rows, 64))
    return x + np.random.default_rng(0).normal(size=x.shape)


# name of the change -> function that returns its pair.
CHANGES: dict[str, Callable[[], Pair]] = {
    "densities of 1,000 clusters by a matrix product, not rows by clusters by dimensions": _densities,
    "convolutions as matrix products of patches, in a scan": _convolutions,
    "mixtures of few rows on one thread, not on all": _threads,
    "layouts of 50 epochs, not umap-learn's 500": _layout_epochs,
    "layouts of many rows in a process each": _processes,
}

if __name__ == "__main__":
    main()
