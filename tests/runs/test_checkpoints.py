"""Checkpoints: saving and restoring, which ones are kept, and damaged files."""

import errno
import gc
import json
import os
import shutil
import sys
import threading
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.runs import contents
from orbax.checkpoint import CheckpointManager

from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.data.scaling import Scaling
from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.runs.progress import BEGINNING
from vade_jax.system.devices import replicate
from vade_jax.system.errors import DamagedError, StorageError
from vade_jax.training.train_state import TrainState


def state(value):
    full = jnp.full((2, 3), value)
    return replicate(
        TrainState(
            step=jnp.int32(value),
            params={
                "encoder": {"kernel": full},
                "decoder": {"kernel": full},
                "prior": GMMPrior(full[0, :2], full, full),
            },
            opt_state=({"mu": full},),
            key=jax.random.key(value),
            scaling=Scaling(full[:1], full[:1]),
            rate_factor=jnp.float32(value),
        )
    )


def same(left, right):
    if jnp.issubdtype(left.dtype, jax.dtypes.prng_key):
        left, right = jax.random.key_data(left), jax.random.key_data(right)
    return np.array_equal(left, right) and left.dtype == right.dtype and left.sharding == right.sharding


def test_restore_returns_the_saved_state_and_progress(tmp_path):
    progress = BEGINNING._replace(
        stage="cluster", epoch=3, total_epochs=8, seconds={"pretrain": 1.5}, losses=[0.1, 1 / 3]
    )
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        assert checkpoints.restore(state(0)) is None
        checkpoints.save(state(7), progress)
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        restored, restored_progress = checkpoints.restore(state(0))
    assert restored_progress == progress
    assert isinstance(restored.params["prior"], GMMPrior)
    assert all(jax.tree.leaves(jax.tree.map(same, restored, state(7))))


def test_the_last_checkpoints_are_kept_and_the_latest_is_restored(tmp_path):
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        for epoch in range(4):
            checkpoints.save(state(epoch), BEGINNING._replace(stage="pretrain", epoch=epoch, total_epochs=epoch))
        restored, progress = checkpoints.restore(state(0))
    assert len([path for path in (tmp_path / "c").iterdir() if path.is_dir()]) == 2
    assert progress.epoch == 3
    assert int(restored.step) == 3


def test_progress_counts_epochs_seconds_losses_and_treatments():
    progress = BEGINNING.add_seconds("load", 1.0).next_stage("pretrain").next_epoch(7.0, 2.0).next_epoch(6.0, 0.5)
    assert (progress.stage, progress.epoch, progress.total_epochs) == ("pretrain", 2, 2)
    assert progress.losses == [7.0, 6.0]
    progress = progress.add_treatment("exploding_loss", "it rose", "retreat")
    progress = progress.add_seconds("initialize", 3.0).next_stage("cluster").next_epoch(5.0, 0.25)
    assert (progress.epoch, progress.total_epochs, progress.losses) == (1, 3, [5.0])
    assert progress.seconds == {"load": 1.0, "pretrain": 2.5, "initialize": 3.0, "cluster": 0.25}
    (treatment,) = progress.treatments
    assert treatment == {
        "stage": "pretrain",
        "epoch": 2,
        "diagnosis": "exploding_loss",
        "detail": "it rose",
        "cure": "retreat",
    }
    assert progress.stages == ["pretrain", "cluster"]
    assert BEGINNING.losses == BEGINNING.stages == []


def at(epoch, loss=1.0, began=0):
    return BEGINNING._replace(stage="pretrain", epoch=epoch, total_epochs=began + epoch, losses=[loss] if epoch else [])


def test_the_best_checkpoint_of_the_stage_is_kept(tmp_path):
    with Checkpoints(tmp_path / "c", keep=1) as checkpoints:
        for epoch, loss in enumerate([0.0, 3.0, 1.0, 2.0, 4.0]):
            checkpoints.save(state(epoch), at(epoch, loss))
        assert checkpoints.restore(state(0), 3)[1].losses == [1.0]
    with Checkpoints(tmp_path / "c", keep=1) as checkpoints:
        assert checkpoints.steps() == [3, 5]
        checkpoints.save(state(6), at(1, 9.0, began=5))
    with Checkpoints(tmp_path / "c", keep=1) as checkpoints:
        assert checkpoints.steps() == [6]


