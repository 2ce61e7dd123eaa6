"""How many clusters a run's rows hold, without a label and without training again.

Clusters are found in the embedding of the autoencoder that the run began with: no number of clusters has shaped it.
"""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from matplotlib.figure import Figure
from ml_collections import ConfigDict
from scipy.special import entr

from vade_jax.commands.load_rows import load_rows
from vade_jax.data.dataset import sample_row_indices
from vade_jax.inference.answers import likelihood_under_priors, make_embed
from vade_jax.initialization.methods import ClusteringOptions
from vade_jax.initialization.neighbor_graphs import num_neighbors
from vade_jax.initialization.number_of_clusters import RULE, EmbeddedRows, HeldOut, measure, recommend, standard_error
from vade_jax.runs.run import KeyUse, Run, read_run
from vade_jax.runs.saved_model import autoencoder
from vade_jax.runs.starting_clusters import build_input_graph
from vade_jax.settings import rules
from vade_jax.system.atomic_files import write_json
from vade_jax.system.errors import InputError
from vade_jax.system.precision import matmul_precision
from vade_jax.training.train_state import TrainState

_NUM_LAYOUTS, _NUM_RESTARTS = 1, 2  # for each half; 2 and 3 recommend the same on digits, later


def check_range(options: Mapping[str, Any], num_rows: int) -> None:
    """Raises an InputError where the range of the config's section select_k does not suit so many rows."""
    least, largest = options["min_clusters"], options["max_clusters"]
    if least > largest:
        raise InputError(
            "config.select_k.min_clusters",
            f"{least} came",
            f"it must be at most config.select_k.max_clusters, {largest}",
            f"Set --config.select_k.min_clusters={largest} or less.",
        )
    half = min(num_rows, options["max_rows"]) // 2
    if largest >= half:
        raise InputError(
            "config.select_k.max_clusters",
            f"{largest} came",
            f"it must be less than the rows of a half, {half}",
            f"Set --config.select_k.max_clusters={max(1, half - 1)} or less, or ask more rows.",
        )


