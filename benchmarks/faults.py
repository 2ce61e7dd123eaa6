"""What a run survives: python -m benchmarks.faults --workdir=/tmp/faults.

A small run of the digits, with every stage, is killed (SIGKILL) at random moments and in the middle of saves, and
started again by the same command: it has to end with the parameters, the metrics and the assignments of a run that
nothing disturbed, to the bit. It is stopped by SIGTERM and SIGINT, which have a status and some seconds to leave. Each
of its files is damaged in three ways, after which it has to end alike or to say in a line what is damaged. Config
fields and files of rows of every kind are broken: each has to be used, or refused in a line that names the field. The
record goes to benchmarks/results/faults.json.
"""

import argparse
import contextlib
import io
import itertools
import math
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tensorboardX.proto.event_pb2 import Event

from benchmarks import inputs, seeds
from vade_jax.commands.train import train
from vade_jax.runs import saved_model
from vade_jax.runs.metrics_log import read_metrics
from vade_jax.system.console import silence
from vade_jax.system.errors import InputError, StorageError

CONFIG = "configs/digits.py"
FLAGS = [
    "--config.model.hidden=(64,)",
    "--config.pretrain.num_epochs=4",
    "--config.init.method=gmm",
    "--config.init.num_restarts=1",
    "--config.guide.num_epochs=3",
    "--config.align.num_epochs=2",
    "--config.train.num_epochs=3",
    "--config.optimizer.min_steps=0",
    "--config.checkpoint.every_epochs=2",
    "--config.evaluate.bound_rows=50",
    "--config.evaluate.bound_samples=5",
    "--config.report=false",
]
_UNFINISHED = "*.orbax-checkpoint-tmp*"
_TIMED = "samples_per_second"  # the metric that no two runs share


def main() -> None:
    """Runs the campaign, prints its table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="a folder for the runs")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--signals", type=int, default=10)
    parser.add_argument("--files", type=int, default=300, help="broken files of rows")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the damage")
    parser.add_argument("--name", default="cpu", help="of the record")
    parser.add_argument("--parts", type=lambda text: text.split(","), help="joined by commas; all by default")
    options = parser.parse_args()
    path = seeds.RESULTS / f"faults_{options.name}.json"
    record = seeds.read(path) or {"parts": {}, "commits": {}}
    record |= {"config": CONFIG, "flags": FLAGS}
    rng = random.Random(options.seed)
    reference = options.workdir / "undisturbed"
    parts: dict[str, Callable[[], Counter[str]]] = {
        "kills": lambda: kills(reference, options.workdir, options.kills, seconds, rng),
        "signals": lambda: stops(reference, options.workdir, options.signals, rng),
        "damaged files": lambda: damages(reference, options.workdir, rng),
        "bad settings": inputs.bad_settings,
        "bad files": lambda: inputs.bad_files(options.workdir / "files", options.files, rng),
    }
    chosen = options.parts or list(parts)
    if unknown := [name for name in chosen if name not in parts]:
        parser.error(f"no such parts: {', '.join(unknown)}; there are {', '.join(parts)}")
    started = time.monotonic()
    run(_fresh(reference))  # a run that ended before would take no time
    seconds = time.monotonic() - started
    for name in chosen:
        record["parts"][name] = dict(parts[name]())
        record["commits"][name] = seeds.commit()
        print(f"{name}: {record['parts'][name]}")
        seeds.write(path, record)
    print(seeds.aligned(rows(record)))
    print(f"wrote {path}")


def rows(record: dict[str, Any]) -> list[list[str]]:
    """The record as rows of text, the columns' names first."""
    table = [["fault", "tried", "the same end", "a clear line", "lost"]]
    for name, counts in record["parts"].items():
        same, said = counts.get("same", 0), counts.get("said", 0)
        tried = sum(counts.values())
        table.append([name, *map(str, (tried, same, said, tried - same - said))])
    return table


def command(folder: Path) -> list[str]:
    """That trains the run in the folder, or goes on with it."""
    compiled = folder.parent / "compiled"
    return [
        *(sys.executable, "main.py", f"--config={CONFIG}", f"--workdir={folder}"),
        *(f"--config.compilation_cache={compiled}", *FLAGS),
    ]


