"""Colours and markers of clusters, the same in every part of the report.

Any two of the 30 colours differ also for readers with protanopia, deuteranopia or tritanopia. The first three are a
blue, an orange and a pink. The others were searched for among the colours that stand out from the page, so that the
smallest distance of two is large, and are ordered so that the first few differ most. Distances are those in OKLab
(Ottosson 2020), as each of these readers sees the colours (Machado et al. 2009, IEEE TVCG 15).
"""

from typing import NamedTuple

# fmt: off
LIGHT = (
    "#0072b2", "#e69f00", "#cc79a7", "#551800", "#0000aa", "#866d49", "#31aaff", "#553161", "#31553d", "#6d24ff",
    "#e76d18", "#db310c", "#3d00db", "#e7aab6", "#b69e86", "#c20079", "#0c313d", "#490079", "#496179", "#79ce6d",
    "#b6b6f3", "#613d9e", "#8661db", "#6d86ff", "#862400", "#ce24b6", "#aa6d79", "#aa003d", "#619e55", "#9292ce",
)
DARK = (
    "#4da3e0", "#f0b23a", "#d676a9", "#556d00", "#55ffff", "#9e24ce", "#ceff00", "#c20086", "#c2db9e", "#6d79ff",
    "#ff6d6d", "#9e6d55", "#7924ff", "#006d86", "#92dbff", "#aaffc2", "#9e4955", "#00ce9e", "#ffe786", "#b655db",
    "#3d79b6", "#e718aa", "#db0c0c", "#e779ff", "#ce6d00", "#c29e00", "#ceaadb", "#6daa79", "#f3c2ce", "#92ce6d",
)
# fmt: on

# SVG paths about the origin, of similar areas: a disc, a triangle, a square and a cross.
MARKERS = (
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
    "M0-7.5L6.5 4.5H-6.5z",
    "M-4.5-4.5h9v9h-9z",
    "M-2-6.5h4v4.5h4.5v4h-4.5v4.5h-4v-4.5h-4.5v-4h4.5z",
)


class Style(NamedTuple):
    """How the rows of a cluster are drawn.

    Attributes:
      colour: index into LIGHT and DARK.
      marker: index into MARKERS.
    """

    colour: int
    marker: int


def style_of(cluster: int) -> Style:
    """The colour and the marker of a cluster. After 30 clusters the colours repeat, with another marker."""
    return Style(int(cluster) % len(LIGHT), int(cluster) // len(LIGHT) % len(MARKERS))
