"""Evaluates a trained run, and writes its results and its report."""

import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.commands.load_rows import reload_rows
from vade_jax.commands.predict import of_clusters, outliers, print_rows_outside
from vade_jax.data import file_formats, output_files, tables
from vade_jax.data.dataset import Dataset
from vade_jax.data.sources import FILE
from vade_jax.inference.outliers import outlier_threshold
from vade_jax.reports import findings, html_report, results
from vade_jax.reports.evaluate_state import Evaluation, EvaluationOptions, evaluate_state
from vade_jax.reports.findings import FINDINGS, Findings
from vade_jax.runs import workdir
from vade_jax.runs.basis import basis
from vade_jax.runs.input_graphs import load_input_graphs
from vade_jax.runs.metrics_log import METRICS, read_metrics
from vade_jax.runs.progress import Progress
from vade_jax.runs.run import Run, with_settings
from vade_jax.runs.saved_model import is_saved, restore
from vade_jax.runs.workdir import REPORT, RESULTS
from vade_jax.settings import field_names
from vade_jax.system.atomic_files import exists
from vade_jax.system.errors import DamagedError, with_storage_errors
from vade_jax.system.precision import matmul_precision
from vade_jax.training.train_state import TrainState


@with_storage_errors
def evaluate(
    folder: Path, path: str = "", allow_import: bool = False, settings: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Evaluates the trained run in the folder again, without training, and rewrites its results.

    Args:
      folder: the workdir of a finished run, or of several runs: the best one is evaluated.
      path: where the file of its rows is now; '' for where it was in training.
      allow_import: whether the run's settings can import code (package.module:factory); only for trusted folders.
      settings: dotted name -> value, in place of the run's own: those of the section evaluate, which are kept in its
        config.json, and precision and report.

    Returns:
      The content of results.json.

    Raises:
      InputError: there is no such run, or its rows are missing or have changed; nothing was written.
      StorageError: a file cannot be read or written.
    """
    run, state, progress = restore(folder, allow_import)
    run = with_settings(run, settings)
    workdir.check_usable(folder)
    train_rows, test_rows = reload_rows(run, path)
    with workdir.locked(folder), matmul_precision(run.config.precision):
        workdir.change_settings(run.folder, settings or {})
        return write_results(run, state, progress, train_rows, test_rows)


def write_results(
    run: Run, state: TrainState, progress: Progress, train_rows: Dataset, test_rows: Dataset | None
) -> dict[str, Any]:
    """Evaluates a trained run, writes its results and its report, and returns the content of results.json."""
    options = run.config.evaluate
    if test_rows is not None:
        print_rows_outside(run, state, test_rows.inputs, f"config.data.test_split={run.config.data.test_split}")
    input_graphs = load_input_graphs(run, state.scaling, train_rows.inputs)
    started = time.perf_counter()
    evaluation = evaluate_state(
        run,
        state,
        train_rows,
        test_rows,
        input_graphs=input_graphs,
        total_epochs=progress.total_epochs,
        options=EvaluationOptions(
            estimator=options.estimator,
            batch_size=options.batch_size,
            bound_samples=options.bound_samples,
            bound_rows=options.bound_rows,
        ),
    )
    _write_assigned_rows(run, state, train_rows, evaluation)
    progress = progress._replace(seconds={**progress.seconds, "evaluate": time.perf_counter() - started})
    found = findings.find(run, state, train_rows, evaluation)
    findings.write(run.folder / FINDINGS, found)
    content = results.write_results(run, evaluation, progress, basis=_basis(run))
    if run.config.report:
        _write_report(run, found, content)
    return content


def _write_assigned_rows(run: Run, state: TrainState, rows: Dataset, evaluation: Evaluation) -> None:
    """Writes the clusters of the rows of a table as a table of the same kind; does nothing for other rows."""
    path = Path(run.config.data.path)
    if run.config.data.name != FILE or file_formats.ending(str(path)) not in tables.ENDINGS:
        return
    threshold = outlier_threshold(np.sort(evaluation.log_likelihoods), run.config.predict.outlier_share)
    clusters = evaluation.posterior.clusters
    columns = {
        "row" if rows.ids is None else "id": np.arange(len(rows.x)) if rows.ids is None else rows.ids,
        "cluster": clusters,
        "probability": of_clusters(evaluation.probabilities, clusters),
        "outlier": outliers(run, state, rows.inputs, threshold, run.folder),
    }
    is_parquet = output_files.ending(path) == tables.PARQUET
    output_files.write(run.folder / f"assignments{tables.PARQUET if is_parquet else '.csv'}", columns, {})


def written_results(run: Run) -> dict[str, Any] | None:
    """Returns the content of results.json if this run has ended, with its model and all its results, else None."""
    written = [
        RESULTS,
        results.ASSIGNMENTS,
        results.LOG_LIKELIHOODS,
        FINDINGS,
        *([REPORT] if run.config.report else []),
    ]
    if not all(exists(run.folder / name) for name in written):
        return None
    try:
        content = results.read(run.folder)
    except DamagedError:
        return None
    return content if content.get("basis") == _basis(run) and is_saved(run) else None


def _basis(run: Run) -> str:
    """Returns a digest of the settings that change the results."""
    settings = run.config.to_dict()
    changing = workdir.settings_that_change_training(settings) | {"evaluate": settings["evaluate"]}
    return basis({name: value for name, value in changing.items() if name != "data.path"})


def _write_report(run: Run, found: Findings, content: Mapping[str, Any]) -> None:
    path, settings = run.folder / REPORT, field_names.flatten(run.config.to_dict())
    try:
        records = read_metrics(run.folder / METRICS)
        html_report.write_report(path, found, content, settings, records, html_report.existing_files(run.folder))
    except Exception as error:  # the results are already written, and further runs may follow
        warnings.warn(f"{run.folder / 'report'} was not drawn: {error!r}", stacklevel=2)
