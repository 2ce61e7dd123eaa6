"""Draws of the model compared with the data: python -m benchmarks.draws --workdir=/tmp/draws.

A run with the default settings trains on a random four fifths of the rows; the other fifth is held out. Rows are drawn
from the trained model as `VaDE.sample` does: c ~ Cat(pi), z ~ p(z|c), x ~ p(x|z). The same is measured for
scikit-learn's GaussianMixture with full covariances, fitted to the same scaled rows. To see where a difference comes
from, x is also drawn for z ~ q(z|x) of the training rows, and for z from a normal distribution with a full covariance
for each cluster, fitted to those z. The record goes to benchmarks/results/draws.json.
"""

import argparse
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import cross_val_score

from benchmarks import arguments, markdown, provenance, records, seeds, text_tables
from vade_jax.commands.load_rows import reload_rows
from vade_jax.commands.predict import clusters
from vade_jax.inference import answers
from vade_jax.runs import saved_model, workdir
from vade_jax.runs.run import KeyUse, Run
from vade_jax.training.train_state import TrainState

_CONFIG = "configs/table.py"
_SPLIT = ["--config.data.train_split=train", "--config.data.test_split=test", "--config.report=false"]
_DRAWS = 20_000
_SCORED = 2_000  # rows at most for log p(x)
_BOUND_SAMPLES = 200  # L of the bound of log p(x)
_HELD_OUT = 5  # one row of so many
_PARTS = ("draws", "held_out", "train")
_NUMBERS = ("variance_ratio", "worst_column", "variance_ratio_rows", "variance_ratio_normal", "share_error")
_COLUMNS = (
    "data",
    "model",
    "seeds",
    "variance of draws / of data",
    "of the worst column",
    "with z of the rows",
    "with z of full covariances",
    "largest difference of shares from pi",
    *(f"log p(x) of {part.replace('_', '-')} rows (nats)" for part in _PARTS),
    "accuracy of a classifier",
)


