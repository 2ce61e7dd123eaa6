"""Which criterion without labels would have picked the best seed: python -m benchmarks.selection.

Reads the records of `benchmarks.seeds` and writes benchmarks/results/selection.json.
"""

import statistics
from collections.abc import Sequence
from typing import Any

from scipy.stats import spearmanr

from benchmarks import seeds

CRITERIA = ("elbo", "log_likelihood", "elbo_equal_weights", "occupancy_entropy", "modularity")  # higher is better
_MIN_RUNS = 3
_COLUMNS = ("record", "criterion", "Spearman", "picks seed", "its accuracy", "regret")


def main() -> None:
    """Asks every record and writes the answers."""
    answers = {}
    for path in sorted(seeds.RESULTS.glob("seeds_*.json")):
        record = seeds.read(path)
        if record and len(seeds.finished(record["runs"])) >= _MIN_RUNS:
            answers[path.stem.removeprefix("seeds_")] = answer(record)
    path = seeds.RESULTS / "selection.json"
    seeds.write(path, answers)
    print(seeds.aligned(_table(answers)))
    print(f"wrote {path}")


def answer(record: dict[str, Any]) -> dict[str, Any]:
    """What each criterion would have picked of a record's runs.

    Args:
      record: as `seeds.make_record` returns it, with at least one run that did not fail.

    Returns:
      'config', 'flags', 'runs' (their number), 'best' and 'median' accuracy, and 'criteria': name -> 'seed' and
      'accuracy' of the run it picks, 'regret' (what the best run has more) and 'spearman' (rank correlation with
      accuracy, None where one of both is constant). A criterion that some run lacks is left out.
    """
    runs = seeds.finished(record["runs"])
    accuracies = [run["accuracy"] for run in runs]
    return {
        "config": record["config"],
        "flags": record["flags"],
        "runs": len(runs),
        "best": max(accuracies),
        "median": statistics.median(accuracies),
        "criteria": {name: _pick(runs, name) for name in CRITERIA if all(run.get(name) is not None for run in runs)},
    }


def _pick(runs, name):
    values, accuracies = ([run[key] for run in runs] for key in (name, "accuracy"))
    picked = max(runs, key=lambda run: run[name])
    return {
        "spearman": spearman(values, accuracies),
        "seed": picked["seed"],
        "accuracy": picked["accuracy"],
        "regret": round(max(accuracies) - picked["accuracy"], 6),
    }


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """The rank correlation of two lists, to six digits; None where one of them is constant."""
    if len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return round(float(spearmanr(first, second).statistic), 6)


def _table(answers):
    """Rows of text, a row for each record and criterion."""
    rows = [list(_COLUMNS)]
    for record, found in answers.items():
        for name, pick in found["criteria"].items():
            numbers = [seeds.number(pick["spearman"], 2), str(pick["seed"])]
            rows.append([record, name, *numbers, *(seeds.number(pick[key], 4) for key in ("accuracy", "regret"))])
    return rows


if __name__ == "__main__":
    main()
