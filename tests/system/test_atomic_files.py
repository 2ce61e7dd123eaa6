"""A file is the old one or the new one, never incomplete."""

import errno
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from vade_jax.system import large_arrays
from vade_jax.system.atomic_files import atomic_write, check_can_write, remove_partial, reserve_disk_space, write_json


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


def test_files_of_the_user_stay(tmp_path):
    mine = [
        tmp_path / name
        for name in ("x.partial.csv", ".x.partial.csv", f".x.{os.getpid()}.partial.csv", ".vade-notes.csv")
    ]
    for path in mine:
        path.write_text("mine")
    with atomic_write(tmp_path / "x.csv") as partial:
        partial.write_text("ours")
    remove_partial(tmp_path)
    assert [path.read_text() for path in mine] == ["mine"] * 4
    assert (tmp_path / "x.csv").read_text() == "ours"


def test_the_last_of_two_writers_is_kept_whole(tmp_path):
    path = tmp_path / "x.csv"
    with atomic_write(path) as first:
        first.write_text("first")
        with atomic_write(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_can_be_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / ("x" * 251 + ".csv")
    check_can_write(path)
    with atomic_write(path) as partial:
        partial.write_text("x")
    with pytest.raises(OSError, match="File name too long"):
        check_can_write(tmp_path / ("x" * 252 + ".csv"))


def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path):
    for error in (OSError(errno.ENOSPC, "full"), OSError("13 bytes were written")):
        with pytest.raises(OSError, match=rf"'{tmp_path / 'x.csv'}'$"), atomic_write(tmp_path / "x.csv"):
            raise error


def test_a_folder_without_permission_is_found_at_once():
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o500)
        if is_root:  # who may write everywhere
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            for path in (Path(folder) / "x.csv", Path(folder) / "new" / "x.csv"):
                with pytest.raises(PermissionError, match=rf"'{folder}'$"):
                    check_can_write(path)
        finally:
            if is_root:
                os.seteuid(0)


def test_remove_partial_deletes_files_of_killed_processes(tmp_path):
    (tmp_path / "run").mkdir()
    with atomic_write(tmp_path / "run" / "x.npz") as partial:
        partial.write_text("incomplete")
        copy = partial.with_name(partial.name.replace(f"-{os.getpid()}-", "-1-"))
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
