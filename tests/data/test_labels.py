"""Labels as numbers and names: their order, and which rows are unlabelled."""

import numpy as np
import pytest

from vade_jax.data.dataset import make_dataset
from vade_jax.data.labels import encode_labels, join_labels


@pytest.mark.parametrize(
    ("values", "numbers", "names"),
    [
        (np.array([3, 1, 10, 1]), [1, 0, 2, 0], ("1", "3", "10")),
        (np.array([3, np.nan, 10, 1.5]), [1, -1, 2, 0], ("1.5", "3", "10")),
        (np.array(["b", "NA", "", "None", "nan"]), [2, 0, -1, 1, 3], ("NA", "None", "b", "nan")),
        (np.array(["10", "9", " ", "09"]), [2, 1, -1, 0], ("09", "9", "10")),
        (np.array([b"b", b"a"]), [1, 0], ("a", "b")),
        (np.array([None, "x", float("nan"), 7], object), [-1, 1, -1, 0], ("7", "x")),
        (np.array([True, False]), [1, 0], ("False", "True")),
        (np.array([np.nan, np.nan]), [-1, -1], ()),
    ],
)
def test_labels_are_numbered_in_order(values, numbers, names):
    labels = encode_labels(values)
    assert labels.numbers.tolist() == numbers
    assert labels.names == names


def test_labels_are_joined_by_their_names():
    joined = join_labels([encode_labels(np.array(["b", "c", ""])), encode_labels(np.array(["a", "c"]))])
    assert joined.numbers.tolist() == [1, 2, -1, 0, 2]
    assert joined.names == ("a", "b", "c")


def test_a_dataset_has_numbered_labels():
    rows = make_dataset(np.eye(3), np.array([0.0, np.nan, 2.0]), "x")
    assert rows.labels.tolist() == [0, -1, 1]
    assert rows.label_names == ("0", "2")
