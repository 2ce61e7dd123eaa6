"""Predicts the clusters of rows with a trained run, their log p(x), and which rows are outliers."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.commands.load_rows import read_rows
from vade_jax.data import annotated_cells, output_files
from vade_jax.data.annotated_cells import CELLS
from vade_jax.data.scaling import count_outside
from vade_jax.inference.answers import Posterior, log_likelihood, make_embed, posterior
from vade_jax.inference.calibration import calibrated
from vade_jax.inference.outliers import are_outliers, outlier_threshold
from vade_jax.reports.results import LOG_LIKELIHOODS, read_temperature
from vade_jax.runs import workdir
from vade_jax.runs.run import KeyUse, Run, with_settings
from vade_jax.runs.saved_model import restore
from vade_jax.system.console import print_line
from vade_jax.system.errors import InputError, check_readable, with_storage_errors
from vade_jax.system.large_arrays import empty_array
from vade_jax.system.precision import matmul_precision
from vade_jax.training.train_state import TrainState

_FEW_ROWS = 2000
_MARGIN = 5.0  # nats


@with_storage_errors
def predict(
    folder: Path,
    path: str = "",
    output: str = "",
    with_log_likelihood: bool = True,
    with_responsibilities: bool = False,
    outlier_share: float = 0.01,
    allow_import: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a file with the clusters of rows.

    The file has cluster and the calibrated probabilities [N, K], in a table as the columns probability_0 to
    probability_K-1. It has id if the rows have ids. With with_responsibilities it also has the model's own q(c|x) as
    responsibilities, in a table as responsibility_0 to responsibility_K-1. With with_log_likelihood it also has
    log_likelihood, the importance-weighted bound in nats, and outlier: whether the bound is below that of all but a
    share outlier_share of rows that were not trained on, or is not finite.

    An .h5ad is a copy of that of the rows. Its obs has vade_cluster, vade_probability (of that cluster) and
    vade_outlier, and its obsm has X_vade, the means of q(z|x), and vade_probabilities; with with_responsibilities also
    vade_responsibilities. Those of the same name are replaced.

    Values outside the range of the training rows are clipped to it if the likelihood needs x in [0, 1]. A line says how
    many rows have such values. If one is outside by more than 16 times this range, log p(x) is -inf.

    Args:
      folder: the workdir of a finished run, or of several runs: the best one predicts.
      path: a file of rows that `vade_jax.data.sources` can read; '' for the training rows.
      output: a .csv, .parquet or .npz, for cells also an .h5ad; '' for predictions.npz in the workdir.
      with_log_likelihood: whether to compute log p(x), which takes many times longer.
      with_responsibilities: whether to write the model's own q(c|x), which is not calibrated.
      outlier_share: in [0, 1].
      allow_import: whether the run's settings can import code (package.module:factory); only for trusted folders.
      settings: dotted name -> value, in place of the run's own: evaluate.batch_size and precision.

    Returns:
      The path of the file.

    Raises:
      InputError: there is no such run, or the rows or the output cannot be used.
      StorageError: a file cannot be read or written.
    """
    run, state, _ = restore(folder, allow_import)
    run = with_settings(run, settings)
    target = Path(output) if output else run.folder / "predictions.npz"
    source = Path(path or workdir.read(run.folder)[1].get("path") or run.config.data.path)
    of_cells = (CELLS,) if output_files.ending(source) == CELLS else ()
    output_files.check(target, "config.predict.output", of_cells)
    rows = read_rows(run, path)
    x = rows.inputs
    print_rows_outside(run, state, x, path or "the training rows")
    columns = {} if rows.ids is None else {"id": rows.ids}
    predicted = clusters(run, state, x, target.parent)
    columns |= {
        "cluster": predicted.clusters,
        "probabilities": calibrated(predicted.responsibilities, read_temperature(run.folder)),
    }
    if with_responsibilities:
        columns["responsibilities"] = predicted.responsibilities
    if with_log_likelihood:
        threshold = _outlier_threshold(run, outlier_share)
        bound = log_likelihoods(run, state, x, target.parent)
        columns |= {"log_likelihood": bound, "outlier": are_outliers(bound, threshold)}
    if output_files.ending(target) == CELLS:
        annotated_cells.write(target, source, *annotations(columns, latent_means(run, state, x)))
        return target
    numbers = range(run.config.model.num_clusters)
    names = {
        "probabilities": [f"probability_{c}" for c in numbers],
        "responsibilities": [f"responsibility_{c}" for c in numbers],
    }
    output_files.write(target, columns, {name: names[name] for name in names if name in columns})
    return target


