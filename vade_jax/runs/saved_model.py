"""Trained models on disk: the folder `model/` of a workdir, a state without its optimizer."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vade_jax.runs import workdir
from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.runs.progress import BEGINNING, Progress
from vade_jax.runs.run import Run, initial_state, read_run
from vade_jax.system.errors import InputError, StorageError
from vade_jax.training.train_state import TrainState

_AUTOENCODER = "autoencoder"
_OF_NETWORKS = ("network", "hidden", "latent_dim", "likelihood", "min_log_var")  # of the section model

_MODEL = "model"
LAST_STAGE = "cluster"


def save_model(run: Run, state: TrainState, progress: Progress) -> None:
    """Saves a trained state without its optimizer, so that `restore` finds a run that has ended.

    Does nothing where the folder holds the model of the run as its settings are now. Several processes that train
    together all call it.

    Args:
      run: its folder exists.
      state: after the last stage; its optimizer state is left out.
      progress: made to get there.

    Raises:
      StorageError: the folder cannot be written.
    """
    with Checkpoints(run.folder / _MODEL, keep=1, exclusive=True) as checkpoints:
        try:
            saved = checkpoints.restore(initial_state(run))
        except StorageError:
            saved = None
        if saved is None or not _has_ended(run, saved[1]):
            checkpoints.save(state.replace(opt_state=None), progress)


def restore(folder: Path) -> tuple[Run, TrainState, Progress]:
    """The trained run in a folder, with its state and its progress.

    A run that ended before models were saved apart is read from its last training checkpoint.

    Args:
      folder: the workdir of a run that ended, or of several, of which the best is taken.

    Returns:
      The run, its state without an optimizer, and the progress made.

    Raises:
      InputError: there is no such run.
      StorageError: the saved model is damaged.
    """
    run = read_run(folder)
    restored = _from_model(run) or _from_training_checkpoints(run)
    if restored is None or not _has_ended(run, restored[1]):
        raise InputError(
            "workdir", f"{run.folder} holds a run that has not ended", "this mode needs one that has", "Train it on."
        )
    return run, *restored


def _from_model(run: Run) -> tuple[TrainState, Progress] | None:
    folder = run.folder / _MODEL
    if not folder.is_dir():
        return None
    with Checkpoints(folder, keep=1) as checkpoints:
        return checkpoints.restore(initial_state(run))


def _from_training_checkpoints(run: Run) -> tuple[TrainState, Progress] | None:
    folder = run.folder / "checkpoints"
    if not folder.is_dir():
        return None
    with Checkpoints(folder, run.config.checkpoint.keep) as checkpoints:
        return checkpoints.restore(initial_state(run), without_optimizer=True)


def _has_ended(run: Run, progress: Progress) -> bool:
    return (progress.stage, progress.epoch) == (LAST_STAGE, run.num_epochs(run.config.train))


def save_autoencoder(run: Run, state: TrainState) -> None:
    """Saves the autoencoder that the first clusters are found with."""
    with _autoencoder(run) as checkpoints:
        checkpoints.save(state.replace(opt_state=None), BEGINNING)


def autoencoder(run: Run) -> TrainState:
    """The state, without an optimizer, that the first clusters were found with: no clusters have shaped its embedding.

    Raises:
      InputError: the run's folder has none.
    """
    with _autoencoder(run) as checkpoints:
        restored = checkpoints.restore(initial_state(run))
    if restored is None:
        raise InputError(
            "workdir",
            f"{run.folder} holds no autoencoder",
            "this mode needs the one that the run began with",
            "Train it anew in another workdir.",
        )
    return restored[0]


def check_autoencoder(config: ConfigDict, description: Mapping[str, Any]) -> None:
    """Raises an InputError where `pretrain.workdir` names no run whose autoencoder suits this one.

    Args:
      config: of a run to be made.
      description: of its rows, as `run.make_run` takes it.
    """
    if not config.pretrain.workdir:
        return
    folder = workdir.best_run_folder(Path(config.pretrain.workdir))
    came = _mismatch(folder, config, description) if (folder / _AUTOENCODER).is_dir() else "no autoencoder"
    if not came:
        return
    raise InputError(
        "config.pretrain.workdir",
        f"{folder} holds {came}",
        "it must be a run with these networks on these rows that went beyond its autoencoder",
        "Name another one, or set --config.pretrain.workdir= to train an autoencoder.",
    )


def _mismatch(folder, config, description):
    """Why the autoencoder in the folder does not suit the run, in words; '' where it does."""
    model = read_run(folder).config.model
    for name in _OF_NETWORKS:
        theirs, ours = json.dumps(model[name]), json.dumps(config.model[name])  # a tuple there is a list in a file
        if theirs != ours:
            return f"one of model.{name} = {theirs}, not {ours}"
    return "" if workdir.read(folder)[1].get("fingerprint") == description["fingerprint"] else "one of other rows"


def _autoencoder(run):
    return Checkpoints(run.folder / _AUTOENCODER, keep=1)
