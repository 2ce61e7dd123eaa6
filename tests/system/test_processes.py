"""Several processes train the run that one with all their devices would have trained."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers.devices import xla_flags

from benchmarks import faults, records, scaling
from vade_jax.commands.train import train
from vade_jax.reports import results
from vade_jax.runs import saved_model
from vade_jax.runs.metrics_log import read_metrics

ROOT = Path(__file__).parents[2]
DEVICES = 2


def start(folder, num_processes, num_devices, *flags):
    """The processes of a run; a single one gets no flags of distributed training."""
    environment = {**os.environ, "XLA_FLAGS": xla_flags(num_devices)}
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
    state = saved_model.restore(folder, allow_import=True)[1]
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state.params)]


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
    # Small steps: large ones multiply the rounding by which sums over other parts of a batch differ.
    flags = ["--config.pretrain.num_epochs=60", "--config.pretrain.learning_rate=5e-4"]
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


SMALL = [
    "--config.data.name=file",
    "--config.model.hidden=(4,)",
    "--config.model.latent_dim=2",
    "--config.model.num_clusters=3",
    "--config.model.likelihood=gaussian_shared",
    "--config.data.scaling=standardize",
    "--config.pretrain.num_epochs=0",
    "--config.init.method=gmm",
    "--config.init.num_restarts=1",
    "--config.init.soft_neighbors=0",
    "--config.guide.num_rounds=0",
    "--config.align.num_epochs=0",
    "--config.train.num_epochs=2",
    "--config.train.batch_size=32",
    "--config.optimizer.min_steps=0",
    "--config.evaluate.bound_rows=10",
    "--config.evaluate.bound_samples=2",
    "--config.report=false",
]


def start_small(command_line, folder, *flags, environment=None):
    """What two processes with one device each answer."""
    np.save(folder / "x.npy", np.repeat(np.eye(3) * 9, 30, axis=0) + np.random.default_rng(0).normal(size=(90, 3)))
    shared = [*SMALL, f"--config.data.path={folder / 'x.npy'}", f"--workdir={folder / 'two'}", *flags]
    together = [*shared, f"--coordinator={scaling.free_address()}", "--num_processes=2"]
    commands = [[*together, f"--process_id={number}"] for number in range(2)]
    return command_line.together(commands, environments=[{"XLA_FLAGS": xla_flags(1), **(environment or {})}] * 2)


def test_two_processes_train_the_run_of_two_devices(command_line, tmp_path, as_in_a_program):
    first, second = start_small(command_line, tmp_path)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr[-2000:] + second.stderr[-2000:]
    assert "ELBO" in first.stdout
    assert "ELBO" not in second.stdout
    config = records.read_config(faults.CONFIG, [*SMALL, f"--config.data.path={tmp_path / 'x.npy'}"])
    train(config, tmp_path / "one")
    assert_alike(tmp_path / "two", tmp_path / "one")


def with_own_rows(folder, module):
    """The flags of a run whose rows a module of its own reads, which the folder gets."""
    (folder / "own_rows.py").write_text(module)
    sys_path = f"import sys; sys.path.insert(0, {str(folder)!r})"
    (folder / "config.py").write_text(f"{sys_path}\nfrom vade_jax.configs.digits import get_config\n")
    return [f"--config={folder / 'config.py'}", "--config.data.name=own_rows:load"]


SLOW_ROWS = """
import os, time
import jax
from vade_jax.data import sources

def load(path, data_dir, cache_dir, options):
    if jax.process_index() == int(os.environ["SLOW_PROCESS"]):
        time.sleep(65)
    return sources.load("file", path, options=options)
"""


@pytest.mark.slow
@pytest.mark.parametrize("slow", [0, 1])
def test_a_process_may_load_its_rows_a_minute_longer_than_another(command_line, tmp_path, slow):
    flags = with_own_rows(tmp_path, SLOW_ROWS)
    first, second = start_small(command_line, tmp_path, *flags, environment={"SLOW_PROCESS": str(slow)})
    assert (first.returncode, second.returncode) == (0, 0), first.stderr[-2000:] + second.stderr[-2000:]


ILL_PROCESS = """
import os
import jax
from vade_jax.data import sources
from vade_jax.runs import train_one_run
from vade_jax.training.collapse import Diagnosis

def load(path, data_dir, cache_dir, options):
    found, seen = train_one_run.diagnose_signs, []
    def diagnose_signs(signs):
        seen.append(signs)
        if len(seen) == 2 and str(jax.process_index()) in os.environ["ILL_PROCESSES"]:
            return Diagnosis("one_cluster", "one of 3 clusters has 99% of the rows")
        return found(signs)
    train_one_run.diagnose_signs = diagnose_signs
    return sources.load("file", path, options=options)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("ill", "same_as"), [("0", "01"), ("1", "")], ids=["the first", "the second"])
def test_if_one_process_finds_a_collapse_all_do_as_the_first_says(command_line, tmp_path, ill, same_as):
    folders = [tmp_path / "alone", tmp_path / "alike"]
    for folder, numbers in zip(folders, (ill, same_as), strict=True):
        folder.mkdir()
        flags = with_own_rows(folder, ILL_PROCESS)
        answers = start_small(
            command_line, folder, *flags, "--config.train.num_epochs=4", environment={"ILL_PROCESSES": numbers}
        )
        assert [answer.returncode for answer in answers] == [0, 0], (
            answers[0].stderr[-2000:] + answers[1].stderr[-2000:]
        )
    ours, theirs = (folder / "two" for folder in folders)
    for left, right in zip(params_of(ours), params_of(theirs), strict=True):
        np.testing.assert_array_equal(left, right)
    treatments = [results.read(folder)["treatments"] for folder in (ours, theirs)]
    assert treatments[0] == treatments[1]
    assert bool(treatments[0]) == (ill == "0")


def test_an_unusable_coordinator_is_refused_in_one_line(command_line, tmp_path):
    answer = command_line(f"--config={faults.CONFIG}", f"--workdir={tmp_path / 'run'}", "--coordinator=auto")
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: coordinator: got 'auto', ")
    assert answer.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_tasks_of_slurm_find_each_other(command_line, tmp_path):
    """Two tasks on this machine, with the variables that srun sets; JAX's port follows from the number of the job."""
    with socket.socket() as free:
        while True:
            number = random.randrange(2**12)
            with contextlib.suppress(OSError):
                free.bind(("localhost", number + 2**16 - 2**12))
                break
    shared = {"SLURM_JOB_ID": str(number), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
    environments = [{**shared, "SLURM_PROCID": task, "SLURM_LOCALID": task} for task in ("0", "1")]
    flags = [*SMALL, f"--config.data.path={tmp_path / 'gone.npy'}", f"--workdir={tmp_path / 'run'}"]
    first, second = command_line.together([[*flags, "--coordinator=auto"]] * 2, environments=environments)
    assert "2 processes, " in first.stdout, first.stderr[-2000:]
    for answer in (first, second):
        assert answer.stderr.splitlines()[-1].startswith("error: config.data.path: got"), answer.stderr[-2000:]
