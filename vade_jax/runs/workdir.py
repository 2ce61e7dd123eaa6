"""The folder of a run: its lock, its settings, and the description of its rows that later modes read."""

import errno
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vade_jax.settings import defaults
from vade_jax.settings.columns import read_levels
from vade_jax.settings.field_names import flatten, nested
from vade_jax.system.atomic_files import check_can_write, exists, remove_partial, write_json
from vade_jax.system.errors import InputError, check_readable, damaged_file_errors

RESULTS = "results.json"
REPORT = "report/index.html"
CHECKPOINTS = "checkpoints"  # the folder of the training checkpoints
CONFIG = "config.json"
DATA = "data.json"
_LOCK = ".lock"

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

_PATH = "data.path"  # not compared, because the rows are, wherever they lie now


# What a run writes besides config.json, by which a folder of another program is recognized.
_WRITTEN = (
    DATA,
    RESULTS,
    CHECKPOINTS,
    "model",
    "autoencoder",
    "report",
    "tensorboard",
    "metrics.jsonl",
    "assignments.csv",
    "assignments.npz",
    "assignments.parquet",
    "findings.npz",
    "log_likelihoods.npy",
    "samples.png",
)


def check_usable(workdir: Path) -> None:
    """Checks that a run can be written to the folder; writes nothing.

    Raises:
      InputError: the path is a file, cannot be written, or has no run but files with the names of a run's files.
    """
    with _unwritable_folder_errors(workdir):
        is_file = workdir.exists() and not workdir.is_dir()
        if not is_file:
            check_can_write(workdir / CONFIG)
    if is_file:
        raise InputError("workdir", f"the file {workdir}", "a folder or a new name", "Name another one.")
    if foreign := _foreign_names(workdir):
        raise InputError(
            "workdir",
            f"{workdir} with {', '.join(foreign)} but without our {CONFIG}",
            "a new folder, or the folder of a run",
            "Name another folder, so that these files stay as they are.",
        )


def _foreign_names(workdir: Path) -> list[str]:
    """The names in the folder that a run would write over, if the folder has no run."""
    if (workdir / CONFIG).exists() or _is_description(workdir / DATA):
        return []
    return [name for name in _WRITTEN if (workdir / name).exists()]


def _is_description(path: Path) -> bool:
    """Whether a data.json is ours. A process that is killed while it writes or deletes a run leaves it alone."""
    try:
        return {"num_rows", "num_features"} <= dict(json.loads(path.read_text())).keys()
    except (OSError, ValueError, TypeError):
        return False


@contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """A context in which only this process may write to the folder, which is created if it does not exist.

    The lock of a process that died is released.

    Raises:
      InputError: another process has locked the folder, or it cannot be created or written.
      OSError: the disk is full.
    """
    check_usable(workdir)
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
    """Turns an OSError into an InputError, but not that of a full disk: another folder is no remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
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
      StorageError: the folder has a run whose config.json or data.json is damaged.
      OSError: the disk is full.
    """
    check_usable(workdir)
    if error := mismatch(workdir, settings, description, other_settings):
        raise error
    with _unwritable_folder_errors(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
        write_json(workdir / DATA, description)
        write_json(workdir / CONFIG, settings)


def change_settings(workdir: Path, settings: Mapping[str, Any]) -> None:
    """Changes settings of the run in the folder that do not change training.

    Args:
      workdir: the folder, with config.json.
      settings: dotted name -> value; those that change training are left out.
    """
    changes = {name: value for name, value in settings.items() if name.startswith(_FIELDS_WITHOUT_EFFECT)}
    write_json(workdir / CONFIG, nested(flatten(read(workdir)[0]) | changes))


def mismatch(
    workdir: Path, settings: dict[str, Any], description: dict[str, Any], other_settings: bool = False
) -> InputError | None:
    """Returns the error that the folder has a run with other settings or rows; None if it has the same or no run.

    The arguments are those of `claim`.

    Raises:
      StorageError: the run's config.json or data.json is damaged.
    """
    started = read_started(workdir)
    if started is None:
        return None
    usual = settings_that_change_training(defaults.get_config().to_dict())
    ours = settings_that_change_training(settings)
    theirs = usual | settings_that_change_training(started[0])  # a field that is newer than the run has its default
    ours, theirs = (json.loads(json.dumps(fields)) for fields in (ours, theirs))  # tuples are read from JSON as lists
    differing = [
        f"{name} ({theirs.get(name)} there, {ours.get(name)} here)"
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name) != theirs.get(name) and name != _PATH
    ]
    if differing and not other_settings:
        return InputError(
            "workdir",
            f"{workdir} with a run of other settings: {', '.join(differing)}",
            "the settings that the run was started with",
            "Name another workdir, delete this one, or continue with the new settings: --resume=force.",
        )
    rows = differing_rows(started[1], description)
    if not rows and ours.get("data.test_split") == theirs.get("data.test_split"):
        rows = differing_rows(started[1].get("test") or {}, description.get("test") or {})
    if not rows:
        return None
    return InputError(
        "workdir",
        f"{workdir} with a run of other rows: here are {rows}",
        "the rows that the run was started with",
        "Name another workdir, or delete this one.",
    )


