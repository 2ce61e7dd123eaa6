"""A run as one page that needs nothing besides: report/index.html."""

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from vade_jax.data.dataset import Dataset, sample_row_indices
from vade_jax.data.scaling import Scaling
from vade_jax.inference.answers import Posterior, interpolate, make_embed
from vade_jax.initialization.umap_layouts import umap_layout_2d
from vade_jax.networks.model import Model
from vade_jax.reports import image_strips
from vade_jax.reports.charts import bars, curves, matrix, scatter
from vade_jax.reports.distinguishing_features import distinguishing_features
from vade_jax.reports.results import RunResults
from vade_jax.runs.metrics_log import read_metrics
from vade_jax.system.large_arrays import row_slices
from vade_jax.training.train_state import TrainState

_DRAWN_ROWS = 2000
_MOST_CLUSTERS = 30  # that are looked at one by one
_SAMPLES, _MEMBERS, _STEPS = 8, 6, 10  # images in a strip

_TERMS = {
    "log_px_given_z": "E[log p(x|z)], reconstruction",
    "log_pz_given_c": "E[log p(z|c)]",
    "log_pc": "E[log p(c)]",
    "entropy_z": "H[q(z|x)]",
    "entropy_c": "H[q(c|x)]",
}


class Clusters(NamedTuple):
    """The clusters of N rows.

    Attributes:
      of_rows: [N].
      certainty: [N], max_c q(c|x).
      sizes: [K].
      confidence: [K], mean certainty of a cluster's rows, NaN where it has none.
      shown: numbers of those that are looked at one by one, ascending.
    """

    of_rows: np.ndarray
    certainty: np.ndarray
    sizes: np.ndarray
    confidence: np.ndarray
    shown: np.ndarray


def write(
    folder: Path,
    model: Model,
    state: TrainState,
    train: Dataset,
    key: jax.Array,
    *,
    written: RunResults,
    settings: Mapping[str, Any],
    batch_size: int,
) -> Path:
    """Draws what a trained run found, and writes it as a page.

    Args:
      folder: of the run; its metrics.jsonl is read.
      model: the networks and the likelihood.
      state: the trained state.
      train: the rows that were clustered; labels colour one picture.
      key: of the rows that are drawn.
      written: the run's results.
      settings: dotted name -> value.
      batch_size: rows for one device call.

    Returns:
      The page's path.
    """
    clusters = _clusters(written.answer)
    rows = sample_row_indices(len(train.x), key, _DRAWN_ROWS)
    centres = np.asarray(state.params["prior"].means)
    z_mean, _ = make_embed(model, min(batch_size, len(rows)))(state, train.x[rows])
    page: dict[str, Any] = {
        "results": written.content,
        "settings": settings,
        "terms": _TERMS,
        "clusters": clusters,
        "data": Path(settings["data.path"]).name if settings["data.name"] == "file" else settings["data.name"],
        "curves": _curves(read_metrics(folder / "metrics.jsonl"), len(centres)),
        "sizes": bars(clusters.sizes, "rows"),
        "confidence": bars(clusters.confidence, "mean max q(c|x)", top=1.0),
        "latent": _latent(
            z_mean, centres, clusters.of_rows[rows], None if train.labels is None else train.labels[rows]
        ),
        "num_drawn": len(rows),
        "latent_dim": centres.shape[1],
        "portraits": [],
        "lines": [],
        "telling": {},
        "confusion": written.confusion and _confusion(written.confusion),
    }
    if train.image_shape:
        develop = _image_renderer(train.x[rows], state.scaling, train.image_shape)
        page["portraits"] = list(_cluster_images(train.x, written.samples, clusters, develop))
        page["lines"] = list(_interpolations(model, state, clusters.shown, develop))
    else:
        page["telling"] = distinguishing_features(train.x, clusters.of_rows, clusters.shown, len(centres), train.names)
    path = folder / "report" / "index.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(_template().render(page), encoding="utf-8")
    return path


