"""From a config to results: pretrain -> initialize -> cluster -> evaluate, in one run or several, resumed."""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from vade_jax.commands.evaluate import write_results
from vade_jax.commands.load_rows import load_rows
from vade_jax.data import tfds_images
from vade_jax.data.dataset import Source, fingerprint
from vade_jax.reports import results
from vade_jax.runs import train_many_runs, workdir
from vade_jax.runs.run import make_run
from vade_jax.runs.saved_model import check_autoencoder
from vade_jax.settings import data_dependent, field_names, rules
from vade_jax.system import compile_time, processes
from vade_jax.system.console import print_line
from vade_jax.system.errors import DivergedError, full_disk_errors
from vade_jax.system.precision import matmul_precision

_LEAST_KEPT = 0.1  # seconds to compile what is worth keeping


def train(config: ConfigDict, folder: Path, source: Source | None = None, force: bool = False) -> dict[str, Any]:
    """Trains from the config, or goes on where that stopped in the folder, and writes what a run leaves.

    A config that asks for several runs leaves each in a folder of its own below, and the results of the best.

    Args:
      config: the settings.
      folder: the workdir, made if need be.
      source: of rows that are there already; None to read those that the config names.
      force: whether a run in the folder goes on, though it began with other settings.

    Returns:
      The content of results.json.

    Raises:
      InputError: a setting, a file or a workdir that cannot be used; nothing was written.
      DivergedError: training collapsed, and no cure helped; of several runs, in all of them.
      StorageError: the folder is full, or none of the checkpoints in it can be read.
    """
    started = time.perf_counter()
    compile_time.start_counting()
    fields = config.to_dict()
    rules.check_fields(fields)
    workdir.check_is_folder(folder)
    _use_compilation_cache(config)
    source, train_rows, test_rows = load_rows(config, folder, source)
    config = _with_auto_settings(config, train_rows)
    fields = config.to_dict()
    data_dependent.check_against_data(fields, train_rows, test_rows)
    description = {
        "num_rows": len(train_rows.x),
        "num_features": train_rows.x.shape[1],
        "image_shape": train_rows.image_shape,
        "names": train_rows.names,
        "fingerprint": fingerprint(train_rows.x),
    }
    check_autoencoder(config, description)
    runs = [make_run(member, place, description) for member, place in _expand_runs(config, folder)]
    with workdir.locked(folder) if processes.is_first() else nullcontext(), full_disk_errors(folder):
        processes.on_first_process(lambda: _claim(folder, fields, runs, description, force), "claimed")
        if processes.is_first():
            tfds_images.cache_decoded_images(source, config.data.name, folder / "data")
        answers = _train(runs, train_rows, test_rows, time.perf_counter() - started)
        processes.on_first_process(
            lambda: results.write_best_of_runs(folder, answers) if len(runs) > 1 else None, "ended"
        )
        return results.read(folder)


def _claim(folder, fields, runs, description, force):
    workdir.claim(folder, fields, description, other_settings=force)
    for run in runs if len(runs) > 1 else ():
        workdir.claim(run.folder, run.config.to_dict(), description, other_settings=force)


def _train(runs, train_rows, test_rows, load_seconds):
    """Run's name -> its results or its failure, in the process that writes; raises the last one where all failed."""
    answers: dict[str, dict[str, Any]] = {}
    failures = []
    with matmul_precision(runs[0].config.precision):
        for run, outcome in train_many_runs.train_runs(runs, train_rows.x):
            failures += [outcome] if isinstance(outcome, DivergedError) else []
            if processes.is_first():
                answers[run.folder.name] = _write_outcome(run, outcome, train_rows, test_rows, load_seconds)
    if len(failures) == len(runs):
        raise failures[-1]
    return answers


def _write_outcome(run, outcome, train_rows, test_rows, load_seconds):
    if isinstance(outcome, DivergedError):
        return results.write_failure(run.folder, outcome)
    state, progress = outcome
    progress = progress._replace(seconds={"load": load_seconds, **progress.seconds})
    return write_results(run, state, progress, train_rows, test_rows)


def _with_auto_settings(config, rows):
    """The config with what the rows decide, said aloud."""
    fields = config.to_dict()
    chosen = data_dependent.resolve_auto_settings(fields, rows)
    for name, (value, reason) in chosen.items():
        print_line(f"config.{name} = {value}: {reason}")
    values = {name: value for name, (value, _) in chosen.items()}
    return ConfigDict(field_names.nested(field_names.flatten(fields) | values))


def _use_compilation_cache(config):
    if config.compilation_cache:
        jax.config.update("jax_compilation_cache_dir", config.compilation_cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_KEPT)


def _expand_runs(config, folder):
    """The config and the folder of each run: num_runs seeds, each with every factor on its learning rates."""
    factors = config.rate_factors
    alone = config.num_runs * len(factors) == 1
    for number in range(config.num_runs):
        for factor in factors:
            member = ConfigDict(config.to_dict())
            member.update(num_runs=1, rate_factors=(1.0,), seed=(config.seed + number) % 2**32)
            member.optimizer.rate_factor *= factor
            name = f"seed{member.seed}" + (f"_rate{factor:g}" if len(factors) > 1 else "")
            yield member, folder if alone else folder / name
