"""From a config to results: pretrain -> initialize -> cluster -> evaluate, in one run or several, resumed."""

import time
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from vade_jax import data, hosts, report, results, rounds, settings, suited, sweep, workdir
from vade_jax.data import Source
from vade_jax.devices import products_in
from vade_jax.errors import DivergedError, storing
from vade_jax.progress import say
from vade_jax.rows import Dataset, Form, Options, fingerprint
from vade_jax.run import Run, Use, make_run
from vade_jax.saved_model import restore
from vade_jax.stages import check_autoencoder, initialization_paths
from vade_jax.watch import read_trail

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
    fields = config.to_dict()
    settings.check_fields(fields)
    workdir.check(folder)
    _keep_compiled(config)
    source, train_rows, test_rows = load_rows(config, folder, source)
    config = _chosen(config, train_rows)
    fields = config.to_dict()
    suited.check_data(fields, train_rows, test_rows)
    description = {
        "num_rows": len(train_rows.x),
        "num_features": train_rows.x.shape[1],
        "image_shape": train_rows.image_shape,
        "names": train_rows.names,
        "fingerprint": fingerprint(train_rows.x),
    }
    check_autoencoder(config, description)
    runs = [make_run(member, place, description) for member, place in _members(config, folder)]
    with workdir.locked(folder) if hosts.is_first() else nullcontext(), storing(folder):
        hosts.first_does(lambda: _claim(folder, fields, runs, description, force), "claimed")
        if hosts.is_first():
            data.keep_decoded(source, config.data.name, folder / "data")
        answers = _train(runs, train_rows, test_rows, time.perf_counter() - started)
        hosts.first_does(lambda: results.write_best(folder, answers) if len(runs) > 1 else None, "ended")
        return results.read(folder)


def _claim(folder, fields, runs, description, force):
    workdir.claim(folder, fields, description, other_settings=force)
    for run in runs if len(runs) > 1 else ():
        workdir.claim(run.folder, run.config.to_dict(), description, other_settings=force)


def _train(runs, train_rows, test_rows, load_seconds):
    """Run's name -> its results or its failure, in the process that writes; raises the last one where all failed."""
    answers: dict[str, dict[str, Any]] = {}
    failures = []
    with products_in(runs[0].config.precision):
        for run, outcome in sweep.fit(runs, train_rows.x):
            failures += [outcome] if isinstance(outcome, DivergedError) else []
            if hosts.is_first():
                answers[run.folder.name] = _write_outcome(run, outcome, train_rows, test_rows, load_seconds)
    if len(failures) == len(runs):
        raise failures[-1]
    return answers


def _write_outcome(run, outcome, train_rows, test_rows, load_seconds):
    if isinstance(outcome, DivergedError):
        return results.write_failure(run.folder, outcome)
    state, progress = outcome
    progress = progress._replace(seconds={"load": load_seconds, **progress.seconds})
    return _write_results(run, state, progress, train_rows, test_rows)


def _chosen(config, rows):
    """The config with what the rows decide, said aloud."""
    fields = config.to_dict()
    chosen = suited.chosen_from(fields, rows)
    for name, (value, reason) in chosen.items():
        say(f"config.{name} = {value}: {reason}")
    values = {name: value for name, (value, _) in chosen.items()}
    return ConfigDict(settings.nested(settings.flatten(fields) | values))


def _keep_compiled(config):
    if config.compilation_cache:
        jax.config.update("jax_compilation_cache_dir", config.compilation_cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_KEPT)


def _members(config, folder):
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
    with workdir.locked(folder), storing(folder), products_in(run.config.precision):
        return _write_results(run, state, progress, train_rows, test_rows)


def read_rows(run: Run, path: str = "") -> Dataset:
    """Rows for a trained run, their columns in its order.

    Args:
      run: trained.
      path: a file or folder of rows as `vade_jax.data` reads them; '' for the run's own training rows.

    Returns:
      The rows.

    Raises:
      InputError: a file that cannot be used, or other columns than the run's.
    """
    if not path:
        return load_rows(run.config, run.folder)[1]
    description = workdir.read(run.folder)[1]
    names, image_shape = tuple(description["names"]), description["image_shape"]
    form = Form(names, tuple(image_shape) if image_shape else None)
    source = data.load("file", path, options=_options(run.config)._replace(form=form))
    rows = data.select(source, "all", "config.data.path")
    return suited.with_columns_of(rows, names, run.num_features, path, "config.data.path")


def load_rows(config: ConfigDict, folder: Path, source: Source | None = None) -> tuple[Source, Dataset, Dataset | None]:
    """The source, the rows to cluster and the rows to score instead, or None."""
    options = config.data
    source = source or data.load(options.name, options.path, options.dir, folder / "data", _options(config))
    train_rows = data.select(source, options.train_split, "config.data.train_split")
    if not options.test_split:
        return source, train_rows, None
    test_rows = data.select(source, options.test_split, "config.data.test_split")
    num_features = train_rows.x.shape[1]
    test_rows = suited.with_columns_of(
        test_rows, train_rows.names, num_features, options.test_split, "config.data.test_split"
    )
    return source, train_rows, test_rows


def _options(config):
    return Options(config.data.label_column, config.data.id_column, config.data.image_size)


def _write_results(run, state, progress, train_rows, test_rows):
    written = results.write(
        run.folder,
        run.model,
        state,
        train_rows,
        test_rows,
        run.key(Use.EVALUATION),
        sample=rounds.sample(run),
        input_graphs=rounds.input_graphs(run, state.scaling, train_rows.x),
        seed=run.config.seed,
        init_method=run.config.init.method,
        init_paths=initialization_paths(run),
        seconds=progress.seconds,
        treatments=progress.treatments,
        trail=read_trail(run, progress.total_epochs),
        **run.config.evaluate,
    )
    if run.config.report:
        _write_report(run, state, train_rows, written)
    return written.content


def _write_report(run, state, train_rows, written):
    try:
        report.write(
            run.folder,
            run.model,
            state,
            train_rows,
            run.key(Use.REPORT),
            written=written,
            settings=settings.flatten(run.config.to_dict()),
            batch_size=run.config.evaluate.batch_size,
        )
    except Exception as error:  # the results are there, and further runs wait
        warnings.warn(f"{run.folder / 'report'} was not drawn: {error!r}", stacklevel=2)
