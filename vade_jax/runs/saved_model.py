"""Saved models of a workdir: the trained one in `model/`, and the first autoencoder in `autoencoder/`.

Both are states without an optimizer.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vade_jax.runs import workdir
from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.runs.progress import BEGINNING, Progress
from vade_jax.runs.run import Run, initial_state, num_held_out, read_run, read_settings
from vade_jax.settings.columns import read_columns
from vade_jax.system import processes
from vade_jax.system.errors import DamagedError, InputError
from vade_jax.training.train_state import TrainState

_AUTOENCODER = "autoencoder"
_MODEL = "model"
_NETWORK_FIELDS = ("network", "hidden", "latent_dim", "likelihood", "min_log_var")  # of the section model
LAST_STAGE = "cluster"


def save_model(run: Run, state: TrainState, progress: Progress) -> None:
    """Saves a trained state without its optimizer, for `restore`.

    Does nothing if the folder has the model of this run with its current settings. Else it deletes the results of the
    model before, whose temperature and thresholds do not belong to this one. If several processes train together, each
    of them calls it.

    Args:
      run: its folder exists.
      state: after the last stage; its optimizer state is not saved.
      progress: of the run at its end.

    Raises:
      StorageError: the folder cannot be written, or its model cannot be read now.
    """
    with Checkpoints(run.folder / _MODEL, keep=1, exclusive=True) as checkpoints:
        try:
            saved = checkpoints.restore(initial_state(run))
        except DamagedError:
            saved = None
        if saved is None or not _has_ended(run, saved[1]):
            processes.on_first_process(lambda: (run.folder / workdir.RESULTS).unlink(missing_ok=True), "old results")
            checkpoints.save_and_read_back(state.replace(opt_state=None, best=None), progress)


def restore(folder: Path, allow_import: bool = False) -> tuple[Run, TrainState, Progress]:
    """Returns the trained run in a folder, with its state and its progress.

    A folder of an older version has no `model/`. Its last training checkpoint is read instead.

    Args:
      folder: the workdir of a run that has ended, or of several; the best of several is read.
      allow_import: whether the run's settings can import code (package.module:factory); only for trusted folders.

    Returns:
      The run, its state without an optimizer, and its progress.

    Raises:
      InputError: the folder has no run that has ended, or its settings import code and allow_import is False.
      StorageError: the saved model is damaged.
    """
    run = read_run(folder, allow_import)
    restored = _from_model(run) or _from_training_checkpoints(run)
    if restored is None or not _has_ended(run, restored[1]):
        raise InputError(
            "workdir",
            f"{run.folder} with a run that has not ended",
            "a run that has ended",
            "Run the same training command again to finish it.",
        )
    return run, *restored


def is_saved(run: Run) -> bool:
    """Returns whether the run has ended, and its model lies in its folder and can be read.

    Raises:
      StorageError: the model cannot be read now.
    """
    try:
        restored = _from_model(run)
    except DamagedError:
        return False
    return restored is not None and _has_ended(run, restored[1])


def _from_model(run: Run) -> tuple[TrainState, Progress] | None:
    """Returns the state and progress in `model/`; None if there is no such folder."""
    folder = run.folder / _MODEL
    if not folder.is_dir():
        return None
    with Checkpoints(folder, keep=1) as checkpoints:
        return checkpoints.restore(initial_state(run))


def _from_training_checkpoints(run: Run) -> tuple[TrainState, Progress] | None:
    """Returns the state and progress of the last training checkpoint; None if there is none."""
    folder = run.folder / workdir.CHECKPOINTS
    if not folder.is_dir():
        return None
    with Checkpoints(folder, run.config.checkpoint.keep) as checkpoints:
        return checkpoints.restore(initial_state(run), without_optimizer=True)


def _has_ended(run: Run, progress: Progress) -> bool:
    """Returns whether the last stage is over; in older versions it did more epochs on few rows.

    A run that a callback stopped has ended when its last stage has begun.
    """
    done = progress.stopped or progress.is_over(run.num_epochs(run.config.train))
    return progress.stage == LAST_STAGE and done


def save_autoencoder(run: Run, state: TrainState) -> None:
    """Saves the autoencoder whose embedding gives the first starting clusters, without an optimizer."""
    with _autoencoder_checkpoints(run) as checkpoints:
        checkpoints.save_and_read_back(state.replace(opt_state=None), BEGINNING)


def load_autoencoder(run: Run) -> TrainState:
    """Returns the state, without an optimizer, before the first starting clusters.

    No clusters have influenced its embedding.

    Raises:
      InputError: the run's folder has no autoencoder.
    """
    with _autoencoder_checkpoints(run) as checkpoints:
        restored = checkpoints.restore(initial_state(run))
    if restored is None:
        raise InputError(
            "workdir",
            f"{run.folder} without an autoencoder",
            "a run that has saved its first autoencoder",
            "Train it again in another workdir.",
        )
    return restored[0]


def check_autoencoder(config: ConfigDict, description: Mapping[str, Any]) -> None:
    """Raises an InputError if `pretrain.workdir` is set and has no autoencoder that fits this run.

    Args:
      config: of the new run.
      description: of its rows, as for `run.make_run`, with what `workdir.differing_rows` compares.
    """
    if not config.pretrain.workdir:
        return
    folder = workdir.best_run_folder(Path(config.pretrain.workdir))
    mismatch = _mismatch(folder, config, description) if (folder / _AUTOENCODER).is_dir() else "no autoencoder"
    if not mismatch:
        return
    raise InputError(
        "config.pretrain.workdir",
        f"{folder} with {mismatch}",
        "a run with the same networks, rows and held-out rows that has saved its autoencoder",
        "Name another one, or set --config.pretrain.workdir= to train an autoencoder.",
    )


def _mismatch(folder: Path, config: ConfigDict, description: Mapping[str, Any]) -> str:
    """Returns how the autoencoder in the folder differs from what the run needs, in words; '' if it fits."""
    settings, their_description = read_settings(folder)
    model = settings["model"]
    for name in _NETWORK_FIELDS:
        theirs, ours = json.dumps(model[name]), json.dumps(config.model[name])  # tuples are read from JSON as lists
        if theirs != ours:
            return f"an autoencoder of model.{name} = {theirs}, not {ours}"
    if settings["data"]["scaling"] != config.data.scaling:
        return f"an autoencoder of data.scaling = {settings['data']['scaling']}, not {config.data.scaling}"
    if workdir.differing_rows(their_description, description):
        return "an autoencoder of other rows"
    if read_columns(their_description) != read_columns(description):
        return "an autoencoder of other kinds of columns"
    # A run of an older version, without this setting, has trained on all rows.
    theirs = workdir.read(folder)[0]["data"].get("held_out_share", 0.0)
    ours, num_rows = config.data.held_out_share, description["num_rows"]
    if num_held_out(theirs, num_rows) != num_held_out(ours, num_rows):
        return f"an autoencoder that held out other rows (data.held_out_share = {theirs}, not {ours})"
    return ""


def _autoencoder_checkpoints(run: Run) -> Checkpoints:
    """Opens the checkpoints of the first autoencoder."""
    return Checkpoints(run.folder / _AUTOENCODER, keep=1)