def annotations(
    answers: Mapping[str, np.ndarray], means: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What obs and obsm of cells get, as name -> array. Others' obs often has a column `cluster`: ours is vade_cluster.

    Args:
      answers: cluster [N] and probabilities [N, K]; if they are known, also outlier [N] and responsibilities [N, K].
      means: of q(z|x), [N, J].
    """
    of_cells = {"cluster": answers["cluster"], "probability": of_clusters(answers["probabilities"], answers["cluster"])}
    of_cells |= {name: answers[name] for name in ("outlier",) if name in answers}
    arrays = {name: answers[name] for name in ("probabilities", "responsibilities") if name in answers}
    obs, obsm = ({f"vade_{name}": array for name, array in part.items()} for part in (of_cells, arrays))
    return obs, {"X_vade": means} | obsm


def of_clusters(probabilities: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """The probability of each row's own cluster, [N], from all of them [N, K] and the clusters [N]."""
    return np.take_along_axis(probabilities, clusters[:, None].astype(np.int64), axis=1)[:, 0]


def latent_means(run: Run, state: TrainState, x: np.ndarray) -> np.ndarray:
    """The means of q(z|x), [N, J], of rows x [N, D + S], as stored, under a trained run."""
    with matmul_precision(run.config.precision):
        return make_embed(run.model, run.config.evaluate.batch_size)(state, x)[0]


def describe_rows_outside(run: Run, state: TrainState, x: np.ndarray) -> str:
    """How many rows x [N, D + S], as stored, are clipped to the support of the likelihood, in words; '' if none."""
    low, high = run.model.likelihood.limits
    count = count_outside(run.model.covariates.split(x)[0], state.scaling, np.array(low), np.array(high))
    if not count:
        return ""
    of = "the training rows" if run.model.likelihood.support == "unit_interval" else "the likelihood"
    return (
        f"{count:,} of {len(x):,} rows ({count / len(x):.1%}) have values outside the range of {of}. The "
        f"likelihood {run.config.model.likelihood!r} needs values in this range, so they are clipped to it."
    )


def print_rows_outside(run: Run, state: TrainState, x: np.ndarray, where: str) -> None:
    """Prints `describe_rows_outside` of rows x [N, D + S] that come from somewhere, if there are such rows."""
    if description := describe_rows_outside(run, state, x):
        print_line(f"{where}: {description}")


@with_storage_errors
def clusters(run: Run, state: TrainState, x: np.ndarray, folder: Path | None = None) -> Posterior:
    """The clusters of rows x [N, D + S], as stored, under a trained run. Large arrays are files in the folder."""
    with matmul_precision(run.config.precision):
        return posterior(
            run.model,
            state,
            x,
            run.key(KeyUse.EVALUATION),
            estimator=run.config.evaluate.estimator,
            batch_size=run.config.evaluate.batch_size,
            allocate=functools.partial(empty_array, folder=folder),
        )


@with_storage_errors
def log_likelihoods(
    run: Run, state: TrainState, x: np.ndarray, folder: Path | None = None, num_samples: int = 0
) -> np.ndarray:
    """The importance-weighted bound of log p(x), [N] nats, of rows x [N, D + S], as stored, under a trained run.

    Large arrays are files in the folder. num_samples is the number of draws; 0 for that of the run's settings.
    """
    with matmul_precision(run.config.precision):
        return log_likelihood(
            run.model,
            state,
            x,
            run.key(KeyUse.EVALUATION),
            num_samples=num_samples or run.config.evaluate.bound_samples,
            batch_size=run.config.evaluate.batch_size,
            allocate=functools.partial(empty_array, folder=folder),
        )


def outliers(run: Run, state: TrainState, x: np.ndarray, threshold: float, folder: Path | None = None) -> np.ndarray:
    """Whether rows x [N, D + S], as stored, are outliers, [N]: their log p(x) is below a threshold in nats.

    Of many rows a single draw tells which ones may be: its weight exceeds p(x) by more than a factor of e^5 with a
    probability of less than e^-5 (Markov's inequality). The bound with all draws is computed for these alone.
    Large arrays are files in the folder.
    """
    candidates = np.arange(len(x))
    if len(x) > _FEW_ROWS:
        single = log_likelihoods(run, state, x, folder, num_samples=1)
        candidates = np.flatnonzero(are_outliers(single, threshold + _MARGIN))
    found = np.zeros(len(x), bool)
    if len(candidates):
        bound = log_likelihoods(run, state, x[candidates], folder)
        found[candidates] = are_outliers(bound, threshold)
    return found


def _outlier_threshold(run: Run, share: float) -> float:
    """The log p(x) below which rows are outliers, in nats."""
    try:
        return outlier_threshold(np.load(run.folder / LOG_LIKELIHOODS), share)
    except OSError as error:
        check_readable(run.folder / LOG_LIKELIHOODS, error)
        raise InputError(
            "workdir",
            f"{run.folder} without {LOG_LIKELIHOODS}",
            "the log-likelihoods of the scored rows, which outliers are compared with",
            "Run --mode=evaluate on it, or set --config.predict.with_log_likelihood=false.",
        ) from error
