"""Every mode and the estimator end with one line about a place that cannot be read or written."""

import shutil
import subprocess
import tempfile

import numpy as np
import pytest
from helpers.disks import mounted

from vade_jax import VaDE
from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.generate import generate
from vade_jax.commands.predict import predict
from vade_jax.commands.select_k import select_k
from vade_jax.system import large_arrays
from vade_jax.system.errors import InputError, StorageError, storage_errors, with_storage_errors

FULL = "No space left on device"


def write_predictions(run, output):
    predict(run, output=str(output), with_log_likelihood=False)


def write_samples(run, output):
    generate(run, output=str(output), num_samples=100)


@pytest.mark.parametrize("error", [OSError(28, FULL), ValueError(f"x: {FULL} [a]"), OSError(None, FULL)])
def test_a_full_disk_is_one_line(tmp_path, error):
    with (
        pytest.raises(StorageError, match=f"^{tmp_path} cannot be read or written: {FULL}") as caught,
        storage_errors(tmp_path),
    ):
        raise error
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), InputError("workdir", FULL, "space", "Wait.")])
def test_other_errors_pass(tmp_path, error):
    with pytest.raises(type(error)), storage_errors(tmp_path):
        raise error


def test_the_place_is_the_first_path_among_the_arguments(tmp_path):
    @with_storage_errors
    def fail(number, folder):
        raise OSError("the server is gone")

    with pytest.raises(StorageError, match=rf"^{tmp_path} cannot be .*: the server is gone. Check this place, then"):
        fail(1, folder=tmp_path)


@pytest.mark.parametrize("write", [write_predictions, write_samples])
@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.npz"])
def test_an_output_on_a_full_disk_is_named(digits_run, tmp_path, write, name):
    disk = tmp_path / "disk"
    with mounted(disk, "size=8k"):
        with pytest.raises(StorageError, match=rf"^{disk / name} cannot be read or written: .*{FULL}"):
            write(digits_run[0], disk / name)
        assert not list(disk.iterdir())


@pytest.mark.parametrize("write", [write_predictions, write_samples])
@pytest.mark.parametrize(
    ("name", "words"), [("x" * 300 + ".csv", "name too long. Use"), ("locked/x.csv", "Read-only file system. Name")]
)
def test_an_output_is_checked_before_the_work(digits_run, tmp_path, write, name, words, monkeypatch):
    monkeypatch.setattr("vade_jax.commands.predict.read_rows", lambda *_: pytest.fail("worked"))
    monkeypatch.setattr("vade_jax.commands.generate.answers.generate", lambda *_, **__: pytest.fail("worked"))
    with mounted(tmp_path / "locked", "ro"), pytest.raises(StorageError, match=words):
        write(digits_run[0], tmp_path / name)


@pytest.mark.parametrize("mode", [evaluate, select_k])
def test_a_run_on_a_read_only_disk_is_found_before_the_rows_are_read(digits_run, tmp_path, mode, monkeypatch):
    monkeypatch.setattr("vade_jax.commands.evaluate.reload_rows", lambda *_: pytest.fail("read"))
    monkeypatch.setattr("vade_jax.commands.select_k.reload_rows", lambda *_: pytest.fail("read"))
    disk = tmp_path / "disk"
    with mounted(disk, "size=64m"):
        shutil.copytree(digits_run[0], disk / "run")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises((StorageError, InputError), match="Read-only file system"):
            mode(disk / "run")


def test_a_small_folder_for_temporary_files_is_named(digits_run, tmp_path, monkeypatch):
    model = VaDE.load(digits_run[0])
    disk = tmp_path / "disk"
    monkeypatch.setattr(large_arrays, "_BYTES_IN_MEMORY", 0)
    with mounted(disk, "size=8k"):
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        for ask in (model.predict, model.score_samples):
            with pytest.raises(StorageError, match=rf"^{disk} cannot be .*: {FULL}. Make space .* TMPDIR can name"):
                ask(np.zeros((2000, 64)))
        with pytest.raises(StorageError, match=rf"^{disk}/x/.* cannot be read or written: {FULL}"):
            model.save(disk / "x")
