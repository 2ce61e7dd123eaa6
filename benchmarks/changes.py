"""What each change for speed gave: python -m benchmarks.changes.

Each change is a pair of functions that find the same thing, the plain way first. Both run in turn, round after round,
so that what else the machine does meets both alike. The record goes to benchmarks/results/changes_<name>.json: the
ratio is the median over rounds.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from benchmarks import seeds, speed

Pair = tuple[Callable[[], Any], Callable[[], Any]]


def main() -> None:
    """Measures every change and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--name", default="cpu", help="of the record")
    parser.add_argument("--changes", type=lambda text: text.split(","), default=list(CHANGES))
    options = parser.parse_args()
    record = {
        "cpus": os.cpu_count(),
        "processor": speed.processor(),
        "commit": seeds.commit(),
        "changes": {name: measure(CHANGES[name](), options.rounds) for name in options.changes},
    }
    path = seeds.RESULTS / f"changes_{options.name}.json"
    seeds.write(path, record)
    print(seeds.aligned(rows(record)))
    print(f"wrote {path}")


def measure(pair: Pair, num_rounds: int) -> dict[str, Any]:
    """Times both functions of a pair, after a call each that compiles.

    Args:
      pair: the plain way, and the one that took its place.
      num_rounds: how often each is called.

    Returns:
      'before' and 'after': seconds over rounds.
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
    """The record as rows of text, the columns' names first."""
    table = [["change", "before, ms", "after, ms", "times faster"]]
    for name, times in record["changes"].items():
        ratio = statistics.median(a / b for a, b in zip(times["before"], times["after"], strict=True))
        before, after = (1e3 * statistics.median(times[key]) for key in ("before", "after"))
        table.append([name, seeds.number(before, 1), seeds.number(after, 1), seeds.number(ratio, 1)])
    return table


def _densities() -> Pair:
    """log p(z) and its gradient for 256 rows, 1,000 clusters, 50 dimensions."""
    import jax

    from vade_jax.core import mixture_prior

    keys = jax.random.split(jax.random.key(0), 3)
    z = jax.random.normal(keys[0], (256, 50))
    prior = mixture_prior.GMMPrior(jax.numpy.zeros(1000), *(jax.random.normal(key, (1000, 50)) for key in keys[1:]))

    def compiled():
        slope = jax.jit(jax.grad(lambda prior: mixture_prior.log_prob_z(z, prior).mean())).lower(prior).compile()
        return lambda: jax.block_until_ready(slope(prior))

    with mock.patch.object(mixture_prior, "_FEW_CLUSTERS", 1000):
        before = compiled()
    return before, compiled()


def _convolutions() -> Pair:
    """Gradients of two convolutions of 3 x 3 and stride 2 on 64 images of 28 x 28, four steps in a scan."""
    import jax
    import jax.numpy as jnp

    from vade_jax.networks.encoders_decoders import _patches

    keys = jax.random.split(jax.random.key(0), 3)
    images = jax.random.normal(keys[0], (64, 28, 28, 1))
    kernels = [0.1 * jax.random.normal(keys[1], (3, 3, 1, 32)), 0.1 * jax.random.normal(keys[2], (3, 3, 32, 64))]

    def by_xla(h, kernel):
        return jax.lax.conv_general_dilated(h, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def by_patches(h, kernel):
        return _patches(h, 3, 2) @ kernel.reshape(-1, kernel.shape[-1])

    def steps(convolve):
        def loss(kernels):
            h = images
            for kernel in kernels:
                h = jax.nn.relu(convolve(h, kernel))
            return jnp.square(h).mean()

        def step(kernels, _):
            return jax.tree.map(lambda kernel, slope: kernel - slope, kernels, jax.grad(loss)(kernels)), None

        run = jax.jit(lambda kernels: jax.lax.scan(step, kernels, length=4)[0])
        return lambda: jax.block_until_ready(run(kernels))

    return steps(by_xla), steps(by_patches)


def _threads() -> Pair:
    """Five mixtures of ten clusters on 1,797 rows of ten columns."""
    from threadpoolctl import threadpool_limits

    from vade_jax.initialization.gaussian_mixtures import fit_mixture

    layout = _digits(1797)[:, :10]

    def mixtures():
        return [fit_mixture(layout, "full", 10, seed) for seed in range(5)]

    def on_one_thread():
        with threadpool_limits(1):
            return mixtures()

    return mixtures, on_one_thread


def _layout_epochs() -> Pair:
    """The layout of 5,000 rows."""
    from vade_jax.initialization import best_of_layouts, umap_layouts
    from vade_jax.initialization.neighbor_graphs import nearest_neighbors_without_hubs

    embeddings = _digits(5000)
    distances, neighbors = nearest_neighbors_without_hubs(embeddings, 15)

    def usual():
        with mock.patch.object(best_of_layouts, "_LAYOUT_EPOCHS", None):  # umap-learn's own number
            return umap_layouts.umap_layout(embeddings, distances, neighbors, seed=0)

    return usual, lambda: umap_layouts.umap_layout(embeddings, distances, neighbors, seed=0)


def _processes() -> Pair:
    """Clusters on two layouts of 10,000 rows."""
    from vade_jax.initialization import best_of_layouts

    embeddings = _digits(10_000)

    def found():
        return best_of_layouts.best_on_layouts(
            embeddings, 10, best_of_layouts.Search(20, [0, 1], [0], components=2, part_rows=0)
        )

    def one_by_one():
        with mock.patch.object(best_of_layouts, "_ROWS_FOR_PROCESSES", 10**9):
            return found()

    return one_by_one, found


def _digits(num_rows):
    """scikit-learn's digits, again and again, each time with noise of its own."""
    from sklearn.datasets import load_digits

    x = np.resize(load_digits().data, (num_rows, 64))
    return x + np.random.default_rng(0).normal(size=x.shape)


# what was changed -> the pair.
CHANGES: dict[str, Callable[[], Pair]] = {
    "densities of 1,000 clusters by a matrix product, not rows by clusters by dimensions": _densities,
    "convolutions as matrix products of patches, in a scan": _convolutions,
    "mixtures of few rows on one thread, not on all": _threads,
    "layouts of 50 epochs, not umap-learn's 500": _layout_epochs,
    "layouts of many rows in a process each": _processes,
}

if __name__ == "__main__":
    main()
