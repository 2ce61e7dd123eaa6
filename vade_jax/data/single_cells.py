"""Reads AnnData files (.h5ad) of cells and genes, and normalizes counts."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import issparse

from vade_jax.data.cell_matrices import CellMatrix, choose_matrix
from vade_jax.data.column_names import abbreviate, check_names, column_indices
from vade_jax.data.covariates import read_covariates
from vade_jax.data.dataset import CellValues, Dataset, ReadOptions, check_numeric, make_dataset
from vade_jax.data.offsets import dense_rows
from vade_jax.data.row_weights import read_weights
from vade_jax.data.tables import labels_and_ids
from vade_jax.data.variable_genes import most_variable_genes
from vade_jax.system.console import print_line
from vade_jax.system.errors import InputError, unreadable_file_errors
from vade_jax.system.large_arrays import empty_array, row_slices
from vade_jax.system.optional_imports import import_extra
from vade_jax.system.process_wide import filtered_warnings

TOTAL = 10_000  # the sum of a cell's scaled counts
NORMALIZATIONS = ("auto", "counts", "none")

_MANY_GENES = 5000  # of more genes, if none are marked,
_NUM_VARIABLE = 2000  # so many are selected: scanpy's usual number

_NOT_COUNTS = "values that are not counts"
_BINARY, _COUNTS, _NOT_NEGATIVE, _REAL = "binary", "counts", "not negative", "real"
# What a model can accept -> the kinds of values that it accepts.
ACCEPTED = {
    "counts": {_BINARY, _COUNTS},
    "numbers >= 0": {_BINARY, _COUNTS, _NOT_NEGATIVE},
    "only 0 and 1": {_BINARY},
    _NOT_COUNTS: {_BINARY, _NOT_NEGATIVE, _REAL},
    "any numbers": {_BINARY, _COUNTS, _NOT_NEGATIVE, _REAL},
}


def read(path: Path, options: ReadOptions) -> dict[str, Dataset]:
    """Reads the cells of an .h5ad file in parts. Prints how they were normalized.

    To normalize is to scale each cell to a total of 10,000 over all genes of the file; then x becomes log(1 + x). A
    cell of total 0 stays 0. By default, values are normalized if all are counts (non-negative integers), unless all
    are 0 or 1. Then the genes that `var` marks as highly_variable are selected, or the genes of the trained model. If
    none are marked and there are over 5,000 genes of log-normalized cells, the 2,000 most variable ones are selected.

    Cells for a trained model are normalized as its training cells were, with totals over the same genes.

    Args:
      path: the file.
      options: how to read it; label, id, weights and covariates are columns of `obs`. Without an id column the ids
        are the cells' names. `normalize` is 'auto', 'counts' (always normalize) or 'none' (never normalize); an obsm is
        never normalized.

    Returns:
      The cells as 'train'.

    Raises:
      InputError: the file cannot be used, or its cells cannot be normalized as the training cells were.
    """
    anndata = import_extra("anndata", path, "config.data.path")
    with (
        unreadable_file_errors(path, "an AnnData with X, as write_h5ad writes it", "Check the path, or save it again."),
        filtered_warnings("ignore"),  # about repeated names, which are checked later, and old files
    ):
        cells = anndata.read_h5ad(path, backed="r")
        with closing(cells.file):
            selected = _select(cells, path, options)
    return {"train": _dataset(selected, path, options)}


def read_cells(cells: Any, name: str, options: ReadOptions) -> Dataset:
    """Returns the cells of an AnnData in memory, as `read` returns those of a file; `name` is for errors."""
    return _dataset(_select(cells, name, options), name, options)


class _Selected(NamedTuple):
    """The selected genes of cells, as NumPy arrays, with a description in words."""

    x: np.ndarray
    labels: np.ndarray | None
    names: tuple[str, ...]
    ids: np.ndarray
    values: CellValues
    covariates: Dataset | None
    weights: np.ndarray | None
    words: str


def _select(cells: Any, path: object, options: ReadOptions) -> _Selected:
    """The genes of an AnnData that a model gets, normalized."""
    labels, ids = labels_and_ids(cells.obs, path, options)
    covariates = read_covariates(cells.obs, options.covariates, str(path))
    weights = None if options.expected else read_weights(cells.obs, options.weights, str(path))
    matrix = choose_matrix(cells, path, options)
    genes, about_genes = _select_genes(matrix, path, options)
    check_numeric(matrix.x.dtype, str(path))
    values = _cell_values(matrix.x, matrix.names, path, options)
    counted = _counted_genes(matrix.names, values.genes, path)
    if genes is None:
        genes, about_genes = _select_variable_genes(matrix, values, counted, options)
    x = _normalize(matrix.x, genes, counted, values.total)
    names = tuple(matrix.names[gene] for gene in genes)
    ids = cells.obs_names.to_numpy() if ids is None else ids
    words = f"{matrix.words}{_describe(values, len(x))}; {about_genes}"
    return _Selected(x, labels, names, ids, values, covariates, weights, words)


def _dataset(selected: _Selected, path: object, options: ReadOptions) -> Dataset:
    """The data set of selected cells. Prints what was done to them."""
    dataset = make_dataset(selected.x, selected.labels, str(path), selected.names, selected.ids, options.offset)
    print_line(f"{path}: {selected.words}")
    return dataset._replace(cells=selected.values, covariates=selected.covariates, weights=selected.weights)


def _select_genes(matrix: CellMatrix, path: object, options: ReadOptions) -> tuple[Sequence[int] | None, str]:
    """The indices of the genes that the model has or the file marks, and a description of them; None if none are."""
    names = matrix.names
    if options.expected and options.expected.names:
        known = options.expected.names
        _check_selected(names, known, path)
        return column_indices(names, known, str(path)), f"{len(known):,} genes of the model"
    marked = None if matrix.var is None else matrix.var.get("highly_variable")
    if marked is None or marked.dtype.kind != "b":
        check_names(names, str(path))
        return None, ""
    genes = np.flatnonzero(marked.to_numpy(bool, na_value=False)).tolist()
    if not genes:
        raise InputError(
            "config.data.path",
            f"{path}, which marks none of {len(names):,} genes as highly_variable",
            "at least one marked gene",
            "Mark some, or drop this column of var.",
        )
    _check_selected(names, [names[gene] for gene in genes], path)
    return genes, f"{len(genes):,} highly variable genes of {len(names):,}"


def _select_variable_genes(
    matrix: CellMatrix, values: CellValues, counted: np.ndarray | slice, options: ReadOptions
) -> tuple[Sequence[int], str]:
    """The indices of genes where none are marked: of many the most variable ones or those of the run; a description.

    Args:
      matrix: the cells.
      values: what is done to them.
      counted: the genes that a cell's total is over.
      options: how to read them.
    """
    names = matrix.names
    is_log = values.total > 0 or (values.accepted == _NOT_COUNTS and _kind(matrix.x) == _NOT_NEGATIVE)
    if matrix.var is None or len(names) <= _MANY_GENES or not is_log:
        return range(len(names)), f"{len(names):,} {'genes' if matrix.var is not None else 'columns'}"
    if {*options.columns} <= {*names} and options.columns:
        wanted = {*options.columns}
        genes = [index for index, name in enumerate(names) if name in wanted]
        return genes, f"the {len(genes):,} genes of the run of {len(names):,}"
    parts = (_normalized_part(matrix.x, rows, slice(None), counted, values.total) for rows in row_slices(matrix.x))
    genes = most_variable_genes(parts, _NUM_VARIABLE).tolist()
    return genes, f"the {len(genes):,} most variable genes of {len(names):,}"


def _check_selected(names: Sequence[str], selected: Sequence[str], path: object) -> None:
    """Raises an InputError if one of the selected genes stands twice in the file."""
    wanted = set(selected)
    check_names([name for name in names if name in wanted], str(path))


def _cell_values(x: Any, genes: tuple[str, ...], path: object, options: ReadOptions) -> CellValues:
    """What is done to the values of cells: what was done to the training cells, or what they and the setting decide."""
    kind = _kind(x)
    known = options.prepared.cells if options.prepared else None
    if known is not None:
        if kind not in ACCEPTED[known.accepted]:
            raise InputError(
                "config.data.path",
                f"{path} with {_KINDS[kind]}",
                f"{known.accepted}, as in the training cells",
                "Save what X of the training cells holds, such as raw counts, as X.",
            )
        return known
    normalized = CellValues("counts", TOTAL, genes)
    if options.normalize == "none" or options.obsm:
        return CellValues("any numbers")
    if options.normalize == "counts":
        if kind == _REAL:
            raise InputError(
                "config.data.normalize",
                f"'counts' for {path} with {_KINDS[kind]}",
                "values that are finite and not negative",
                "Save the counts as X, or set --config.data.normalize=none.",
            )
        return normalized._replace(accepted="numbers >= 0")
    # versions that did not note what they did normalized binary values too
    if kind == _COUNTS or (kind == _BINARY and options.prepared):
        return normalized
    return CellValues("only 0 and 1" if kind == _BINARY else _NOT_COUNTS)


_KINDS = {
    _BINARY: "only the values 0 and 1",
    _COUNTS: "counts",
    _NOT_NEGATIVE: "values that are not integers",
    _REAL: "negative or missing values",
}


def _kind(x: Any) -> str:
    """What the values of all cells are; values that are not finite are not counts."""
    kinds = {_BINARY, *(_kind_of_part(x[rows]) for rows in row_slices(x))}
    return next(kind for kind in (_REAL, _NOT_NEGATIVE, _COUNTS, _BINARY) if kind in kinds)


def _kind_of_part(x: Any) -> str:
    values = x.data if issparse(x) else x
    if not ((values >= 0) & (values < np.inf)).all():
        return _REAL
    if not (values == np.floor(values)).all():
        return _NOT_NEGATIVE
    return _COUNTS if (values > 1).any() else _BINARY


def _counted_genes(names: tuple[str, ...], counted: tuple[str, ...], path: object) -> np.ndarray | slice:
    """The indices of the genes that a cell's total is over.

    Args:
      names: all genes of the file.
      counted: the genes that the totals of the training cells are over.
      path: the file, for the error.

    Raises:
      InputError: the file lacks some of them, or has one more than once.
    """
    if counted in (names, ()):
        return slice(None)
    here, there = Counter(names), Counter(counted)
    missing = [name for name in there if here[name] < there[name]]
    if missing:
        raise InputError(
            "config.data.path",
            f"{path} without {len(missing):,} of the {len(counted):,} genes over which training summed the counts of "
            f"a cell: {abbreviate(missing)}",
            "all of them, since each cell is scaled by this sum",
            "Save the cells with all genes (such as adata.raw.to_adata()), not a selection of them.",
        )
    check_names([name for name in names if here[name] > there[name] > 0], str(path))
    return np.array([index for index, name in enumerate(names) if there[name]])


def _normalize(x: Any, genes: Sequence[int], counted: np.ndarray | slice, total: int) -> np.ndarray:
    """These genes of all cells, [N, D]; float32 if they are normalized, else of a dtype that holds the values.

    Args:
      x: all genes [N, G], dense or sparse, as anndata reads them from the file.
      genes: the indices of D genes.
      counted: the genes that a cell's total is over.
      total: that each cell is scaled to; 0 to change nothing.
    """
    keep = not total and not np.can_cast(x.dtype, np.float32)
    selected = empty_array((x.shape[0], len(genes)), x.dtype if keep else np.float32)
    for rows in row_slices(x):
        selected[rows] = _normalized_part(x, rows, list(genes), counted, total)
    return selected


def _normalized_part(x: Any, rows: slice, genes: Any, counted: np.ndarray | slice, total: int) -> np.ndarray:
    """`_normalize` of some rows."""
    values = dense_rows(x, rows)
    part = values[:, genes]
    return log_normalized(part, values[:, counted], total) if total else part


def _describe(values: CellValues, num_cells: int) -> str:
    if values.total:
        return f"counts of {num_cells:,} cells, each scaled to a total of {values.total:,}, then log(1 + x)"
    if values.accepted == "only 0 and 1":
        return f"{num_cells:,} cells, whose values are 0 and 1 and were not changed"
    if values.accepted == "any numbers":
        return f"{num_cells:,} cells, whose values were not changed, as data.normalize says"
    return f"{num_cells:,} cells, whose values are not counts and were not changed"


def log_normalized(counts: np.ndarray, counted: np.ndarray | None = None, total: int = TOTAL) -> np.ndarray:
    """log(1 + x) of counts [N, D], after scaling each row by its sum; a row of sum 0 becomes 0. float64.

    Args:
      counts: [N, D].
      counted: [N, G], the counts that a row's sum is over; None for the counts themselves.
      total: the sum that a row is scaled to.
    """
    sums = (counts if counted is None else counted).sum(axis=1, keepdims=True, dtype=np.float64)
    return np.log1p(counts * (total / np.where(sums > 0, sums, 1.0)))
