"""Saved models: without optimizer, damaged, and read from folders of older versions."""

import errno
import shutil

import jax
import numpy as np
import pytest
from helpers.runs import assert_same_bits, contents, tiny

from vade_jax import VaDE
from vade_jax.commands import evaluate as evaluate_command
from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.runs import saved_model
from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.system.errors import InputError, StorageError


@pytest.fixture
def finished(digits_run):
    return digits_run[0]


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def without_model(finished, folder):
    """Copies the workdir without `model/`, as older versions wrote it."""
    shutil.copytree(finished, folder)
    shutil.rmtree(folder / "model")
    return folder


def test_the_model_is_saved_without_its_optimizer(finished):
    _, state, progress = saved_model.restore(finished)
    assert state.opt_state is None
    assert (progress.stage, progress.epoch) == ("cluster", 3)
    with Checkpoints(finished / "checkpoints", keep=2) as checkpoints:
        per_checkpoint = size(finished / "checkpoints") / len(checkpoints.steps())
    assert size(finished / "model") < 0.6 * per_checkpoint  # Adam holds two more values for each parameter


def test_a_trained_model_needs_no_training_checkpoints(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    shutil.rmtree(folder / "checkpoints")
    with np.load(predict(folder)) as answer, np.load(finished / "assignments.npz") as training:
        np.testing.assert_array_equal(answer["cluster"], training["cluster"])


def test_an_old_workdir_is_read_from_its_training_checkpoints(finished, tmp_path):
    folder = without_model(finished, tmp_path / "run")
    _, state, progress = saved_model.restore(finished)
    _, old_state, old_progress = saved_model.restore(folder)
    assert old_state.opt_state is None
    assert old_progress == progress
    assert_same_bits(*(jax.tree.map(np.asarray, (s.step, s.params, s.scaling)) for s in (state, old_state)))


def test_training_a_finished_old_run_saves_its_model(finished, tmp_path):
    folder = without_model(finished, tmp_path / "run")
    train(tiny(), folder)
    assert (folder / "model").is_dir()


def test_an_unfinished_old_run_is_refused(finished, tmp_path):
    folder = without_model(finished, tmp_path / "run")
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(InputError, match="has not ended"):
        saved_model.restore(folder)


def test_a_model_of_fewer_epochs_than_in_the_config_is_refused(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    text = (folder / "config.json").read_text()
    assert '"num_epochs": 3' in text
    (folder / "config.json").write_text(text.replace('"num_epochs": 3', '"num_epochs": 4'))
    with pytest.raises(InputError, match="has not ended"):
        saved_model.restore(folder)


def test_a_new_model_is_not_used_with_the_results_of_the_one_before(finished, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    stopped = KeyboardInterrupt("before the evaluation")
    more = tiny(train__num_epochs=4)
    with monkeypatch.context() as patch:
        patch.setattr(evaluate_command, "evaluate_state", lambda *_, **__: (_ for _ in ()).throw(stopped))
        with pytest.raises(KeyboardInterrupt):
            train(more, folder, force=True)
    assert saved_model.restore(folder)[2].epoch == 4
    for use in (predict, VaDE.load):
        with pytest.raises(
            InputError, match=r"^workdir: got .* without results.json, .* Run the same training command"
        ):
            use(folder)
    train(more, folder)
    predict(folder)


def test_a_damaged_model_is_reported_and_saved_again_by_training(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    for path in (folder / "model").rglob("*"):
        if path.is_file() and path.parent.name != "model":
            path.write_bytes(b"")
    with pytest.raises(StorageError, match="model has no readable checkpoint"):
        saved_model.restore(folder)
    train(tiny(), folder)
    assert saved_model.restore(folder)[2].epoch == 3


def test_a_model_that_cannot_be_read_now_is_not_replaced(finished, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    before = contents(folder / "model")
    run, state, progress = saved_model.restore(folder)

    def fail(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Checkpoints, "_read", fail)
    with pytest.raises(StorageError, match="model/1 cannot be read now"):
        saved_model.save_model(run, state, progress)
    assert contents(folder / "model") == before
