"""How far cluster probabilities can be trusted: python -m benchmarks.calibration --workdir=/tmp/calibration.

Every data set is clustered with hard memberships (init.soft_neighbors=0, q(c|x) as it is) and with soft ones
(probabilities at their temperature), from the same autoencoders. Labels are read by these scores only. A row is right
if its cluster is matched with its label, one to one. The expected calibration error is the mean over 15 bins of
|mean certainty - share of right rows|, weighted by the rows of a bin (Guo et al. 2017, arXiv:1706.04599). The area
under the curve is that of the certainty as a detector of wrong rows; 0.5 is chance.

`gaussians` is a table of four overlapping Gaussians whose true posterior is known. The record and a reliability diagram
go to benchmarks/results/.
"""

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score
from sklearn.metrics.cluster import contingency_matrix

from benchmarks import arguments, markdown, provenance, records, seeds, text_tables
from vade_jax.commands.load_rows import reload_rows
from vade_jax.runs.run import read_run

_BINS = 15
_CONFIGS = {
    "gaussians": "configs/table.py",
    "digits": "configs/digits.py",
    "pendigits": "configs/pendigits.py",
    "har": "configs/har.py",
    "mnist": "configs/mnist.py",
    "mnist_fast": "configs/mnist_fast.py",
}
_COLUMNS = (
    "data",
    "seed",
    "memberships",
    "accuracy",
    "mean certainty",
    "calibration error",
    "area under curve",
    "ELBO",
)


def main() -> None:
    """Trains what is not trained yet, and writes the record and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--sets", type=lambda text: text.split(","), default=list(_CONFIGS), help=", ".join(_CONFIGS))
    parser.add_argument("--seeds", type=arguments.integers, default="100,101,102", help="separated by commas")
    parser.add_argument("--budget", type=float, default=math.inf, help="no run is started after this many minutes")
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.budget
    path = records.RESULTS / "calibration.json"
    for name in options.sets:
        for seed in options.seeds:
            entries = _measure(name, seed, options.workdir, deadline)
            if entries:
                merged = _merged(records.read(path), name, entries)
                records.write(path, merged)
                _save_figure(path.with_suffix(".png"), merged)
    if record := records.read(path):
        print(text_tables.aligned(rows(record)))
        print(f"wrote {path}")


def _measure(name: str, seed: int, workdir: Path, deadline: float) -> list[dict[str, Any]]:
    """The entries of one data set and seed: soft memberships, then hard ones from the same autoencoder."""
    soft, hard = workdir / name / "soft", workdir / name / "hard"
    flags = ["--config.report=false", *_data_flags(name, workdir)]
    entries = []
    for kind, folder, own in (
        ("soft", soft, []),
        ("hard", hard, ["--config.init.soft_neighbors=0", f"--config.pretrain.workdir={soft / f'seed{seed}'}"]),
    ):
        for run in seeds.measure(_CONFIGS[name], [seed], folder, [*flags, *own], deadline):
            if "failure" in run:
                print(f"{name}, seed {seed}, {kind}: {run['failure']}")
                continue
            record = records.make_record(_CONFIGS[name], flags, [run])
            origin = {key: record[key] for key in ("device", "versions")}
            scores = _scores_of_run(folder / f"seed{seed}")
            entries.append(
                {"seed": seed, "memberships": kind, **provenance.stamp_of_run(run, __file__), **origin, **scores}
            )
    if name == "gaussians" and entries:
        _, labels, posterior = make_gaussians()
        entries.append({"seed": seed, "memberships": "true posterior", **scores_of(posterior, labels)})
    return entries


def _data_flags(name: str, workdir: Path) -> list[str]:
    if name != "gaussians":
        return []
    path = workdir / "gaussians.npz"
    if not path.exists():
        rows, labels, _ = make_gaussians()
        workdir.mkdir(parents=True, exist_ok=True)
        np.savez(path, x=rows, y=labels)
    return [f"--config.data.path={path}", "--config.model.num_clusters=4"]


def make_gaussians(
    num_rows: int = 2000, dim: int = 5, num_clusters: int = 4
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of overlapping Gaussians of unequal size and shape; the same ones in every call.

    Returns:
      Rows [N, dim], labels [N], and the true posterior [N, K].
    """
    rng = np.random.default_rng(0)
    means = 1.6 * rng.normal(size=(num_clusters, dim))
    factors = [np.linalg.qr(rng.normal(size=(dim, dim)))[0] * rng.uniform(0.5, 1.5, dim) for _ in range(num_clusters)]
    weights = rng.dirichlet(np.full(num_clusters, 8))
    labels = rng.choice(num_clusters, num_rows, p=weights)
    rows = np.stack([means[label] + factors[label] @ rng.normal(size=dim) for label in labels])
    log_densities = [
        multivariate_normal(mean, factor @ factor.T).logpdf(rows) for mean, factor in zip(means, factors, strict=True)
    ]
    return rows, labels, softmax(np.stack(log_densities, axis=1) + np.log(weights), axis=1)


