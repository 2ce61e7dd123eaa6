"""A short version of the fault tests; `python -m benchmarks.faults` runs all of them."""

import json
import random
import shutil
import time
from collections import Counter

import pytest

from benchmarks import faults, inputs
from benchmarks.run_difference import difference


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults") / "undisturbed"
    faults.run(folder)
    started = time.monotonic()
    faults.run(folder.parent / "again")
    assert difference(folder, folder.parent / "again") == "same"
    return folder, time.monotonic() - started


@pytest.mark.slow
def test_killed_runs_end_like_the_undisturbed_run(undisturbed):
    reference, seconds = undisturbed
    assert faults.kill_runs(reference, reference.parent, 2, seconds, random.Random(0)) == Counter(same=2)


@pytest.mark.slow
def test_stopped_runs_end_like_the_undisturbed_run(undisturbed):
    reference, seconds = undisturbed
    outcomes = faults.stop_runs(reference, reference.parent, 2, random.Random(1), within=max(10, seconds))
    assert outcomes == Counter(same=2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of what Orbax leaves undone
def test_damaged_files_are_recovered_or_named(undisturbed):
    reference, _ = undisturbed
    outcomes = faults.damage_files(reference, reference.parent, random.Random(0), every=60)
    assert outcomes.keys() <= {"same", "said"}
    assert outcomes["same"] > 0


def test_difference_finds_other_metrics(digits_run, tmp_path):
    reference = digits_run[0]
    again = shutil.copytree(reference, tmp_path / "again")
    assert difference(reference, again) == "same"
    path = again / "metrics.jsonl"
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(first), "loss": 0.0}), *others]) + "\n")
    assert difference(reference, again) == "other metrics"
    assert difference(reference, again, with_metrics=False) == "same"


def test_invalid_settings_are_named():
    outcomes = inputs.try_invalid_settings()
    assert outcomes.keys() == {"same", "said"}
    assert outcomes["said"] > outcomes["same"]


def test_damaged_data_files_are_read_or_named(tmp_path):
    outcomes = inputs.try_damaged_files(tmp_path / "files", 16 * len(inputs.KINDS), random.Random(0))
    assert outcomes.keys() == {"same", "said"}


def test_table_counts_lost_runs():
    injected = {"same": 1, "said": 2, "harmed": 1, "predict, read x, EIO: hung": 1}
    record = {"parts": {"kills": {"same": 3, "other parameters": 1}, "injected errors": injected}}
    assert faults.rows(record)[1:] == [["kills", "4", "3", "0", "1", "-"], ["injected errors", "5", "1", "2", "1", "1"]]