def main() -> None:
    """Runs what is not finished and writes the record of all data sets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--shared", type=Path, default=records.ROOT.parent / "shared" / "data", help="folder of the data sets"
    )
    parser.add_argument("--workdir", type=Path, required=True, help="folder for the files and the runs")
    parser.add_argument("--names", type=lambda text: text.split(","), default=list(DATA), help="separated by commas")
    parser.add_argument("--seeds", type=arguments.integers, default="100,101,102", help="separated by commas")
    parser.add_argument("flags", nargs="*", help="further flags of main.py, after --")
    options = parser.parse_args()
    path = records.RESULTS / "draws.json"
    for name in options.names:
        for seed in options.seeds:
            entry = measure(name, seed, options.shared, options.workdir, options.flags)
            records.write(path, with_run(records.read(path), name, entry))
            print(text_tables.aligned(rows(records.read(path) or {})), flush=True)
    print(f"wrote {path}")


def measure(name: str, seed: int, shared: Path, folder: Path, flags: list[str]) -> dict[str, Any]:
    """Trains one run, and measures draws of it and of a GaussianMixture.

    Args:
      name: a key of DATA.
      seed: of the split, of the run and of the mixture.
      shared: the folder of the data sets.
      folder: for the files and the runs.
      flags: further flags of main.py.

    Returns:
      The record of `records.make_record` with this run alone. The run also has 'rows', 'columns', 'digest' of the
      training rows, and 'models': name -> the numbers of `compare`.

    Raises:
      SystemExit: the run failed.
    """
    x, labels = DATA[name](shared)
    file = folder / name / f"rows{seed}.npz"
    save_split(file, x, labels, seed)
    own = [*_SPLIT, f"--config.model.num_clusters={len(np.unique(labels))}", *flags]
    (run,) = seeds.measure(_CONFIG, [seed], folder / name, [f"--config.data.path={file}", *own])
    if "failure" in run:
        raise SystemExit(f"{name}, seed {seed}: {run['failure']}")
    record = records.make_record(_CONFIG, own, [run])
    record["settings"] = {field: value for field, value in record["settings"].items() if field != "data.path"}
    trained = folder / name / f"seed{seed}"
    (entry,) = record["runs"]
    entry |= {"rows": len(x), "columns": x.shape[1], "digest": workdir.read(trained)[1]["fingerprint"]}
    return {**record, "runs": [{**entry, **provenance.stamp_of_run(run, __file__), "models": of_run(trained, seed)}]}


def save_split(file: Path, x: np.ndarray, labels: np.ndarray, seed: int) -> None:
    """Writes rows [N, D] as x_train and x_test, with labels, in an order that depends on the seed."""
    order = np.random.default_rng(seed).permutation(len(x))
    test, train = np.split(order, [len(x) // _HELD_OUT])
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, x_train=x[train], x_test=x[test], y_train=labels[train], y_test=labels[test])


def of_run(folder: Path, seed: int) -> dict[str, dict[str, float]]:
    """The numbers of `compare` for a trained run and for a mixture fitted to its scaled training rows."""
    run, state, _ = saved_model.restore(folder)
    train, test = reload_rows(run)
    assert test is not None
    scaled, held_out = (np.asarray(state.scaling(jnp.asarray(part.x)), np.float64) for part in (train, test))
    unscaled = state.replace(scaling=state.scaling.replace(shift=jnp.zeros((1, 1)), scale=jnp.ones((1, 1))))

    def score(x: np.ndarray) -> np.ndarray:
        x, key = x.astype(np.float32), run.key(KeyUse.EVALUATION)
        return answers.log_likelihood(run.model, unscaled, x, key, num_samples=_BOUND_SAMPLES, batch_size=100)

    drawn, drawn_clusters = answers.generate(run.model, state.params, run.key(KeyUse.SAMPLES), (_DRAWS,))
    weights = np.asarray(jax.nn.softmax(state.params["prior"].logits))
    mixture = GaussianMixture(len(weights), n_init=10, random_state=seed).fit(scaled)
    of_mixture, components = mixture.set_params(random_state=seed + 1).sample(_DRAWS)
    of_mixture = np.random.default_rng(seed).permutation(of_mixture)  # they are sorted by component
    ours = compare(drawn, drawn_clusters, weights, scaled, held_out, score)
    return {
        "VaDE": {**ours, **variance_by_z(run, state, train.x)},
        "GaussianMixture": compare(of_mixture, components, mixture.weights_, scaled, held_out, mixture.score_samples),
    }


def variance_by_z(run: Run, state: TrainState, x: np.ndarray) -> dict[str, float]:
    """The variance ratio of draws x ~ p(x|z) for z that are not from the prior.

    Args:
      run: settings and model.
      state: the trained state.
      x: [N, D], the training rows as stored.

    Returns:
      'variance_ratio_rows' for one z ~ q(z|x) for each row, and 'variance_ratio_normal' for as many z from a normal
      distribution with a full covariance for each cluster, fitted to the former.
    """
    rng, key = np.random.default_rng(run.config.seed), run.key(KeyUse.SAMPLES)
    z_mean, z_log_var = answers.make_embed(run.model, 1024)(state, x)
    of_rows = z_mean + np.exp(0.5 * z_log_var) * rng.standard_normal(z_mean.shape)
    found = clusters(run, state, x).clusters
    parts = [of_rows[found == cluster] for cluster in np.unique(found)]
    normal = [rng.multivariate_normal(part.mean(axis=0), np.cov(part.T), len(part)) for part in parts if len(part) > 1]
    scaled_variance = np.asarray(state.scaling(jnp.asarray(x)), np.float64).var(axis=0).sum()

    def ratio(z: np.ndarray) -> float:
        drawn = answers.decode(run.model, state.params, jnp.asarray(z, jnp.float32), key)
        return float(drawn.var(axis=0, dtype=np.float64).sum() / scaled_variance)

    return {"variance_ratio_rows": ratio(of_rows), "variance_ratio_normal": ratio(np.concatenate(normal))}


def compare(
    drawn: np.ndarray,
    drawn_clusters: np.ndarray,
    weights: np.ndarray,
    train: np.ndarray,
    held_out: np.ndarray,
    score: Callable[[np.ndarray], np.ndarray],
) -> dict[str, float]:
    """Numbers that tell how alike draws and rows are.

    Args:
      drawn: [M, D], draws, more than there are rows; in random order.
      drawn_clusters: [M], their clusters.
      weights: [K], pi.
      train: [N, D], the rows that the model was fitted to.
      held_out: [T, D], other rows.
      score: function of rows [R, D] that returns log p(x) [R], nats.

    Returns:
      'variance_ratio': the summed variance of the draws' columns, over that of the training rows; 'worst_column': the
      ratio of one column that is furthest from 1; 'share_error': the largest difference of a cluster's share from pi;
      'log_p_draws', 'log_p_held_out' and 'log_p_train': means in nats, each with a standard error; and
      'told_apart': the cross-validated accuracy of a classifier of draws against as many rows, 0.5 at best.
    """
    drawn = drawn.astype(np.float64)
    ratios = drawn.var(axis=0) / train.var(axis=0)
    found = {
        "variance_ratio": float(drawn.var(axis=0).sum() / train.var(axis=0).sum()),
        "worst_column": float(ratios[np.abs(np.log(ratios)).argmax()]),
        "share_error": float(np.abs(np.bincount(drawn_clusters, minlength=len(weights)) / len(drawn) - weights).max()),
    }
    for name, part in zip(_PARTS, (drawn, held_out, train), strict=True):
        values = score(part[:_SCORED]).astype(np.float64)
        found[f"log_p_{name}"] = float(values.mean())
        found[f"log_p_{name}_error"] = float(values.std() / math.sqrt(len(values)))
    data = np.concatenate([train, held_out])
    classes = np.repeat([0, 1], len(data))
    both = np.concatenate([data, drawn[: len(data)]])
    classifier = HistGradientBoostingClassifier(random_state=0)
    return {**found, "told_apart": float(cross_val_score(classifier, both, classes, cv=5).mean())}


def with_run(earlier: dict[str, Any] | None, name: str, record: dict[str, Any]) -> dict[str, Any]:
    """Adds a run's record to the records of all data sets; other seeds are kept as `records.merge` keeps them."""
    records_by_name = earlier or {}
    return {**records_by_name, name: records.merge(records_by_name.get(name), record)}


