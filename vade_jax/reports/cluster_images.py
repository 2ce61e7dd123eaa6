"""Strips of images of each cluster, and between clusters."""

from collections.abc import Iterator
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from vade_jax.data.scaling import Scaling
from vade_jax.inference.answers import decode, interpolate
from vade_jax.reports.cluster_rows import Clusters
from vade_jax.reports.image_strips import render_strip
from vade_jax.runs.run import Run
from vade_jax.training.train_state import TrainState

_NUM_IMAGES, _NUM_STEPS = 6, 10  # in a strip, of a cluster and between two


@dataclass(frozen=True)
class ImageRenderer:
    """Renders rows [n, D] as a strip of images.

    Attributes:
      low: the stored value that is drawn black.
      high: the stored value that is drawn white.
      scaling: from stored rows to the rows that the model sees.
      image_shape: (H, W, C).
    """

    low: float
    high: float
    scaling: Scaling
    image_shape: tuple[int, int, int]

    @classmethod
    def of_rows(cls, stored: np.ndarray, scaling: Scaling, image_shape: tuple[int, int, int]) -> "ImageRenderer":
        """Returns a renderer for the range of values of these stored rows."""
        return cls(float(stored.min()), float(stored.max()), scaling, image_shape)

    def render_stored(self, rows: np.ndarray) -> bytes:
        """Renders rows as they are stored."""
        values = (rows - self.low) / max(self.high - self.low, 1e-12)
        return render_strip(values.reshape(-1, *self.image_shape))

    def render_scaled(self, rows: np.ndarray) -> bytes:
        """Renders rows as the model sees them."""
        return self.render_stored(rows / np.asarray(self.scaling.scale) + np.asarray(self.scaling.shift))


@dataclass(frozen=True)
class ClusterImages:
    """Strips of images of a cluster, PNG: the rows nearest to its centre, the least certain ones, and generated."""

    typical: bytes
    borderline: bytes
    generated: bytes


def cluster_images(
    x: np.ndarray,
    samples: np.ndarray,
    clusters: Clusters,
    shown: np.ndarray,
    nearness: np.ndarray,
    images: ImageRenderer,
) -> dict[int, ClusterImages]:
    """Cluster -> its images: of rows x [N, D] as stored, and samples [K, n, D] of the model; nearness is [N]."""
    return {
        int(cluster): ClusterImages(
            typical=images.render_stored(x[clusters.typical_rows(cluster, nearness, _NUM_IMAGES)]),
            borderline=images.render_stored(x[clusters.borderline_rows(cluster, _NUM_IMAGES)]),
            generated=images.render_scaled(samples[cluster, :_NUM_IMAGES]),
        )
        for cluster in shown
    }


def interpolations(
    run: Run, state: TrainState, shown: np.ndarray, images: ImageRenderer
) -> Iterator[tuple[int, int, bytes]]:
    """Yields (cluster, nearest other cluster, E[x|z] on the line between their prior means), each pair once."""
    if len(shown) < 2:
        return
    means = state.params["prior"].means[jnp.asarray(shown)]
    squares = np.square(np.asarray(means)[:, None] - np.asarray(means)[None]).sum(axis=-1)
    np.fill_diagonal(squares, np.inf)
    pairs = np.unique(np.sort(np.stack([np.arange(len(shown)), squares.argmin(axis=1)], axis=1), axis=1), axis=0)
    z = interpolate(means[pairs[:, 0]], means[pairs[:, 1]], _NUM_STEPS)
    lines = decode(run.model, state.params, z)
    for (start, end), line in zip(pairs, lines, strict=True):
        yield shown[start], shown[end], images.render_scaled(line)
