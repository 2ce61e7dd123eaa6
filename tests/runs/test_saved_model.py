"""A trained model on disk: saved without its optimizer, read from there, and from folders of before."""

import shutil

import jax
import numpy as np
import pytest
from helpers.runs import assert_same_bits, tiny

from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.runs import saved_model
from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.system.errors import InputError, StorageError


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    train(tiny(), folder)
    return folder


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def without_model(finished, folder):
    """The workdir as a run left it before models were saved apart."""
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


def test_a_workdir_of_before_is_read_from_its_training_checkpoints(finished, tmp_path):
    folder = without_model(finished, tmp_path / "run")
    _, state, progress = saved_model.restore(finished)
    _, old_state, old_progress = saved_model.restore(folder)
    assert old_state.opt_state is None
    assert old_progress == progress
    assert_same_bits(*(jax.tree.map(np.asarray, (s.step, s.params, s.scaling)) for s in (state, old_state)))


def test_training_a_finished_run_of_before_saves_its_model(finished, tmp_path):
    folder = without_model(finished, tmp_path / "run")
    train(tiny(), folder)
    assert (folder / "model").is_dir()


def test_a_run_of_before_that_has_not_ended_is_refused(finished, tmp_path):
    folder = without_model(finished, tmp_path / "run")
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(InputError, match="has not ended"):
        saved_model.restore(folder)


def test_a_model_of_fewer_epochs_than_are_asked_for_has_not_ended(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    text = (folder / "config.json").read_text()
    assert '"num_epochs": 3' in text
    (folder / "config.json").write_text(text.replace('"num_epochs": 3', '"num_epochs": 4'))
    with pytest.raises(InputError, match="has not ended"):
        saved_model.restore(folder)


def test_a_damaged_model_is_named_and_saved_again_by_the_same_command(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    for path in (folder / "model").rglob("*"):
        if path.is_file() and path.parent.name != "model":
            path.write_bytes(b"")
    with pytest.raises(StorageError, match="model holds no checkpoint that can be read"):
        saved_model.restore(folder)
    train(tiny(), folder)
    assert saved_model.restore(folder)[2].epoch == 3
