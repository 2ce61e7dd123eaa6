"""Compares the results of two runs bit by bit."""

import struct
from collections import Counter
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tensorboardX.proto.event_pb2 import Event

from vade_jax.runs import saved_model
from vade_jax.runs.metrics_log import read_metrics

UNFINISHED = "*.orbax-checkpoint-tmp*"
_TIMED = "samples_per_second"  # the only metric that differs between two equal runs


def difference(reference: Path, workdir: Path, with_metrics: bool = True) -> str:
    """'same', or the part of two runs' results that differs."""
    for name, read in (("parameters", _parameters), ("assignments", _assignments)):
        resumed, expected = (jax.tree.leaves(read(folder)) for folder in (workdir, reference))
        if not all(map(np.array_equal, resumed, expected)):
            return f"other {name}"
    if with_metrics:
        if _metrics(workdir) != _metrics(reference):
            return "other metrics"
        if _events(workdir) != _events(reference):
            return "other TensorBoard events"
    if left := [path.name for path in workdir.rglob("*") if path.match(UNFINISHED) or ".partial" in path.name]:
        return f"unfinished files: {left}"
    return "same"


def _parameters(folder: Path) -> Any:
    return saved_model.restore(folder)[1].params


def _assignments(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "assignments.npz") as arrays:
        return dict(arrays)


def _metrics(folder: Path) -> tuple[int, list[dict[str, Any]]]:
    """The number of lines, and their records without rates; an incomplete line gives no record."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    logged = read_metrics(folder / "metrics.jsonl")
    return len(lines), [{name: value for name, value in line.items() if name != _TIMED} for line in logged]


def _events(folder: Path) -> list[tuple[tuple[str, int], int]]:
    """How often each (tag, step) is in the TensorBoard events, sorted."""
    seen: Counter[tuple[str, int]] = Counter()
    for path in (folder / "tensorboard").iterdir():
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])  # then its checksum, the event, and the checksum of the event
            event = Event.FromString(content[12 : 12 + length])
            seen.update((value.tag, event.step) for value in event.summary.value)
            content = content[16 + length :]
    return sorted(seen.items())
