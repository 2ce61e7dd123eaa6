"""A trained run's answers on rows: clusters, responsibilities, log p(x), and which rows are outliers."""

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
    folder: Path, path: str = "", output: str = "", with_log_likelihood: bool = True, outlier_share: float = 0.01
) -> Path:
    """Writes what the trained run in the folder says of rows.

    The file has cluster, responsibilities [N, K] (in a table the columns probability_0 to probability_K-1) and, where
    rows have ids, id. Asked for, also log_likelihood, the importance-weighted bound in nats, and outlier: whether the
    row is less likely than all but a share of the rows that the run was scored on.

    Args:
      folder: the workdir of a run that ended, or of several, of which the best is asked.
      path: a file of rows as `vade_jax.data.sources` reads them; '' for the run's own training rows.
      output: a .csv, .parquet or .npz; '' for predictions.npz in the workdir.
      with_log_likelihood: whether log p(x) is asked, which takes many times the seconds.
      outlier_share: in [0, 1].

    Returns:
      The path written.

    Raises:
      InputError: there is no such run, or the rows or the output do not suit it.
    """
    run, state, _ = restore(folder)
    target = Path(output) if output else run.folder / "predictions.npz"
    output_files.check(target, "config.predict.output")
    rows = read_rows(run, path)
    check_rows(run, state, rows)
    columns = {} if rows.ids is None else {"id": rows.ids}
    found = clusters(run, state, rows.x, target.parent)
    columns |= {"cluster": found.clusters, "responsibilities": found.responsibilities}
    if with_log_likelihood:
        least = _least(run, outlier_share)
        bound = log_likelihoods(run, state, rows.x, target.parent)
        columns |= {"log_likelihood": bound, "outlier": bound < least}
    names = [f"probability_{c}" for c in range(run.config.model.num_clusters)]
    output_files.write(target, columns, {"responsibilities": names})
    return target


def check_rows(run: Run, state: TrainState, rows: Dataset) -> None:
    """Raises an InputError where the rows lie outside what the run's likelihood can tell of."""
    if run.config.model.likelihood == "bernoulli":
        data_dependent.check_unit_interval(rows.x, np.asarray(state.scaling.shift), np.asarray(state.scaling.scale))


def clusters(run: Run, state: TrainState, x: np.ndarray, folder: Path | None = None) -> Posterior:
    """The clusters of rows x [N, D], as stored, under a trained run; large arrays lie in the folder."""
    return _answer(run, state, x, folder, posterior, estimator=run.config.evaluate.estimator)


def log_likelihoods(run: Run, state: TrainState, x: np.ndarray, folder: Path | None = None) -> np.ndarray:
    """The importance-weighted bound of log p(x), [N] nats, of rows x [N, D], as stored, under a trained run."""
    return _answer(run, state, x, folder, log_likelihood, num_samples=run.config.evaluate.bound_samples)


def _answer(run, state, x, folder, function, **options):
    batch_size = min(run.config.evaluate.batch_size, len(x))
    make = functools.partial(empty_array, folder=folder)
    with matmul_precision(run.config.precision):
        return function(
            run.model, state, x, run.key(KeyUse.EVALUATION), batch_size=batch_size, allocate=make, **options
        )


def _least(run, share):
    """The log p(x) that all but a share of the scored rows exceed, nats."""
    try:
        return float(np.quantile(np.load(run.folder / LOG_LIKELIHOODS), share))
    except OSError as error:
        raise InputError(
            "workdir",
            f"{run.folder} does not hold {LOG_LIKELIHOODS}",
            "outliers are told by the log-likelihoods of the scored rows",
            "Run --mode=evaluate on it, or set --config.predict.with_log_likelihood=false.",
        ) from error
