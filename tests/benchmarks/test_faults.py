"""A short campaign of faults: nothing is lost. `python -m benchmarks.faults` runs the long one."""

import json
import random
import time
from collections import Counter

import pytest

from benchmarks import faults, inputs
from benchmarks.faults import _difference


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults") / "undisturbed"
    faults.run(folder)
    started = time.monotonic()
    faults.run(folder.parent / "again")
    assert _difference(folder, folder.parent / "again") == "same"
    return folder, time.monotonic() - started


def test_killed_runs_end_as_if_nothing_had_been(undisturbed):
    reference, seconds = undisturbed
    assert faults.kills(reference, reference.parent, 2, seconds, random.Random(0)) == Counter(same=2)


def test_stopped_runs_end_as_if_nothing_had_been(undisturbed):
    reference, seconds = undisturbed
    outcomes = faults.stops(reference, reference.parent, 2, random.Random(1), within=max(10, seconds))
    assert outcomes == Counter(same=2)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of what Orbax leaves undone
def test_damaged_files_are_mended_or_named(undisturbed):
    reference, _ = undisturbed
    outcomes = faults.damages(reference, reference.parent, random.Random(0), every=60)
    assert outcomes.keys() <= {"same", "said"}
    assert outcomes["same"] > 0


def test_another_end_is_noticed(undisturbed):
    reference, _ = undisturbed
    again = reference.parent / "again"
    path = again / "metrics.jsonl"
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps({**json.loads(first), "loss": 0.0}), *others]) + "\n")
    assert _difference(reference, again) == "other metrics"
    assert _difference(reference, again, with_metrics=False) == "same"


def test_settings_of_every_kind_are_used_or_named():
    outcomes = inputs.bad_settings()
    assert outcomes.keys() == {"same", "said"}
    assert outcomes["said"] > outcomes["same"]


def test_broken_files_are_read_or_named(tmp_path):
    outcomes = inputs.bad_files(tmp_path / "files", 16 * len(inputs.KINDS), random.Random(0))
    assert outcomes.keys() == {"same", "said"}


def test_the_table_counts_what_is_lost():
    record = {"parts": {"kills": {"same": 3, "other parameters": 1}, "bad files": {"said": 2}}}
    assert faults.rows(record)[1:] == [["kills", "4", "3", "0", "1"], ["bad files", "2", "0", "2", "0"]]