def select_k(folder: Path, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Recommends a number of clusters for the rows of the run in the folder, from its autoencoder's embedding.

    The number that the run was trained with has no part in it.

    Args:
      folder: the workdir of a run that went beyond its autoencoder, or of several, of which the best is asked.
      options: of the config's section select_k; None for the run's own.

    Returns:
      The content of select_k.json, see `select`.

    Raises:
      InputError: there is no such run, its data is gone, or the range does not suit the rows; nothing was written.
    """
    run = read_run(folder)
    if options is not None:
        fields = {**run.config.to_dict(), "select_k": dict(options)}
        rules.check_fields(fields)
        run = run._replace(config=ConfigDict(fields))
    check_range(run.config.select_k, run.num_rows)
    state = autoencoder(run)
    _, train_rows, test_rows = load_rows(run.config, run.folder)
    with matmul_precision(run.config.precision):
        return measure_and_recommend(run, state, train_rows.x, test_rows and test_rows.x)


def measure_and_recommend(run: Run, state: TrainState, x: np.ndarray, test_x: np.ndarray | None) -> dict[str, Any]:
    """Measures every number of clusters of the config's range, and recommends one.

    Args:
      run: its config names the range and the method; its folder gets select_k.json and select_k.png.
      state: the run's autoencoder.
      x: [N, D], the rows to cluster, as stored.
      test_x: [M, D], rows to take the bound of, or None for those of the other half.

    Returns:
      The content of select_k.json.
    """
    started = time.perf_counter()
    options, init, scoring = run.config.select_k, run.config.init, run.config.evaluate
    rows_key, bound_rows_key, bound_key = jax.random.split(run.key(KeyUse.NUM_CLUSTERS), 3)
    x = x[sample_row_indices(len(x), rows_key, options.max_rows)]
    z_mean, z_log_var = make_embed(run.model, min(scoring.batch_size, len(x)))(state, x)
    count = num_neighbors(len(x), options.max_clusters, init.neighbor_share)
    graph = build_input_graph(run, state.scaling, x, count, len(x))
    held_out_x = x if test_x is None else test_x
    numbers = sample_row_indices(len(held_out_x), bound_rows_key, scoring.bound_rows)
    bound = likelihood_under_priors(
        run.model,
        state,
        held_out_x[numbers],
        bound_key,
        num_samples=scoring.bound_samples,
        batch_size=min(scoring.batch_size, 256, len(numbers)),
    )
    figures = measure(
        EmbeddedRows(z_mean, np.exp(z_log_var), graph),
        HeldOut(bound, numbers if test_x is None else None),
        range(options.min_clusters, options.max_clusters + 1),
        options.num_splits,
        init.method,
        ClusteringOptions(
            options.max_clusters,
            run.config.seed,
            _NUM_RESTARTS,
            init.covariance,
            _NUM_LAYOUTS,
            init.neighbor_share,
            components=init.components,
        ),
    )
    best_bound = max((of_one.bound.mean(axis=0) for of_one in figures.values()), key=np.mean)
    by_number = [_describe(number, of_one, best_bound) for number, of_one in figures.items()]
    answer = {
        **recommend(figures)._asdict(),
        "rule": RULE,
        "rows": len(x),
        "splits": options.num_splits,
        "bound_rows": len(numbers),
        "bound_on": "the other half" if test_x is None else "test",
        "by_num_clusters": by_number,
        "seconds": time.perf_counter() - started,
    }
    write_json(run.folder / "select_k.json", answer)
    save_select_k(run.folder / "select_k.png", by_number, answer["num_clusters"])
    return answer


def _describe(number, figures, best_bound):
    """One K in numbers: means, and standard errors over splits, or over rows for how far its bound is behind."""
    shares = figures.shares.mean(axis=0)
    row = {
        "num_clusters": number,
        "bound": float(figures.bound.mean()),
        "shares": shares.tolist(),
        "effective_clusters": math.exp(entr(shares).sum()),
        "smallest_cluster": float(shares[-1]),
    }
    measured = {"bound_behind": best_bound - figures.bound.mean(axis=0), **figures._asdict()}
    for name in ("bound_behind", "stability", "prediction_strength", "modularity"):
        row |= {name: float(measured[name].mean()), f"{name}_se": standard_error(measured[name])}
    return row


def summary(answer: dict[str, Any]) -> str:
    """A line for each number of clusters, and the recommendation in a sentence."""
    lines = ["   K  bound behind best  stability  prediction strength  modularity  effective  smallest"]
    for row in answer["by_num_clusters"]:
        lines.append(
            f"{row['num_clusters']:>4}  {row['bound_behind']:>9.3f} +- {row['bound_behind_se']:.3f}"
            f"  {row['stability']:>9.3f}  {row['prediction_strength']:>19.3f}  {row['modularity']:>10.4f}"
            f"  {row['effective_clusters']:>9.2f}  {row['smallest_cluster']:>8.2%}"
        )
    return "\n".join([*lines, _sentence(answer)])


def _sentence(answer):
    number, other, margin, error = (answer[key] for key in ("num_clusters", "runner_up", "margin", "standard_error"))
    tried = [row["num_clusters"] for row in answer["by_num_clusters"]]
    by = (
        ""
        if other is None
        else f"{abs(margin):.4f}" + (f" ({abs(margin) / error:.1f} standard errors)" if error else "")
    )
    if answer["measure"] == "stability":
        nearest = f"; K = {other} comes closest, {by} below" if by else ""
        return f"K = 1 is recommended: of K = {tried[0]} to {tried[-1]} no structure is stable{nearest}."
    if not by:
        return f"K = {number} is recommended, the only stable one."
    if margin < 0:
        return f"K = {number} is recommended, the smallest within one standard error; K = {other} is ahead by {by}."
    return f"K = {number} is recommended, ahead of K = {other} by {by} of modularity."


def save_select_k(path: Path, rows: Sequence[Mapping[str, float]], recommended: int) -> None:
    """Writes what speaks for each number of clusters as one PNG of four panels, the recommended one marked in each.

    Args:
      path: of the PNG.
      rows: as `num_clusters.select` describes each K: 'num_clusters', the means that are drawn and their errors '_se'.
      recommended: K.
    """
    numbers = [row["num_clusters"] for row in rows]
    rows = [
        {
            **row,
            "effective_share": row["effective_clusters"] / row["num_clusters"],
            "smallest_of_average": row["smallest_cluster"] * row["num_clusters"],
        }
        for row in rows
    ]
    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = {
        "held-out log p(x)": {"nats behind the best": "bound_behind"},
        "cut of the inputs' neighbour graph": {"modularity": "modularity"},
        "agreement of two halves": {"adjusted Rand index": "stability", "prediction strength": "prediction_strength"},
        "sizes": {"effective clusters / K": "effective_share", "smallest / average cluster": "smallest_of_average"},
    }
    for axes, (title, lines) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        for label, name in lines.items():
            values, errors = ([row.get(key, 0.0) for row in rows] for key in (name, f"{name}_se"))
            axes.errorbar(numbers, values, errors, marker=".", capsize=2, label=label)
        axes.axvline(recommended, color="grey", linestyle=":")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set(title=title, xlabel="K")
        axes.legend()
    figure.savefig(path)
