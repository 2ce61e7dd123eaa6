"""Figures of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import image as mpl_image
from matplotlib.figure import Figure


def save_sample_grid(path: Path, images: np.ndarray) -> None:
    """Writes generated images as one PNG, a row for each cluster.

    Args:
      path: of the PNG.
      images: [K, n, H, W, C], in [0, 1], values beyond are clipped; C = 1 is drawn grey, C = 3 as RGB.
    """
    gap = [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)]
    padded = np.pad(np.clip(images, 0, 1), gap, constant_values=1.0)
    num_rows, num_columns, height, width, colours = padded.shape
    grid = padded.transpose(0, 2, 1, 3, 4).reshape(num_rows * height, num_columns * width, colours)
    scale = -(-32 // height)  # small images stay visible
    grid = grid.repeat(scale, axis=0).repeat(scale, axis=1)
    mpl_image.imsave(path, grid.repeat(3, axis=-1) if colours == 1 else grid[..., :3])


def save_select_k(path: Path, rows: Sequence[Mapping[str, float]], recommended: int) -> None:
    """Writes what speaks for each number of clusters as one PNG of four panels, the recommended one marked in each.

    Args:
      path: of the PNG.
      rows: as `num_clusters.select` describes each K: 'num_clusters', the means that are drawn and their errors '_se'.
      recommended: K.
    """
    numbers = [row["num_clusters"] for row in rows]
    rows = [
        {
            **row,
            "effective_share": row["effective_clusters"] / row["num_clusters"],
            "smallest_of_average": row["smallest_cluster"] * row["num_clusters"],
        }
        for row in rows
    ]
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = {
        "held-out log p(x)": {"nats behind the best": "bound_behind"},
        "cut of the inputs' neighbour graph": {"modularity": "modularity"},
        "agreement of two halves": {"adjusted Rand index": "stability", "prediction strength": "prediction_strength"},
        "sizes": {"effective clusters / K": "effective_share", "smallest / average cluster": "smallest_of_average"},
    }
    for axes, (title, lines) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        for label, name in lines.items():
            values, errors = ([row.get(key, 0.0) for row in rows] for key in (name, f"{name}_se"))
            axes.errorbar(numbers, values, errors, marker=".", capsize=2, label=label)
        axes.axvline(recommended, color="grey", linestyle=":")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set(title=title, xlabel="K")
        axes.legend()
    figure.savefig(path)
