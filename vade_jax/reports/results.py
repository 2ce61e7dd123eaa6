"""The result files of a run: results.json, assignments.npz, log_likelihoods.npy and, for images, samples.png."""

import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vade_jax.reports.evaluate_state import Evaluation
from vade_jax.reports.image_strips import save_sample_grid
from vade_jax.reports.label_scores import recalls
from vade_jax.runs.progress import Progress
from vade_jax.runs.run import Run
from vade_jax.runs.workdir import RESULTS
from vade_jax.system.atomic_files import atomic_write, exists, write_array, write_json
from vade_jax.system.compile_time import compile_seconds
from vade_jax.system.errors import DivergedError, InputError, damaged_file_errors

ASSIGNMENTS = "assignments.npz"
LOG_LIKELIHOODS = "log_likelihoods.npy"  # [R], ascending, of rows that were not trained on
_SUMMARY = ("input_modularity", "elbo", "accuracy", "nmi", "ari", "failure")  # of each of several runs
_PACKAGES = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "numpy",
    "scikit-learn",
    "umap-learn",
    "scikit-network",
    "orbax-checkpoint",
)


def write_results(run: Run, evaluation: Evaluation, progress: Progress, basis: str) -> dict[str, Any]:
    """Writes results.json, assignments.npz, log_likelihoods.npy and, for images, samples.png.

    Args:
      run: its folder exists.
      evaluation: of the trained state.
      progress: of the run; its seconds include the evaluation.
      basis: of the settings that change the results, from `runs.basis`.

    Returns:
      The content of results.json; scores are None without labels.
    """
    write_array(run.folder / LOG_LIKELIHOODS, np.sort(evaluation.log_likelihoods))
    _write_assignments(run.folder / ASSIGNMENTS, evaluation)
    if run.image_shape and evaluation.samples is not None:
        images = evaluation.samples.reshape(*evaluation.samples.shape[:2], *run.image_shape)
        save_sample_grid(run.folder / "samples.png", images)
    seconds = progress.seconds
    content = {
        **evaluation.scores,
        "training_scores": evaluation.training_scores,
        **evaluation.elbo,
        "log_likelihood": float(evaluation.log_likelihoods.mean(dtype=np.float64)),
        "log_likelihood_samples": evaluation.bound_samples,
        "log_likelihood_rows": len(evaluation.log_likelihoods),
        "initialization": {"method": run.config.init.method, **evaluation.starting_clusters[0]},
        "rounds": evaluation.starting_clusters,
        "accuracy_by_epoch": evaluation.accuracy_by_epoch,
        "treatments": progress.treatments,
        "input_modularity": evaluation.input_modularity,
        "temperature": evaluation.temperature,
        "occupancy": evaluation.occupancy,
        "recall": recalls(evaluation.confusion) if evaluation.confusion else None,
        "scored_rows": len(evaluation.scored_posterior.clusters),
        "labelled_rows": evaluation.labelled_rows,
        **({"covariates": evaluation.covariates} if evaluation.covariates else {}),
        "scored_on": "train" if evaluation.test_posterior is None else "test",
        "seed": run.config.seed,
        "basis": basis,
        "seconds": {**seconds, "total": sum(seconds.values()), "compile": compile_seconds()},
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in _PACKAGES},
        "device": {
            "platform": jax.default_backend(),
            "kind": jax.local_devices()[0].device_kind,
            "count": jax.local_device_count(),
        },
    }
    write_json(run.folder / RESULTS, content)
    return content


def _write_assignments(path: Path, evaluation: Evaluation) -> None:
    train, test = evaluation.posterior, evaluation.test_posterior
    arrays: dict[str, Any] = {
        "cluster": train.clusters,
        "probabilities": evaluation.probabilities,
        "responsibilities": train.responsibilities,
    }
    if test is not None:
        arrays |= {
            "test_cluster": test.clusters,
            "test_probabilities": evaluation.test_probabilities,
            "test_responsibilities": test.responsibilities,
        }
    with atomic_write(path) as partial:
        np.savez(partial, **arrays)


