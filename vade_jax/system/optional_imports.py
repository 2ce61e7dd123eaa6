"""Optional libraries, imported only where they are used."""

import importlib
from pathlib import Path
from typing import Any

from vade_jax.system.errors import InputError

# The extra of pyproject.toml that installs each library.
EXTRAS: dict[str, str] = {"pandas": "tables", "anndata": "singlecell"}


def import_extra(name: str, path: Path, field: str) -> Any:
    """Imports a library of EXTRAS that reads or writes a file.

    Args:
      name: a key of EXTRAS.
      path: the file, for the error.
      field: the config field of the path, for the error.

    Returns:
      The module.

    Raises:
      InputError: the library is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        remedy = f"Run: pip install 'vade-jax[{EXTRAS[name]}]'."
        raise InputError(
            field, f"{path}, which needs {name}", f"an environment with {name} installed", remedy
        ) from error
