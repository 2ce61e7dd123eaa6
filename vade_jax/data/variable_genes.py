"""Chooses the genes that vary most among cells, as scanpy's `highly_variable_genes` does with the flavour 'seurat'."""

from collections.abc import Iterable

import numpy as np

_NUM_BINS = 20  # of the mean
_TINY = 1e-12  # the mean of a gene that no cell has


def most_variable_genes(parts: Iterable[np.ndarray], count: int) -> np.ndarray:
    """Returns the ascending indices of the genes whose normalized dispersion is highest (Satija et al. 2015).

    The dispersion of a gene is log(variance / mean) of its scaled counts. It is normalized by the mean and the standard
    deviation of the dispersions in its bin: 20 bins divide the range of log(1 + mean) evenly.

    Args:
      parts: the cells, [N_i, G] each, log(1 + scaled counts).
      count: how many genes; more if several are as variable as the last one, fewer if there are not so many.
    """
    num_cells, sums, squares = 0, np.zeros(1), np.zeros(1)
    for part in parts:
        scaled = np.expm1(part.astype(np.float64))
        num_cells, sums, squares = num_cells + len(part), sums + scaled.sum(axis=0), squares + (scaled**2).sum(axis=0)
    mean = sums / num_cells
    variance = (squares / num_cells - mean**2) * num_cells / max(1, num_cells - 1)
    mean = np.where(mean == 0, _TINY, mean)
    with np.errstate(divide="ignore", invalid="ignore"):  # a constant gene has no dispersion
        dispersion = np.where(variance > 0, np.log(variance / mean), np.nan)
        normalized = _normalized_in_bins(np.log1p(mean), dispersion)
    known = np.sort(normalized[~np.isnan(normalized)])[::-1]
    if not len(known):
        return np.arange(len(mean))
    return np.flatnonzero(np.nan_to_num(normalized) >= known[min(count, len(known)) - 1])


def _normalized_in_bins(position: np.ndarray, dispersion: np.ndarray) -> np.ndarray:
    """The dispersions [G] by the mean and standard deviation of those in the same bin of the positions [G].

    The only gene of a bin gets 1, so that it counts as variable.
    """
    edges = np.linspace(position.min(), position.max(), _NUM_BINS + 1)
    bins = np.clip(np.searchsorted(edges, position, side="left") - 1, 0, _NUM_BINS - 1)
    normalized = np.full(len(position), np.nan)
    for number in range(_NUM_BINS):
        inside = (bins == number) & ~np.isnan(dispersion)
        values = dispersion[inside]
        if len(values) > 1:
            normalized[inside] = (values - values.mean()) / values.std(ddof=1)
        else:
            normalized[inside] = 1.0
    return normalized
