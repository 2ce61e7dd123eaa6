"""Trained models on disk: the folder `model/` of a workdir, a state without its optimizer."""

from pathlib import Path

from vade_jax.checkpoints import Checkpoints, Progress
from vade_jax.errors import InputError, StorageError
from vade_jax.run import Run, initial_state, read_run
from vade_jax.train_state import TrainState

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
    with Checkpoints(run.folder / _MODEL, keep=1, alone=True) as checkpoints:
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
