"""Damaged checkpoints are passed over, and checkpoints that cannot be read now are kept."""

import errno
import gc
import json
import os
import shutil

import jax
import pytest
from helpers.checkpoints import same, saved, state
from helpers.runs import contents
from orbax.checkpoint import CheckpointManager

from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.system.errors import DamagedError, StorageError

# name -> function of a file's content that damages it; None deletes the file.
DAMAGE = {
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "first bit": lambda content: bytes([content[0] ^ 1]) + content[1:] if content else b"x",
    "last bits": lambda content: content[:-1] + bytes([content[-1] ^ 64]) if content else b"x",
    "gone": lambda content: None,
}


@pytest.mark.parametrize("damage", ["each in turn", *(pytest.param(name, marks=pytest.mark.slow) for name in DAMAGE)])
def test_restore_reads_the_checkpoint_before_a_damaged_one(tmp_path, capsys, damage):
    taken = []
    for number, file in enumerate(saved(tmp_path / "c")):
        damaged = DAMAGE[list(DAMAGE)[number % len(DAMAGE)] if damage == "each in turn" else damage]
        copy = tmp_path / "copy"
        shutil.copytree(tmp_path / "c", copy)
        path = copy / "2" / file
        content = damaged(path.read_bytes())
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        with Checkpoints(copy, keep=2) as checkpoints:
            restored, progress = checkpoints.restore(state(0))
        assert all(jax.tree.leaves(jax.tree.map(same, restored, state(progress.epoch)))), file
        said = f"checkpoint 2 in {copy} cannot be read: " in capsys.readouterr().out
        assert said == (progress.epoch == 1), file
        taken.append(progress.epoch)
        shutil.rmtree(copy)
    assert 1 in taken


def test_damaged_checkpoints_are_deleted_only_with_exclusive_access(tmp_path):
    saved(tmp_path / "c")
    damaged = tmp_path / "c" / "2"
    (damaged / "progress" / "metadata").unlink()
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        assert checkpoints.restore(state(0))[1].epoch == 1
    assert damaged.exists()
    with Checkpoints(tmp_path / "c", keep=2, exclusive=True) as checkpoints:
        assert checkpoints.restore(state(0))[1].epoch == 1
    assert not damaged.exists()


def test_restore_detects_changed_content(tmp_path, capsys):
    saved(tmp_path / "c")
    content = json.loads((tmp_path / "c" / "2" / "progress" / "metadata").read_text())
    content["losses"] = [0.5]
    (tmp_path / "c" / "2" / "progress" / "metadata").write_text(json.dumps(content))
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        assert checkpoints.restore(state(0))[1].epoch == 1
    assert "what was read is not what was written" in capsys.readouterr().out


def test_restore_raises_if_no_checkpoint_can_be_read(tmp_path):
    saved(tmp_path / "c")
    for number in (1, 2):
        (tmp_path / "c" / str(number) / "progress" / "metadata").unlink()
    with (
        Checkpoints(tmp_path / "c", keep=2) as checkpoints,
        pytest.raises(StorageError, match=r"has no readable checkpoint.* start again in another workdir"),
    ):
        checkpoints.restore(state(0))


UNREADABLE = [
    PermissionError(errno.EACCES, "Permission denied"),
    *(OSError(code, os.strerror(code)) for code in (errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM)),
    MemoryError(),
    ValueError("PERMISSION_DENIED: Error opening 'd/1' [OS error 13: Permission denied]"),
    jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory"),
]


@pytest.mark.parametrize("error", UNREADABLE, ids=repr)
def test_a_checkpoint_that_cannot_be_read_now_stops_and_nothing_is_deleted(tmp_path, monkeypatch, error):
    saved(tmp_path / "c")
    before = contents(tmp_path / "c")

    def fail(*_):
        raise error

    closed, close = [], CheckpointManager.close
    monkeypatch.setattr(CheckpointManager, "close", lambda manager: closed.append(1) or close(manager))
    with Checkpoints(tmp_path / "c", keep=2, exclusive=True) as checkpoints:
        monkeypatch.setattr(checkpoints, "_read", fail)
        with pytest.raises(StorageError, match=r"c/2 cannot be read now: .* nothing was deleted") as raised:
            checkpoints.restore(state(0))
    assert not isinstance(raised.value, DamagedError)
    assert "\n" not in str(raised.value)
    assert contents(tmp_path / "c") == before
    monkeypatch.setattr(Checkpoints, "_read_progress", fail)  # so the file's age and merit are not known
    with pytest.raises(StorageError, match="cannot be read now"):
        Checkpoints(tmp_path / "c", keep=1, exclusive=True)
    assert contents(tmp_path / "c") == before
    assert closed == [1, 1]  # what could not be opened is closed too


def restored_epoch(folder):
    """The epoch of the checkpoint that is restored; None if one cannot be read now."""
    try:
        with Checkpoints(folder, keep=2, exclusive=True) as checkpoints:
            return checkpoints.restore(state(0))[1].epoch
    except StorageError as error:
        assert "cannot be read now" in str(error)  # noqa: PT017
        return None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of coroutines that Orbax never awaits
def test_a_file_that_cannot_be_opened_never_costs_a_checkpoint(tmp_path):
    epochs = []
    for file in saved(tmp_path / "c"):
        path = tmp_path / "c" / "2" / file
        content = path.read_bytes()
        path.unlink()
        path.symlink_to(path.name)  # a link to itself cannot be opened, not by root either
        epochs.append(restored_epoch(tmp_path / "c"))
        path.unlink()
        path.write_bytes(content)
    gc.collect()  # within this test's filter
    assert set(epochs) == {2, None}  # some files are not needed
    assert restored_epoch(tmp_path / "c") == 2
