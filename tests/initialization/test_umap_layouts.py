"""UMAP layouts of neighbour graphs."""

import numpy as np
import scipy

from vade_jax.initialization.neighbor_graphs import nearest_neighbors_without_hubs
from vade_jax.initialization.umap_layouts import umap_layout


def test_more_parts_than_twice_the_dimensions_give_no_warning():
    rng = np.random.default_rng(0)
    centres = 100 * rng.normal(size=(25, 3))
    points = np.repeat(centres, 5, axis=0) + rng.normal(size=(125, 3))
    distances, neighbors = nearest_neighbors_without_hubs(points, 3)
    layout = umap_layout(points, distances, neighbors, seed=0)
    assert layout.shape == (125, 10)
    assert np.isfinite(layout).all()
    from umap import spectral

    assert spectral.scipy is scipy  # it is replaced while a layout is made
