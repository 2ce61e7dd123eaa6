"""Images side by side as PNG."""

import io
from pathlib import Path

import numpy as np
from matplotlib import image as mpl_image

from vade_jax.system.atomic_files import atomic_write

_MAX_SIDE = 64  # pixels of an image in a strip
_MIN_SIDE = 32  # pixels of an image in a grid; smaller ones are enlarged


def render_strip(images: np.ndarray) -> bytes:
    """Returns a PNG of images side by side with transparent gaps. Large images are subsampled.

    Args:
      images: [n, H, W, C], n >= 1, clipped to [0, 1]. C < 3 is drawn grey from the first channel, C >= 3 as RGB.
    """
    step = -(-max(images.shape[1:3]) // _MAX_SIDE)
    colours = _as_rgb(images[:, ::step, ::step])
    opaque = np.concatenate([colours, np.ones((*colours.shape[:-1], 1))], axis=-1)
    with io.BytesIO() as file:
        mpl_image.imsave(file, _tile(opaque[None], gap=0.0), format="png")
        return file.getvalue()


def save_sample_grid(path: Path, images: np.ndarray) -> None:
    """Writes a PNG of generated images, one line per cluster. Small images are enlarged.

    Args:
      path: of the PNG.
      images: [K, n, H, W, C], clipped to [0, 1]. C < 3 is drawn grey from the first channel, C >= 3 as RGB.
    """
    grid = _tile(_as_rgb(images), gap=1.0)
    scale = -(-_MIN_SIDE // images.shape[2])
    with atomic_write(path) as partial:
        mpl_image.imsave(partial, grid.repeat(scale, axis=0).repeat(scale, axis=1))


def _as_rgb(images: np.ndarray) -> np.ndarray:
    clipped = np.clip(images, 0, 1)
    return clipped[..., :1].repeat(3, axis=-1) if images.shape[-1] < 3 else clipped[..., :3]


def _tile(images: np.ndarray, gap: float) -> np.ndarray:
    """Joins images [R, n, H, W, C] to one [R (H + 2), n (W + 2), C], with a border of one pixel of value gap each."""
    padded = np.pad(images, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)], constant_values=gap)
    num_rows, num_columns, height, width, colours = padded.shape
    return padded.transpose(0, 2, 1, 3, 4).reshape(num_rows * height, num_columns * width, colours)
