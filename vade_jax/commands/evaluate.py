"""Scores a trained run again, and writes its results and its report."""

import warnings
from pathlib import Path
from typing import Any

from vade_jax.commands.load_rows import load_rows
from vade_jax.data.dataset import Dataset
from vade_jax.reports import html_report, results
from vade_jax.runs import starting_clusters, workdir
from vade_jax.runs.progress import Progress
from vade_jax.runs.run import KeyUse, Run
from vade_jax.runs.saved_model import restore
from vade_jax.runs.starting_clusters import initialization_paths
from vade_jax.runs.watched_rows import read_cluster_history
from vade_jax.settings import field_names
from vade_jax.system.errors import full_disk_errors
from vade_jax.system.precision import matmul_precision
from vade_jax.training.train_state import TrainState


def evaluate(folder: Path) -> dict[str, Any]:
    """Scores the trained run in the folder again, the best of several, and rewrites its results.

    Args:
      folder: the workdir of a run that ended, or of several.

    Returns:
      The content of results.json.

    Raises:
      InputError: there is no such run, or its data is gone.
    """
    run, state, progress = restore(folder)
    _, train_rows, test_rows = load_rows(run.config, run.folder)
    with workdir.locked(folder), full_disk_errors(folder), matmul_precision(run.config.precision):
        return write_results(run, state, progress, train_rows, test_rows)


def write_results(
    run: Run, state: TrainState, progress: Progress, train_rows: Dataset, test_rows: Dataset | None
) -> dict[str, Any]:
    """Scores a trained run, writes its results and its report, and returns the content of results.json."""
    written = results.write(
        run.folder,
        run.model,
        state,
        train_rows,
        test_rows,
        run.key(KeyUse.EVALUATION),
        sample=starting_clusters.clustered_row_indices(run),
        input_graphs=starting_clusters.input_graphs(run, state.scaling, train_rows.x),
        seed=run.config.seed,
        init_method=run.config.init.method,
        init_paths=initialization_paths(run),
        seconds=progress.seconds,
        treatments=progress.treatments,
        cluster_history=read_cluster_history(run, progress.total_epochs),
        **run.config.evaluate,
    )
    if run.config.report:
        _write_report(run, state, train_rows, written)
    return written.content


def _write_report(run, state, train_rows, written):
    try:
        html_report.write(
            run.folder,
            run.model,
            state,
            train_rows,
            run.key(KeyUse.REPORT),
            written=written,
            settings=field_names.flatten(run.config.to_dict()),
            batch_size=run.config.evaluate.batch_size,
        )
    except Exception as error:  # the results are there, and further runs wait
        warnings.warn(f"{run.folder / 'report'} was not drawn: {error!r}", stacklevel=2)
