"""The report of a run: report/index.html, one page that includes its pictures."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from vade_jax.data.dataset import Dataset, sample_row_indices
from vade_jax.data.gaps import greatest, least
from vade_jax.data.levels import indicator_columns
from vade_jax.data.scaling import Scaling
from vade_jax.inference.answers import decode, interpolate, make_embed
from vade_jax.reports.charts import Chart, draw_bars, draw_curves, draw_matrix, draw_scatter
from vade_jax.reports.distinguishing_features import distinguishing_features
from vade_jax.reports.evaluate_state import Evaluation
from vade_jax.reports.image_strips import render_strip
from vade_jax.reports.label_scores import Confusion, num_labelled
from vade_jax.reports.layout_2d import layout_2d
from vade_jax.runs.metrics_log import read_metrics
from vade_jax.runs.run import KeyUse, Run
from vade_jax.runs.workdir import REPORT
from vade_jax.system.atomic_files import atomic_write
from vade_jax.system.console import printable
from vade_jax.system.large_arrays import row_slices
from vade_jax.training.train_state import TrainState

_MAX_DRAWN_ROWS = 2000  # in the pictures of the latent space
_MAX_SHOWN_CLUSTERS = 30  # in the sections with an entry for each cluster
_NUM_SAMPLES, _NUM_ROWS, _NUM_STEPS = 8, 6, 10  # images in a strip

_ELBO_TERMS = {
    "log_px_given_z": "E[log p(x|z)], reconstruction",
    "log_pz_given_c": "E[log p(z|c)]",
    "log_pc": "E[log p(c)]",
    "entropy_z": "H[q(z|x)]",
    "entropy_c": "H[q(c|x)]",
}


@dataclass(frozen=True)
class Clusters:
    """The clusters of N rows.

    Attributes:
      of_rows: [N], the cluster of each row.
      certainty: [N], the calibrated probability of the row's cluster.
      sizes: [K], number of rows.
      confidence: [K], mean certainty of the cluster's rows; NaN for an empty cluster.
      shown: the 30 largest clusters, without empty ones, ascending.
    """

    of_rows: np.ndarray
    certainty: np.ndarray
    sizes: np.ndarray
    confidence: np.ndarray
    shown: np.ndarray


def write_report(
    run: Run,
    state: TrainState,
    train: Dataset,
    evaluation: Evaluation,
    content: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Path:
    """Draws the results of a trained run, and writes them as a page.

    Args:
      run: its folder holds metrics.jsonl.
      state: the trained state.
      train: the rows that were clustered; labels colour one picture.
      evaluation: of the state.
      content: of results.json.
      settings: dotted name -> value.

    Returns:
      The path of the page.
    """
    clusters = _clusters(evaluation.posterior.clusters, evaluation.probabilities)
    drawn = sample_row_indices(len(train.x), run.key(KeyUse.REPORT), _MAX_DRAWN_ROWS)
    num_clusters, latent_dim = state.params["prior"].means.shape
    page: dict[str, Any] = {
        "results": content,
        "settings": settings,
        "terms": _ELBO_TERMS,
        "clusters": clusters,
        "data": Path(settings["data.path"]).name if settings["data.name"] == "file" else settings["data.name"],
        "curves": _curves(read_metrics(run.folder / "metrics.jsonl"), num_clusters),
        "sizes": draw_bars(clusters.sizes, "rows"),
        "confidence": draw_bars(clusters.confidence, "mean probability", top=1.0),
        "latent": _latent_space(run, state, train, clusters, drawn, settings["evaluate.batch_size"]),
        "num_drawn": len(drawn),
        "latent_dim": latent_dim,
        "cluster_images": [],
        "interpolations": [],
        "features": {},
        "some_unlabelled": train.labels is not None and num_labelled(train.labels) < len(train.labels),
        "confusion": evaluation.confusion and _confusion_chart(evaluation.confusion),
    }
    if evaluation.samples is not None and run.image_shape:
        images = _ImageRenderer.of_rows(train.x[drawn], state.scaling, run.image_shape)
        page["cluster_images"] = list(_cluster_images(train.x, evaluation.samples, clusters, images))
        page["interpolations"] = list(_interpolations(run, state, clusters.shown, images))
    else:
        told = indicator_columns(train)
        page["features"] = distinguishing_features(
            told.x, clusters.of_rows, clusters.shown, num_clusters, told.names, told.offset
        )
    path = run.folder / REPORT
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(printable(_template().render(page)), encoding="utf-8")
    return path


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("vade_jax.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["uri"] = lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return environment.get_template("report.html")


def _clusters(clusters: np.ndarray, probabilities: np.ndarray) -> Clusters:
    num_clusters = probabilities.shape[1]
    certainty = np.concatenate([probabilities[rows].max(axis=1) for rows in row_slices(probabilities)])
    sizes = np.bincount(clusters, minlength=num_clusters)
    total = np.bincount(clusters, certainty, num_clusters)
    shown = np.sort(np.argsort(-sizes, kind="stable")[:_MAX_SHOWN_CLUSTERS])
    return Clusters(
        of_rows=clusters,
        certainty=certainty,
        sizes=sizes,
        confidence=np.where(sizes > 0, total / np.maximum(sizes, 1), np.nan),
        shown=shown[sizes[shown] > 0],
    )


def _curves(records: Sequence[dict[str, Any]], num_clusters: int) -> list[tuple[str, str, Chart]]:
    """(title, unit, chart) of each stage's loss, and of the metrics that all stages with clusters share."""
    stages: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        stages.setdefault(record["stage"], []).append(record)
    charts = []
    for stage, of_stage in stages.items():
        line = [record["epoch"] for record in of_stage], [record["loss"] for record in of_stage]
        charts.append((f"Loss, {stage}", "nats per row", draw_curves({"": line}, "epoch of the stage")))
    clustering = [record for record in records if "confidence" in record]
    epochs = [record["total_epochs"] for record in clustering]
    spans = {
        stage: (of_stage[0]["total_epochs"], of_stage[-1]["total_epochs"])
        for stage, of_stage in stages.items()
        if "confidence" in of_stage[0]
    }
    for title, unit, values, limits in _shared_metrics(clustering, num_clusters) if clustering else ():
        lines = {name: (epochs, value) for name, value in values.items()}
        charts.append((title, unit, draw_curves(lines, "epoch of the run", spans, limits)))
    return charts


