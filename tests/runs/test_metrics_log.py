"""metrics.jsonl and TensorBoard events, also after a run is resumed or rolled back."""

import gc
import json

import jax
import pytest

from vade_jax.runs import tensorboard_events
from vade_jax.runs.metrics_log import Tracker, read_metrics
from vade_jax.system.compile_time import compile_seconds, start_counting


def log(tracker, epochs):
    with tracker, tracker.stage("pretrain", 5, epochs[0] - 1) as bar:
        for epoch in epochs:
            tracker.log(
                {"stage": "pretrain", "epoch": epoch, "total_epochs": epoch, "step": epoch, "loss": 1 / epoch}, bar
            )


def test_each_record_is_one_line(tmp_path):
    log(Tracker(tmp_path, 0), [1, 2, 3])
    assert [record["loss"] for record in read_metrics(tmp_path / "metrics.jsonl")] == [1, 1 / 2, 1 / 3]
    assert list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))


def test_without_tensorboardx_there_are_no_events(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard_events, "INSTALLED", False)
    log(Tracker(tmp_path, 0), [1, 2])
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_a_resumed_run_drops_records_of_repeated_epochs_and_a_torn_line(tmp_path):
    log(Tracker(tmp_path, 0), [1, 2, 3])
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"stage": "pre')
    log(Tracker(tmp_path, 2), [3, 4])
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 2, 3, 4]


def test_rewind_drops_records_of_repeated_epochs(tmp_path):
    with Tracker(tmp_path, 0) as tracker, tracker.stage("pretrain", 5, 0) as bar:
        for epoch in (1, 2, 3):
            tracker.log({"stage": "pretrain", "epoch": epoch, "total_epochs": epoch, "step": epoch, "loss": 1.0}, bar)
        tracker.rewind(1, 1, bar)
        assert bar.n == 1
        tracker.log({"stage": "pretrain", "epoch": 2, "total_epochs": 2, "step": 2, "loss": float("nan")}, bar)
    assert [record["epoch"] for record in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2]


def test_events_that_cannot_be_written_end_the_run(tmp_path, monkeypatch):
    def fail(_):
        raise OSError("full")

    monkeypatch.setattr(tensorboard_events, "_SECONDS_UNTIL_SHOWN", 0.0)
    record = {"stage": "pretrain", "epoch": 1, "total_epochs": 1, "step": 1, "loss": 1.0}
    with Tracker(tmp_path, 0) as tracker, tracker.stage("pretrain", 5, 0) as bar:
        with monkeypatch.context() as patch:
            patch.setattr("tensorboardX.record_writer.os.fsync", fail)
            with pytest.raises(OSError, match="full"):
                tracker.log(record, bar)
        assert bar.n == 0


def test_files_are_closed_if_the_first_event_cannot_be_written(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("full")

    monkeypatch.setattr("tensorboardX.record_writer.RecordWriter.write", fail)
    with pytest.raises(OSError, match="full"):
        Tracker(tmp_path, 0)
    gc.collect()  # would warn of an open file


def test_compile_seconds_counts_compilation():
    start_counting()
    before = compile_seconds()
    jax.jit(lambda x: x * 3.25 + before)(1.0)
    assert compile_seconds() > before
