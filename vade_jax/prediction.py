"""A trained run's answers on rows: clusters, responsibilities, log p(x), and which rows are outliers."""

import functools
from pathlib import Path

import numpy as np

from vade_jax import outputs, suited
from vade_jax.arrays import allocate
from vade_jax.devices import products_in
from vade_jax.errors import InputError
from vade_jax.evaluation import Posterior, log_likelihood, posterior
from vade_jax.experiment import read_rows
from vade_jax.results import LOG_LIKELIHOODS
from vade_jax.rows import Dataset
from vade_jax.run import Run, Use
from vade_jax.saved_model import restore
from vade_jax.train_state import TrainState


def predict(
    folder: Path, path: str = "", output: str = "", with_log_likelihood: bool = True, outlier_share: float = 0.01
) -> Path:
    """Writes what the trained run in the folder says of rows.

    The file has cluster, responsibilities [N, K] (in a table the columns probability_0 to probability_K-1) and, where
    rows have ids, id. Asked for, also log_likelihood, the importance-weighted bound in nats, and outlier: whether the
    row is less likely than all but a share of the rows that the run was scored on.

    Args:
      folder: the workdir of a run that ended, or of several, of which the best is asked.
      path: a file of rows as `vade_jax.data` reads them; '' for the run's own training rows.
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
    outputs.check(target, "config.predict.output")
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
    outputs.write(target, columns, {"responsibilities": names})
    return target


def check_rows(run: Run, state: TrainState, rows: Dataset) -> None:
    """Raises an InputError where the rows lie outside what the run's likelihood can tell of."""
    if run.config.model.likelihood == "bernoulli":
        suited.check_unit_interval(rows.x, np.asarray(state.scaling.shift), np.asarray(state.scaling.scale))


def clusters(run: Run, state: TrainState, x: np.ndarray, folder: Path | None = None) -> Posterior:
    """The clusters of rows x [N, D], as stored, under a trained run; large arrays lie in the folder."""
    return _answer(run, state, x, folder, posterior, estimator=run.config.evaluate.estimator)


def log_likelihoods(run: Run, state: TrainState, x: np.ndarray, folder: Path | None = None) -> np.ndarray:
    """The importance-weighted bound of log p(x), [N] nats, of rows x [N, D], as stored, under a trained run."""
    return _answer(run, state, x, folder, log_likelihood, num_samples=run.config.evaluate.bound_samples)


def _answer(run, state, x, folder, function, **options):
    batch_size = min(run.config.evaluate.batch_size, len(x))
    make = functools.partial(allocate, folder=folder)
    with products_in(run.config.precision):
        return function(run.model, state, x, run.key(Use.EVALUATION), batch_size=batch_size, allocate=make, **options)


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
