"""Paths as users write them in settings and arguments."""

import os
from pathlib import Path

from ml_collections import ConfigDict

from vade_jax.settings.field_names import flatten, nested
from vade_jax.settings.rules import PATH, RULES


def user_path(path: str | Path) -> Path:
    """Returns a path in which '~' at the start is the home folder, as in a shell."""
    return Path(os.path.expanduser(path))


def expand_home(config: ConfigDict) -> ConfigDict:
    """Returns a copy of a config in which every path is a `user_path`. Its fields are checked by their rules."""
    fields = flatten(config.to_dict())
    paths = {name: os.path.expanduser(value) for name, value in fields.items() if RULES[name] is PATH}
    return ConfigDict(nested(fields | paths))


def absolute_path(path: str) -> str:
    """Returns the absolute path of a file or folder that exists; other text, such as an address, as it is."""
    return os.path.abspath(path) if path and os.path.exists(path) else path
