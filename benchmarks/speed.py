"""Training speed compared with PyTorch and with the machine's limits: python -m benchmarks.speed.

Each contender of `benchmarks.contenders` runs in a separate process. In every round all of them run one after the
other, so that other load on the machine affects all contenders alike. The record goes to
benchmarks/results/speed_<name>.json. Ratios are medians over rounds. Absolute times are valid only for an idle machine.
Only this benchmark needs PyTorch (`python -m pip install torch`). Without it, its rows report a failure.
"""

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import arguments, contenders, matrix_products, provenance, records, text_tables

_LIMIT_S = 900


def main() -> None:
    """Runs every contender in every round and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch_sizes", type=arguments.integers, default="100,256", help="separated by commas")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--num_rows", type=int, default=25_600)
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="time for each contender in a round, at least one epoch"
    )
    parser.add_argument("--contenders", type=lambda text: text.split(","), default=list(contenders.CONTENDERS))
    parser.add_argument("--name", default="cpu", help="name of the record")
    options = parser.parse_args()
    record = measure(options.contenders, options.batch_sizes, options.rounds, options.num_rows, options.seconds)
    path = records.RESULTS / f"speed_{options.name}.json"
    records.write(path, record)
    print(text_tables.aligned(rows(record)))
    print(f"wrote {path}")


def measure(
    names: Sequence[str], batch_sizes: Sequence[int], num_rounds: int, num_rows: int, seconds: float
) -> dict[str, Any]:
    """Times the contenders.

    Args:
      names: keys of `contenders.CONTENDERS`.
      batch_sizes: B.
      num_rounds: how often each contender runs.
      num_rows: number of random rows.
      seconds: time to measure each for.

    Returns:
      'device', 'cpus', 'processor', 'commit', 'versions', 'rates': name -> rates, one for each round, and 'training':
      batch size -> name -> 'seconds_per_step' and 'first_epoch_seconds', one for each round. A contender that failed
      has 'failure'.
    """
    record: dict[str, Any] = {
        "cpus": os.cpu_count(),
        "processor": records.processor(),
        **provenance.stamp(__file__),
        "num_rows": num_rows,
        "device": None,
        "versions": {"python": platform.python_version()},
        "rates": {},
        "training": {str(batch_size): {} for batch_size in batch_sizes},
    }
    for number in range(num_rounds):
        for name in names:
            if name in contenders.RATES:
                _add(record, record["rates"], name, contenders.run_in_process(name, 1, num_rows, seconds, _LIMIT_S))
                continue
            for batch_size in batch_sizes:
                answer = contenders.run_in_process(name, batch_size, num_rows, seconds, _LIMIT_S)
                _add(record, record["training"][str(batch_size)], name, answer)
        print(f"round {number + 1} of {num_rounds} done", file=sys.stderr)
    return record


def _add(record: dict[str, Any], entries: dict[str, Any], name: str, answer: dict[str, Any]) -> None:
    """Adds one measurement of a contender to its entry."""
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
    """The step time of a contender divided by another's: the median over rounds, None if either was not measured."""
    times, others = (training.get(key, {}).get("seconds_per_step", []) for key in (name, other))
    pairs = list(zip(times, others, strict=False))
    return statistics.median(mine / yours for mine, yours in pairs) if pairs else None


def roofline(record: dict[str, Any], batch_size: int) -> float | None:
    """A lower bound on the seconds of a step on the machine; None if its rates were not measured.

    It is the longer of two times: the matrix products at the best rate of any library, and the memory traffic of the
    parameters at the rate of a copy.
    """
    best = {name: max(entry["rate"]) for name, entry in record["rates"].items() if "rate" in entry}
    products = [rate for name, rate in best.items() if name.startswith("product")]
    if not products or "copy_jax" not in best:
        return None
    least = matrix_products.work(batch_size)
    return max(least["operations"] / max(products), least["bytes"] / best["copy_jax"])


COLUMNS = ("batch", "contender", "ms a step", "times vade_jax's", "share of the roofline", "first epoch, s more")


def rows(record: dict[str, Any]) -> list[list[str]]:
    """The record as a text table; the first row has the column names."""
    table = [list(COLUMNS)]
    for batch_size, training in record["training"].items():
        bound = roofline(record, int(batch_size))
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
                    text_tables.number(1e3 * step, 1),
                    text_tables.number(ratio(training, name, "vade_jax"), 2),
                    text_tables.number(bound / min(entry["seconds_per_step"]) if bound else None, 2),
                    text_tables.number(max(compilation, 0), 1),
                ]
            )
    return table


if __name__ == "__main__":
    main()
