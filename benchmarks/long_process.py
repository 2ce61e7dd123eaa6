"""What a process keeps and answers over a long life: python -m benchmarks.long_process.

- Soak: many fits and many predictions of one row in one process. Its memory maps and resident memory must not grow.
- Threads: fits in two threads must equal those in turn, bit by bit.
- Far rows: rows of every kind far from the training rows must get finite probabilities and be outliers.
The rows are the wine and the digits of scikit-learn. The record goes to benchmarks/results/long_process_<name>.json.
"""

import argparse
import gc
import os
import platform
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
from sklearn.datasets import load_digits, load_wine

from benchmarks import markdown, provenance, records, text_tables
from vade_jax import VaDE
from vade_jax.commands.predict import predict
from vade_jax.system.console import progress_bar, silence

_FAST = {
    "pretrain.num_epochs": 5,
    "guide.num_epochs": 2,
    "align.num_epochs": 2,
    "train.num_epochs": 2,
    "init.num_layouts": 1,
    "init.num_restarts": 1,
    "optimizer.min_steps": 0,
    "evaluate.bound_samples": 5,
}
_WARM_FITS, _WARM_PREDICTIONS = 10, 100  # memory is compared from here on


def main() -> None:
    """Runs the campaign, prints its table and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=50)
    parser.add_argument("--predictions", type=int, default=1000)
    parser.add_argument("--far_rows", type=int, default=1000)
    parser.add_argument("--name", default="cpu", help="name of the record")
    options = parser.parse_args()
    path = records.RESULTS / f"long_process_{options.name}.json"
    fits, model = soak_fits(options.fits)
    record = {
        **provenance.stamp(__file__),
        "versions": {"python": platform.python_version(), "jax": jax.__version__, "numpy": np.__version__},
        "cpus": os.cpu_count(),
        "settings": _FAST,
        "fits": fits,
        "predictions": soak_predictions(model, options.predictions),
        "threads": compare_threads(),
        "far_rows": ask_far_rows(options.far_rows),
    }
    records.write(path, record)
    print(text_tables.aligned(rows(record)))
    print(f"wrote {path}")


def soak_fits(count: int) -> tuple[list[dict[str, float]], VaDE]:
    """Fits with seeds 0, 1, ...: what the process has after each one, and the last model."""
    after = []
    for seed in progress_bar(range(count), desc="fits"):
        started = time.perf_counter()
        model = small_model(seed).fit(load_wine().data)
        after.append(_usage() | {"seconds": time.perf_counter() - started})
    return after, model


def soak_predictions(model: VaDE, count: int) -> list[dict[str, float]]:
    """What the process has after each prediction of one row."""
    x, after = load_wine().data, []
    for number in progress_bar(range(count), desc="predictions"):
        started = time.perf_counter()
        model.predict_proba(x[number % len(x)][None])
        after.append({"seconds": time.perf_counter() - started} | _usage())
    return after


def compare_threads() -> dict[str, int]:
    """How many of four fits in two threads are equal, bit by bit, to the same fits in turn."""
    x = load_wine().data
    seeds = range(4)

    def fit(seed: int) -> np.ndarray:
        return small_model(seed).fit(x).predict_proba(x)

    in_turn = [fit(seed) for seed in seeds]
    with ThreadPoolExecutor(2) as pool:
        same = map(np.array_equal, pool.map(fit, seeds), in_turn)
        return {"tried": len(seeds), "same": sum(same)}


def ask_far_rows(count: int) -> dict[str, dict[str, int]]:
    """Likelihood -> how many far rows were tried, got finite probabilities that sum to 1, and are outliers."""
    x = load_digits().data
    found = {}
    for likelihood in progress_bar(("bernoulli", "gaussian", "gaussian_shared"), desc="far rows"):
        with tempfile.TemporaryDirectory() as folder, silence():
            asked, answers = Path(folder) / "far.npz", Path(folder) / "answers.npz"
            small_model(0, likelihood, 10).fit(x).save(Path(folder) / "run")
            np.savez(asked, x=far_rows(x, count))
            predict(Path(folder) / "run", str(asked), str(answers))
            with np.load(answers) as read:
                probabilities, outliers = read["probabilities"], read["outlier"]
        finite = np.isfinite(probabilities).all(axis=1) & np.isclose(probabilities.sum(axis=1), 1, atol=1e-5)
        found[likelihood] = {"tried": count, "finite": int(finite.sum()), "outliers": int(outliers.sum())}
    return found


def far_rows(x: np.ndarray, count: int) -> np.ndarray:
    """Rows far from the rows x [N, D] in ways that take turns: whole rows, one value, or huge values of both signs."""
    rng = np.random.default_rng(0)
    far = x[rng.integers(len(x), size=count)].astype(np.float64)
    for number, row in enumerate(far):
        scale = 10.0 ** rng.uniform(3, 30)
        kind = number % 3
        if kind == 0:
            row *= scale
        elif kind == 1:
            row[rng.integers(len(row))] = scale * rng.choice([-1, 1])
        else:
            row[:] = scale * rng.normal(size=len(row))
    return far


def small_model(seed: int, likelihood: str = "auto", num_clusters: int = 3) -> VaDE:
    """A model that is trained in seconds."""
    return VaDE(num_clusters, latent_dim=3, likelihood=likelihood, settings=_FAST, random_state=seed)


def _usage() -> dict[str, float]:
    """The memory maps of this process, and its resident memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    with Path("/proc/self/maps").open() as maps:
        return {"maps": sum(1 for _ in maps), "resident_mib": pages * 4096 / 2**20}


def growth(after: list[dict[str, float]], name: str, warm: int) -> float:
    """By which factor a quantity grew, from the repetition number `warm` to the last."""
    return after[-1][name] / after[min(warm, len(after)) - 1][name]


def rows(record: dict[str, Any]) -> list[list[str]]:
    """The record as a text table; the first row has the column names."""
    table = [["what", "tried", "found"]]
    for name, warm in (("fits", _WARM_FITS), ("predictions", _WARM_PREDICTIONS)):
        maps, memory = (growth(record[name], quantity, warm) for quantity in ("maps", "resident_mib"))
        seconds = np.median([entry["seconds"] for entry in record[name][1:]])
        found = f"maps x {maps:.3f}, resident memory x {memory:.3f} from number {warm} on; median {seconds:.2g} s"
        table.append([f"{name} in one process", str(len(record[name])), found])
    threads = record["threads"]
    table.append(["fits in two threads", str(threads["tried"]), f"{threads['same']} equal to those in turn"])
    for likelihood, far in record["far_rows"].items():
        found = f"{far['finite']} finite, {far['outliers']} outliers"
        table.append([f"far rows, {likelihood}", str(far["tried"]), found])
    return table


def markdown_table() -> str:
    """The record as a Markdown table; '' without a record."""
    record = records.read(records.RESULTS / "long_process_cpu.json")
    if record is None:
        return ""
    columns, *found = rows(record)
    return markdown.table(columns, markdown.marked(found, record))


if __name__ == "__main__":
    main()
