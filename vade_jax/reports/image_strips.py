"""Images side by side as PNG."""

import io
from pathlib import Path

import numpy as np
from matplotlib import image as mpl_image

_LARGEST_IMAGE = 64  # pixels a side in a strip


def strip(images: np.ndarray) -> bytes:
    """Images in a row as PNG with transparent gaps, each pixel once; large ones are thinned.

    Args:
      images: [n, H, W, C], n >= 1, in [0, 1], values beyond are clipped; C = 1 is drawn grey, C = 3 as RGB.
    """
    step = -(-max(images.shape[1:3]) // _LARGEST_IMAGE)
    colours = _as_rgb(images[:, ::step, ::step])
    opaque = np.concatenate([colours, np.ones((*colours.shape[:-1], 1))], axis=-1)
    with io.BytesIO() as file:
        mpl_image.imsave(file, _tiled(opaque[None], gap=0.0), format="png")
        return file.getvalue()


def save_sample_grid(path: Path, images: np.ndarray) -> None:
    """Writes generated images as one PNG, a row for each cluster.

    Args:
      path: of the PNG.
      images: [K, n, H, W, C], in [0, 1], values beyond are clipped; C = 1 is drawn grey, C = 3 as RGB.
    """
    grid = _tiled(_as_rgb(images), gap=1.0)
    scale = -(-32 // images.shape[2])  # small images stay visible
    mpl_image.imsave(path, grid.repeat(scale, axis=0).repeat(scale, axis=1))


def _as_rgb(images):
    clipped = np.clip(images, 0, 1)
    return clipped[..., :1].repeat(3, axis=-1) if images.shape[-1] < 3 else clipped[..., :3]


def _tiled(images, gap):
    """Images [R, n, H, W, C] as one [R (H + 2), n (W + 2), C], a pixel of the gap's value around each."""
    padded = np.pad(images, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)], constant_values=gap)
    num_rows, num_columns, height, width, colours = padded.shape
    return padded.transpose(0, 2, 1, 3, 4).reshape(num_rows * height, num_columns * width, colours)
