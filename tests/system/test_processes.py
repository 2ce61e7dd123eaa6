"""Several processes train the run that one with all their devices would have trained."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers.devices import DEVICES_FLAG

from benchmarks import faults, scaling
from vade_jax.runs import saved_model
from vade_jax.runs.metrics_log import read_metrics

ROOT = Path(__file__).parents[2]
DEVICES = 2


def start(folder, num_processes, num_devices, *flags):
    """The processes of a run; a single one gets no flags of distributed training."""
    environment = {**os.environ, "XLA_FLAGS": f"{DEVICES_FLAG}={num_devices}"}
    command = [sys.executable, "main.py", f"--config={faults.CONFIG}", *faults.FLAGS, f"--workdir={folder}", *flags]
    together = (
        [f"--coordinator={scaling.free_address()}", f"--num_processes={num_processes}"] if num_processes > 1 else []
    )
    return [
        subprocess.Popen(
            [*command, *together, *([f"--process_id={number}"] if together else [])],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(num_processes)
    ]


def ended(processes):
    return [(process.communicate(timeout=500), process.returncode) for process in processes]


def params_of(folder):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(saved_model.restore(folder)[1].params)]


def assert_alike(left, right):
    """To float32 rounding, which sums over other parts of a batch differ by, through all steps of a run.

    In each array as a whole: Adam moves a single weight, of a pixel that is hardly ever inked, by rounding alone.
    """
    for ours, theirs in zip(params_of(left), params_of(right), strict=True):
        assert np.linalg.norm(ours - theirs) <= 1e-3 * np.linalg.norm(theirs)
    ours, theirs = (read_metrics(folder / "metrics.jsonl") for folder in (left, right))
    np.testing.assert_allclose([r["loss"] for r in ours], [r["loss"] for r in theirs], rtol=3e-5)
    with np.load(left / "assignments.npz") as ours, np.load(right / "assignments.npz") as theirs:
        assert np.mean(ours["cluster"] == theirs["cluster"]) > 0.995


def assert_first_process_reports(several):
    """Every process succeeded, and only the first one printed the results."""
    assert [status for _, status in several] == [0] * len(several), several[0][0][1][-2000:]
    assert "accuracy" in several[0][0][0]
    assert all("accuracy" not in said for (said, _), _ in several[1:])


@pytest.mark.parametrize(
    ("num_processes", "flags"),
    [
        pytest.param(2, [], marks=pytest.mark.slow),
        pytest.param(2, ["--config.data.max_resident_mib=0", "--config.data.shard_mib=0.05"], marks=pytest.mark.slow),
        pytest.param(4, [], marks=pytest.mark.slow),
    ],
    ids=["two", "two, streamed", "four"],
)
def test_several_processes_train_the_run_of_one(tmp_path, num_processes, flags):
    several = ended(start(tmp_path / "several", num_processes, DEVICES, *flags))
    assert_first_process_reports(several)
    ((_, errors), status) = ended(start(tmp_path / "one", 1, num_processes * DEVICES, *flags))[0]
    assert status == 0, errors
    assert_alike(tmp_path / "several", tmp_path / "one")


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_the_run_goes_on_with_another_number(tmp_path):
    flags = ["--config.pretrain.num_epochs=60"]
    processes = start(tmp_path / "killed", 2, DEVICES, *flags)
    while len(read_metrics(tmp_path / "killed" / "metrics.jsonl")) < 5:
        assert all(process.poll() is None for process in processes)
        time.sleep(0.1)
    processes[1].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    (_, said), status = ended(processes)[0]
    assert status != 0
    assert time.monotonic() - killed < 60
    assert "another task died" in said
    assert ended(start(tmp_path / "killed", 1, DEVICES, *flags))[0][1] == 0
    assert ended(start(tmp_path / "whole", 1, DEVICES, *flags))[0][1] == 0
    assert_alike(tmp_path / "killed", tmp_path / "whole")


def test_an_unusable_coordinator_is_refused_in_one_line(tmp_path):
    command = [sys.executable, "main.py", f"--config={faults.CONFIG}", f"--workdir={tmp_path / 'run'}"]
    answer = subprocess.run([*command, "--coordinator=auto"], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: coordinator: got 'auto', ")
    assert answer.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
