"""Recommends a number of clusters for the rows of a run, without labels and without training again.

Clusters are found in the embedding of the run's autoencoder, which does not depend on a number of clusters.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from vade_jax.commands.load_rows import reload_rows
from vade_jax.data.dataset import sample_row_indices
from vade_jax.data.equal_rows import first_equal_rows, is_first
from vade_jax.inference.answers import likelihood_under_priors, make_embed
from vade_jax.initialization import mixture_sizes, number_of_clusters
from vade_jax.initialization.methods import ClusteringOptions
from vade_jax.initialization.mixture_sizes import MixtureScores, likeliest, standard_error
from vade_jax.initialization.neighbor_graphs import num_neighbors
from vade_jax.initialization.number_of_clusters import RULE, EmbeddedRows, HeldOut, KScores, recommend
from vade_jax.reports.number_of_clusters import save_chart
from vade_jax.runs.filled_inputs import columns_by_kind, filled_rows, searched_features
from vade_jax.runs.input_graphs import build_input_graph
from vade_jax.runs.run import KeyUse, Run, read_run, with_settings
from vade_jax.runs.saved_model import load_autoencoder
from vade_jax.system.atomic_files import check_can_write, write_json
from vade_jax.system.errors import InputError, with_storage_errors
from vade_jax.system.precision import matmul_precision
from vade_jax.training.collapse import effective_clusters
from vade_jax.training.train_state import TrainState

_NUM_LAYOUTS, _NUM_RESTARTS = 1, 2  # for each half; 2 and 3 take longer, and recommend the same K on the digits


def check_range(options: Mapping[str, Any], num_rows: int) -> None:
    """Raises an InputError if the range in the section select_k is empty or too large for this many distinct rows."""
    smallest, largest = options["min_clusters"], options["max_clusters"]
    if smallest > largest:
        raise InputError(
            "config.select_k.min_clusters",
            str(smallest),
            f"at most config.select_k.max_clusters, {largest}",
            f"Set --config.select_k.min_clusters={largest} or less.",
        )
    half = min(num_rows, options["max_rows"]) // 2
    if largest >= half:
        raise InputError(
            "config.select_k.max_clusters",
            str(largest),
            f"less than half the number of distinct rows, {half}",
            f"Set --config.select_k.max_clusters={max(1, half - 1)} or less, or use more rows.",
        )


@with_storage_errors
def select_k(
    folder: Path,
    options: Mapping[str, Any] | None = None,
    path: str = "",
    allow_import: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Recommends a number of clusters for the rows of a run, and writes select_k.json and select_k.png.

    The recommendation does not depend on the number of clusters that the run was trained with.

    Args:
      folder: the workdir of a run whose autoencoder is trained, or of several runs: the best one is used.
      options: the section select_k of a config; None for that of the run.
      path: where the file of its rows is now; '' for where it was in training.
      allow_import: whether the run's settings can import code (package.module:factory); only for trusted folders.
      settings: dotted name -> value, in place of the run's own: precision, and evaluate.batch_size,
        bound_samples and bound_rows.

    Returns:
      The content of select_k.json.

    Raises:
      InputError: there is no such run, its rows are missing or have changed, or the range does not suit them; nothing
        was written.
      StorageError: a file cannot be read or written.
    """
    of_range = {f"select_k.{name}": value for name, value in (options or {}).items()}
    run = with_settings(read_run(folder, allow_import), {**of_range, **(settings or {})})
    check_range(run.config.select_k, run.num_rows)
    check_can_write(run.folder / "select_k.json")
    state = load_autoencoder(run)
    train_rows, test_rows = reload_rows(run, path)
    started = time.perf_counter()
    with matmul_precision(run.config.precision):
        measurements = measure(run, state, train_rows.inputs, None if test_rows is None else test_rows.inputs)
    content = {**_describe(measurements), "seconds": time.perf_counter() - started}
    write_json(run.folder / "select_k.json", content)
    save_chart(run.folder / "select_k.png", content["by_num_clusters"], content["num_clusters"])
    return content


@dataclass(frozen=True)
class Measurements:
    """What was measured for each number of clusters in a range.

    Attributes:
      scores: K -> its scores.
      num_rows: how many rows were clustered; equal rows count once.
      num_splits: how many times they were split into halves.
      num_bound_rows: how many rows the bound was computed for.
      bound_on: which rows these are: 'test', or 'the other half' of those that were clustered.
      mixtures: scores of mixtures of more and more components; None if none were fitted.
    """

    scores: dict[int, KScores]
    num_rows: int
    num_splits: int
    num_bound_rows: int
    bound_on: str
    mixtures: MixtureScores | None


