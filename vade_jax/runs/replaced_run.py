"""Deletes a run that has ended, so that its owner can start another one in the same workdir."""

import shutil
from pathlib import Path
from typing import Any

from vade_jax.runs import workdir
from vade_jax.runs.workdir import CHECKPOINTS, CONFIG, DATA, REPORT, RESULTS
from vade_jax.system.errors import InputError

OWNER = "owner"  # of a description: who may replace the run; '' for nobody

_CHECKPOINT_FOLDERS = (CHECKPOINTS, "model", "autoencoder")
# All other files of a run, in the order in which they are deleted. If that is interrupted, the next fit finds either a
# run without checkpoints, which it deletes too, or no config.json, and so no run. By data.json, which stays, it knows
# that the folder is ours.
_FILES = (
    "assignments.csv",
    "assignments.npz",
    "assignments.parquet",
    "filled_inputs.npy",
    "findings.npz",
    "initialization_*.npz",
    "input_graph.npz",
    "input_neighbors.npz",
    "log_likelihoods.npy",
    "memberships_*.npy",
    "metrics.jsonl",
    "representatives.npy",
    "samples.png",
    "select_k.json",
    "select_k.png",
    "softening_points.npy",
    "trail.npy",
    "trail_rows.npy",
    "weights.npy",
    REPORT,
    "tensorboard/events.out.tfevents.*",
    RESULTS,
    CONFIG,
)


def delete_replaced_run(folder: Path, settings: dict[str, Any], description: dict[str, Any]) -> None:
    """Deletes the run in the folder if a new run replaces it: it has the same owner, but other settings or rows.

    Only files that a run writes are deleted, never others in the same folder.

    Args:
      folder: the workdir.
      settings: of the new run, as for `workdir.claim`.
      description: of the new run, with its 'owner'.

    Raises:
      InputError: the run in the folder was interrupted and can be resumed.
      StorageError: the run's config.json or data.json is damaged.
    """
    started = workdir.read_started(folder)
    if started is None or not description.get(OWNER) or started[1].get(OWNER) != description[OWNER]:
        return
    if workdir.mismatch(folder, settings, description) is None:
        return
    can_resume = any(folder.glob(f"{CHECKPOINTS}/[0-9]*")) or any(folder.glob(f"seed*/{CHECKPOINTS}/[0-9]*"))
    if can_resume and not (folder / RESULTS).exists():
        raise InputError(
            "workdir",
            f"{folder} with an interrupted fit of other rows or settings",
            "the rows and settings of that fit, which then resumes",
            "Use the same ones, delete the folder, or name another one.",
        )
    _delete(folder)


def _delete(folder: Path) -> None:
    """Deletes the files that a run wrote to the folder, those of several runs in subfolders, and empty subfolders."""
    for subfolder in (path.parent for path in folder.glob(f"seed*/{CONFIG}")):
        _delete(subfolder)
        (subfolder / DATA).unlink(missing_ok=True)
        _remove_if_empty(subfolder)
    for checkpoints in (folder / name for name in _CHECKPOINT_FOLDERS):
        for path in checkpoints.glob("*"):
            if path.name.isdigit() and path.is_dir():
                shutil.rmtree(path)
        _remove_if_empty(checkpoints)
    for pattern in _FILES:
        for path in folder.glob(pattern):
            path.unlink()
    for name in ("report", "tensorboard"):
        _remove_if_empty(folder / name)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