_Limits = tuple[float, float] | None  # of the y axis


def _shared_metrics(
    records: Sequence[dict[str, Any]], num_clusters: int
) -> tuple[tuple[str, str, dict[str, np.ndarray], _Limits], ...]:
    """(title, unit, name -> values, limits) of the metrics that all stages with clusters share."""
    log_px_given_z, elbo, effective, confidence, changed = (
        np.array([record[name] for record in records])
        for name in ("log_px_given_z", "elbo", "effective_clusters", "confidence", "changed")
    )
    return (
        ("Reconstruction", "E[log p(x|z)], nats per row", {"": log_px_given_z}, None),
        ("Divergence from the prior", "KL(q(z, c|x) || p(z, c)), nats per row", {"": log_px_given_z - elbo}, None),
        (
            "Effective clusters",
            f"exponential of the entropy of the sizes, at most {num_clusters}",
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


def _latent_space(
    run: Run, state: TrainState, train: Dataset, clusters: Clusters, drawn: np.ndarray, batch_size: int
) -> list[tuple[str, Chart]]:
    """(what the colours show, chart) of the drawn rows in two dimensions: by cluster, and by label if there are any."""
    centres = np.asarray(state.params["prior"].means)
    z_mean, _ = make_embed(run.model, batch_size)(state, train.x[drawn])
    layout = layout_2d(np.concatenate([z_mean, centres]), seed=0)
    points, centre_points = layout[: len(z_mean)], layout[len(z_mean) :]
    charts = [("cluster", draw_scatter(points, clusters.of_rows[drawn], range(len(centres)), centre_points))]
    if train.labels is not None and num_labelled(train.labels[drawn]):
        labels = train.labels[drawn]
        present = np.unique(labels[labels >= 0])
        medians = np.array([np.median(points[labels == label], axis=0) for label in present])
        groups = np.where(labels >= 0, np.searchsorted(present, labels), -1)
        charts.append(("label", draw_scatter(points, groups, [train.label_names[label] for label in present], medians)))
    return charts


def _confusion_chart(confusion: Confusion) -> Chart:
    counts = confusion.counts[confusion.order].T
    return draw_matrix(counts, confusion.labels, confusion.order, "label", "cluster")


@dataclass(frozen=True)
class _ImageRenderer:
    """Renders rows [n, D] as a strip of images.

    Attributes:
      low: the stored value that is drawn black.
      high: the stored value that is drawn white.
      scaling: from stored rows to the rows that the model sees.
      image_shape: (H, W, C).
    """

    low: float
    high: float
    scaling: Scaling
    image_shape: tuple[int, int, int]

    @classmethod
    def of_rows(cls, stored: np.ndarray, scaling: Scaling, image_shape: tuple[int, int, int]) -> "_ImageRenderer":
        """Returns a renderer for the range of values of these stored rows."""
        return cls(float(least(stored)), float(greatest(stored)), scaling, image_shape)

    def render_stored(self, rows: np.ndarray) -> bytes:
        """Renders rows as they are stored, gaps black."""
        values = (rows - self.low) / max(self.high - self.low, 1e-12)
        return render_strip(np.nan_to_num(values).reshape(-1, *self.image_shape))

    def render_scaled(self, rows: np.ndarray) -> bytes:
        """Renders rows as the model sees them."""
        return self.render_stored(rows / np.asarray(self.scaling.scale) + np.asarray(self.scaling.shift))


def _cluster_images(
    x: np.ndarray, samples: np.ndarray, clusters: Clusters, images: _ImageRenderer
) -> Iterator[dict[str, Any]]:
    """Yields images of each cluster: samples [K, n, D] of the model, and the most and least certain rows of x."""
    for cluster in clusters.shown:
        rows = np.flatnonzero(clusters.of_rows == cluster)
        rows = rows[np.argsort(-clusters.certainty[rows], kind="stable")]
        yield {
            "cluster": cluster,
            "generated": images.render_scaled(samples[cluster, :_NUM_SAMPLES]),
            "most": images.render_stored(x[rows[:_NUM_ROWS]]),
            "least": images.render_stored(x[rows[::-1][:_NUM_ROWS]]),
        }


def _interpolations(
    run: Run, state: TrainState, shown: np.ndarray, images: _ImageRenderer
) -> Iterator[tuple[int, int, bytes]]:
    """Yields (cluster, nearest other cluster, E[x|z] on the line between their prior means), each pair once."""
    if len(shown) < 2:
        return
    means = state.params["prior"].means[jnp.asarray(shown)]
    squares = np.square(np.asarray(means)[:, None] - np.asarray(means)[None]).sum(axis=-1)
    np.fill_diagonal(squares, np.inf)
    pairs = np.unique(np.sort(np.stack([np.arange(len(shown)), squares.argmin(axis=1)], axis=1), axis=1), axis=0)
    z = interpolate(means[pairs[:, 0]], means[pairs[:, 1]], _NUM_STEPS)
    lines = decode(run.model, state.params, z)
    for (start, end), line in zip(pairs, lines, strict=True):
        yield shown[start], shown[end], images.render_scaled(line)
