"""Splits: any name can be chosen, and splits that differ are matched or refused."""

import numpy as np
import pytest

from vade_jax.data.dataset import Source, make_dataset
from vade_jax.data.splits import select_split, with_offset
from vade_jax.system.errors import InputError

ROWS = np.arange(12, dtype=np.float64).reshape(6, 2)


def source(**splits):
    return Source({name: make_dataset(array, None, name) for name, array in splits.items()})


def test_split_names_can_have_any_characters():
    splits = Source(
        {name: make_dataset(ROWS + n, None, name) for n, name in enumerate(["a", "part-1", "a+b", "c.2 d"])}
    )
    for number, name in enumerate(splits.splits):
        np.testing.assert_array_equal(select_split(splits, name, "field").x, ROWS + number)
    joined = select_split(splits, "part-1[:2]+a+b+a[:1]", "field")
    np.testing.assert_array_equal(joined.x, np.concatenate([ROWS[:2] + 1, ROWS + 2, ROWS[:1]]))
    with pytest.raises(InputError, match="field: got 'b', expected a split"):
        select_split(splits, "b", "field")


def test_splits_of_other_shapes_are_not_joined():
    images = source(wide=np.zeros((4, 2, 3), np.uint8), high=np.zeros((4, 3, 2), np.uint8))
    with pytest.raises(
        InputError, match=r"field: got 'all' with images of 2 x 3 x 1 in wide and images of 3 x 2 x 1 in high, expected"
    ):
        select_split(images, "all", "field")
    assert select_split(images, "high", "field").image_shape == (3, 2, 1)
    tables = source(train=np.zeros((10, 3)), test=np.zeros((5, 4)))
    with pytest.raises(InputError, match=r"field: got 'all' with rows of 3 columns in train and rows of 4 columns in"):
        select_split(tables, "all", "field")
    assert len(select_split(tables, "train+train", "field").x) == 20


def test_named_columns_are_joined_by_their_names():
    splits = Source(
        {"a": make_dataset(ROWS, None, "a", ("p", "q")), "b": make_dataset(ROWS[:, ::-1], None, "b", ("q", "p"))}
    )
    joined = select_split(splits, "all", "field")
    np.testing.assert_array_equal(joined.x, np.concatenate([ROWS, ROWS]))
    assert joined.names == ("p", "q")


def test_labels_are_joined_by_their_names():
    splits = Source(
        {
            "a": make_dataset(ROWS[:2], np.array(["y", "x"]), "a"),
            "b": make_dataset(ROWS[:2], np.array(["z", ""]), "b"),
        }
    )
    joined = select_split(splits, "b+a", "field")
    assert joined.labels.tolist() == [2, -1, 1, 0]
    assert joined.label_names == ("x", "y", "z")


def test_splits_with_other_offsets_are_joined_with_one():
    times = 1.7e9 + np.arange(6.0)[:, None]
    splits = source(early=times, none=np.arange(6.0)[:, None], late=times + 1000)
    assert splits.splits["late"].offset.tolist() == [1.7e9 + 1000]
    joined = select_split(splits, "early+late", "field")
    assert joined.offset.tolist() == [1.7e9]
    assert joined.x[:, 0].tolist() == [*range(6), *range(1000, 1006)]
    moved = with_offset(splits.splits["none"], np.array([2.0]))
    assert moved.x[:, 0].tolist() == [-2, -1, 0, 1, 2, 3]
