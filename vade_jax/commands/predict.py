"""Predicts the clusters of rows with a trained run, their log p(x), and which rows are outliers."""

import functools
from pathlib import Path

import numpy as np

from vade_jax.commands.load_rows import read_rows
from vade_jax.data import output_files
from vade_jax.data.dataset import Dataset
from vade_jax.inference.answers import Posterior, log_likelihood, posterior
from vade_jax.reports.results import LOG_LIKELIHOODS
from vade_jax.runs.run import KeyUse, Run
from vade_jax.runs.saved_model import restore
from vade_jax.settings import data_dependent
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import empty_array
from vade_jax.system.precision import matmul_precision
from vade_jax.training.train_state import TrainState


def predict(
    folder: Path,
    path: str = "",
    output: str = "",
    with_log_likelihood: bool = True,
    outlier_share: float = 0.01,
    allow_import: bool = False,
) -> Path:
    """Writes a file with the clusters of rows.

    The file has cluster and responsibilities [N, K], in a table as the columns probability_0 to probability_K-1. It has
    id if the rows have ids. With with_log_likelihood it also has log_likelihood, the importance-weighted bound in nats,
    and outlier: whether the bound is below the quantile outlier_share of the scored rows' bounds.

    Args:
      folder: the workdir of a finished run, or of several runs: the best one predicts.
      path: a file of rows that `vade_jax.data.sources` can read; '' for the training rows.
      output: a .csv, .parquet or .npz; '' for predictions.npz in the workdir.
      with_log_likelihood: whether to compute log p(x), which takes many times longer.
      outlier_share: in [0, 1].
      allow_import: whether the run's settings can import code (package.module:factory); only for trusted folders.

    Returns:
      The path of the file.

    Raises:
      InputError: there is no such run, or the rows or the output cannot be used.
    """
    run, state, _ = restore(folder, allow_import)
    target = Path(output) if output else run.folder / "predictions.npz"
    output_files.check(target, "config.predict.output")
    rows = read_rows(run, path)
    check_rows(run, state, rows)
    columns = {} if rows.ids is None else {"id": rows.ids}
    predicted = clusters(run, state, rows.x, target.parent)
    columns |= {"cluster": predicted.clusters, "responsibilities": predicted.responsibilities}
    if with_log_likelihood:
        threshold = _outlier_threshold(run, outlier_share)
        bound = log_likelihoods(run, state, rows.x, target.parent)
        columns |= {"log_likelihood": bound, "outlier": bound < threshold}
    names = [f"probability_{c}" for c in range(run.config.model.num_clusters)]
    output_files.write(target, columns, {"responsibilities": names})
    return target


def check_rows(run: Run, state: TrainState, rows: Dataset) -> None:
    """Raises an InputError if the likelihood of the run is not defined for the values of the rows."""
    if run.model.likelihood.support == "unit_interval":
        shift, scale = np.asarray(state.scaling.shift), np.asarray(state.scaling.scale)
        data_dependent.check_unit_interval(rows.x, shift, scale, run.config.model.likelihood)


def clusters(run: Run, state: TrainState, x: np.ndarray, folder: Path | None = None) -> Posterior:
    """The clusters of rows x [N, D], as stored, under a trained run. Large arrays are files in the folder."""
    with matmul_precision(run.config.precision):
        return posterior(
            run.model,
            state,
            x,
            run.key(KeyUse.EVALUATION),
            estimator=run.config.evaluate.estimator,
            batch_size=min(run.config.evaluate.batch_size, len(x)),
            allocate=functools.partial(empty_array, folder=folder),
        )


def log_likelihoods(run: Run, state: TrainState, x: np.ndarray, folder: Path | None = None) -> np.ndarray:
    """The importance-weighted bound of log p(x), [N] nats, of rows x [N, D], as stored, under a trained run."""
    with matmul_precision(run.config.precision):
        return log_likelihood(
            run.model,
            state,
            x,
            run.key(KeyUse.EVALUATION),
            num_samples=run.config.evaluate.bound_samples,
            batch_size=min(run.config.evaluate.batch_size, len(x)),
            allocate=functools.partial(empty_array, folder=folder),
        )


def _outlier_threshold(run: Run, share: float) -> float:
    """The quantile of the scored rows' log p(x) below which rows are outliers, in nats."""
    try:
        return float(np.quantile(np.load(run.folder / LOG_LIKELIHOODS), share))
    except OSError as error:
        raise InputError(
            "workdir",
            f"{run.folder} without {LOG_LIKELIHOODS}",
            "the log-likelihoods of the scored rows, which outliers are compared with",
            "Run --mode=evaluate on it, or set --config.predict.with_log_likelihood=false.",
        ) from error
