"""A map of rows in two dimensions: places, names and hover texts, to be drawn as SVG."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from vade_jax.reports.palette import Style, style_of

_SIDE = 1000  # the width, and the largest height
_MARGIN = 30
_MAX_NAMES = 50
_MAX_NAME_LENGTH = 18


class MapPoint(NamedTuple):
    """A row on the map: its place, and what is shown when the pointer is near."""

    x: int
    y: int
    text: str


class MapGroup(NamedTuple):
    """Rows of one colour.

    Attributes:
      style: their colour and marker; None for rows of no group, which are pale.
      points: the rows.
    """

    style: Style | None
    points: list[MapPoint]


class LatentMap(NamedTuple):
    """Rows as points in a rectangle, from (0, 0) at its upper left corner.

    Attributes:
      width: of the rectangle.
      height: of the rectangle.
      groups: in the order in which they are drawn, small ones last.
      names: of the largest groups, at their centres.
    """

    width: int
    height: int
    groups: list[MapGroup]
    names: list[MapPoint]


def latent_map(
    points: np.ndarray,
    groups: np.ndarray,
    names: Sequence[object],
    centres: np.ndarray,
    clusters: Sequence[int],
    texts: Sequence[str],
) -> LatentMap:
    """Places rows on a map.

    Args:
      points: [N, 2].
      groups: [N], integers in 0..G-1; -1 for a row of no group.
      names: [G]; those of the 50 largest groups are drawn.
      centres: [G, 2], where the names are drawn, moved into the map.
      clusters: [G], the cluster in whose colour each group is drawn.
      texts: [N], shown when the pointer is near.

    Returns:
      The map.
    """
    low, extent = points.min(axis=0), np.maximum(np.ptp(points, axis=0), 1e-12)
    scale = (_SIDE - 2 * _MARGIN) / extent.max()
    start = np.array([(_SIDE - scale * extent[0]) / 2, _MARGIN])
    height = round(scale * extent[1] + 2 * _MARGIN)

    def place(at: np.ndarray) -> np.ndarray:
        inside = (np.clip(at, low, low + extent) - low) * scale + start
        return np.stack([inside[:, 0], height - inside[:, 1]], axis=1).round().astype(int)

    places, sizes = place(points), np.bincount(groups[groups >= 0], minlength=len(names))
    descending = np.argsort(-sizes, kind="stable")
    order = [*([-1] if (groups < 0).any() else []), *(group for group in descending.tolist() if sizes[group])]
    return LatentMap(
        width=_SIDE,
        height=height,
        groups=[
            MapGroup(
                style=None if group < 0 else style_of(clusters[group]),
                points=[_point(places[row], texts[row]) for row in np.flatnonzero(groups == group).tolist()],
            )
            for group in order
        ],
        names=[
            _point(at, _shorten(str(names[group])))
            for group, at in zip(descending[:_MAX_NAMES], place(centres[descending[:_MAX_NAMES]]), strict=True)
            if sizes[group]
        ],
    )


def _point(at: np.ndarray, text: str) -> MapPoint:
    return MapPoint(int(at[0]), int(at[1]), text)


def _shorten(name: str) -> str:
    return name if len(name) <= _MAX_NAME_LENGTH else name[: _MAX_NAME_LENGTH - 1] + "…"
