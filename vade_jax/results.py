"""What a trained run leaves in its workdir: results.json, assignments.npz and, for images, samples.png."""

import functools
import json
import platform
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy.sparse import csr_matrix

from vade_jax import metrics
from vade_jax.arrays import allocate
from vade_jax.errors import DivergedError
from vade_jax.evaluation import generate, log_likelihood, mean_elbo, posterior
from vade_jax.graphs import modularity
from vade_jax.model import Model
from vade_jax.report import save_sample_grid
from vade_jax.rows import Dataset
from vade_jax.tracking import compile_seconds
from vade_jax.train_state import TrainState

RESULTS = "results.json"
ASSIGNMENTS = "assignments.npz"
LOG_LIKELIHOODS = "log_likelihoods.npy"  # of the rows drawn to be scored, in ascending order
_SAMPLES_PER_CLUSTER = 10
_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn", "umap-learn", "orbax-checkpoint")


def write(
    workdir: Path,
    model: Model,
    state: TrainState,
    train: Dataset,
    test: Dataset | None,
    key: jax.Array,
    *,
    sample: np.ndarray,
    graph: csr_matrix,
    seed: int,
    init_method: str,
    init_paths: list[Path],
    seconds: dict[str, float],
    treatments: list[dict[str, Any]],
    trail: tuple[np.ndarray, np.ndarray],
    estimator: str,
    batch_size: int,
    bound_samples: int,
    bound_rows: int,
) -> dict[str, Any]:
    """Evaluates a trained state and writes its results. The one place where labels are read.

    Args:
      workdir: an existing folder.
      model: the networks and the likelihood.
      state: the trained state.
      train: the rows that were clustered.
      test: the rows to score instead, or None.
      key: of the draws.
      sample: numbers [M] of the rows of train that clusters were found on.
      graph: [M, M], of these, on which their clusters' modularity is taken.
      seed: of the run.
      init_method: the initialization's name.
      init_paths: of the initializations in their order; see `rounds`.
      seconds: name -> wall-clock seconds spent so far.
      treatments: what went wrong while it trained, and what was done.
      trail: numbers [W] of rows of train, and their clusters [epochs, W] after each epoch, -1 where there were none.
      estimator: of q(c|x).
      batch_size: rows for one device call.
      bound_samples: L of the importance-weighted bound.
      bound_rows: the number of rows it is averaged over; 0 for all.

    Returns:
      The content of results.json; scores are None where there are no labels.
    """
    started = time.perf_counter()
    posterior_key, rows_key, bound_key, generate_key = jax.random.split(key, 4)

    make = functools.partial(allocate, folder=workdir)

    def answer(function: Callable[..., Any], dataset: Dataset) -> Any:
        options = {"estimator": estimator, "batch_size": min(batch_size, len(dataset.x)), "allocate": make}
        return function(model, state, dataset.x, posterior_key, **options)

    train_answer = answer(posterior, train)
    scored, scored_answer = (test, answer(posterior, test)) if test else (train, train_answer)
    elbo = answer(mean_elbo, scored)
    x = scored.x[_subset(len(scored.x), rows_key, bound_rows)]
    bound = log_likelihood(
        model, state, x, bound_key, num_samples=bound_samples, batch_size=min(batch_size, 256, len(x))
    )
    num_clusters = scored_answer.responsibilities.shape[1]
    labels = None if train.labels is None else train.labels[sample]
    rounds = [_initialization(path, labels) for path in init_paths]
    np.save(workdir / LOG_LIKELIHOODS, np.sort(bound))
    _write_assignments(workdir / ASSIGNMENTS, train_answer, scored_answer if test else None)
    if train.image_shape:
        grid = generate(model, state.params, generate_key, range(num_clusters), _SAMPLES_PER_CLUSTER)
        save_sample_grid(workdir / "samples.png", grid.reshape(*grid.shape[:2], *train.image_shape))
    seconds = {**seconds, "evaluate": time.perf_counter() - started}
    results = {
        **_scores(scored.labels, scored_answer.clusters),
        **elbo,
        "log_likelihood": float(bound.mean(dtype=np.float64)),
        "log_likelihood_samples": bound_samples,
        "log_likelihood_rows": len(x),
        "initialization": {"method": init_method, **rounds[0]},
        "rounds": rounds,
        "accuracy_by_epoch": _accuracy_by_epoch(train.labels, *trail),
        "treatments": treatments,
        "input_modularity": modularity(graph, train_answer.clusters[sample]),
        "occupancy": metrics.occupancy(scored_answer.clusters, num_clusters),
        "scored_rows": len(scored.x),
        "scored_on": "test" if test else "train",
        "seed": seed,
        "seconds": {**seconds, "total": sum(seconds.values()), "compile": compile_seconds()},
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in _PACKAGES},
        "device": {
            "platform": jax.default_backend(),
            "kind": jax.local_devices()[0].device_kind,
            "count": jax.local_device_count(),
        },
    }
    (workdir / RESULTS).write_text(json.dumps(results, indent=2) + "\n")
    return results


