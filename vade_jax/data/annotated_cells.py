"""Writes what a model says about cells for scanpy and other tools: into an AnnData, or into a copy of its .h5ad."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.system.atomic_files import atomic_write
from vade_jax.system.optional_imports import import_extra

CELLS = ".h5ad"


def write(path: Path, source: Path, obs: Mapping[str, np.ndarray], obsm: Mapping[str, np.ndarray]) -> None:
    """Writes a copy of an .h5ad with more columns of obs and more arrays of obsm, completely or not at all.

    Those of the same name are replaced.

    Args:
      path: the copy; it can be the file itself.
      source: the .h5ad of N cells.
      obs: name -> [N]. Numbers of clusters become categories, by which scanpy colours.
      obsm: name -> [N, M].
    """
    anndata = import_extra("anndata", path, "config.predict.output")
    import h5py

    with atomic_write(path) as partial:
        shutil.copyfile(source, partial)
        with h5py.File(partial, "r+") as file:
            frame = anndata.io.read_elem(file["obs"])
            for name, values in obs.items():
                frame[name] = obs_column(values)
            anndata.io.write_elem(file, "obs", frame)
            if "obsm" not in file:
                anndata.io.write_elem(file, "obsm", {})
            for name, array in obsm.items():
                anndata.io.write_elem(file["obsm"], name, array)


def annotate(cells: Any, obs: Mapping[str, np.ndarray], obsm: Mapping[str, np.ndarray]) -> None:
    """Writes columns of obs and arrays of obsm into an AnnData in memory; those of the same name are replaced."""
    for name, values in obs.items():
        cells.obs[name] = obs_column(values)
    for name, array in obsm.items():
        cells.obsm[name] = array


def obs_column(values: np.ndarray) -> Any:
    """Values [N] as a column of obs. Numbers of clusters become categories, by which scanpy colours."""
    if not np.issubdtype(values.dtype, np.integer):
        return values
    import pandas

    return pandas.Categorical(values.astype(str))


def is_cells(x: Any) -> bool:
    """Returns whether x is an AnnData."""
    return "anndata" in sys.modules and isinstance(x, sys.modules["anndata"].AnnData)
