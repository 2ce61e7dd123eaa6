"""Errors that may go away are told from damaged contents."""

import errno
import os
import zipfile

import pytest

from vade_jax.system.atomic_files import exists
from vade_jax.system.errors import DamagedError, StorageError, damaged_file_errors, is_passing, storage_errors

PASSING = (errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EBUSY)


@pytest.mark.parametrize("code", PASSING, ids=errno.errorcode.get)
def test_an_error_of_the_system_says_nothing_about_the_contents(code):
    error = OSError(code, os.strerror(code))
    assert is_passing(error)
    assert is_passing(ValueError(f"NOT_READ: {os.strerror(code)} [in a library]"))
    wrapped = RuntimeError("a library failed")
    wrapped.__cause__ = error
    assert is_passing(wrapped)
    assert is_passing(ExceptionGroup("several", [ValueError("one"), error]))


def test_too_little_memory_says_nothing_about_the_contents():
    assert is_passing(MemoryError())


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        IsADirectoryError(errno.EISDIR, "Is a directory"),
        OSError(errno.EINVAL, "Invalid argument"),  # a damaged archive points before its beginning
        OSError("Not a gzipped file"),
        EOFError(),
        ValueError("what was read is not what was written"),
        zipfile.BadZipFile("File is not a zip file"),
        KeyError("memberships"),
    ],
    ids=repr,
)
def test_missing_and_damaged_contents_do_not_pass(error):
    assert not is_passing(error)


def test_a_file_of_a_run_is_damaged_or_cannot_be_read_now(tmp_path):
    path = tmp_path / "x.npz"
    with pytest.raises(DamagedError, match=r"x.npz is damaged or missing: .* Restore it"), damaged_file_errors(path):
        path.read_bytes()
    path.symlink_to(path.name)
    unreadable = pytest.raises(StorageError, match=r"x.npz cannot be read now: .* may be sound")
    with unreadable as raised, damaged_file_errors(path):
        path.read_bytes()
    assert not isinstance(raised.value, DamagedError)


def test_a_file_that_cannot_be_looked_at_is_not_missing(tmp_path):
    path = tmp_path / "x"
    assert not exists(path)
    assert not exists(path / "y")
    path.touch()
    assert exists(path)
    assert not exists(path / "y")
    path.unlink()
    path.symlink_to(path.name)
    with pytest.raises(StorageError, match="x cannot be read now"):
        exists(path)


def test_a_short_write_of_numpy_is_a_full_disk(tmp_path):
    with pytest.raises(StorageError, match="No space left on device"), storage_errors(tmp_path):
        raise OSError("1797 requested and 1520 written")