def measure(run: Run, state: TrainState, x: np.ndarray, test_x: np.ndarray | None) -> Measurements:
    """Measures every number of clusters in the range of the run's config. Writes nothing.

    Args:
      run: its config has the range and the method.
      state: the autoencoder of the run.
      x: [N, D + S], the rows to cluster, as stored.
      test_x: [M, D + S], rows to compute the bound for; None to compute it for those of the other half.

    Returns:
      The measurements.

    Raises:
      InputError: the range is too large for the number of distinct rows.
    """
    options, scoring = run.config.select_k, run.config.evaluate
    rows_key, bound_rows_key, bound_key = jax.random.split(run.key(KeyUse.NUM_CLUSTERS), 3)
    sample = x[sample_row_indices(len(x), rows_key, options.max_rows)]
    x = sample[is_first(first_equal_rows(sample))]  # equal rows in both halves would look like stable clusters
    check_range(options, len(x))
    z_mean, z_log_var = make_embed(run.model, scoring.batch_size)(state, x)
    count = num_neighbors(len(x), options.max_clusters, run.config.init.neighbor_share)
    filled = filled_rows(run, state, x)
    graph = build_input_graph(run, filled, count, len(x))
    candidates = range(options.min_clusters, options.max_clusters + 1)
    held_out_x = x if test_x is None else test_x
    held_out = sample_row_indices(len(held_out_x), bound_rows_key, scoring.bound_rows)
    bound = likelihood_under_priors(
        run.model,
        state,
        held_out_x[held_out],
        bound_key,
        num_samples=scoring.bound_samples,
        batch_size=scoring.batch_size,
    )
    scores = number_of_clusters.measure(
        EmbeddedRows(z_mean=z_mean, z_var=np.exp(z_log_var), graph=graph),
        HeldOut(bound=bound, indices=held_out if test_x is None else None),
        candidates,
        options.num_splits,
        run.config.init.method,
        _clustering_options(run.config),
    )
    return Measurements(
        scores=scores,
        num_rows=len(x),
        num_splits=options.num_splits,
        num_bound_rows=len(held_out),
        bound_on="the other half" if test_x is None else "test",
        mixtures=None
        if run.image_shape
        else mixture_sizes.measure(
            searched_features(run.model, filled),
            columns_by_kind(run, sample),  # how often rows are equal is a part of their distribution
            candidates,
            options.num_splits,
            run.config.seed,
        ),
    )


def _clustering_options(config: ConfigDict) -> ClusteringOptions:
    return ClusteringOptions(
        num_clusters=config.select_k.max_clusters,
        seed=config.seed,
        num_restarts=_NUM_RESTARTS,
        covariance=config.init.covariance,
        num_layouts=_NUM_LAYOUTS,
        neighbor_share=config.init.neighbor_share,
        components=config.init.components,
    )


def _describe(measurements: Measurements) -> dict[str, Any]:
    """The recommendation and the measurements, as in select_k.json."""
    scores, mixtures = measurements.scores, measurements.mixtures
    likelihoods = mixtures.log_likelihoods if mixtures else {}
    mixtures_behind = {number: likelihoods[likeliest(likelihoods)] - values for number, values in likelihoods.items()}
    best_bound = max((of_one.bound.mean(axis=0) for of_one in scores.values()), key=np.mean)
    return {
        **recommend(scores, mixtures)._asdict(),
        "rule": RULE,
        "rows": measurements.num_rows,
        "splits": measurements.num_splits,
        "bound_rows": measurements.num_bound_rows,
        "bound_on": measurements.bound_on,
        "mixture_stability": None if mixtures is None else float(mixtures.stability.mean()),
        "by_num_clusters": [
            _describe_one(number, of_one, best_bound, mixtures_behind.get(number)) for number, of_one in scores.items()
        ],
    }


def _describe_one(
    num_clusters: int, scores: KScores, best_bound: np.ndarray, mixture_behind: np.ndarray | None
) -> dict[str, Any]:
    """Means and standard errors for one K.

    Standard errors are over splits. Those of `bound_behind` and `mixture_behind` are over rows.

    Args:
      num_clusters: K.
      scores: of this K.
      best_bound: [R], the mean over splits for the K with the best bound, nats.
      mixture_behind: by how much rows are less likely under a mixture of K than under the best one, nats; None if no
        mixture of K was fitted.
    """
    shares = scores.shares.mean(axis=0)
    row = {
        "num_clusters": num_clusters,
        "bound": float(scores.bound.mean()),
        "shares": shares.tolist(),
        "effective_clusters": effective_clusters(shares),
        "smallest_cluster": float(shares[-1]),
    }
    measured = {
        "bound_behind": best_bound - scores.bound.mean(axis=0),
        "stability": scores.stability,
        "prediction_strength": scores.prediction_strength,
        "modularity": scores.modularity,
    }
    if mixture_behind is not None:
        measured["mixture_behind"] = mixture_behind
    for name, values in measured.items():
        row |= {name: float(values.mean()), f"{name}_se": standard_error(values)}
    return row
