"""The benchmark of checkpoints, with small sizes."""

import pytest

from benchmarks import checkpointing, faults


@pytest.mark.slow
def test_cost_is_relative_to_the_epochs_between_two_checkpoints(tmp_path):
    found = checkpointing.cost(tmp_path, num_rows=512, pairs=1)
    assert found["epoch_seconds"] == found["pairs"][0][0] > 0
    assert found["every_epochs"] == 500  # of two steps each
    assert found["share"] == pytest.approx(found["checkpoint_seconds"] / found["epoch_seconds"] / 500)


@pytest.mark.slow
def test_resume_of_a_killed_run_is_timed(tmp_path):
    found = checkpointing.resume(faults.CONFIG, tmp_path / "run", [*faults.FLAGS, "--config.pretrain.num_epochs=200"])
    assert 0 < found["first_step_seconds"] < 500
    assert len(checkpointing.rows({"cost": COST, "resume": found})[1]) == 5


def test_a_run_that_ends_too_soon_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match="ended with status 2 before 2 epochs"):
        checkpointing.resume(faults.CONFIG, tmp_path / "run", ["--config.pretrain.num_epochs=-1"])


COST = {"epoch_seconds": 10.0, "checkpoint_seconds": 0.5, "every_epochs": 10, "share": 0.005}