def write_best_of_runs(workdir: Path, results_by_run: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Writes the results of the best run: the one with the highest `input_modularity`, which uses no labels.

    Args:
      workdir: the folder that contains the runs' folders.
      results_by_run: name -> results or failure of each run; at least one did not fail.

    Returns:
      The results of the best run, with its name under 'run' and a summary of every run under 'runs'.
    """
    runs = {name: {key: of_one[key] for key in _SUMMARY if key in of_one} for name, of_one in results_by_run.items()}
    succeeded = [name for name, run in runs.items() if "failure" not in run]
    best = max(succeeded, key=lambda name: runs[name]["input_modularity"])
    content = {"run": best, "runs": runs, **results_by_run[best]}
    write_json(workdir / RESULTS, content)
    return content


def read(workdir: Path) -> dict[str, Any]:
    """The content of results.json.

    Raises:
      InputError: there are no results yet.
      StorageError: the file is damaged.
    """
    if not exists(workdir / RESULTS):
        raise InputError(
            "workdir",
            f"{workdir} without {RESULTS}",
            "a run that has been evaluated",
            "Run the same training command again to finish it.",
        )
    with damaged_file_errors(workdir / RESULTS):
        return json.loads((workdir / RESULTS).read_text())


def read_temperature(workdir: Path) -> float:
    """The temperature of the calibrated probabilities; 1 for the results of older versions.

    Raises:
      InputError: there are no results yet.
      StorageError: the file is damaged.
    """
    return float(read(workdir).get("temperature", 1.0))


def summary(results: dict[str, Any]) -> str:
    """The results as a short table."""
    seconds = results["seconds"]
    rows = [
        *((name, _one_line(run, name == results["run"])) for name, run in results.get("runs", {}).items()),
        ("rows scored", f"{results['scored_rows']} ({results['scored_on']})"),
        *_label_scores(results),
        ("ELBO", f"{results['elbo']:.2f} nats"),
        (
            "log p(x), lower bound",
            f"{results['log_likelihood']:.2f} nats (L = {results['log_likelihood_samples']}, "
            f"{results['log_likelihood_rows']} rows)",
        ),
        *(
            (f"information on {name}", f"{of_one['information']:.3f} of {of_one['entropy']:.3f} nats")
            for name, of_one in results.get("covariates", {}).items()
        ),
        ("cluster sizes", " ".join(map(str, results["occupancy"]))),
        ("seconds", f"{seconds['total']:.0f} in total; {seconds['compile']:.0f} of compilation, partly in parallel"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _label_scores(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The scores by labels as names and values. The starting clusters stand beside a score of the same rows."""
    on_test = results["scored_on"] == "test"
    training = results.get("training_scores", results)["accuracy"]  # newer than 0.1.0
    beside = "" if training is None else f" (starting clusters {results['initialization']['accuracy']:.4f})"
    lines = []
    if results["accuracy"] is not None:
        accuracy = f"{results['accuracy']:.4f}"
        unlabelled = results["scored_rows"] - results.get("labelled_rows", results["scored_rows"])  # newer than 0.1.0
        lines = [
            *([("rows without a label", f"{unlabelled}, left out of the scores")] if unlabelled else []),
            ("accuracy, test rows", accuracy) if on_test else ("accuracy", accuracy + beside),
            ("NMI", f"{results['nmi']:.4f}"),
            ("ARI", f"{results['ari']:.4f}"),
        ]
    if on_test and training is not None:
        lines.append(("accuracy, training rows", f"{training:.4f}{beside}"))
    return lines


def _one_line(run: Mapping[str, Any], best: bool) -> str:
    if "failure" in run:
        return run["failure"]
    accuracy = "" if run["accuracy"] is None else f", accuracy {run['accuracy']:.4f}"
    chosen = ", chosen" if best else ""
    return f"modularity {run['input_modularity']:.4f}, ELBO {run['elbo']:.2f} nats{accuracy}{chosen}"


def write_failure(workdir: Path, error: DivergedError) -> dict[str, Any]:
    """Writes and returns the results of a run that collapsed: 'failure' and 'treatments'."""
    failure = {"failure": str(error), "treatments": error.treatments}
    write_json(workdir / RESULTS, failure)
    return failure
