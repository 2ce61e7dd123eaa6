"""Which criterion selects the best seed without labels: python -m benchmarks.selection.

Reads the records of `benchmarks.seeds` and writes benchmarks/results/selection.json.
"""

import statistics
from collections.abc import Sequence
from typing import Any

from scipy.stats import spearmanr

from benchmarks import records, text_tables

CRITERIA = ("elbo", "log_likelihood", "elbo_equal_weights", "occupancy_entropy", "modularity")  # higher is better
_MIN_RUNS = 3
_COLUMNS = ("record", "criterion", "Spearman", "picks seed", "its accuracy", "regret")


def main() -> None:
    """Applies every criterion to every record and writes what they select."""
    answers = {}
    for path in sorted(records.RESULTS.glob("seeds_*.json")):
        record = records.read(path)
        if record and len(records.finished(record["runs"])) >= _MIN_RUNS:
            answers[path.stem.removeprefix("seeds_")] = answer(record)
    path = records.RESULTS / "selection.json"
    records.write(path, answers)
    print(text_tables.aligned(_table(answers)))
    print(f"wrote {path}")


def answer(record: dict[str, Any]) -> dict[str, Any]:
    """The run that each criterion selects from a record.

    Args:
      record: as `records.make_record` returns it. At least one run did not fail.

    Returns:
      'config', 'flags', 'runs' (their number), 'best' and 'median' accuracy, and 'criteria': name -> 'seed' and
      'accuracy' of the selected run, 'regret' and 'spearman'. The regret is the best accuracy minus that of the
      selected run. 'spearman' is the rank correlation with accuracy, None if either is constant. A criterion that some
      run lacks is left out.
    """
    runs = records.finished(record["runs"])
    accuracies = [run["accuracy"] for run in runs]
    return {
        "config": record["config"],
        "flags": record["flags"],
        "runs": len(runs),
        "best": max(accuracies),
        "median": statistics.median(accuracies),
        "criteria": {name: _pick(runs, name) for name in CRITERIA if all(run.get(name) is not None for run in runs)},
    }


def _pick(runs: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    values, accuracies = ([run[key] for run in runs] for key in (name, "accuracy"))
    picked = max(runs, key=lambda run: run[name])
    return {
        "spearman": spearman(values, accuracies),
        "seed": picked["seed"],
        "accuracy": picked["accuracy"],
        "regret": round(max(accuracies) - picked["accuracy"], 6),
    }


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """The rank correlation of two lists, rounded to six digits; None if either is constant."""
    if len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return round(float(spearmanr(first, second).statistic), 6)


def _table(answers: dict[str, Any]) -> list[list[str]]:
    """A text table with one row for each record and criterion; the first row has the column names."""
    rows = [list(_COLUMNS)]
    for record, found in answers.items():
        for name, pick in found["criteria"].items():
            numbers = [text_tables.number(pick["spearman"], 2), str(pick["seed"])]
            rows.append([record, name, *numbers, *(text_tables.number(pick[key], 4) for key in ("accuracy", "regret"))])
    return rows


if __name__ == "__main__":
    main()
