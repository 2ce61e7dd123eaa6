"""The grid of samples as pixels."""

import matplotlib.image
import numpy as np

from vade_jax.report import save_sample_grid


def test_a_row_for_each_cluster_grey_and_coloured(tmp_path):
    images = np.zeros((3, 2, 32, 32, 1))
    images[1] = 2.0  # beyond 1, drawn white
    save_sample_grid(tmp_path / "grid.png", images)
    pixels = matplotlib.image.imread(tmp_path / "grid.png")[..., :3]
    assert pixels.shape == (3 * 34, 2 * 34, 3)
    assert (pixels[34:68] == 1).all()
    assert (pixels[1:33, 1:33] == 0).all()
    coloured = np.zeros((1, 1, 40, 32, 3))
    coloured[..., 0] = 1.0
    save_sample_grid(tmp_path / "grid.png", coloured)
    assert matplotlib.image.imread(tmp_path / "grid.png")[20, 20, :3].tolist() == [1, 0, 0]
    save_sample_grid(tmp_path / "grid.png", coloured[..., :2])
    assert matplotlib.image.imread(tmp_path / "grid.png")[20, 20, :3].tolist() == [1, 1, 1]


def test_small_images_are_enlarged(tmp_path):
    save_sample_grid(tmp_path / "grid.png", np.zeros((2, 2, 8, 8, 1)))
    # two images of 8 + 2 pixels a side, four times as large
    assert matplotlib.image.imread(tmp_path / "grid.png").shape[:2] == (80, 80)
