"""Makes calls of the file system fail at random points of a run, for `benchmarks.faults`.

`failing_storage` says which calls these are. A full disk, a disk that reports errors, missing permissions, a read-only
disk, a network drive that is gone, and too many open files are tried, each for one call or from one call on. The run
must end with the same result, or with one line that names the file. Then the same command must come to the same result.
Files of others in the workdir and beside it must stay as they are.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import records
from benchmarks.failing_storage import ERRORS, NO_FAULT, Fault
from benchmarks.run_difference import difference

CONFIG = "configs/digits.py"
# As few epochs as visit every stage, and a checkpoint in each long one.
FLAGS = [
    "--config.model.hidden=(16,)",
    "--config.pretrain.num_epochs=2",
    "--config.init.method=gmm",
    "--config.init.num_restarts=1",
    "--config.guide.num_epochs=1",
    "--config.align.num_epochs=1",
    "--config.train.num_epochs=2",
    "--config.optimizer.min_steps=0",
    "--config.checkpoint.every_epochs=2",
    "--config.evaluate.bound_rows=20",
    "--config.evaluate.bound_samples=2",
    "--config.report=false",
]
TRAIN = "train"


class Mode(NamedTuple):
    """A mode of a finished run.

    Attributes:
      flags: of the command.
      earlier: flags in place of these, by which an earlier file was written.
      output: the file that it writes; '' for the results of the run.
    """

    flags: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    output: str = ""


MODES = {
    "predict": Mode(
        ("--config.predict.with_log_likelihood=true",),
        ("--config.predict.with_log_likelihood=false",),
        "predictions.npz",
    ),
    "generate": Mode(("--config.generate.seed=1",), ("--config.generate.seed=0",), "generated.png"),
    "evaluate": Mode(("--config.report=false",)),
}
_SHARES = {TRAIN: 3, "predict": 1, "generate": 1, "evaluate": 1}
_BAR = re.compile(r"\s*\w+:\s+\d+%\|.*|\s*")  # a progress bar, or an empty line
_FOREIGN = {"notes.txt": "of another program\n", "others/rows.csv": "a,b\n1,2\n"}


def inject_errors(folder: Path, count: int, rng: random.Random, seconds: float = 300) -> Counter[str]:
    """Counts how runs end in which calls of the file system fail.

    'same': the result is the same. 'said': one line names the file, and the same command comes to the same result.
    'harmed': a file of others has changed. Any other key describes a failure.

    Args:
      folder: for the runs.
      count: number of runs with an error, those of every mode together.
      rng: draws the calls and the errors.
      seconds: after which a run counts as hung.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    outcomes: Counter[str] = Counter(same=0, said=0, harmed=0)
    with Server(folder / "compiled", seconds) as server:
        campaign = _Campaign(server, folder)
        for mode in rng.choices(list(_SHARES), list(_SHARES.values()), k=count):
            fault, call = draw_fault(campaign.calls[mode], rng)
            outcome = campaign.outcome(mode, fault)
            if outcome not in outcomes:
                where = f"{mode}, {call}, {fault.error}{' from then on' if fault.forever else ''}"
                outcome = f"{where}: {outcome}".replace(str(folder), "...")
                print(outcome, flush=True)
            outcomes[outcome] += 1
    return outcomes


def draw_fault(calls: Sequence[tuple[str, str]], rng: random.Random) -> tuple[Fault, str]:
    """A fault at a random call of a run, given kind and path of each, and the call in words.

    Kinds and files are drawn with equal chances: a run reads and writes a few large files in most of its calls.
    """
    numbers: dict[tuple[str, str], list[int]] = {}
    for number, (kind, path) in enumerate(calls, 1):
        numbers.setdefault((kind, _without_digits(path)), []).append(number)
    first = rng.choice(numbers[rng.choice(sorted(numbers))])
    kind, path = calls[first - 1]
    return Fault(first, rng.choice(ERRORS[kind]), rng.random() < 0.5), f"{kind} {_without_digits(path)} (call {first})"


def _without_digits(path: str) -> str:
    """A path without the numbers by which names of the same kind differ, such as those of temporary files."""
    return re.sub(r"[0-9a-f]{32}|\d+", "0", path)


class Answer(NamedTuple):
    """How a run ended: its exit status (None if it hung), its stderr, and kind and path of its calls."""

    status: int | None
    stderr: str
    calls: list[tuple[str, str]]

    def said(self, folder: Path) -> str:
        """'said' if the run ended by one line that names a path in the folder; else what was wrong."""
        if self.status is None:
            return f"hung: {self.stderr[-300:]}"
        lines = [line for line in re.split(r"[\r\n]", self.stderr) if not _BAR.fullmatch(line)]
        errors = [line for line in lines if line.startswith("error: ")]
        if self.status in (2, 4) and len(errors) == 1 and len(lines) == 1 and str(folder) in errors[0]:
            return "said"
        return f"status {self.status}: {' / '.join(lines)[-600:]}"