def test_rollback_ignores_unscheduled_checkpoints(tmp_path):
    with Checkpoints(tmp_path / "c", keep=1) as checkpoints:
        checkpoints.save(state(2), at(2))
        checkpoints.save(state(3), at(3), scheduled=False)
        assert checkpoints.restore(state(0))[1].epoch == 3
        assert checkpoints.restore(state(0), scheduled=True)[1].epoch == 2
    with Checkpoints(tmp_path / "c", keep=1) as checkpoints:
        assert checkpoints.steps(scheduled=True) == [1]


def test_a_checkpoint_is_not_changed_by_later_epochs(tmp_path):
    """The next epoch may overwrite the state's buffers, because they are donated."""
    step = jax.jit(lambda tree: jax.tree.map(lambda leaf: leaf + 1, tree), donate_argnums=0)
    big = {"w": jnp.zeros((1024, 1024))}
    with Checkpoints(tmp_path / "c", keep=9) as checkpoints:
        for epoch in range(4):
            checkpoints.save(state(0).replace(params=big), at(epoch))
            big = step(big)
        for epoch in range(4):
            restored = checkpoints.restore(state(0).replace(params=big), epoch + 1)[0]
            assert np.all(np.asarray(restored.params["w"]) == epoch)


def test_training_continues_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        checkpoints.save(state(1), at(1))
        continued, finish = threading.Event(), checkpoints._manager._finalize_checkpoint
        monkeypatch.setattr(
            checkpoints._manager, "_finalize_checkpoint", lambda step: continued.wait(60) and finish(step)
        )
        checkpoints.save(state(2), at(2))
        assert not (tmp_path / "c" / "2").exists()
        continued.set()
    assert (tmp_path / "c" / "2").exists()


def saved(folder):
    with Checkpoints(folder, keep=2) as checkpoints:
        checkpoints.save(state(1), at(1))
        checkpoints.save(state(2), at(2))
    return sorted(path.relative_to(folder / "2") for path in (folder / "2").rglob("*") if path.is_file())


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


def test_restore_reads_old_checkpoints_without_digest(tmp_path):
    saved(tmp_path / "c")
    path = tmp_path / "c" / "2" / "progress" / "metadata"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in content.items() if name not in ("digest", "due")}))
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        assert checkpoints.restore(state(0))[1].epoch == 2


def test_unfinished_checkpoints_are_deleted_only_with_exclusive_access(tmp_path):
    saved(tmp_path / "c")
    left = tmp_path / "c" / "3.orbax-checkpoint-tmp-1"
    left.mkdir()
    with Checkpoints(tmp_path / "c", keep=2):
        assert left.exists()
    with Checkpoints(tmp_path / "c", keep=2, exclusive=True) as checkpoints:
        assert checkpoints.steps() == [1, 2]
        checkpoints.save(state(3), at(3))  # they are deleted in the background, at the latest before a save
        assert not left.exists()


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


def test_late_answers_of_the_storage_are_not_shown(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    code = {}
    exec(compile("async def read(): pass", "/packages/orbax/checkpoint/read.py", "exec"), code)
    coroutine = code["read"]()
    late, other, unfinished = (
        SimpleNamespace(exc_value=RuntimeError(words), object=source)
        for words, source in (("Event loop is closed", None), ("other", None), ("not read", coroutine))
    )
    with Checkpoints(tmp_path / "a", keep=1), Checkpoints(tmp_path / "b", keep=1):
        for unraisable in (late, other, unfinished):
            sys.unraisablehook(unraisable)
    assert late not in shown  # beside what earlier tests have left to Python
    assert unfinished not in shown
    assert other in shown
    sys.unraisablehook(late)
    assert late in shown
    coroutine.close()
