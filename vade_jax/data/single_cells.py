"""Cells -> rows: AnnData's matrices of cells and genes, counts normalized."""

import warnings
from contextlib import closing
from pathlib import Path

import numpy as np
from scipy.sparse import issparse

from vade_jax.data.column_names import check_names, column_indices
from vade_jax.data.dataset import Dataset, ReadOptions, check_numeric, make_dataset
from vade_jax.data.tables import labels_and_ids
from vade_jax.system.console import print_line
from vade_jax.system.errors import InputError, unreadable_file_errors
from vade_jax.system.large_arrays import empty_array, row_slices
from vade_jax.system.optional_imports import import_extra

TOTAL = 10_000  # that the counts of a cell are scaled to


def read(path: Path, options: ReadOptions) -> dict[str, Dataset]:
    """The cells of an .h5ad file, read in parts. Prints what was done to them.

    Counts (all values non-negative whole numbers) are normalized cell by cell, over all genes of the file: to a total
    of 10,000, then log(1 + x). A cell of total 0 stays 0. Other values are taken as they are. Then the genes that
    `var` marks as highly_variable are kept, or those that the model knows.

    Args:
      path: of the file.
      options: its label and its id column, both of `obs`, and what the rows are for. Without an id column the ids are
        the cells' names.

    Returns:
      The rows as 'train'.

    Raises:
      InputError: a file that cannot be used.
    """
    anndata = import_extra("anndata", path, "config.data.path")
    with (
        unreadable_file_errors(
            path, "it must hold an AnnData with X, as write_h5ad writes it", "Check the path, or save it again."
        ),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # of names that repeat, which are refused where they matter, and of old files
        cells = anndata.read_h5ad(path, backed="r")
        with closing(cells.file):
            labels, ids = labels_and_ids(cells.obs, path, options)
            genes, told = _genes(cells.var, path, options)
            x, done = _normalized(cells.X, genes, path)
    names = tuple(map(str, cells.var_names[genes]))
    rows = make_dataset(x, labels, str(path), names, cells.obs_names.to_numpy() if ids is None else ids)
    print_line(f"{path}: {done}, {told}")
    return {"train": rows}


def _genes(var, path, options):
    """The places of the genes to keep, and which these are, in words."""
    names = list(var.index)
    if options.form and options.form.names:
        return column_indices(
            names, options.form.names, str(path)
        ), f"{len(options.form.names):,} genes that the model knows"
    marked = var.get("highly_variable")
    if marked is None or marked.dtype.kind != "b":
        check_names(names, str(path))
        return np.arange(len(names)), f"{len(names):,} genes"
    genes = np.flatnonzero(marked.to_numpy(bool, na_value=False))
    if not len(genes):
        raise InputError(
            "config.data.path",
            f"{path} marks none of {len(names):,} genes as highly_variable",
            "some must be",
            "Mark them, or drop this column of var.",
        )
    check_names([names[gene] for gene in genes], str(path))
    return genes, f"{len(genes):,} highly variable genes of {len(names):,}"


def _normalized(x, genes, path):
    """These genes of all cells [N, D], float32, and what was done to them, in words."""
    check_numeric(x.dtype, str(path))
    if getattr(x, "format", "") == "csc":
        x = x.to_memory().tocsr()  # whose rows lie together
    counts = all(_are_counts(x[part]) for part in row_slices(x))
    rows = empty_array((x.shape[0], len(genes)), np.float32)
    for part in row_slices(x):
        values = _dense(x[part])
        rows[part] = (log_normalized(values) if counts else values)[:, genes]
    if counts:
        return rows, f"counts of {len(rows):,} cells, each scaled to a total of {TOTAL:,}, log(1 + x)"
    return rows, f"{len(rows):,} cells, whose values are no counts and taken as they are"


def _are_counts(part):
    values = part.data if issparse(part) else part
    return bool(((values >= 0) & (values < np.inf) & (values == np.floor(values))).all())


def _dense(part):
    return part.toarray() if issparse(part) else part


def log_normalized(counts: np.ndarray) -> np.ndarray:
    """log(1 + x) of counts [N, D], each row scaled to a sum of TOTAL; a row of zeros stays one. float64."""
    sums = counts.sum(axis=1, keepdims=True, dtype=np.float64)
    return np.log1p(counts * (TOTAL / np.where(sums > 0, sums, 1.0)))
