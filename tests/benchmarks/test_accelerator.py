"""The benchmark of an accelerator: on a CPU, in an environment without the optional libraries, and cut off."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from benchmarks import accelerator, accelerator_parts, accelerator_tables, contenders, provenance, readme, records

# What a machine with a GPU need not have for the bounds, the epoch and the step.
ABSENT = (
    "filelock",
    "grain",
    "jinja2",
    "matplotlib",
    "ml_collections",
    "pandas",
    "pynndescent",
    "sknetwork",
    "tensorboardX",
    "tensorflow",
    "tensorflow_datasets",
    "tqdm",
    "umap",
)
BLOCK = f"""
import sys
for name in {ABSENT}:
    sys.modules[name] = None
"""


@pytest.fixture
def environment(tmp_path):
    """The environment of processes in which ABSENT cannot be imported."""
    (tmp_path / "sitecustomize.py").write_text(BLOCK)
    return {**os.environ, "PYTHONPATH": str(tmp_path)}


def run(environment, *arguments):
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=records.ROOT, capture_output=True, text=True, env=environment, check=False)


def test_it_starts_without_the_optional_libraries(environment):
    answer = run(environment, "-m", "benchmarks.accelerator", "--help")
    assert answer.returncode == 0, answer.stderr
    assert "needs no network" in answer.stdout


def test_the_answers_need_only_what_an_epoch_needs(environment, tmp_path):
    arguments = ("--small", f"--out={tmp_path / 'a.npz'}", "answers")
    answer = run(environment, "-m", "benchmarks.accelerator_parts", *arguments)
    assert answer.returncode == 0, answer.stderr
    assert contenders.last_line(answer.stdout)["device"]["platform"] == "cpu"
    arrays = dict(np.load(tmp_path / "a.npz"))
    assert accelerator.differences(arrays, arrays) == {
        "bounds": dict.fromkeys((name.partition("/")[2] for name in arrays if name.startswith("bound/")), 0.0),
        "epoch_loss": 0.0,
        "epoch_params": 0.0,
    }
    assert sum(name.startswith("bound/") for name in arrays) == 3 * 8
    assert all(np.isfinite(values).all() for values in arrays.values())


def test_differences_are_relative_and_not_finite_ones_are_infinite():
    expected = {"bound/a": np.array([-200.0, 0.5]), "bound/b": np.array([1.0]), "epoch/loss": np.array(10.0)}
    expected |= {"params/start": np.zeros(2), "params/end": np.array([3.0, 4.0])}
    answers = {**expected, "bound/a": np.array([-202.0, 0.5]), "bound/b": np.array([math.nan])}
    answers |= {"epoch/loss": np.array(11.0), "params/end": np.array([3.0, 4.5])}
    found = accelerator.differences(answers, expected)
    assert found["bounds"] == pytest.approx({"a": 0.01, "b": math.inf})
    assert (found["epoch_loss"], found["epoch_params"]) == pytest.approx((0.1, 0.1))


def test_rows_come_from_any_array_of_images(tmp_path):
    images = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    np.savez(tmp_path / "x.npz", x_train=images, y_train=[0, 1, 2])
    np.testing.assert_array_equal(accelerator_parts.rows_of(tmp_path / "x.npz"), images.reshape(3, 16))
    digits = accelerator_parts.rows_of(None)
    assert (digits.shape, digits.dtype, digits.max()) == ((1797, 64), np.uint8, 240)


def test_without_time_nothing_is_started_and_the_record_says_so(tmp_path, monkeypatch, capsys):
    out = tmp_path / "accelerator_x.json"
    monkeypatch.setattr(sys, "argv", ["accelerator", "--budget=0", f"--out={out}"])
    accelerator.main()
    record = records.read(out)
    assert record["parts"].keys() == accelerator.PARTS.keys()
    late = {"failure": "the time budget was used up"}
    assert record["parts"]["correctness"] == {"cpu": late}
    assert all(entry == late for entry in record["parts"]["speed"]["contenders"].values())
    assert record["parts"]["seeds"]["failure"] == record["parts"]["sixteen"]["failure"] == late["failure"]
    assert record["device"] is None
    assert "not measured" in capsys.readouterr().out


def test_a_run_that_was_cut_off_says_how_far_it_came(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        '{"stage": "guide", "epoch": 3, "total_epochs": 9, "samples_per_second": 5}\n'
    )
    assert accelerator._run_so_far(tmp_path) == {"stage": "guide", "epoch": 3, "samples_per_second": 5}
    assert accelerator._run_so_far(tmp_path / "none") == {}


def test_the_table_claims_nothing_for_a_gpu_that_was_not_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr(provenance, "mark", lambda *parts: "")  # of today
    table = readme._TABLES["accelerator"]
    assert table().splitlines()[0] == "| measured | a GPU |"
    assert all(line.endswith("| not measured |") for line in table().splitlines()[2:])
    entry = {"seconds_per_step": 0.0005, "peak_device_mib": 1234}
    record = {
        "small": False,
        "device": {"kind": "G1", "platform": "gpu", "count": 1},
        "parts": {
            "correctness": {"float32": {"bounds": {"a": 1e-6, "b": 2e-6}, "epoch_loss": 3e-6}},
            "speed": {"batch_size": 256, "contenders": {"vade_jax": entry, "torch": {"failure": "no torch"}}},
            "seeds": {
                "config": "configs/mnist_fast.py",
                "wall_s": 90,
                "runs": [
                    {"accuracy": 0.9, "seconds": {"pretrain": 6.0, "cluster": 4.0, "total": 10.0}},
                    {"stage": "guide", "epoch": 3},
                ],
            },
        },
    }
    records.write(tmp_path / "accelerator_gpu.json", record)
    lines = table().splitlines()
    assert lines[0] == "| measured | 1 G1 |"
    cells = dict(line.strip("| ").split(" | ") for line in lines[2:])
    assert cells["bounds: largest relative difference from a CPU, in float32"] == "2.0e-06"
    assert cells["ms a step of 256 rows, in the device's own precision"] == "0.500"
    assert cells["seconds an epoch of 70,000 rows"] == "0.14"
    assert cells["PyTorch"] == "not measured"
    assert cells["peak device memory of one run, MiB"] == "1,234"
    accuracy = cells["whole runs side by side: median accuracy (worst)"]
    assert accuracy == "0.900 (0.900) of 1 runs of `configs/mnist_fast.py`"
    assert cells["share of each stage"] == "autoencoder 60%, cluster 40%"
    records.write(tmp_path / "accelerator_gpu.json", {**record, "small": True})  # a try-out is no measurement
    assert table().splitlines()[0] == "| measured | a GPU |"


@pytest.mark.slow
def test_every_part_runs_on_a_cpu(tmp_path):
    out = tmp_path / "accelerator_cpu.json"
    answer = run(dict(os.environ), "-m", "benchmarks.accelerator", "--small", f"--out={out}")
    assert answer.returncode == 0, answer.stderr
    record = records.read(out)
    assert record["device"]["platform"] == "cpu"
    for precision in ("float32", "tensorfloat32"):  # a CPU computes in float32 in any case
        found = record["parts"]["correctness"][precision]
        assert max(found["bounds"].values()) == found["epoch_loss"] == found["epoch_params"] == 0
    measured = record["parts"]["speed"]["contenders"]
    assert measured["vade_jax"]["seconds_per_step"] > 0
    assert measured[accelerator_tables.FLOAT32]["seconds_per_step"] > 0
    assert [len(record["parts"][name]["runs"]) for name in ("seeds", "sixteen")] == [2, 3]
    for name in ("seeds", "sixteen"):
        assert all(0 < run["accuracy"] <= 1 for run in record["parts"][name]["runs"])


@pytest.mark.slow
def test_the_runs_say_which_libraries_they_lack(environment, tmp_path):
    out = tmp_path / "accelerator_cpu.json"
    answer = run(environment, "-m", "benchmarks.accelerator", "--small", "--parts=speed,seeds", f"--out={out}")
    assert answer.returncode == 0, answer.stderr
    parts = records.read(out)["parts"]
    assert parts["speed"]["contenders"]["vade_jax"]["seconds_per_step"] > 0
    assert parts["seeds"]["failure"].startswith("not installed: filelock, jinja2")
