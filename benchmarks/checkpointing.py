"""The cost of checkpoints and of resuming: python -m benchmarks.checkpointing --workdir=/tmp/checkpointing.

The paper's networks train on 70,000 random rows, alternately with and without a checkpoint that is written during the
epoch. The median difference, divided by the time between two checkpoints of the config, is the share of training time.
Then a run of the config is killed in its first stage and the same command is given again. The time from there to its
first new step is measured. The record goes to benchmarks/results/checkpointing_<name>.json.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import contenders, provenance, records, text_tables
from vade_jax.runs.metrics_log import read_metrics

_NUM_ROWS, _BATCH_SIZE = 70_000, 256
_EPOCHS_BEFORE_KILL = 2


def main() -> None:
    """Measures both costs and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/mnist.py", help="config of the run that is killed")
    parser.add_argument("--workdir", type=Path, required=True, help="folder for the checkpoints and the run")
    parser.add_argument("--pairs", type=int, default=8, help="number of pairs of epochs, without and with a checkpoint")
    parser.add_argument("--num_rows", type=int, default=_NUM_ROWS)
    parser.add_argument("--name", default="cpu", help="name of the record")
    parser.add_argument("flags", nargs="*", help="further flags of main.py, after --")
    options = parser.parse_args()
    path = records.record_path("checkpointing", options.name, options.config)
    record = {
        "config": options.config,
        "flags": options.flags,
        "cpus": os.cpu_count(),
        "processor": records.processor(),
        **provenance.stamp(__file__),
        "cost": cost(options.workdir / "checkpoints", options.num_rows, options.pairs),
        "resume": resume(options.config, options.workdir / "run", options.flags),
    }
    records.write(path, record)
    print(text_tables.aligned(rows(record)))
    print(f"wrote {path}")


def cost(folder: Path, num_rows: int, pairs: int) -> dict[str, Any]:
    """The seconds of an epoch, and the seconds that a checkpoint adds to it: medians over pairs of epochs."""
    import jax

    from vade_jax.runs.checkpoints import Checkpoints
    from vade_jax.runs.progress import BEGINNING
    from vade_jax.runs.run import epochs_between_checkpoints
    from vade_jax.settings.defaults import get_config
    from vade_jax.system.devices import replicate
    from vade_jax.training.epoch import make_epoch

    objective, tx, state = contenders.jax_parts()
    state, run = replicate(state), make_epoch(objective, tx, _BATCH_SIZE)
    data = {"x": replicate(contenders.made_rows(num_rows))}
    settings = get_config().checkpoint
    every = epochs_between_checkpoints(settings.every_epochs, num_rows // _BATCH_SIZE)

    def timed(save: bool) -> float:
        nonlocal state
        started = time.perf_counter()
        if save:
            checkpoints.save(state, BEGINNING)
        state, metrics = run(state, data)
        jax.block_until_ready((state, metrics))
        return time.perf_counter() - started

    with Checkpoints(folder, settings.keep, exclusive=True) as checkpoints:
        timed(save=True)  # compiles, and creates the folder's first checkpoint
        found = [(timed(save=False), timed(save=True)) for _ in range(pairs)]
    epoch = statistics.median(without for without, _ in found)
    added = statistics.median(with_one - without for without, with_one in found)
    return {
        "epoch_seconds": epoch,
        "checkpoint_seconds": added,
        "every_epochs": every,
        "share": added / (every * epoch),
        "pairs": found,
    }


def resume(config: str, workdir: Path, flags: list[str]) -> dict[str, Any]:
    """Kills a run after its first epochs, resumes it, and returns the seconds to its first new step."""
    command = [sys.executable, "main.py", f"--config={config}", f"--workdir={workdir}"]
    command += ["--config.checkpoint.every_epochs=1", *flags]
    _started_until(command, workdir, _EPOCHS_BEFORE_KILL)
    (workdir / "metrics.jsonl").unlink()  # to count only new epochs
    started = time.perf_counter()
    first, second = _started_until(command, workdir, 2)
    return {"first_step_seconds": first - started - (second - first), "epoch_seconds": second - first}


def _started_until(command: list[str], workdir: Path, num_epochs: int) -> list[float]:
    """Kills a run after it has logged `num_epochs` epochs; returns the time at which each was seen."""
    seen: list[float] = []
    process = subprocess.Popen(command, cwd=records.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while len(seen) < num_epochs:
            if process.poll() is not None:
                raise RuntimeError(f"{workdir} ended with status {process.returncode} before {num_epochs} epochs")
            logged = len(read_metrics(workdir / "metrics.jsonl"))
            seen += [time.perf_counter()] * (logged - len(seen))
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    return seen


def rows(record: dict[str, Any]) -> list[list[str]]:
    """The record as a text table; the first row has the column names."""
    found, resumed = record["cost"], record["resume"]
    return [
        ["an epoch, s", "a checkpoint adds, s", "every", "share of the time", "from the command to the next step, s"],
        [
            text_tables.number(found["epoch_seconds"], 1),
            text_tables.number(found["checkpoint_seconds"], 2),
            f"{found['every_epochs']} epochs",
            f"{found['share']:.2%}",
            text_tables.number(resumed["first_step_seconds"], 1),
        ],
    ]


if __name__ == "__main__":
    main()