def write_best(workdir: Path, answers: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Writes the results of the best of several runs: of the highest `input_modularity`, which reads no label.

    Args:
      workdir: the folder that the runs' folders lie in.
      answers: name -> results or failure of each; at least one did not fail.

    Returns:
      The best one's results, with its name under 'run' and under 'runs' what became of each.
    """
    kept = ("input_modularity", "elbo", "accuracy", "nmi", "ari", "failure")
    runs = {name: {key: answer[key] for key in kept if key in answer} for name, answer in answers.items()}
    best = max((name for name, run in runs.items() if "failure" not in run), key=lambda name: runs[name][kept[0]])
    results = {"run": best, "runs": runs, **answers[best]}
    (workdir / RESULTS).write_text(json.dumps(results, indent=2) + "\n")
    return results


def summary(results: dict[str, Any]) -> str:
    """The short table that a run, or several, end with."""
    rows = [
        *((name, _in_short(run, name == results["run"])) for name, run in results.get("runs", {}).items()),
        ("rows scored", f"{results['scored_rows']} ({results['scored_on']})"),
        ("ELBO", f"{results['elbo']:.2f} nats"),
        (
            "log p(x), lower bound",
            f"{results['log_likelihood']:.2f} nats (L = {results['log_likelihood_samples']}, "
            f"{results['log_likelihood_rows']} rows)",
        ),
        ("cluster sizes", " ".join(map(str, results["occupancy"]))),
        ("seconds", f"{results['seconds']['total']:.0f}, {results['seconds']['compile']:.0f} of them to compile"),
    ]
    if results["accuracy"] is not None:
        after_sizes = len(results.get("runs", {})) + 1
        rows[after_sizes:after_sizes] = [
            ("accuracy", f"{results['accuracy']:.4f} (initialization {results['initialization']['accuracy']:.4f})"),
            ("NMI", f"{results['nmi']:.4f}"),
            ("ARI", f"{results['ari']:.4f}"),
        ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _in_short(run, best):
    if "failure" in run:
        return run["failure"]
    accuracy = "" if run["accuracy"] is None else f", accuracy {run['accuracy']:.4f}"
    taken = ", taken" if best else ""
    return f"modularity {run['input_modularity']:.4f}, ELBO {run['elbo']:.2f} nats{accuracy}{taken}"


def _scores(labels, clusters):
    return metrics.scores(labels, clusters) if labels is not None else dict.fromkeys(("accuracy", "nmi", "ari"))


def _accuracy_by_epoch(labels, rows, clusters):
    """On the watched rows, None for epochs without clusters or a data set without labels."""
    return [
        None if labels is None or epoch.min() < 0 else metrics.scores(labels[rows], epoch)["accuracy"]
        for epoch in clusters
    ]


def write_failure(workdir: Path, error: DivergedError) -> dict[str, Any]:
    """Writes, and returns, the results of a run that could not be mended: 'failure' and 'treatments'."""
    failure = {"failure": str(error), "treatments": error.treatments}
    (workdir / RESULTS).write_text(json.dumps(failure, indent=2) + "\n")
    return failure


def _initialization(path, labels):
    """The scores of the clusters that a stage began with, and why they were chosen; see `rounds.Found`."""
    with np.load(path) as arrays:
        return {
            **_scores(labels, arrays["memberships"].argmax(axis=1)),
            "modularity": float(arrays["modularity"]),
            "found_modularity": float(arrays["found_modularity"]),
            "restart_scores": arrays["scores"].tolist(),
        }


def _subset(num_rows, key, size):
    """The numbers of so many rows drawn at random, all for 0."""
    if not 0 < size < num_rows:
        return np.arange(num_rows)
    return np.sort(np.asarray(jax.random.choice(key, num_rows, (size,), replace=False)))


def _write_assignments(path, train, test):
    arrays = {"cluster": train.clusters, "responsibilities": train.responsibilities}
    if test:
        arrays |= {"test_cluster": test.clusters, "test_responsibilities": test.responsibilities}
    np.savez(path, **arrays)
