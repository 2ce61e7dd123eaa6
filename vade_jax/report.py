"""Figures of a run."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import image as mpl_image


def save_sample_grid(path: Path, images: np.ndarray) -> None:
    """Writes generated images as one PNG, a row for each cluster.

    Args:
      path: of the PNG.
      images: [K, n, H, W, C], in [0, 1], values beyond are clipped; the first three channels are drawn as RGB, or the
        first as grey where there are fewer.
    """
    gap = [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)]
    padded = np.pad(np.clip(images, 0, 1), gap, constant_values=1.0)
    num_rows, num_columns, height, width, colours = padded.shape
    grid = padded.transpose(0, 2, 1, 3, 4).reshape(num_rows * height, num_columns * width, colours)
    scale = -(-32 // height)  # small images stay visible
    grid = grid.repeat(scale, axis=0).repeat(scale, axis=1)
    mpl_image.imsave(path, grid[..., :1].repeat(3, axis=-1) if colours < 3 else grid[..., :3])
