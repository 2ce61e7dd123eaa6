"""A file of rows that others cut off while it is read ends a program with one line, and does not kill it."""

import os

import jax.numpy as jnp
import numpy as np
import pytest

from vade_jax.data.file_formats import read
from vade_jax.data.mapped_files import map_file
from vade_jax.system.errors import InputError
from vade_jax.training.data_feed import Feed

X = np.arange(60_000, dtype=np.float32).reshape(10_000, 6)
SHORTER = r"^config.data.path: got .*x.npy, which has become shorter since it was opened, .* Restore it, then run"


@pytest.fixture
def path(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return tmp_path / "x.npy"


@pytest.mark.parametrize(
    "part",
    [
        lambda x: x,
        lambda x: x[5000:],
        lambda x: x.reshape(-1, 2, 3),
        lambda x: x[9000:9100].reshape(-1, 3),
        lambda x: x.T,
    ],
    ids=["all", "rows", "images", "rows in another shape", "columns"],
)
def test_rows_of_a_file_that_was_cut_off_are_refused(path, part):
    mapped = part(map_file(path))
    np.testing.assert_array_equal(mapped[2:4], part(X)[2:4])
    os.truncate(path, 5000)
    for index in (slice(2, 4), [2, 3], 2, slice(0, 1)):
        with pytest.raises(InputError, match=SHORTER):
            mapped[index]


def test_a_file_that_grows_or_is_replaced_by_another_is_still_read(path):
    mapped = map_file(path)
    with path.open("ab") as file:
        file.write(b"more")
    np.testing.assert_array_equal(mapped[-3:], X[-3:])
    np.save(path.with_name("new.npy"), X[:10])
    path.with_name("new.npy").replace(path)
    np.testing.assert_array_equal(mapped[-3:], X[-3:])


def test_what_is_computed_is_an_ordinary_array(path):
    mapped = map_file(path)
    for compute in (
        lambda x: x[[1, 2]],
        lambda x: np.abs(x[:3]),
        lambda x: x.mean(axis=0),
        lambda x: x[:0],
        lambda x: np.concatenate([x[:2], x[:2]]),
    ):
        found = compute(mapped)
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, compute(X))
    assert type(mapped.max()) is np.float32
    np.testing.assert_array_equal(jnp.asarray(mapped[:3]), X[:3])


def test_a_streamed_epoch_over_a_file_that_was_cut_off_ends_with_one_line(path):
    feed = Feed(read(str(path))["train"].x, max_resident=0, shard_bytes=X.nbytes / 4)
    shards = feed._shards({"x": feed.x}, 8, 0)
    next(shards)
    os.truncate(path, 5000)
    with pytest.raises(InputError, match=SHORTER):
        list(shards)