def start(folder: Path) -> subprocess.Popen[str]:
    """The process of the run in the folder."""
    return subprocess.Popen(
        command(folder), cwd=seeds.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def run(folder: Path) -> None:
    """Trains the run in the folder to its end."""
    process = start(folder)
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{folder} ended with status {process.returncode}: {said[-500:]}")


def kills(reference: Path, folder: Path, count: int, seconds: float, rng: random.Random) -> Counter[str]:
    """Runs that were killed and started again, by how they ended: 'same', or what differs.

    Args:
      reference: the folder of the run that nothing disturbed.
      folder: for the runs.
      count: of kills; every other one is in the middle of a save.
      seconds: that an undisturbed run takes.
      rng: of the moments.
    """
    workdir = folder / "killed"
    outcomes: Counter[str] = Counter()
    moments: tuple[Callable[[], Iterator[None]], ...] = (
        lambda: _until(rng.uniform(0.2, 1) * seconds),
        lambda: _until_saving(workdir, rng.randrange(1, 9)),
    )
    for _, moment in zip(range(count), itertools.cycle(moments), strict=False):
        left = _cut_off(workdir, signal.SIGKILL, moment)
        outcomes[left.failure(-signal.SIGKILL) or _ended(reference, workdir)] += 1
    return outcomes


def stops(reference: Path, folder: Path, count: int, rng: random.Random, within: float = 10) -> Counter[str]:
    """`kills` by SIGTERM and SIGINT in turn, once training has begun: its own status is due, within some seconds."""
    workdir = folder / "stopped"
    num_epochs = len(read_metrics(reference / "metrics.jsonl"))
    outcomes: Counter[str] = Counter()

    def moment() -> Iterator[None]:
        return itertools.chain(_until_metrics(workdir, rng.randrange(1, num_epochs)), _until(rng.uniform(0, 0.5)))

    for _, sent in zip(range(count), itertools.cycle((signal.SIGTERM, signal.SIGINT)), strict=False):
        left = _cut_off(workdir, sent, moment)
        outcomes[left.failure(128 + sent, within) or _ended(reference, workdir)] += 1
    return outcomes


class _Left(NamedTuple):
    """How a process left that was sent a signal."""

    status: int
    said: str
    seconds: float

    def failure(self, due: int, within: float = math.inf) -> str:
        """What is wrong with it; '' for nothing."""
        if self.status != due:
            return f"status {self.status}: {self.said[-300:]}"
        if due > 0 and "error: SIG" not in self.said:
            return f"said: {self.said[-300:]}"
        return f"left after {self.seconds:.0f} s" if self.seconds > within else ""


def _cut_off(workdir: Path, sent: signal.Signals, moment: Callable[[], Iterator[None]]) -> _Left:
    """Begins a run and sends it a signal at a moment, again and again where it had ended by then."""
    while True:
        process = start(_fresh(workdir))
        for _ in moment():
            if process.poll() is not None:
                break
        process.send_signal(sent)
        asked = time.monotonic()
        _, said = process.communicate()
        if process.returncode:
            return _Left(process.returncode, said, time.monotonic() - asked)


def damages(reference: Path, folder: Path, rng: random.Random, every: int = 1) -> Counter[str]:
    """Runs that went on with a damaged file: 'same', 'said' (a line that names what is damaged), or what went wrong.

    Args:
      reference: the folder of the run that nothing disturbed.
      folder: for the runs.
      rng: of the damage.
      every: of the files, one in so many.
    """
    stopped = _fresh(folder / "to_damage")
    process = start(stopped)
    for _ in _until_metrics(stopped, 8):
        pass
    process.kill()
    process.communicate()
    files = sorted(path.relative_to(stopped) for path in stopped.rglob("*") if path.is_file())
    outcomes: Counter[str] = Counter()
    for file, damage in itertools.islice(itertools.product(files, inputs.DAMAGE), rng.randrange(every), None, every):
        workdir = folder / "damaged"
        shutil.rmtree(workdir, ignore_errors=True)
        shutil.copytree(stopped, workdir)
        inputs.DAMAGE[damage](workdir / file, rng)
        outcome = _in_process(reference, workdir)
        outcomes[outcome if outcome in ("same", "said") else f"{damage} {file}: {outcome}"] += 1
    return outcomes


def _in_process(reference, workdir):
    """How the run in the folder, which was damaged, ends."""
    config = seeds.read_config(CONFIG, [f"--config.compilation_cache={workdir.parent / 'compiled'}", *FLAGS])
    try:
        with silence(), contextlib.redirect_stdout(io.StringIO()):
            train(config, workdir)
    except (InputError, StorageError) as error:
        return "said" if str(workdir) in str(error) and "\n" not in str(error) else f"unclear: {error}"
    except Exception as error:  # any other is what the campaign looks for
        return repr(error)[:300]
    finally:
        jax.clear_caches()
    return _difference(reference, workdir, with_metrics=False)


def _ended(reference, workdir):
    """How the run in the folder ends after the same command."""
    try:
        run(workdir)
    except RuntimeError as error:
        return str(error)
    return _difference(reference, workdir)


def _difference(reference: Path, workdir: Path, with_metrics: bool = True) -> str:
    """'same', or what of two runs' results differs."""
    for name, of_run in (("parameters", _parameters), ("assignments", _assignments)):
        ours, theirs = (jax.tree.leaves(of_run(folder)) for folder in (workdir, reference))
        if not all(map(np.array_equal, ours, theirs)):
            return f"other {name}"
    if with_metrics:
        if _metrics(workdir) != _metrics(reference):
            return "other metrics"
        if _events(workdir) != _events(reference):
            return "other TensorBoard events"
    if left := [path.name for path in workdir.rglob("*") if path.match(_UNFINISHED) or ".partial" in path.name]:
        return f"unfinished files: {left}"
    return "same"


def _parameters(folder):
    return saved_model.restore(folder)[1].params


def _assignments(folder):
    with np.load(folder / "assignments.npz") as arrays:
        return dict(arrays)


def _metrics(folder):
    """The lines but for their rates; every line of the file has to be whole."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    records = read_metrics(folder / "metrics.jsonl")
    return len(lines), [{name: value for name, value in line.items() if name != _TIMED} for line in records]


def _events(folder):
    """How often each (tag, step) stands in the events, as a sorted list."""
    seen: Counter[tuple[str, int]] = Counter()
    for path in (folder / "tensorboard").iterdir():
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("<Q", content[:8])  # then its checksum, the event, and that one's checksum
            event = Event.FromString(content[12 : 12 + length])
            seen.update((value.tag, event.step) for value in event.summary.value)
            content = content[16 + length :]
    return sorted(seen.items())


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _until(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.01)


def _until_saving(workdir: Path, times: int) -> Iterator[None]:
    """Until a checkpoint is being written for the so manieth time."""
    seen: set[str] = set()
    while len(seen) < times:
        yield
        seen |= {str(path) for path in workdir.glob(f"*/{_UNFINISHED}")}
        time.sleep(0.0005)


def _until_metrics(workdir: Path, count: int) -> Iterator[None]:
    """Until so many epochs were logged."""
    while len(read_metrics(workdir / "metrics.jsonl")) < count:
        yield
        time.sleep(0.01)


if __name__ == "__main__":
    main()
