"""Trains the last stage of a trained model for a few more epochs, on new rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vade_jax.commands.evaluate import write_results
from vade_jax.commands.load_rows import identify
from vade_jax.data.dataset import Dataset
from vade_jax.runs import workdir
from vade_jax.runs.continued_run import ONLY_LAST_STAGE, begin_last_stage
from vade_jax.runs.metrics_log import METRICS, write_metrics
from vade_jax.runs.progress import Progress
from vade_jax.runs.row_weights import write_row_weights
from vade_jax.runs.run import make_run
from vade_jax.runs.train_many_runs import train_runs
from vade_jax.runs.treatment import EpochCallback
from vade_jax.settings.data_dependent import batch_sizes_of_all_rows, count_distinct_rows
from vade_jax.settings.field_names import flatten, nested
from vade_jax.system import compile_time
from vade_jax.system.errors import DivergedError, InputError, with_storage_errors
from vade_jax.system.precision import matmul_precision
from vade_jax.training.train_state import TrainState


@with_storage_errors
def continue_training(
    settings: Mapping[str, Any],
    description: Mapping[str, Any],
    state: TrainState,
    progress: Progress,
    temperature: float,
    records: Sequence[dict[str, Any]],
    rows: Dataset,
    folder: Path,
    num_epochs: int,
    callbacks: Sequence[EpochCallback] = (),
) -> None:
    """Trains the last stage from a trained state on, and writes a finished run with its results.

    The scaling, K and the numbers of the clusters stay. The log-likelihoods that outliers are compared with, and all
    other results are of the new rows. The temperature is one at which their probabilities are as certain, on average,
    as they were before.

    Args:
      settings: of the trained run, nested sections.
      description: of its rows.
      state: of the trained run.
      progress: of the trained run.
      temperature: of its calibrated probabilities.
      records: the metrics of its epochs.
      rows: the new rows, with the columns, levels and covariates of the run.
      folder: of the new run; it does not exist.
      num_epochs: the most epochs.
      callbacks: called after each epoch; one that returns True ends training.

    Raises:
      InputError: there are fewer different rows than clusters.
      DivergedError: the loss or a parameter is not finite.
    """
    x, flat = rows.inputs, flatten(settings)
    least = max(2, flat["model.num_clusters"])
    if count_distinct_rows(x, least) < least:
        expected = f"at least {least}, the number of clusters" if least > 2 else "at least 2"
        raise InputError("X", f"{len(x)} rows, some of them equal", f"{expected}, different ones", "Add rows.")
    flat |= ONLY_LAST_STAGE | {"train.num_epochs": min(num_epochs, flat["train.num_epochs"]), "checkpoint.keep": 1}
    flat |= batch_sizes_of_all_rows(flat, len(x))
    described = {name: value for name, value in description.items() if name != "weights"}
    described |= {name: value for name, value in identify(rows).items() if name != "covariates"} | {"test": None}
    workdir.claim(folder, nested(flat), described)
    write_metrics(folder / METRICS, records)
    run = make_run(ConfigDict(nested(flat)), folder, described)
    compile_time.start_counting()
    with compile_time.kept_programs(run.config.compilation_cache), matmul_precision(run.config.precision):
        write_row_weights(run, rows.weights)
        begin_last_stage(run, state, progress, temperature, x)
        for of_run, outcome in train_runs([run], x, callbacks=callbacks):
            if isinstance(outcome, DivergedError):
                raise outcome
            write_results(of_run, *outcome, rows, None)