def _template():
    environment = Environment(
        loader=PackageLoader("vade_jax.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["uri"] = lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return environment.get_template("report.html")


def _clusters(answer: Posterior) -> Clusters:
    num_clusters = answer.responsibilities.shape[1]
    certainty = np.concatenate(
        [answer.responsibilities[rows].max(axis=1) for rows in row_slices(answer.responsibilities)]
    )
    sizes = np.bincount(answer.clusters, minlength=num_clusters)
    total = np.bincount(answer.clusters, certainty, num_clusters)
    confidence = np.where(sizes > 0, total / np.maximum(sizes, 1), np.nan)
    shown = np.sort(np.argsort(-sizes, kind="stable")[:_MOST_CLUSTERS])
    return Clusters(answer.clusters, certainty, sizes, confidence, shown[sizes[shown] > 0])


def _curves(records, num_clusters):
    """(title, what it shows, chart) of the losses, a stage each, and of what all stages with clusters say."""
    stages: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        stages.setdefault(record["stage"], []).append(record)
    charts = []
    for stage, of_stage in stages.items():
        line = [record["epoch"] for record in of_stage], [record["loss"] for record in of_stage]
        charts.append((f"Loss, {stage}", "nats a row", curves({"": line}, "epoch of the stage")))
    clustering = [record for record in records if "confidence" in record]
    epochs = [record["total_epochs"] for record in clustering]
    spans = {
        stage: (of_stage[0]["total_epochs"], of_stage[-1]["total_epochs"])
        for stage, of_stage in stages.items()
        if "confidence" in of_stage[0]
    }
    for title, unit, values, limits in _across_stages(clustering, num_clusters) if clustering else ():
        lines = {name: (epochs, value) for name, value in values.items()}
        charts.append((title, unit, curves(lines, "epoch of the run", spans, limits)))
    return charts


def _across_stages(records, num_clusters):
    """(title, unit, name -> values, limits) of what all stages with clusters tell."""
    log_px_given_z, elbo, effective, confidence, changed = (
        np.array([record[name] for record in records])
        for name in ("log_px_given_z", "elbo", "effective_clusters", "confidence", "changed")
    )
    return (
        ("Reconstruction", "E[log p(x|z)], nats a row", {"": log_px_given_z}, None),
        ("Divergence from the prior", "KL(q(z, c|x) || p(z, c)), nats a row", {"": log_px_given_z - elbo}, None),
        (
            "Effective clusters",
            f"exp of the sizes' entropy, at most {num_clusters}",
            {"": effective},
            (0, 1.05 * num_clusters),
        ),
        (
            "Confidence and change",
            "mean of max q(c|x); share of rows that changed cluster",
            {"confidence": confidence, "changed": changed},
            (0, 1.05),
        ),
    )


def _latent(z_mean, centres, clusters, labels):
    """(what colours it, chart): the rows and the prior's means in a plane, by cluster and by label."""
    layout = umap_layout_2d(np.concatenate([z_mean, centres]), seed=0)
    points, places = layout[: len(z_mean)], layout[len(z_mean) :]
    charts = [("cluster", scatter(points, clusters, range(len(centres)), places))]
    if labels is not None:
        names, groups = np.unique(labels, return_inverse=True)
        medians = np.array([np.median(points[groups == group], axis=0) for group in range(len(names))])
        charts.append(("label", scatter(points, groups, names, medians)))
    return charts


def _confusion(confusion):
    counts = confusion.counts[confusion.order].T
    return matrix(counts, confusion.labels, confusion.order, "label", "cluster")


def _image_renderer(stored: np.ndarray, scaling: Scaling, image_shape):
    """A function of rows [n, D], as stored or as the model sees them, that makes images in [0, 1] of them."""
    low, high = float(stored.min()), float(stored.max())
    shift, scale = np.asarray(scaling.shift), np.asarray(scaling.scale)

    def develop(rows: np.ndarray, scaled: bool = False) -> bytes:
        values = rows / scale + shift if scaled else rows
        return image_strips.strip(((values - low) / max(high - low, 1e-12)).reshape(-1, *image_shape))

    return develop


def _cluster_images(x, samples, clusters: Clusters, develop) -> Iterator[dict[str, Any]]:
    """What the model generates of each cluster, and its most and least certain rows."""
    for cluster in clusters.shown:
        rows = np.flatnonzero(clusters.of_rows == cluster)
        rows = rows[np.argsort(-clusters.certainty[rows], kind="stable")]
        yield {
            "cluster": cluster,
            "generated": develop(samples[cluster, :_SAMPLES], scaled=True),
            "most": develop(x[rows[:_MEMBERS]]),
            "least": develop(x[rows[::-1][:_MEMBERS]]),
        }


def _interpolations(model, state, shown, develop) -> Iterator[tuple[int, int, bytes]]:
    """E[x|z] on the way from each cluster's mean to the nearest other's, each way once."""
    if len(shown) < 2:
        return
    means = state.params["prior"].means[jnp.asarray(shown)]
    squares = np.square(np.asarray(means)[:, None] - np.asarray(means)[None]).sum(axis=-1)
    np.fill_diagonal(squares, np.inf)
    pairs = np.unique(np.sort(np.stack([np.arange(len(shown)), squares.argmin(axis=1)], axis=1), axis=1), axis=0)
    images = interpolate(model, state.params, means[pairs[:, 0]], means[pairs[:, 1]], _STEPS)
    for (start, end), line in zip(pairs, images, strict=True):
        yield shown[start], shown[end], develop(line, scaled=True)
