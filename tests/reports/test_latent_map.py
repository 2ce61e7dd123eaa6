"""The map of rows: places, colours, names and hover texts."""

import numpy as np

from vade_jax.reports.latent_map import latent_map
from vade_jax.reports.palette import style_of

RNG = np.random.default_rng(0)


def map_of(points, groups, names, **changes):
    arguments = {
        "centres": np.zeros((len(names), 2)),
        "clusters": range(len(names)),
        "texts": [f"row {row}" for row in range(len(points))],
    }
    return latent_map(points, groups, names, **arguments | changes)


def test_points_lie_inside_with_equal_scales_and_their_texts():
    points = np.array([[0.0, 0], [4, 0], [4, 2]])
    drawn = map_of(points, np.zeros(3, int), "a")
    (group,) = drawn.groups
    left, right, upper = group.points
    assert (drawn.width, drawn.height) == (1000, 530)
    assert (left.x, right.x, upper.x) == (30, 970, 970)
    assert (left.y, right.y, upper.y) == (500, 500, 30)  # downwards
    assert [point.text for point in group.points] == ["row 0", "row 1", "row 2"]


def test_high_and_single_points_fit():
    high = map_of(np.array([[0.0, 0], [1, 9]]), np.zeros(2, int), "a")
    assert all(0 <= point.x <= 1000 and 0 <= point.y <= high.height <= 1000 for point in high.groups[0].points)
    assert map_of(np.ones((2, 2)), np.zeros(2, int), "a").groups[0].points[0].y > 0


def test_small_groups_are_drawn_last_and_have_the_style_of_their_cluster():
    groups = np.array([0, 1, 1, 2, 2, 2])
    drawn = map_of(RNG.normal(size=(6, 2)), groups, "abc", clusters=[7, 31, 2])
    assert [group.style for group in drawn.groups] == [style_of(2), style_of(31), style_of(7)]


def test_names_of_the_largest_groups_are_drawn():
    groups = np.concatenate([np.arange(1000), np.repeat(np.arange(900, 950), 3)])
    drawn = map_of(RNG.normal(size=(1150, 2)), groups, range(1000))
    assert {name.text for name in drawn.names} == {str(number) for number in range(900, 950)}


def test_long_names_are_cut_and_names_stay_inside():
    points, groups = RNG.normal(size=(4, 2)), np.array([0, 0, 1, 1])
    drawn = map_of(points, groups, ["long " * 9, "b"], centres=np.array([[99.0, 99], [0, 0]]))
    name = next(name for name in drawn.names if name.text != "b")
    assert len(name.text) == 18
    assert 0 <= name.x <= 1000
    assert 0 <= name.y <= drawn.height


def test_points_of_no_group_are_pale_and_below_the_others_and_empty_groups_are_left_out():
    points, groups = RNG.normal(size=(50, 2)), np.repeat([0, -1], 25)
    drawn = map_of(points, groups, ["a", "empty"])
    assert [group.style for group in drawn.groups] == [None, style_of(0)]
    assert [len(group.points) for group in drawn.groups] == [25, 25]
    assert [name.text for name in drawn.names] == ["a"]
