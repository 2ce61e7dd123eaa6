"""Optional libraries, imported only where they are used."""

import importlib
from importlib import metadata
from pathlib import Path
from typing import Any

from vade_jax.system.errors import InputError

# The extra of pyproject.toml that installs each library.
EXTRAS: dict[str, str] = {
    "pandas": "tables",
    "pyarrow": "tables",
    "anndata": "singlecell",
    "tensorflow_datasets": "tfds",
}


def import_extra(name: str, needed_by: object, field: str) -> Any:
    """Imports a library of EXTRAS that reads or writes a file or a data set.

    Args:
      name: a key of EXTRAS.
      needed_by: the file or the data set, for the error.
      field: its config field, for the error.

    Returns:
      The module.

    Raises:
      InputError: the library is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        remedy = f"Run: {install_command(EXTRAS[name])}."
        raise InputError(
            field, f"{needed_by}, which needs {name}", f"an environment with {name} installed", remedy
        ) from error


def import_pandas(path: Path, field: str) -> Any:
    """Imports pandas for a table, and raises as `import_extra`; a .parquet also needs pyarrow."""
    if path.suffix.lower() == ".parquet":
        import_extra("pyarrow", path, field)
    return import_extra("pandas", path, field)


def install_command(extra: str) -> str:
    """Returns the command that installs an extra of this package.

    If the package is not installed but used from its folder, pip does not know it by its name. Then the command names
    the folder.
    """
    try:
        metadata.distribution("vade-jax")
    except metadata.PackageNotFoundError:
        return f"pip install '{Path(__file__).parents[2]}[{extra}]'"
    return f"pip install 'vade-jax[{extra}]'"
