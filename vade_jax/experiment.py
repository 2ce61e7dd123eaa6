"""From a config to results: pretrain -> initialize -> cluster -> evaluate, in one run or several, resumed."""

import functools
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from vade_jax import data, num_clusters, predictions, results, rounds, settings, sweep, workdir
from vade_jax.arrays import allocate
from vade_jax.checkpoints import Checkpoints, Progress
from vade_jax.errors import DivergedError, InputError
from vade_jax.evaluation import log_likelihood, posterior
from vade_jax.readers import Columns
from vade_jax.run import Run, Use, make_run
from vade_jax.stages import autoencoder, initial_state, initialization_paths, make_stages
from vade_jax.train_state import TrainState
from vade_jax.training import products_in
from vade_jax.watch import read_trail

_LEAST_KEPT = 0.1  # seconds to compile what is worth keeping


def train(config: ConfigDict, folder: Path) -> dict[str, Any]:
    """Trains from the config, or goes on where that stopped in the folder, and writes what a run leaves.

    A config that asks for several runs leaves each in a folder of its own below, and the results of the best.

    Args:
      config: the settings.
      folder: the workdir, made if need be.

    Returns:
      The content of results.json.

    Raises:
      InputError: a setting, a file or a workdir that cannot be used; nothing was written.
      DivergedError: training collapsed, and no cure helped; of several runs, in all of them.
    """
    started = time.perf_counter()
    fields = config.to_dict()
    settings.check_fields(fields)
    workdir.check(folder)
    _keep_compiled(config)
    source, train_rows, test_rows = _load(config, folder)
    settings.check_data(fields, train_rows, test_rows)
    description = {
        "num_rows": len(train_rows.x),
        "num_features": train_rows.x.shape[1],
        "image_shape": train_rows.image_shape,
        "names": train_rows.names,
    }
    workdir.claim(folder, fields, description)
    runs = [make_run(member, place, description) for member, place in _members(config, folder)]
    for run in runs if len(runs) > 1 else ():
        workdir.claim(run.folder, run.config.to_dict(), description)
    data.keep_decoded(source, config.data.name, folder / "data")
    load_seconds = time.perf_counter() - started
    answers: dict[str, dict[str, Any]] = {}
    with products_in(config.precision):
        for run, outcome in sweep.fit(runs, train_rows.x):
            if isinstance(outcome, DivergedError):
                answers[run.folder.name] = results.write_failure(run.folder, outcome)
                failure = outcome
                continue
            state, progress = outcome
            progress = progress._replace(seconds={"load": load_seconds, **progress.seconds})
            answers[run.folder.name] = _write_results(run, state, progress, train_rows, test_rows)
    if all("failure" in answer for answer in answers.values()):
        raise failure
    return results.write_best(folder, answers) if len(runs) > 1 else answers[folder.name]


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
    folder = workdir.chosen(folder)
    run, state, progress = restore(folder)
    _, train_rows, test_rows = _load(run.config, folder)
    with products_in(run.config.precision):
        return _write_results(run, state, progress, train_rows, test_rows)


def restore(folder: Path) -> tuple[Run, TrainState, Progress]:
    """The trained run in the folder, its state, and what it took.

    Args:
      folder: the workdir of a run that ended.

    Returns:
      The run, its state, and the progress made.

    Raises:
      InputError: there is no such run.
    """
    fields, description = workdir.read(folder)
    settings.check_fields(fields)
    run = make_run(ConfigDict(fields), folder, description)
    last = make_stages(run)[-1]
    with Checkpoints(folder / "checkpoints", run.config.checkpoint.keep) as checkpoints:
        restored = checkpoints.restore(initial_state(run))
    if restored is None or (restored[1].stage, restored[1].epoch) != (last.name, last.num_epochs):
        raise InputError(
            "workdir", f"{folder} holds a run that has not ended", "this mode needs one that has", "Train it on."
        )
    return run, *restored


