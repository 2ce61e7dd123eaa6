"""Training speed against PyTorch and against the machine: python -m benchmarks.speed.

Each contender of `benchmarks.contenders` runs in a process of its own, all of them one after the other, round after
round, so that what else the machine does meets all alike. The record goes to benchmarks/results/speed_<name>.json:
ratios are medians over rounds; absolute times hold for an idle machine alone. PyTorch is wanted here and nowhere else
(`python -m pip install torch`); without it its rows are missing.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import contenders, seeds

_LIMIT_S = 900


def main() -> None:
    """Runs every contender in every round and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch_sizes", type=seeds.integers, default="100,256", help="joined by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--num_rows", type=int, default=25_600)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each contender in a round, one epoch at least")
    parser.add_argument("--contenders", type=lambda text: text.split(","), default=list(contenders.CONTENDERS))
    parser.add_argument("--name", default="cpu", help="of the record")
    options = parser.parse_args()
    record = measure(options.contenders, options.batch_sizes, options.rounds, options.num_rows, options.seconds)
    path = seeds.RESULTS / f"speed_{options.name}.json"
    seeds.write(path, record)
    print(seeds.aligned(rows(record)))
    print(f"wrote {path}")


def measure(
    names: Sequence[str], batch_sizes: Sequence[int], num_rounds: int, num_rows: int, seconds: float
) -> dict[str, Any]:
    """Times the contenders.

    Args:
      names: of `contenders.CONTENDERS`.
      batch_sizes: B.
      num_rounds: how often each is run.
      num_rows: of the made data.
      seconds: that each is timed for.

    Returns:
      'device', 'cpus', 'processor', 'commit', 'versions', 'rates': name -> rates over rounds, and 'training': batch
      size -> name -> 'seconds_per_step' and 'first_epoch_seconds' over rounds. A contender that failed has 'failure'.
    """
    record: dict[str, Any] = {
        "cpus": os.cpu_count(),
        "processor": processor(),
        "commit": seeds.commit(),
        "num_rows": num_rows,
        "device": None,
        "versions": {"python": platform.python_version()},
        "rates": {},
        "training": {str(batch_size): {} for batch_size in batch_sizes},
    }
    for number in range(num_rounds):
        for name in names:
            if name in contenders.RATES:
                _add(record, record["rates"], name, _run(name, 1, num_rows, seconds))
                continue
            for batch_size in batch_sizes:
                _add(record, record["training"][str(batch_size)], name, _run(name, batch_size, num_rows, seconds))
        print(f"round {number + 1} of {num_rounds} done", file=sys.stderr)
    return record


def processor() -> str | None:
    """The processor's name, where Linux tells it."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    except OSError:
        return None


def _run(name, batch_size, num_rows, seconds):
    """What a contender printed; its failure where it ended otherwise."""
    arguments = [name, str(batch_size), f"--num_rows={num_rows}", f"--seconds={seconds}"]
    command = [sys.executable, "-m", "benchmarks.contenders", *arguments]
    try:
        answer = subprocess.run(command, cwd=seeds.ROOT, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"failure": f"no answer in {_LIMIT_S} s"}
    if answer.returncode:
        return {"failure": (answer.stderr.strip() or f"exit status {answer.returncode}").splitlines()[-1]}
    return json.loads(answer.stdout.splitlines()[-1])


def _add(record, entries, name, answer):
    entry = entries.setdefault(name, {})
    for key in ("rate", "seconds_per_step", "first_epoch_seconds"):
        if key in answer:
            entry.setdefault(key, []).append(answer[key])
    if "steps" in answer:
        entry["steps"] = answer["steps"]  # in an epoch
    if "failure" in answer:
        entry["failure"] = answer["failure"]
    if "version" in answer:
        library, _, version = answer["version"].partition(" ")
        record["versions"][library] = version
    record["device"] = answer.get("device") or record["device"]


def ratio(training: dict[str, Any], name: str, other: str) -> float | None:
    """How many times as long as the other a contender takes for a step: the median over rounds; None without both."""
    times, others = (training.get(key, {}).get("seconds_per_step", []) for key in (name, other))
    pairs = list(zip(times, others, strict=False))
    return statistics.median(mine / yours for mine, yours in pairs) if pairs else None


def roofline(record: dict[str, Any], batch_size: int) -> float | None:
    """The least seconds that a step can take on the machine; None where its rates were not measured.

    Its products at the best rate of any library, or its parameters' traffic at the rate of a copy, whichever is longer.
    """
    best = {name: max(entry["rate"]) for name, entry in record["rates"].items() if "rate" in entry}
    products = [rate for name, rate in best.items() if name.startswith("product")]
    if not products or "copy_jax" not in best:
        return None
    work = contenders.work(batch_size)
    return max(work["operations"] / max(products), work["bytes"] / best["copy_jax"])


COLUMNS = ("batch", "contender", "ms a step", "times vade_jax's", "share of the roofline", "first epoch, s more")


def rows(record: dict[str, Any]) -> list[list[str]]:
    """The record as rows of text, the columns' names first."""
    table = [list(COLUMNS)]
    for batch_size, training in record["training"].items():
        least = roofline(record, int(batch_size))
        for name, entry in training.items():
            if "seconds_per_step" not in entry:
                table.append([batch_size, name, entry["failure"]])
                continue
            step = statistics.median(entry["seconds_per_step"])
            compilation = statistics.median(entry["first_epoch_seconds"]) - entry["steps"] * step
            table.append(
                [
                    batch_size,
                    name,
                    seeds.number(1e3 * step, 1),
                    seeds.number(ratio(training, name, "vade_jax"), 2),
                    seeds.number(least / min(entry["seconds_per_step"]) if least else None, 2),
                    seeds.number(max(compilation, 0), 1),
                ]
            )
    return table


if __name__ == "__main__":
    main()
