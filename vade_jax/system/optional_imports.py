"""Libraries that only some users need, imported where they are used."""

import importlib
from pathlib import Path
from typing import Any

from vade_jax.system.errors import InputError

# library -> the extra of pyproject.toml that installs it.
EXTRAS = {"pandas": "tables", "anndata": "singlecell"}


def import_extra(name: str, path: Path, field: str) -> Any:
    """A library of EXTRAS that a file is read or written by.

    Args:
      name: of the library.
      path: of the file.
      field: the config field that the path came from, for the error.

    Returns:
      The module.

    Raises:
      InputError: it is not installed; tells what to install.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        remedy = f"Run: pip install 'vade-jax[{EXTRAS[name]}]'."
        raise InputError(field, f"{path} came", f"a file of this kind needs {name}", remedy) from error
