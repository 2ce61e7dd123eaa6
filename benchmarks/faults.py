"""Tests which faults a run survives: python -m benchmarks.faults --workdir=/tmp/faults.

A small run on the digits, with every stage, meets these faults:
- It is killed (SIGKILL) at random moments and during saves, and started again by the same command. Its parameters,
  metrics and assignments must be bit-identical to those of an undisturbed run.
- It is stopped by SIGTERM and SIGINT. It must exit within some seconds, with the status of that signal.
- Each of its files is damaged in three ways. It must end with the same result, or name the damaged file in one line.
- Settings get values of every kind, and data files of every kind are damaged. Each must be accepted, or refused in one
  line that names the setting or the file.
- Calls of the file system fail; see `storage_errors`.
- Trained models are asked rows of every kind; see `wrong_rows`.
The record goes to benchmarks/results/faults_<name>.json.
"""

import argparse
import contextlib
import io
import itertools
import math
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax

from benchmarks import inputs, provenance, records, storage_errors, text_tables, wrong_rows
from benchmarks.run_difference import UNFINISHED, difference
from vade_jax.commands.train import train
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


def main() -> None:
    """Runs the campaign, prints its table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--kills", type=int, default=50, help="number of killed runs")
    parser.add_argument("--signals", type=int, default=10, help="number of stopped runs")
    parser.add_argument("--files", type=int, default=300, help="number of damaged data files")
    parser.add_argument("--points", type=int, default=200, help="number of failing calls of the file system")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the times and the damage")
    parser.add_argument("--name", default="cpu", help="name of the record")
    parser.add_argument("--parts", type=lambda text: text.split(","), help="separated by commas; all by default")
    options = parser.parse_args()
    path = records.RESULTS / f"faults_{options.name}.json"
    record = records.read(path) or {"parts": {}, "commits": {}}
    record |= {"config": CONFIG, "flags": FLAGS}
    rng = random.Random(options.seed)
    reference = options.workdir / "undisturbed"
    parts: dict[str, Callable[[], Counter[str]]] = {
        "kills": lambda: kill_runs(reference, options.workdir, options.kills, seconds, rng),
        "signals": lambda: stop_runs(reference, options.workdir, options.signals, rng),
        "damaged files": lambda: damage_files(reference, options.workdir, rng),
        "bad settings": inputs.try_invalid_settings,
        "bad files": lambda: inputs.try_damaged_files(options.workdir / "files", options.files, rng),
        "injected errors": lambda: storage_errors.inject_errors(options.workdir / "errors", options.points, rng),
        "wrong rows": lambda: wrong_rows.ask_wrong_rows(options.workdir / "rows"),
    }
    chosen = options.parts or list(parts)
    if unknown := [name for name in chosen if name not in parts]:
        parser.error(f"unknown parts: {', '.join(unknown)}. Choose from {', '.join(parts)}")
    started = time.monotonic()
    run(_without_folder(reference))  # a finished run would take no time
    seconds = time.monotonic() - started
    for name in chosen:
        record["parts"][name] = dict(parts[name]())
        record["commits"][name] = records.commit()
        record.setdefault("codes", {})[name] = provenance.code(__file__)
        print(f"{name}: {record['parts'][name]}")
        records.write(path, record)
    print(text_tables.aligned(rows(record)))
    print(f"wrote {path}")


def rows(record: dict[str, Any]) -> list[list[str]]:
    """The record as a text table; the first row has the column names."""
    table = [["fault", "tried", "the same end", "a clear line", "lost", "files of others harmed"]]
    for name, counts in record["parts"].items():
        same, said, harmed = (counts.get(outcome, 0) for outcome in ("same", "said", "harmed"))
        tried = sum(counts.values())
        table.append([name, *map(str, (tried, same, said, tried - same - said - harmed, counts.get("harmed", "-")))])
    return table


def command(folder: Path) -> list[str]:
    """The command that starts or resumes the run in the folder."""
    compiled = folder.parent / "compiled"
    return [
        *(sys.executable, "main.py", f"--config={CONFIG}", f"--workdir={folder}"),
        *(f"--config.compilation_cache={compiled}", *FLAGS),
    ]


def start(folder: Path) -> subprocess.Popen[str]:
    """Starts the run in the folder as a process."""
    return subprocess.Popen(
        command(folder), cwd=records.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def run(folder: Path) -> None:
    """Runs the command until the run in the folder has ended.

    Raises:
      RuntimeError: its exit status is not 0.
    """
    process = start(folder)
    _, stderr = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{folder} ended with status {process.returncode}: {stderr[-500:]}")


def kill_runs(reference: Path, folder: Path, count: int, seconds: float, rng: random.Random) -> Counter[str]:
    """Kills runs and starts them again; counts how they end: 'same', or what differs.

    Args:
      reference: workdir of the undisturbed run.
      folder: folder for the runs.
      count: number of kills; every second one is during a save.
      seconds: duration of an undisturbed run.
      rng: draws the times of the kills.
    """
    workdir = folder / "killed"
    outcomes: Counter[str] = Counter()
    moments: tuple[Callable[[], Iterator[None]], ...] = (
        lambda: _until(rng.uniform(0.2, 1) * seconds),
        lambda: _until_saving(workdir, rng.randrange(1, 9)),
    )
    for _, moment in zip(range(count), itertools.cycle(moments), strict=False):
        stopped = _interrupt(workdir, signal.SIGKILL, moment)
        outcomes[stopped.failure(-signal.SIGKILL) or _resume(reference, workdir)] += 1
    return outcomes


def stop_runs(reference: Path, folder: Path, count: int, rng: random.Random, within: float = 10) -> Counter[str]:
    """Stops runs by SIGTERM and SIGINT alternately once training has begun; counts the outcomes as `kill_runs` does.

    A run must exit with the status of the signal, `within` seconds.
    """
    workdir = folder / "stopped"
    num_epochs = len(read_metrics(reference / "metrics.jsonl"))
    outcomes: Counter[str] = Counter()

    def moment() -> Iterator[None]:
        return itertools.chain(_until_metrics(workdir, rng.randrange(1, num_epochs)), _until(rng.uniform(0, 0.5)))

    for _, sent in zip(range(count), itertools.cycle((signal.SIGTERM, signal.SIGINT)), strict=False):
        stopped = _interrupt(workdir, sent, moment)
        outcomes[stopped.failure(128 + sent, within) or _resume(reference, workdir)] += 1
    return outcomes


class _Exit(NamedTuple):
    """How a process ended after a signal: its exit status, its stderr, and the seconds from the signal to its end."""

    status: int
    stderr: str
    seconds: float

    def failure(self, expected: int, within: float = math.inf) -> str:
        """What is wrong with the exit; '' if nothing is."""
        if self.status != expected:
            return f"status {self.status}: {self.stderr[-300:]}"
        if expected > 0 and "error: SIG" not in self.stderr:
            return f"stderr: {self.stderr[-300:]}"
        return f"exited after {self.seconds:.0f} s" if self.seconds > within else ""


def _interrupt(workdir: Path, sent: signal.Signals, moment: Callable[[], Iterator[None]]) -> _Exit:
    """Starts a run and sends it a signal when `moment` is over; starts again if the run had ended before."""
    while True:
        process = start(_without_folder(workdir))
        for _ in moment():
            if process.poll() is not None:
                break
        process.send_signal(sent)
        sent_at = time.monotonic()
        _, stderr = process.communicate()
        if process.returncode:
            return _Exit(process.returncode, stderr, time.monotonic() - sent_at)


def damage_files(reference: Path, folder: Path, rng: random.Random, every: int = 1) -> Counter[str]:
    """Damages files of a killed run and resumes it; counts how it ends.

    'same': the result is the same. 'said': one line names the damaged file. Any other key describes a failure.

    Args:
      reference: workdir of the undisturbed run.
      folder: folder for the runs.
      rng: draws the damage.
      every: one in `every` files is damaged.
    """
    stopped = _without_folder(folder / "to_damage")
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
        outcome = _resume_in_process(reference, workdir)
        outcomes[outcome if outcome in ("same", "said") else f"{damage} {file}: {outcome}"] += 1
    return outcomes


def _resume_in_process(reference: Path, workdir: Path) -> str:
    """Resumes the damaged run in this process; how it ends."""
    config = records.read_config(CONFIG, [f"--config.compilation_cache={workdir.parent / 'compiled'}", *FLAGS])
    try:
        with silence(), contextlib.redirect_stdout(io.StringIO()):
            train(config, workdir)
    except (InputError, StorageError) as error:
        return "said" if str(workdir) in str(error) and "\n" not in str(error) else f"unclear: {error}"
    except Exception as error:  # any other exception is a failure that the campaign looks for
        return repr(error)[:300]
    finally:
        jax.clear_caches()
    return difference(reference, workdir, with_metrics=False)


def _resume(reference: Path, workdir: Path) -> str:
    """Resumes the run in the folder by the same command; how it ends."""
    try:
        run(workdir)
    except RuntimeError as error:
        return str(error)
    return difference(reference, workdir)


def _without_folder(folder: Path) -> Path:
    """Removes the folder and returns its path."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _until(seconds: float) -> Iterator[None]:
    """Yields until the seconds have passed."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.01)


def _until_saving(workdir: Path, times: int) -> Iterator[None]:
    """Yields until the given number of checkpoints have begun to be written."""
    seen: set[str] = set()
    while len(seen) < times:
        yield
        seen |= {str(path) for path in workdir.glob(f"*/{UNFINISHED}")}
        time.sleep(0.0005)


def _until_metrics(workdir: Path, count: int) -> Iterator[None]:
    """Yields until `count` epochs are logged."""
    while len(read_metrics(workdir / "metrics.jsonl")) < count:
        yield
        time.sleep(0.01)


if __name__ == "__main__":
    main()