def rows(record: dict[str, Any]) -> list[list[str]]:
    """Medians over the seeds as a text table; the first row has the column names."""
    table = [list(_COLUMNS)]
    for name, of_name in record.items():
        runs = records.finished(of_name["runs"])
        for model in runs[0]["models"]:
            median = {
                key: statistics.median(run["models"][model][key] for run in runs) for key in runs[0]["models"][model]
            }
            scores = [f"{median[f'log_p_{part}']:.2f} +- {median[f'log_p_{part}_error']:.2f}" for part in _PARTS]
            numbers = markdown.numbers(median, 3, *_NUMBERS)
            table.append(
                [name, model, records.count(runs), *numbers, *scores, *markdown.numbers(median, 3, "told_apart")]
            )
    return table


def markdown_table() -> str:
    """The table of `rows` in Markdown; '' without a record."""
    return markdown.record_table("draws", rows)


def _wine(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    """178 wines of 13 features."""
    wines = load_wine()
    return wines.data, wines.target


def _pendigits(shared: Path) -> tuple[np.ndarray, np.ndarray]:
    """The 10,992 pen-based digits of 16 coordinates."""
    with np.load(shared / "pendigits.npz") as arrays:
        parts = [(arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test")]
    x, labels = (np.concatenate(pair) for pair in zip(*parts, strict=True))
    return x.astype(np.float32), labels


# name -> function (folder of the data sets) that returns rows [N, D] and labels [N].
DATA: dict[str, Callable[[Path], tuple[np.ndarray, np.ndarray]]] = {"wine": _wine, "pendigits": _pendigits}


if __name__ == "__main__":
    main()
