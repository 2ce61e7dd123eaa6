"""Arrays in files are written completely or not at all, and a changed bit is found."""

import numpy as np
import pytest

from vade_jax.system import large_arrays
from vade_jax.system.array_files import read_array, written_array


def test_array_is_read_as_it_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", 4)
    with written_array(tmp_path / "x.npy", (5, 2), np.float32) as array:
        array[:] = np.arange(10).reshape(5, 2)
        assert not (tmp_path / "x.npy").exists()
    for read in (read_array, np.load):
        np.testing.assert_array_equal(read(tmp_path / "x.npy"), np.arange(10).reshape(5, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_an_interrupted_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.ones(3))  # as older versions did, without a digest
    with pytest.raises(KeyboardInterrupt), written_array(path, (5, 2), np.float32):
        raise KeyboardInterrupt
    assert read_array(path).tolist() == [1, 1, 1]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("place", [130, 169, -1])
def test_a_changed_byte_is_found(tmp_path, place):
    path = tmp_path / "x.npy"
    with written_array(path, (5, 2), np.float32) as array:
        array[:] = 1
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="what was read is not what was written"):
        read_array(path)


def test_a_file_that_was_cut_off_is_found(tmp_path):
    path = tmp_path / "x.npy"
    with written_array(path, (5, 2), np.float32) as array:
        array[:] = 1
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(ValueError, match=r"mmap length|larger"):
        read_array(path)
