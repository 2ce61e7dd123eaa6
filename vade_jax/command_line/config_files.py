"""The config that --config names: one that is shipped with the package, or a file of the user."""

import difflib
import os
from pathlib import Path

from vade_jax.system.errors import InputError

DEFAULT = "digits"

_FOLDER = Path(__file__).parents[1] / "configs"


def shipped_configs() -> list[str]:
    """Returns the names of the shipped configs, sorted; one in a folder is FOLDER/NAME."""
    files = (path.relative_to(_FOLDER).with_suffix("") for path in _FOLDER.rglob("*.py") if path.stem != "__init__")
    return sorted(path.as_posix() for path in files)


def config_file(name: str) -> str:
    """Returns the path of a config.

    Args:
      name: of a shipped config, or a path. In a path '~' at the start is the home folder. Text after a ':' is the
        argument of the file's `get_config`.

    Returns:
      The path, with that argument.

    Raises:
      InputError: it is neither a shipped config nor a path.
    """
    shipped = shipped_configs()
    if name in shipped:
        return str(_FOLDER / f"{name}.py")
    if name.isidentifier() and not os.path.isfile(name):
        close = difflib.get_close_matches(name, shipped, n=1)
        raise InputError(
            "config",
            repr(name),
            f"a shipped config ({', '.join(shipped)}) or a file",
            f"Did you mean {close[0]}?" if close else "A file needs its ending, as in --config=my_config.py.",
        )
    return os.path.expanduser(name)