def _scores_of_run(folder: Path) -> dict[str, Any]:
    run = read_run(folder)
    labels = reload_rows(run)[0].labels
    if labels is None:
        raise ValueError(f"the rows of {folder} have no labels")
    with np.load(folder / "assignments.npz") as arrays:
        scores = scores_of(arrays["probabilities"], labels)
    results = records.read(folder / "results.json") or {}
    return {**scores, **{name: results[name] for name in ("elbo", "log_likelihood", "temperature")}}


def scores_of(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Scores of cluster probabilities [N, K] by labels [N].

    Returns:
      'accuracy', 'certainty' (mean of the largest probability), 'calibration_error', 'area_under_curve' (None if all
      rows are right or all wrong), and 'bins': for each filled bin its rows, mean certainty and share of right rows.
    """
    clusters, certainty = probabilities.argmax(axis=1), probabilities.max(axis=1).astype(np.float64)
    right = _is_right(labels, clusters)
    numbers = np.minimum((certainty * _BINS).astype(int), _BINS - 1)
    bins = [
        [int(inside.sum()), float(certainty[inside].mean()), float(right[inside].mean())]
        for inside in (numbers == number for number in range(_BINS))
        if inside.any()
    ]
    error = sum(count * abs(mean - share) for count, mean, share in bins) / len(labels)
    mixed = 0 < right.sum() < len(right)
    return {
        "accuracy": float(right.mean()),
        "certainty": float(certainty.mean()),
        "calibration_error": error,
        "area_under_curve": float(roc_auc_score(right, certainty)) if mixed else None,
        "bins": bins,
    }


def _is_right(labels: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Whether each row's cluster is matched with its label by the best one-to-one matching: [N], bool."""
    names, numbers = np.unique(labels, return_inverse=True)
    of_label, of_cluster = linear_sum_assignment(contingency_matrix(labels, clusters), maximize=True)
    label_of_cluster = dict(zip(np.unique(clusters)[of_cluster], of_label, strict=True))
    return np.array([label_of_cluster.get(cluster, len(names)) for cluster in clusters]) == numbers


def _merged(record: dict[str, Any] | None, name: str, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The record with these entries of a data set in place of earlier ones of the same seeds."""
    record = record or {}
    seeds_now = {entry["seed"] for entry in entries}
    kept = [entry for entry in record.get(name, []) if entry["seed"] not in seeds_now]
    return {**record, name: sorted([*kept, *entries], key=lambda entry: entry["seed"])}


def rows(record: dict[str, Any]) -> list[list[str]]:
    """A text table with one row for each entry; the first row has the column names."""
    table = [list(_COLUMNS)]
    for name, entries in record.items():
        for entry in entries:
            numbers = (entry[key] for key in ("accuracy", "certainty", "calibration_error", "area_under_curve"))
            elbo = text_tables.number(entry.get("elbo"), 2)
            scores = [text_tables.number(value, 3) for value in numbers]
            table.append([name, str(entry["seed"]), entry["memberships"], *scores, elbo])
    return table


def markdown_table() -> str:
    """The table of `rows` in Markdown; '' without a record."""
    return markdown.record_table("calibration", rows)


def _save_figure(path: Path, record: dict[str, Any]) -> None:
    """Draws the share of right rows over the certainty, for the first seed of every data set."""
    figure = Figure(figsize=(3 * len(record), 3.2), dpi=120, layout="constrained")
    for axes, (name, entries) in zip(figure.subplots(1, len(record), squeeze=False)[0], record.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
        for kind, marker in (("hard", "x"), ("soft", "o")):
            bins = np.array(next((entry["bins"] for entry in entries if entry["memberships"] == kind), []))
            if len(bins):
                axes.plot(bins[:, 1], bins[:, 2], marker=marker, markersize=4, linewidth=0.8, label=kind)
        axes.set_title(name, fontsize="medium")
        axes.set_xlabel("certainty")
        axes.set_ylabel("share of right rows")
        axes.legend(fontsize="small")
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    main()
