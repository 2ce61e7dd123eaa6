"""A file is the old one or the new one, never incomplete."""

import errno
import json
import os

import numpy as np
import pytest

from vade_jax.system import large_arrays
from vade_jax.system.atomic_files import atomic_write, remove_partial, reserve_disk_space, write_json


def test_atomic_write_replaces_the_old_file(tmp_path):
    path = tmp_path / "x.npz"
    path.write_text("old")
    with atomic_write(path) as partial:
        np.savez(partial, x=np.arange(3))
        assert path.read_text() == "old"
    assert np.load(path)["x"].tolist() == [0, 1, 2]
    assert list(tmp_path.iterdir()) == [path]


def test_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"old": 1})
    with pytest.raises(TypeError):
        write_json(path, {"new": object()})
    with pytest.raises(FileNotFoundError), atomic_write(path):
        pass
    assert json.loads(path.read_text()) == {"old": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_remove_partial_deletes_files_of_killed_processes(tmp_path):
    (tmp_path / "run").mkdir()
    with atomic_write(tmp_path / "run" / "x.npz") as partial:
        partial.write_text("incomplete")
        copy = partial.with_name(partial.name.replace(str(os.getpid()), "1"))
        copy.write_text("incomplete")
    remove_partial(tmp_path)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["x.npz"]


def test_reserve_disk_space_allocates_the_file(tmp_path):
    with (tmp_path / "x").open("wb+") as file:
        file.truncate(2**20)
        assert os.fstat(file.fileno()).st_blocks == 0
        reserve_disk_space(file)
        assert os.fstat(file.fileno()).st_blocks * 512 >= 2**20


def test_empty_array_raises_on_a_full_disk(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        large_arrays.empty_array((2**24, 2), np.float32, tmp_path)
