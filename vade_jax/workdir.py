"""A run's folder: whose it is, and the description that its later modes read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vade_jax.errors import InputError
from vade_jax.settings import flatten

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


def check(workdir: Path) -> None:
    """Raises an InputError where workdir is something other than a folder; writes nothing."""
    if workdir.exists() and not workdir.is_dir():
        raise InputError("workdir", f"{workdir} is a file", "it must be a folder or not exist", "Name another one.")


def claim(workdir: Path, settings: dict[str, Any], description: dict[str, Any]) -> None:
    """Makes the folder, with config.json and data.json.

    Args:
      workdir: the folder.
      settings: nested sections.
      description: of the rows, for `read`.

    Raises:
      InputError: the folder holds a run of other settings, or cannot be written.
    """
    check(workdir)
    path = workdir / "config.json"
    if path.exists():
        ours, theirs = (trained_settings(json.loads(text)) for text in (json.dumps(settings), path.read_text()))
        differing = [
            f"{name} ({theirs.get(name)} there, {ours.get(name)} here)"
            for name in sorted(ours.keys() | theirs.keys())
            if ours.get(name) != theirs.get(name)
        ]
        if differing:
            raise InputError(
                "workdir",
                f"{workdir} holds a run of another config: {', '.join(differing)}",
                "a run goes on with the settings it began with",
                "Name another workdir, or delete this one.",
            )
        _check_rows(workdir, description)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings, indent=2) + "\n")
        (workdir / "data.json").write_text(json.dumps(description, indent=2) + "\n")
    except OSError as error:
        raise InputError(
            "workdir", str(error), "it must be a folder that can be written", "Name another one."
        ) from error


def _check_rows(workdir, description):
    """Raises an InputError where the run in the folder was trained on other rows."""
    theirs = read(workdir)[1].get("fingerprint")
    if theirs and theirs != description["fingerprint"]:
        raise InputError(
            "workdir",
            f"{workdir} holds a run of other rows",
            "a run goes on with the rows it began with",
            "Name another workdir, or delete this one.",
        )


def chosen(workdir: Path) -> Path:
    """The folder of the run that a workdir of several was left with; the workdir itself where it holds one."""
    try:
        name = json.loads((workdir / "results.json").read_text()).get("run", "")
    except (OSError, json.JSONDecodeError):
        name = ""
    return workdir / Path(name).name


def trained_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, flat, of nested sections that change what is trained."""
    return {name: value for name, value in flatten(settings).items() if not name.startswith(_FREE_FIELDS)}


def read(workdir: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings and the description that `claim` wrote.

    Raises:
      InputError: there is no run in the folder.
    """
    try:
        return json.loads((workdir / "config.json").read_text()), json.loads((workdir / "data.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise InputError(
            "workdir", f"{workdir} holds no run: {error}", "this mode needs one that was trained", "Train it first."
        ) from error
