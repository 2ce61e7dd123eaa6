"""Trains one run or several from a config, or resumes them, and writes their results."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vade_jax.commands.evaluate import write_results, written_results
from vade_jax.commands.load_rows import LoadedRows, identify, load_rows
from vade_jax.data import tfds_images
from vade_jax.data.column_checks import check_extreme_values, warn_of_codes_for_gaps
from vade_jax.data.covariates import KnownCovariates
from vade_jax.data.dataset import Dataset, Source
from vade_jax.data.gaps import has_gaps
from vade_jax.reports import results
from vade_jax.runs import workdir
from vade_jax.runs.replaced_run import OWNER, delete_replaced_run
from vade_jax.runs.row_weights import write_row_weights
from vade_jax.runs.run import Run, make_run
from vade_jax.runs.saved_model import check_autoencoder
from vade_jax.runs.train_many_runs import Outcome, train_runs
from vade_jax.runs.treatment import EpochCallback
from vade_jax.settings import data_dependent, field_names, paths, rules
from vade_jax.settings.columns import columns_in_words, columns_of, describe_columns
from vade_jax.system import compile_time, processes
from vade_jax.system.atomic_files import write_json
from vade_jax.system.console import print_line
from vade_jax.system.errors import DivergedError, InputError, with_storage_errors
from vade_jax.system.precision import matmul_precision


@with_storage_errors
def train(
    config: ConfigDict,
    folder: Path,
    source: Source | None = None,
    force: bool = False,
    owner: str = "",
    callbacks: Sequence[EpochCallback] = (),
) -> dict[str, Any]:
    """Trains the runs of a config, or resumes them from their checkpoints, and writes their results.

    If all of them have ended and their results are there, nothing is trained or evaluated.
    If the config asks for several runs, each has its own subfolder. The folder gets the results of the best run.

    Args:
      config: the settings.
      folder: the workdir; it is created if it does not exist.
      source: a data set that is already loaded; None to load the one that the config names.
      force: whether to resume a run that was started with other settings.
      owner: who may replace this run. A run of the same owner in the folder that has ended, on other rows or with other
        settings, is deleted; '' replaces none.
      callbacks: called after each epoch with its metrics; one that returns True ends training.

    Returns:
      The content of results.json.

    Raises:
      InputError: a setting, a file or the workdir cannot be used; nothing was written.
      DivergedError: training collapsed in every run, and no cure helped.
      StorageError: the folder is full, or none of its checkpoints can be read.
    """
    started = time.perf_counter()
    compile_time.start_counting()
    rules.check_fields(config.to_dict())
    config = paths.expand_home(config)
    workdir.check_usable(folder)
    with compile_time.kept_programs(config.compilation_cache):
        return _load_and_train(config, folder, source, force, owner, callbacks, started)


def _load_and_train(
    config: ConfigDict,
    folder: Path,
    source: Source | None,
    force: bool,
    owner: str,
    callbacks: Sequence[EpochCallback],
    started: float,
) -> dict[str, Any]:
    """Does what `train` says, with checked settings; `started` is when it began, by `time.perf_counter`."""
    rows = load_rows(config, folder, source)
    where = config.data.path or "the training rows"
    check_extreme_values(rows.train.x, rows.train.names, where)
    warn_of_codes_for_gaps(rows.train.x, rows.train.offset, rows.train.names, where)
    config = _with_auto_settings(config, rows.train)
    fields = config.to_dict()
    data_dependent.check_against_data(fields, rows.train)
    columns = columns_of(fields, rows.train)
    if columns:
        print_line(f"kinds of columns: {columns_in_words(columns, rows.train)}")
    if rows.train.covariates is not None:
        print_line(f"covariates: {KnownCovariates.of_rows(rows.train).in_words()}")
    description = _describe(rows) | describe_columns(columns, has_gaps(rows.train.x), rows.train) | {OWNER: owner}
    check_autoencoder(config, description)
    runs = [make_run(of_run, run_folder, description) for of_run, run_folder in _expand_runs(config, folder)]
    with ExitStack() as claimed:
        if processes.is_first():
            claimed.enter_context(workdir.locked(folder))
            for claims in {folder, *(run.folder for run in runs)}:
                claimed.enter_context(_unchanged_if_refused(claims))
        processes.on_first_process(lambda: _claim(folder, fields, runs, description, force), "claimed")
        written = {run.folder.name: written_results(run) for run in runs} if processes.is_first() else {}
        if processes.decided_by_first("ended" if all(written.values()) else ""):
            print_line(f"{folder} has the results of this command. Delete it, or name another one, to train again.")
            results_by_run = {name: content for name, content in written.items() if content}
        else:
            if processes.is_first():
                tfds_images.cache_decoded_images(rows.source, config.data.name, folder / "data")
            results_by_run = _train(runs, rows, callbacks, time.perf_counter() - started)
        processes.on_first_process(
            lambda: results.write_best_of_runs(folder, results_by_run) if len(runs) > 1 else None, "ended"
        )
        return results.read(folder)


def _describe(rows: LoadedRows) -> dict[str, Any]:
    """The description of the rows, as the workdir keeps it."""
    return {
        **identify(rows.train),
        "image_shape": rows.train.image_shape,
        "names": rows.train.names,
        **rows.train.preparation.describe(),
        "test": None if rows.test is None else identify(rows.test),
        **rows.place,
    }


@contextmanager
def _unchanged_if_refused(folder: Path) -> Iterator[None]:
    """A context to claim a workdir in: after an InputError the run in the folder has its earlier settings again."""
    started = workdir.read_started(folder)
    try:
        yield
    except InputError:
        if started and started != workdir.read_started(folder):
            for name, content in zip((workdir.CONFIG, workdir.DATA), started, strict=True):
                write_json(folder / name, content)
        raise


def _claim(folder: Path, fields: dict[str, Any], runs: Sequence[Run], description: dict[str, Any], force: bool) -> None:
    """Claims the workdir, and the subfolder of each run if there are several."""
    delete_replaced_run(folder, fields, description)
    workdir.claim(folder, fields, description, other_settings=force)
    for run in runs if len(runs) > 1 else ():
        workdir.claim(run.folder, run.config.to_dict(), description, other_settings=force)


def _train(
    runs: Sequence[Run], rows: LoadedRows, callbacks: Sequence[EpochCallback], load_seconds: float
) -> dict[str, dict[str, Any]]:
    """Trains the runs, and writes their results on the first process.

    Returns:
      Name of the run -> its results or its failure; {} on the other processes.

    Raises:
      DivergedError: the last failure, if all runs failed.
    """
    results_by_run: dict[str, dict[str, Any]] = {}
    failures = []
    for run in runs:
        write_row_weights(run, rows.train.weights)
    with matmul_precision(runs[0].config.precision):
        for run, outcome in train_runs(runs, rows.train.inputs, callbacks=callbacks):
            if isinstance(outcome, DivergedError):
                failures.append(outcome)
            if processes.is_first():
                results_by_run[run.folder.name] = _write_outcome(run, outcome, rows.train, rows.test, load_seconds)
    if len(failures) == len(runs):
        raise failures[-1]
    return results_by_run


def _write_outcome(
    run: Run, outcome: Outcome, train_rows: Dataset, test_rows: Dataset | None, load_seconds: float
) -> dict[str, Any]:
    if isinstance(outcome, DivergedError):
        return results.write_failure(run.folder, outcome)
    state, progress = outcome
    progress = progress._replace(seconds={"load": load_seconds, **progress.seconds})
    return write_results(run, state, progress, train_rows, test_rows)


def _with_auto_settings(config: ConfigDict, rows: Dataset) -> ConfigDict:
    """The config with the fields that the rows decide. Prints these fields."""
    fields = config.to_dict()
    chosen = data_dependent.resolve_auto_settings(fields, rows)
    for name, (value, reason) in chosen.items():
        print_line(f"config.{name} = {value}: {reason}")
    values = {name: value for name, (value, _) in chosen.items()}
    return ConfigDict(field_names.nested(field_names.flatten(fields) | values))


def _expand_runs(config: ConfigDict, folder: Path) -> Iterator[tuple[ConfigDict, Path]]:
    """Yields the config and the folder of each run: every seed with every factor on its learning rates."""
    factors = config.rate_factors
    short = [f"{factor:g}" for factor in factors]
    rates = dict(zip(factors, short if len({*short}) == len(factors) else map(repr, factors), strict=True))
    is_single = config.num_runs * len(factors) == 1
    for number in range(config.num_runs):
        for factor in factors:
            of_run = ConfigDict(config.to_dict())
            of_run.update(num_runs=1, rate_factors=(1.0,), seed=(config.seed + number) % 2**32)
            of_run.optimizer.rate_factor *= factor
            name = f"seed{of_run.seed}" + (f"_rate{rates[factor]}" if len(factors) > 1 else "")
            yield of_run, folder if is_single else folder / name