class Server:
    """The process of `failing_storage`, as a context."""

    def __init__(self, compiled: Path, seconds: float):
        """Starts it.

        Args:
          compiled: folder for compiled programs.
          seconds: after which a run is ended.
        """
        environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": str(compiled),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        self._seconds = seconds
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.failing_storage"],
            cwd=records.ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, workdir: Path, flags: Sequence[str], fault: Fault = NO_FAULT) -> Answer:
        """Runs main.py with flags in a workdir, whose files meet the fault."""
        arguments = [f"--config={CONFIG}", f"--workdir={workdir}", *flags]
        asked = {"arguments": arguments, "folder": str(workdir), "fault": fault, "seconds": self._seconds}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(asked), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        return Answer(answer["status"], answer["stderr"], [(kind, path) for kind, path in answer["calls"]])

    def run(self, workdir: Path, flags: Sequence[str]) -> Answer:
        """Runs main.py without a fault.

        Raises:
          RuntimeError: it did not end with status 0.
        """
        answer = self.ask(workdir, flags)
        if answer.status != 0:
            raise RuntimeError(f"status {answer.status}: {answer.stderr[-600:]}")
        return answer

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


class _Campaign:
    """The undisturbed runs, and what their files must be.

    Attributes:
      calls: mode -> kind and path of each call of the undisturbed run.
    """

    def __init__(self, server: Server, folder: Path):
        self._server = server
        self._workdir = folder / "disturbed" / "run"
        self._finished = folder / "finished"
        self._expected: dict[str, tuple[bytes, bytes]] = {}
        self.calls = {}
        self._prepare()
        self.calls[TRAIN] = server.run(self._workdir, FLAGS).calls
        shutil.copytree(self._workdir, self._finished)
        for name, mode in MODES.items():  # after them the finished run has the earlier outputs
            if mode.output:
                server.run(self._finished, _flags_of(name, mode.earlier))
        for name, mode in MODES.items():
            self._prepare(self._finished)
            self.calls[name] = server.run(self._workdir, _flags_of(name, mode.flags)).calls
            if mode.output:
                self._expected[mode.output] = (
                    (self._finished / mode.output).read_bytes(),
                    (self._workdir / mode.output).read_bytes(),
                )

    def _prepare(self, source: Path | None = None) -> None:
        """Makes the workdir new, with files of others in it and beside it."""
        shutil.rmtree(self._workdir.parent, ignore_errors=True)
        self._workdir.mkdir(parents=True)
        if source:
            shutil.copytree(source, self._workdir, dirs_exist_ok=True)
        for name, content in _FOREIGN.items():
            for folder in (self._workdir, self._workdir.parent):
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(content)

    def outcome(self, name: str, fault: Fault) -> str:
        """How a run in a mode ends that meets the fault."""
        mode = MODES.get(name, Mode())
        flags = FLAGS if name == TRAIN else _flags_of(name, mode.flags)
        self._prepare(None if name == TRAIN else self._finished)
        answer = self._server.ask(self._workdir, flags, fault)
        outcome = self._result(name) if answer.status == 0 else answer.said(self._workdir)
        if outcome not in ("same", "said"):
            return outcome
        if harmed := self._harmed():
            return harmed
        if name != TRAIN and answer.status != 0 and (left := self._result(name, may_be_old=True)) != "same":
            return left
        again = self._server.ask(self._workdir, flags)
        if again.status != 0:
            return f"lost: status {again.status}: {again.stderr[-600:]}"
        final = self._result(name)
        return self._harmed() or (outcome if final == "same" else f"lost: {final}")

    def _result(self, name: str, may_be_old: bool = False) -> str:
        """'same' if the run and the output of the mode are as they must be in the end; else what differs.

        Args:
          name: of the mode.
          may_be_old: whether the output may also be the one from before.
        """
        output = MODES.get(name, Mode()).output
        try:
            if output and (self._workdir / output).read_bytes() not in self._expected[output][0 if may_be_old else 1 :]:
                return f"another {output}"
            json.loads((self._workdir / "results.json").read_text())
            found = difference(self._finished, self._workdir)
        except Exception as error:  # any error is a failure that the campaign looks for
            return repr(error)[:300]
        # A mode that cannot delete its hidden temporary file leaves it. The next training deletes it.
        return "same" if name != TRAIN and found.startswith("unfinished files") else found

    def _harmed(self) -> str:
        """'harmed' if a file of others has changed; else ''."""
        for folder in (self._workdir, self._workdir.parent):
            for name, content in _FOREIGN.items():
                if not (folder / name).is_file() or (folder / name).read_text() != content:
                    return "harmed"
        return ""


def _flags_of(mode: str, flags: Sequence[str]) -> list[str]:
    return [f"--mode={mode}", *flags]
