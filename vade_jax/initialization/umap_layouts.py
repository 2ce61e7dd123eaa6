"""UMAP layouts of a nearest-neighbour graph."""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import scipy

from vade_jax.system.process_wide import PROCESS_WIDE, filtered_warnings

_LAYOUT_DIM = 10
_LAYOUT_EPOCHS = 50  # umap-learn's defaults, 200 to 500, find the same clusters but take longer
_TENSORFLOW_PART = "umap.parametric_umap"


def umap_layout(
    embeddings: np.ndarray,
    distances: np.ndarray,
    neighbors: np.ndarray,
    seed: int,
    num_epochs: int = _LAYOUT_EPOCHS,
) -> np.ndarray:
    """Returns UMAP's layout of a nearest-neighbour graph.

    Args:
      embeddings: [N, J].
      distances: [N, k], from each row to its nearest others, in ascending order.
      neighbors: [N, k], the indices of these others.
      seed: of the layout.
      num_epochs: of UMAP's optimization.

    Returns:
      [N, 10], with fewer columns if there are very few rows.
    """
    # umap-learn counts a row as its own first neighbour. Its own search is not exact and takes longer to compile.
    itself = np.arange(len(embeddings))[:, None]
    neighbors = np.concatenate([itself, neighbors], axis=1)
    distances = np.concatenate([np.zeros_like(itself), distances], axis=1).astype(np.float32)
    umap_class, spectral = _import_umap()
    umap = umap_class(
        n_neighbors=neighbors.shape[1],
        n_components=min(_LAYOUT_DIM, max(2, len(embeddings) - 2)),
        min_dist=0.0,  # packs neighbours most tightly
        n_epochs=num_epochs,
        precomputed_knn=(neighbors, distances),
        random_state=seed,
        n_jobs=1,
    )
    # It warns that it cannot add rows later, and that the graph falls into more than 2 * num_dims parts: it places them
    # by their centres, which is what we want.
    unwanted = "precomputed_knn|Graph is not fully connected"
    with filtered_warnings("ignore", pattern=unwanted), _seeded_eigenvectors(spectral):
        return umap.fit_transform(np.asarray(embeddings, np.float32))


def _import_umap() -> tuple[Any, Any]:
    """Returns umap-learn's class UMAP and its module spectral; imported only when needed, since it compiles."""
    with PROCESS_WIDE:
        is_first_import = "umap" not in sys.modules
        if is_first_import:
            # This part of umap-learn would import TensorFlow if it is installed. Users can import it after this.
            sys.modules[_TENSORFLOW_PART] = None  # type: ignore[assignment]
        try:
            with filtered_warnings("ignore", ImportWarning):
                from umap import UMAP, spectral
        finally:
            if is_first_import:
                del sys.modules[_TENSORFLOW_PART]
    return UMAP, spectral


class _Overlay:
    """A module with other values of some attributes."""

    def __init__(self, module: ModuleType, **attributes: Any):
        self.__dict__.update(attributes)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@contextmanager
def _seeded_eigenvectors(spectral: Any) -> Iterator[None]:
    """A context in which umap-learn's spectral starts depend on nothing but the graph.

    ARPACK begins with a vector of ones. If few eigenvectors span it, as when all rows have equal distances, ARPACK
    continues with a random vector, which SciPy draws from fresh entropy unless it gets a seed.
    """
    linalg = _Overlay(scipy.sparse.linalg, eigsh=functools.partial(scipy.sparse.linalg.eigsh, rng=0))
    with PROCESS_WIDE:
        spectral.scipy = _Overlay(scipy, sparse=_Overlay(scipy.sparse, linalg=linalg))
        try:
            yield
        finally:
            spectral.scipy = scipy
