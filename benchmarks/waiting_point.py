"""Clusters the rows of a file once, for `benchmarks.waiting`: python -m benchmarks.waiting_point KMeans x.npy 3 100.

Each contender imports only its own libraries, because the process is timed from its start. ClustPy runs in an
environment of its own, which has neither JAX nor this project's other dependencies.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

_STARTS = 10
_TRAINED_ROWS, _ONE_ROW_CALLS, _ROUNDS = 1000, 200, 5
_ONE_EPOCH = {
    "pretrain.num_epochs": 1,
    "guide.num_rounds": 0,
    "align.num_epochs": 0,
    "train.num_epochs": 0,
    "init.method": "kmeans",
    "optimizer.min_steps": 0,
    "evaluate.bound_samples": 1,
}


def main() -> None:
    """Runs the contender and prints its answer as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("rows", help="a .npy file of rows [N, D]")
    parser.add_argument("num_clusters", type=int)
    parser.add_argument("seed", type=int)
    parser.add_argument("--cache", default="", help="folder of compiled programs; none by default")
    options = parser.parse_args()
    x = np.load(options.rows)
    print(json.dumps(answer(options.contender, x, options.num_clusters, options.seed, options.cache)))


def answer(name: str, x: np.ndarray, num_clusters: int, seed: int, cache: str = "") -> dict[str, Any]:
    """What a contender finds on rows x [N, D].

    Args:
      name: a key of CONTENDERS.
      x: the rows.
      num_clusters: K.
      seed: of the contender.
      cache: folder of compiled programs; '' for none. Only vade-jax has them.

    Returns:
      'versions' of its libraries, and what its function returns.
    """
    how = CONTENDERS[name]
    found = how.run(x, num_clusters, seed, cache)
    return {"versions": {library: metadata.version(library) for library in how.libraries}, **found}


def _vade_jax(x: np.ndarray, num_clusters: int, seed: int, cache: str) -> dict[str, Any]:
    """This project's estimator with its default settings."""
    import jax

    from vade_jax import VaDE

    model = VaDE(num_clusters, settings={"compilation_cache": cache}, random_state=seed).fit(x)
    return {"clusters": model.labels_.tolist(), "device": jax.local_devices()[0].device_kind}


def _kmeans(x: np.ndarray, num_clusters: int, seed: int, _: str) -> dict[str, Any]:
    from sklearn.cluster import KMeans

    return {"clusters": KMeans(num_clusters, n_init=_STARTS, random_state=seed).fit_predict(x).tolist()}


def _mixture(x: np.ndarray, num_clusters: int, seed: int, _: str) -> dict[str, Any]:
    """A mixture with full covariances."""
    from sklearn.mixture import GaussianMixture

    return {"clusters": GaussianMixture(num_clusters, n_init=_STARTS, random_state=seed).fit_predict(x).tolist()}


def _umap_and_mixture(x: np.ndarray, num_clusters: int, seed: int, cache: str) -> dict[str, Any]:
    """A mixture on UMAP's layout, with the parameters that umap-learn's guide recommends for clustering."""
    from umap import UMAP

    # A seed makes umap-learn use one thread. n_jobs=1 says so, else it warns.
    layout = UMAP(n_neighbors=30, min_dist=0.0, n_components=2, random_state=seed, n_jobs=1)
    return _mixture(layout.fit_transform(x), num_clusters, seed, cache)


def _clustpy(x: np.ndarray, num_clusters: int, seed: int, _: str) -> dict[str, Any]:
    """ClustPy's VaDE with its defaults, whose loss needs rows in [0, 1].

    Its `labels_` are those of another mixture, which it fits to the embedding at the end. `vade_labels_` are the
    model's own, and were better on wine.
    """
    from clustpy.deep import VaDE
    from sklearn.preprocessing import MinMaxScaler

    if x.min() < 0 or x.max() > 1:
        x = MinMaxScaler(clip=True).fit_transform(x)
    model = VaDE(num_clusters, random_state=seed).fit(x.astype(np.float32))
    return {"clusters": model.vade_labels_.tolist()}


def _predict(x: np.ndarray, num_clusters: int, seed: int, cache: str) -> dict[str, Any]:
    """The time of `VaDE.predict` on rows x [N, D] in [0, 1], beside that of its encoder on the same rows.

    Returns:
      'first_ms' and 'one_row_ms': of the first call with one row, and the median of the later ones. 'rows_per_second'
      and 'encoder_rows_per_second' on all rows, and 'share_of_encoder', the median ratio of these two rates; 'device'.
    """
    import jax

    from benchmarks import changes, timing
    from vade_jax import VaDE

    settings = {**_ONE_EPOCH, "compilation_cache": cache}
    model = VaDE(
        num_clusters,
        hidden=timing.HIDDEN,
        likelihood="bernoulli",
        scaling="none",
        settings=settings,
        random_state=seed,
    ).fit(x[:_TRAINED_ROWS])
    calls = []
    for number in range(1 + _ONE_ROW_CALLS):
        row = x[number % len(x)][None]
        started = time.perf_counter()
        model.predict(row)
        calls.append(1e3 * (time.perf_counter() - started))
    times = changes.measure((lambda: model.predict(x), _encoder(model, x)), _ROUNDS)
    predicted, encoded = times["before"], times["after"]
    return {
        "device": jax.local_devices()[0].device_kind,
        "first_ms": round(calls[0], 2),
        "one_row_ms": round(statistics.median(calls[1:]), 3),
        "rows_per_second": round(len(x) / statistics.median(predicted)),
        "encoder_rows_per_second": round(len(x) / statistics.median(encoded)),
        "share_of_encoder": round(statistics.median(b / a for a, b in zip(predicted, encoded, strict=True)), 3),
    }


def _encoder(model: Any, x: np.ndarray) -> Callable[[], Any]:
    """A function that encodes the rows x [N, D], which lie on the device, in batches as large as those of `predict`."""
    import jax

    from vade_jax.runs import saved_model

    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        run, state, _ = saved_model.restore(Path(folder))
    size = run.config.evaluate.batch_size
    batches = [jax.numpy.asarray(x[start : start + size]) for start in range(0, len(x), size)]
    encode = jax.jit(run.model.encode)
    return lambda: jax.block_until_ready([encode(state.params, batch) for batch in batches])


@dataclass(frozen=True)
class _Contender:
    """A function of rows x [N, D], K, a seed and a folder of compiled programs, and the libraries that it measures.

    It returns 'clusters', a list of N integers, with 'device' if it has one; or times.
    """

    run: Callable[[np.ndarray, int, int, str], dict[str, Any]]
    libraries: tuple[str, ...]


# name -> contender; add one here, and in `waiting_parts`.
CONTENDERS = {
    "vade-jax": _Contender(_vade_jax, ("jax", "numpy")),
    "KMeans": _Contender(_kmeans, ("scikit-learn",)),
    "GaussianMixture": _Contender(_mixture, ("scikit-learn",)),
    "umap-learn + GaussianMixture": _Contender(_umap_and_mixture, ("umap-learn", "scikit-learn")),
    "ClustPy's VaDE": _Contender(_clustpy, ("clustpy", "torch")),
    "predict": _Contender(_predict, ("jax", "numpy")),
}

if __name__ == "__main__":
    main()
