"""Reads AnnData files (.h5ad) of cells and genes, and normalizes counts."""

import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import issparse

from vade_jax.data.column_names import check_names, column_indices
from vade_jax.data.dataset import Dataset, ReadOptions, check_numeric, make_dataset
from vade_jax.data.tables import labels_and_ids
from vade_jax.system.console import print_line
from vade_jax.system.errors import InputError, unreadable_file_errors
from vade_jax.system.large_arrays import empty_array, row_slices
from vade_jax.system.optional_imports import import_extra

TOTAL = 10_000  # the sum of a cell's scaled counts


def read(path: Path, options: ReadOptions) -> dict[str, Dataset]:
    """Reads the cells of an .h5ad file in parts. Prints how they were normalized.

    If all values are counts (non-negative integers), each cell is scaled to a total of 10,000 over all genes of the
    file, then x becomes log(1 + x). A cell of total 0 stays 0. Other values are not changed. Then the genes that
    `var` marks as highly_variable are selected, or the genes of the trained model.

    Args:
      path: the file.
      options: how to read it; the label and the id column are columns of `obs`. Without an id column the ids are the
        cells' names.

    Returns:
      The cells as 'train'.

    Raises:
      InputError: the file cannot be used.
    """
    anndata = import_extra("anndata", path, "config.data.path")
    with (
        unreadable_file_errors(path, "an AnnData with X, as write_h5ad writes it", "Check the path, or save it again."),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # about repeated names, which are checked later, and old files
        cells = anndata.read_h5ad(path, backed="r")
        with closing(cells.file):
            labels, ids = labels_and_ids(cells.obs, path, options)
            genes, about_genes = _select_genes(cells.var, path, options)
            x, about_values = _normalize(cells.X, genes, path)
    names = tuple(map(str, cells.var_names[genes]))
    dataset = make_dataset(x, labels, str(path), names, cells.obs_names.to_numpy() if ids is None else ids)
    print_line(f"{path}: {about_values}; {about_genes}")
    return {"train": dataset}


def _select_genes(var: Any, path: Path, options: ReadOptions) -> tuple[Sequence[int] | np.ndarray, str]:
    """The indices of the genes to keep, and a description of them."""
    names = list(var.index)
    if options.expected and options.expected.names:
        known = options.expected.names
        return column_indices(names, known, str(path)), f"{len(known):,} genes of the model"
    marked = var.get("highly_variable")
    if marked is None or marked.dtype.kind != "b":
        check_names(names, str(path))
        return np.arange(len(names)), f"{len(names):,} genes"
    genes = np.flatnonzero(marked.to_numpy(bool, na_value=False))
    if not len(genes):
        raise InputError(
            "config.data.path",
            f"{path}, which marks none of {len(names):,} genes as highly_variable",
            "at least one marked gene",
            "Mark some, or drop this column of var.",
        )
    check_names([names[gene] for gene in genes], str(path))
    return genes, f"{len(genes):,} highly variable genes of {len(names):,}"


def _normalize(x: Any, genes: Sequence[int] | np.ndarray, path: Path) -> tuple[np.ndarray, str]:
    """These genes of all cells, normalized if they are counts, [N, D] float32, and a description of the values.

    Args:
      x: all genes [N, G], dense or sparse, as anndata reads them from the file.
      genes: the indices of D genes.
      path: the file, for the error.

    Returns:
      The values and the description.
    """
    check_numeric(x.dtype, str(path))
    if getattr(x, "format", "") == "csc":
        x = x.to_memory().tocsr()  # slices of rows are slow in CSC
    counts = all(_are_counts(x[rows]) for rows in row_slices(x))
    normalized = empty_array((x.shape[0], len(genes)), np.float32)
    for rows in row_slices(x):
        values = _dense(x[rows])
        normalized[rows] = (log_normalized(values) if counts else values)[:, genes]
    if counts:
        return normalized, f"counts of {x.shape[0]:,} cells, each scaled to a total of {TOTAL:,}, then log(1 + x)"
    return normalized, f"{x.shape[0]:,} cells, whose values are not counts and were not changed"


def _are_counts(x: Any) -> bool:
    values = x.data if issparse(x) else x
    return bool(((values >= 0) & (values < np.inf) & (values == np.floor(values))).all())


def _dense(x: Any) -> np.ndarray:
    return x.toarray() if issparse(x) else x


def log_normalized(counts: np.ndarray) -> np.ndarray:
    """log(1 + x) of counts [N, D], after scaling each row to a sum of TOTAL; a row of zeros stays zero. float64."""
    sums = counts.sum(axis=1, keepdims=True, dtype=np.float64)
    return np.log1p(counts * (TOTAL / np.where(sums > 0, sums, 1.0)))
