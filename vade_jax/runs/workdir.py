"""A run's folder: whose it is, and the description that its later modes read."""

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

_CONFIG, _DATA, _LOCK = "config.json", "data.json", ".lock"

# Fields that change nothing of what was trained: a run may go on with other values.
_FREE_FIELDS = (
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
    """Raises an InputError where workdir is something other than a folder; writes nothing."""
    if workdir.exists() and not workdir.is_dir():
        raise InputError("workdir", f"{workdir} is a file", "it must be a folder or not exist", "Name another one.")


@contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """A context in which the folder, made if need be, is this process's alone; one that died holds nothing.

    Raises:
      InputError: another process has it, or it cannot be made or written.
    """
    check_is_folder(workdir)
    with _writable():
        workdir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(workdir / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                "workdir",
                f"another process that still runs works in {workdir}",
                "one at a time writes to a workdir",
                "Wait until it ends, or name another one.",
            ) from error
    try:
        remove_partial(workdir)
        yield
    finally:
        lock.release()


@contextmanager
def _writable():
    try:
        yield
    except OSError as error:
        raise InputError(
            "workdir", str(error), "it must be a folder that can be written", "Name another one."
        ) from error


def claim(workdir: Path, settings: dict[str, Any], description: dict[str, Any], other_settings: bool = False) -> None:
    """Makes the folder, with config.json and data.json.

    Args:
      workdir: the folder.
      settings: nested sections.
      description: of the rows, for `read`.
      other_settings: whether a run there may have begun with other ones.

    Raises:
      InputError: the folder holds a run of other settings, or cannot be written.
    """
    check_is_folder(workdir)
    path = workdir / _CONFIG
    if path.exists():
        with damaged_file_errors(path):
            ours, theirs = (
                settings_that_change_training(json.loads(text)) for text in (json.dumps(settings), path.read_text())
            )
        usual = settings_that_change_training(defaults.get_config().to_dict())
        theirs = {name: value for name, value in usual.items() if name not in theirs} | theirs  # fields that came later
        differing = [
            f"{name} ({theirs.get(name)} there, {ours.get(name)} here)"
            for name in sorted(ours.keys() | theirs.keys())
            if ours.get(name) != theirs.get(name)
        ]
        if differing and not other_settings:
            raise InputError(
                "workdir",
                f"{workdir} holds a run of another config: {', '.join(differing)}",
                "a run goes on with the settings it began with",
                "Name another workdir, delete this one, or go on with the new settings from here: --resume=force.",
            )
        _check_rows(workdir, description)
    with _writable():
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(workdir / _DATA, description)
        write_json(path, settings)


def _check_rows(workdir, description):
    """Raises an InputError where the run in the folder was trained on other rows."""
    path = workdir / _DATA
    with damaged_file_errors(path):
        theirs = json.loads(path.read_text()).get("fingerprint")
    if theirs and theirs != description["fingerprint"]:
        raise InputError(
            "workdir",
            f"{workdir} holds a run of other rows",
            "a run goes on with the rows it began with",
            "Name another workdir, or delete this one.",
        )


def best_run_folder(workdir: Path) -> Path:
    """The folder of the run that a workdir of several was left with; the workdir itself where it holds one."""
    try:
        name = json.loads((workdir / "results.json").read_text()).get("run", "")
    except (OSError, ValueError):
        name = ""
    return workdir / Path(name).name


def settings_that_change_training(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, flat, of nested sections that change what is trained."""
    return {name: value for name, value in flatten(settings).items() if not name.startswith(_FREE_FIELDS)}


def read(workdir: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings and the description that `claim` wrote.

    Raises:
      InputError: there is no run in the folder.
    """
    try:
        return json.loads((workdir / _CONFIG).read_text()), json.loads((workdir / _DATA).read_text())
    except (OSError, ValueError) as error:
        raise InputError(
            "workdir", f"{workdir} holds no run: {error}", "this mode needs one that was trained", "Train it first."
        ) from error