def differing_rows(known: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Returns what differs between rows and those of a run, in words; '' if nothing does.

    Args:
      known: 'num_rows', 'num_features', 'levels', 'covariates', 'weights', 'fingerprint', 'digest' and 'offset' of the
        run's rows; of these the last three are not compared if they are missing.
      found: the same of the other rows.
    """
    for key, unit in (("num_rows", "rows"), ("num_features", "columns")):
        if key in known and key in found and known[key] != found[key]:
            return f"{found[key]} {unit} instead of {known[key]}"
    if read_levels(known) != read_levels(found):
        return "rows whose categories have other names"
    for name in ("covariates", "weights"):
        if known.get(name) != found.get(name):
            return f"rows of other {name}"
    if "offset" in known and "offset" in found and known["offset"] != found["offset"]:
        return "rows whose large columns have other values"
    key = "digest" if known.get("digest") else "fingerprint"  # runs of older versions have no digest of all rows
    is_other = known.get(key) and found.get(key) and known[key] != found[key]
    return "rows of other values or in another order" if is_other else ""


def best_run_folder(workdir: Path) -> Path:
    """Returns the folder of the best run if the workdir has several, and the workdir itself if it has one."""
    try:
        name = json.loads((workdir / RESULTS).read_text()).get("run", "")
    except (OSError, ValueError) as error:
        check_readable(workdir / RESULTS, error)
        name = ""
    return workdir / Path(name).name


def folder_of_all_runs(folder: Path) -> Path:
    """Returns the workdir that has the folder of one of several runs in it; the folder itself if it is the workdir."""
    is_one_of_several = folder.name.startswith("seed") and (folder.parent / CONFIG).exists()
    return folder.parent if is_one_of_several else folder


def settings_that_change_training(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields that change training, by their dotted names."""
    return {name: value for name, value in flatten(settings).items() if not name.startswith(_FIELDS_WITHOUT_EFFECT)}


def read_started(workdir: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Returns the settings and the description of the run in the folder, which may not have ended; None without a run.

    Raises:
      StorageError: config.json or data.json is damaged.
    """
    if not exists(workdir / CONFIG):
        return None
    return _read_dict(workdir / CONFIG), _read_dict(workdir / DATA)


def _read_dict(path: Path) -> dict[str, Any]:
    with damaged_file_errors(path):
        return dict(json.loads(path.read_text()))


def read(workdir: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the settings and the description that `claim` wrote.

    Raises:
      InputError: there is no run in the folder.
      StorageError: its files are damaged or cannot be read now.
    """
    missing = [name for name in (CONFIG, DATA) if not exists(workdir / name)]
    if missing:
        raise InputError(
            "workdir",
            f"{workdir} without a run (it has no {missing[0]})",
            "the folder of a trained run",
            "Train the run first.",
        )
    return _read_dict(workdir / CONFIG), _read_dict(workdir / DATA)
