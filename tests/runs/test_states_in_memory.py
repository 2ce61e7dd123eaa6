"""A run that keeps no checkpoints on disk."""

import jax
import numpy as np
import pytest
from helpers.collapses import break_loss_once
from helpers.runs import assert_same_bits, tiny, training_template

from benchmarks.run_difference import difference
from vade_jax.commands.train import train
from vade_jax.runs.progress import BEGINNING
from vade_jax.runs.run import epochs_between_checkpoints, read_run
from vade_jax.runs.states_in_memory import StatesInMemory


def test_a_rollback_has_the_same_result_as_from_disk(tmp_path, monkeypatch):
    for keep in (2, 0):
        with monkeypatch.context() as patch:
            break_loss_once(patch, float("nan"), "cluster", 3)
            results = train(tiny(checkpoint__every_epochs=2, checkpoint__keep=keep), tmp_path / str(keep))
        assert [treatment["cure"] for treatment in results["treatments"]] == ["retreat"]
    assert difference(tmp_path / "2", tmp_path / "0") == "same"
    assert not (tmp_path / "0" / "checkpoints").exists()


def test_the_last_scheduled_state_is_returned_though_it_was_donated(digits_run):
    run = read_run(digits_run[0])
    state = training_template(run)
    expected = jax.device_get(state.params)
    states = StatesInMemory()
    assert states.restore(state) is None
    states.save(state, BEGINNING)
    states.save(state.replace(step=state.step + 1), BEGINNING, scheduled=False)
    jax.jit(lambda given: given, donate_argnums=0)(state)
    for _ in range(2):
        restored, progress = states.restore(training_template(run), scheduled=True)
        assert_same_bits(restored.params, expected)
        assert_same_bits(jax.random.key_data(restored.key), jax.random.key_data(training_template(run).key))
        assert int(restored.step) == 0
        assert progress == BEGINNING
        jax.jit(lambda given: given, donate_argnums=0)(restored)


@pytest.mark.parametrize(("every", "steps", "epochs"), [(0, 1, 1000), (0, 28, 36), (0, 273, 10), (5, 1, 5)])
def test_few_steps_have_no_checkpoint_between_them(every, steps, epochs):
    assert epochs_between_checkpoints(every, steps) == epochs


def test_states_are_copies_on_the_host():
    leaf = np.zeros(2, np.float32)
    states = StatesInMemory()
    states.save({"a": leaf}, BEGINNING)
    leaf += 1
    assert states.restore({"a": leaf})[0]["a"].tolist() == [0, 0]
