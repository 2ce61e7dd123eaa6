"""The folder of a run: its lock, its settings, and the description of its rows that later modes read."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vade_jax.settings import defaults
from vade_jax.settings.field_names import flatten
from vade_jax.system.atomic_files import remove_partial, write_json
from vade_jax.system.errors import InputError, damaged_file_errors

RESULTS = "results.json"
CHECKPOINTS = "checkpoints"  # the folder of the training checkpoints
_CONFIG, _DATA, _LOCK = "config.json", "data.json", ".lock"

# Prefixes of fields that do not change training: a run may be resumed with other values.
_FIELDS_WITHOUT_EFFECT = (
    "compilation_cache",
    "data.dir",
    "evaluate.",
    "checkpoint.",
    "predict.",
    "generate.",
    "select_k.",
    "report",
)


def check_is_folder(workdir: Path) -> None:
    """Raises an InputError if workdir exists and is not a folder; writes nothing."""
    if workdir.exists() and not workdir.is_dir():
        raise InputError("workdir", f"the file {workdir}", "a folder or a new name", "Name another one.")


@contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """A context in which only this process may write to the folder, which is created if it does not exist.

    The lock of a process that died is released.

    Raises:
      InputError: another process has locked the folder, or it cannot be created or written.
    """
    check_is_folder(workdir)
    with _unwritable_folder_errors(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(workdir / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                "workdir",
                f"{workdir}, which another running process uses",
                "a workdir that no other process uses",
                "Wait until that process ends, or name another workdir.",
            ) from error
    try:
        remove_partial(workdir)
        yield
    finally:
        lock.release()


@contextmanager
def _unwritable_folder_errors(workdir: Path) -> Iterator[None]:
    """Turns an OSError into an InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(
            "workdir", f"{workdir} ({error})", "a folder that can be written", "Name another one."
        ) from error


def claim(workdir: Path, settings: dict[str, Any], description: dict[str, Any], other_settings: bool = False) -> None:
    """Creates the folder, and writes config.json and data.json.

    Args:
      workdir: the folder.
      settings: nested sections.
      description: of the rows, for `read`.
      other_settings: whether a run in the folder may have been started with other settings.

    Raises:
      InputError: the folder has a run with other settings or other rows, or cannot be written.
    """
    check_is_folder(workdir)
    path = workdir / _CONFIG
    if path.exists():
        with damaged_file_errors(path):
            ours, theirs = (
                settings_that_change_training(json.loads(text)) for text in (json.dumps(settings), path.read_text())
            )
        usual = settings_that_change_training(defaults.get_config().to_dict())
        theirs = usual | theirs  # a field that is newer than the run has its default
        differing = [
            f"{name} ({theirs.get(name)} there, {ours.get(name)} here)"
            for name in sorted(ours.keys() | theirs.keys())
            if ours.get(name) != theirs.get(name)
        ]
        if differing and not other_settings:
            raise InputError(
                "workdir",
                f"{workdir} with a run of other settings: {', '.join(differing)}",
                "the settings that the run was started with",
                "Name another workdir, delete this one, or continue with the new settings: --resume=force.",
            )
        _check_rows(workdir, description)
    with _unwritable_folder_errors(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(workdir / _DATA, description)
        write_json(path, settings)


def _check_rows(workdir: Path, description: Mapping[str, Any]) -> None:
    """Raises an InputError if the run in the folder was started with other rows."""
    path = workdir / _DATA
    with damaged_file_errors(path):
        theirs = json.loads(path.read_text()).get("fingerprint")
    if theirs and theirs != description["fingerprint"]:
        raise InputError(
            "workdir",
            f"{workdir} with a run of other rows",
            "the rows that the run was started with",
            "Name another workdir, or delete this one.",
        )


def best_run_folder(workdir: Path) -> Path:
    """Returns the folder of the best run if the workdir has several, and the workdir itself if it has one."""
    try:
        name = json.loads((workdir / RESULTS).read_text()).get("run", "")
    except (OSError, ValueError):
        name = ""
    return workdir / Path(name).name


def settings_that_change_training(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields that change training, by their dotted names."""
    return {name: value for name, value in flatten(settings).items() if not name.startswith(_FIELDS_WITHOUT_EFFECT)}


def read(workdir: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the settings and the description that `claim` wrote.

    Raises:
      InputError: there is no run in the folder.
    """
    try:
        return json.loads((workdir / _CONFIG).read_text()), json.loads((workdir / _DATA).read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            "workdir", f"{workdir} without a run ({error})", "the folder of a trained run", "Train the run first."
        ) from error