def predict(folder: Path, path: str, output: str) -> Path:
    """Clusters of rows under the trained run in the folder.

    Args:
      folder: the workdir of a run that ended, or of several, of which the best is asked.
      path: a file of rows as `vade_jax.data` reads them; '' for the run's own training rows.
      output: the file to write, see `predictions`; '' for predictions.npz in the workdir.

    Returns:
      The path written.

    Raises:
      InputError: there is no such run, or the rows or the output do not suit it.
    """
    folder = workdir.chosen(folder)
    target = Path(output) if output else folder / "predictions.npz"
    predictions.check(target)
    run, state, _ = restore(folder)
    if path:
        source = data.load("file", path, columns=_columns(run.config)._replace(required=False))
        rows = data.select(source, "all", "config.data.path")
    else:
        rows = _load(run.config, folder)[1]
    names = workdir.read(folder)[1]["names"]
    rows = settings.with_columns_of(rows, names, run.num_features, "config.data.path")
    if run.config.model.likelihood == "bernoulli":
        settings.check_unit_interval(rows.x, np.asarray(state.scaling.shift), np.asarray(state.scaling.scale))
    options = run.config.evaluate
    sizes: dict[str, Any] = {
        "batch_size": min(options.batch_size, len(rows.x)),
        "allocate": functools.partial(allocate, folder=target.parent),
    }
    key = run.key(Use.EVALUATION)
    with products_in(run.config.precision):
        answer = posterior(run.model, state, rows.x, key, estimator=options.estimator, **sizes)
        bound = log_likelihood(run.model, state, rows.x, key, num_samples=options.bound_samples, **sizes)
    predictions.write(target, rows.ids, answer, bound)
    return target


def select_k(folder: Path, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Recommends a number of clusters for the rows of the run in the folder, from its autoencoder's embedding.

    The number that the run was trained with has no part in it.

    Args:
      folder: the workdir of a run that went beyond its autoencoder, or of several, of which the best is asked.
      options: of the config's section select_k; None for the run's own.

    Returns:
      The content of select_k.json, see `num_clusters.select`.

    Raises:
      InputError: there is no such run, its data is gone, or the range does not suit the rows; nothing was written.
    """
    folder = workdir.chosen(folder)
    fields, description = workdir.read(folder)
    fields = fields if options is None else {**fields, "select_k": dict(options)}
    settings.check_fields(fields)
    num_clusters.check(fields["select_k"], description["num_rows"])
    run = make_run(ConfigDict(fields), folder, description)
    state = autoencoder(run)
    _, train_rows, test_rows = _load(run.config, folder)
    with products_in(run.config.precision):
        return num_clusters.select(run, state, train_rows.x, test_rows and test_rows.x)


def _load(config, folder):
    """The source, the rows to cluster and the rows to score instead, or None."""
    options = config.data
    source = data.load(options.name, options.path, options.dir, folder / "data", _columns(config))
    train_rows = data.select(source, options.train_split, "config.data.train_split")
    if not options.test_split:
        return source, train_rows, None
    test_rows = data.select(source, options.test_split, "config.data.test_split")
    num_features = train_rows.x.shape[1]
    test_rows = settings.with_columns_of(test_rows, train_rows.names, num_features, "config.data.test_split")
    return source, train_rows, test_rows


def _columns(config):
    return Columns(config.data.label_column, config.data.id_column)


def _write_results(run, state, progress, train_rows, test_rows):
    return results.write(
        run.folder,
        run.model,
        state,
        train_rows,
        test_rows,
        run.key(Use.EVALUATION),
        sample=rounds.sample(run),
        graph=rounds.input_graph(run, state.scaling, train_rows.x),
        seed=run.config.seed,
        init_method=run.config.init.method,
        init_paths=initialization_paths(run),
        seconds=progress.seconds,
        treatments=progress.treatments,
        trail=read_trail(run, progress.total_epochs),
        **run.config.evaluate,
    )
