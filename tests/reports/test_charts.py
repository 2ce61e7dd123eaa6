"""Charts and image strips, by their pixels."""

import io

import matplotlib.image
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from vade_jax.reports import charts, image_strips

RNG = np.random.default_rng(0)


def pixels(png):
    return matplotlib.image.imread(io.BytesIO(png))


def share_of(colour, picture):
    """The share of pixels that have the colour, up to rounding."""
    return np.isclose(picture, to_rgba(colour), atol=0.01).all(axis=-1).mean()


CHARTS = {
    "curves": lambda: charts.draw_curves({"a": ([1, 2, 3], [3, 2, np.nan]), "b": ([1], [2])}, "epoch", {"one": (1, 3)}),
    "bars": lambda: charts.draw_bars(np.array([3.0, np.nan, 1.0]), "rows"),
    "many bars": lambda: charts.draw_bars(RNG.integers(0, 9, 1000), "rows"),
    "matrix": lambda: charts.draw_matrix(np.eye(3, dtype=int), range(3), range(3), "label", "cluster"),
    "large matrix": lambda: charts.draw_matrix(
        RNG.integers(0, 9, (20, 500)), range(20), range(500), "label", "cluster"
    ),
}


@pytest.mark.parametrize("name", CHARTS)
def test_chart_has_a_light_and_a_dark_picture_with_transparent_background(name):
    chart = CHARTS[name]()
    light, dark = pixels(chart.light), pixels(chart.dark)
    assert light.shape == dark.shape == (2 * chart.height, 2 * chart.width, 4)
    assert (light[0, 0, 3], dark[0, 0, 3]) == (0, 0)
    for picture, own, other in ((light, charts.LIGHT, charts.DARK), (dark, charts.DARK, charts.LIGHT)):
        inks, other_inks = (share_of(theme.muted, picture) + share_of(theme.ink, picture) for theme in (own, other))
        assert inks > 10 * other_inks  # smoothed edges can have any colour


def test_matrix_cells_are_coloured_by_their_share_of_the_row():
    chart = charts.draw_matrix(np.array([[400, 0], [1, 1]]), ["a", "b"], [0, 1], "label", "cluster")
    picture = pixels(chart.light)
    assert share_of(charts.LIGHT.accent, picture) > 0.05
    assert share_of(charts.LIGHT.background, picture) > 0.05
    even = charts.draw_matrix(np.ones((2, 2), int), ["a", "b"], [0, 1], "label", "cluster")
    assert share_of(charts.LIGHT.accent, pixels(even.light)) == 0


@pytest.mark.parametrize("names", [["$x_1$", "a$b", "<b>"], ["猫", "\x07", "long " * 99]])
def test_names_with_special_characters_are_drawn(names):
    charts.draw_matrix(np.eye(3, dtype=int), names, range(3), "label", "cluster")


def test_strip_has_transparent_gaps_and_clipped_values():
    images = np.zeros((2, 8, 8, 1))
    images[1] = 2.0  # clipped to 1, white
    strip = pixels(image_strips.render_strip(images))
    assert strip.shape == (10, 20, 4)
    assert (strip[1:9, 1:9] == [0, 0, 0, 1]).all()
    assert (strip[1:9, 11:19] == 1).all()
    assert (strip[:, 9:11, 3] == 0).all()


def test_strip_subsamples_large_images():
    assert pixels(image_strips.render_strip(np.zeros((3, 200, 100, 3)))).shape == (52, 3 * 27, 4)


def test_sample_grid_has_a_line_per_cluster_in_grey_or_colour(tmp_path):
    images = np.zeros((3, 2, 32, 32, 1))
    images[1] = 2.0  # clipped to 1, white
    image_strips.save_sample_grid(tmp_path / "grid.png", images)
    grid = matplotlib.image.imread(tmp_path / "grid.png")[..., :3]
    assert grid.shape == (3 * 34, 2 * 34, 3)
    assert (grid[34:68] == 1).all()
    assert (grid[1:33, 1:33] == 0).all()
    coloured = np.zeros((1, 1, 40, 32, 3))
    coloured[..., 0] = 1.0
    image_strips.save_sample_grid(tmp_path / "grid.png", coloured)
    assert matplotlib.image.imread(tmp_path / "grid.png")[20, 20, :3].tolist() == [1, 0, 0]
    image_strips.save_sample_grid(tmp_path / "grid.png", coloured[..., :2])
    assert matplotlib.image.imread(tmp_path / "grid.png")[20, 20, :3].tolist() == [1, 1, 1]


def test_sample_grid_enlarges_small_images(tmp_path):
    image_strips.save_sample_grid(tmp_path / "grid.png", np.zeros((2, 2, 8, 8, 1)))
    # two images with sides of 8 + 2 pixels, four times as large
    assert matplotlib.image.imread(tmp_path / "grid.png").shape[:2] == (80, 80)
