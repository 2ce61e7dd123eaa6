"""The colours of clusters can be told apart, also by colour-blind readers."""

import numpy as np
import pytest

from vade_jax.reports import charts, palette

# What a reader with each kind of colour blindness sees of linear RGB (Machado et al. 2009, severity 1).
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
# OKLab (Ottosson 2020): a distance of 0.02 is just noticeable.
TO_CONES = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
TO_LAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]
THEMES = {"light": (palette.LIGHT, charts.LIGHT), "dark": (palette.DARK, charts.DARK)}


def linear(colours):
    values = np.array([[int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)] for colour in colours])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def smallest_distance(colours, vision):
    seen = np.clip(linear(colours) @ np.array(VISION[vision]).T, 0, 1)
    lab = np.cbrt(seen @ np.array(TO_CONES).T) @ np.array(TO_LAB).T
    distances = np.linalg.norm(lab[:, None] - lab, axis=-1)
    return distances[np.triu_indices(len(lab), 1)].min()


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", THEMES)
def test_colours_can_be_told_apart(theme, vision):
    colours, _ = THEMES[theme]
    assert len(colours) == 30
    assert smallest_distance(colours, vision) > 0.05
    assert smallest_distance(colours[:8], vision) > 0.08


@pytest.mark.parametrize("theme", THEMES)
def test_colours_stand_out_from_the_page(theme):
    colours, page = THEMES[theme]
    luminance = linear(colours) @ [0.2126, 0.7152, 0.0722] + 0.05
    ground = linear([page.background]) @ [0.2126, 0.7152, 0.0722] + 0.05
    assert np.maximum(luminance / ground, ground / luminance).min() > 1.85


def test_colours_repeat_with_another_marker_after_thirty_clusters():
    styles = [palette.style_of(cluster) for cluster in range(120)]
    assert len(set(styles)) == 120
    assert {style.marker for style in styles[:30]} == {0}
    assert styles[31] == (1, 1)
    assert palette.style_of(np.int64(120)) == styles[0]
