"""The report of a run: report/index.html, one page that includes its pictures."""

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from vade_jax.data.dataset import Dataset, sample_row_indices
from vade_jax.inference.answers import make_embed
from vade_jax.reports import palette, plain_text
from vade_jax.reports.charts import Chart, draw_bars, draw_matrix
from vade_jax.reports.cluster_cards import cluster_cards, headline, row_name
from vade_jax.reports.cluster_images import ImageRenderer, cluster_images, interpolations
from vade_jax.reports.cluster_rows import Clusters, clusters_of
from vade_jax.reports.distinguishing_features import ClusterMeans, cluster_means
from vade_jax.reports.evaluate_state import Evaluation
from vade_jax.reports.label_scores import Confusion, clusters_of_labels, confusion, num_labelled
from vade_jax.reports.latent_map import LatentMap, latent_map
from vade_jax.reports.layout_2d import layout_2d
from vade_jax.reports.plain_text import probability
from vade_jax.reports.quality import quality, scattered_clusters
from vade_jax.reports.training_curves import training_curves
from vade_jax.runs.metrics_log import read_metrics
from vade_jax.runs.run import KeyUse, Run
from vade_jax.runs.workdir import REPORT
from vade_jax.system.atomic_files import atomic_write, exists
from vade_jax.system.console import printable
from vade_jax.system.large_arrays import row_slices
from vade_jax.training.train_state import TrainState

_MAX_DRAWN_ROWS = 2000  # on the maps of the latent space
_MAX_SHOWN_CLUSTERS = 30  # with a card each
_MAX_OPEN_CARDS = 12  # with more cards, their rows are folded

_ELBO_TERMS = {
    "log_px_given_z": "E[log p(x|z)], reconstruction",
    "log_pz_given_c": "E[log p(z|c)]",
    "log_pc": "E[log p(c)]",
    "entropy_z": "H[q(z|x)]",
    "entropy_c": "H[q(c|x)]",
}
_FILES = {
    "assignments.csv": "the cluster of each row, for a spreadsheet",
    "assignments.parquet": "the cluster of each row",
    "assignments.npz": "clusters and probabilities, for NumPy",
    "results.json": "scores, sizes, times and versions",
    "samples.png": "generated images of each cluster",
    "metrics.jsonl": "the metrics of each epoch",
    "config.json": "the settings",
}


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
      run: its folder holds metrics.jsonl and the other result files.
      state: the trained state.
      train: the rows that were clustered; labels colour one picture.
      evaluation: of the state.
      content: of results.json.
      settings: dotted name -> value.

    Returns:
      The path of the page.
    """
    clusters = clusters_of(evaluation.posterior.clusters, evaluation.probabilities)
    shown = clusters.largest(_MAX_SHOWN_CLUSTERS)
    batch_size = settings["evaluate.batch_size"]
    x = train.inputs
    nearness = _nearness(run, state, x, clusters, batch_size)
    drawn = sample_row_indices(len(train.x), run.key(KeyUse.REPORT), _MAX_DRAWN_ROWS)
    z_mean, _ = make_embed(run.model, batch_size)(state, x[drawn])
    centres = np.asarray(state.params["prior"].means)
    num_clusters, latent_dim = centres.shape
    page: dict[str, Any] = {
        "results": content,
        "settings": settings,
        "terms": _ELBO_TERMS,
        "clusters": clusters,
        "data": Path(settings["data.path"]).name if settings["data.name"] == "file" else settings["data.name"],
        "files": existing_files(run.folder),
        "curves": training_curves(read_metrics(run.folder / "metrics.jsonl"), num_clusters),
        "sizes": draw_bars(clusters.sizes, "rows"),
        "confidence": draw_bars(clusters.confidence, "mean probability", top=1.0),
        "maps": _maps(z_mean, centres, train, clusters, drawn),
        "num_drawn": len(drawn),
        "latent_dim": latent_dim,
        "images": {},
        "interpolations": [],
        "some_unlabelled": train.labels is not None and num_labelled(train.labels) < len(train.labels),
        "confusion": evaluation.confusion and _confusion_chart(evaluation.confusion),
        "open_cards": len(shown) <= _MAX_OPEN_CARDS,
    }
    means: ClusterMeans | None = None
    if evaluation.samples is not None and run.image_shape:
        renderer = ImageRenderer.of_rows(train.x[drawn], state.scaling, run.image_shape)
        page["images"] = cluster_images(train.x, evaluation.samples, clusters, shown, nearness, renderer)
        page["interpolations"] = list(interpolations(run, state, np.sort(shown), renderer))
    else:
        means = cluster_means(train.x, clusters.of_rows, num_clusters, train.names, train.offset, train.levels)
    cards = cluster_cards(clusters, shown, nearness, train, means)
    page |= {
        "cards": cards,
        "headline": headline(clusters, means),
        "quality": quality(
            clusters,
            unmarked=[card.cluster for card in cards if not card.marks] if means and len(cards) > 1 else (),
            scattered=scattered_clusters(z_mean, clusters.of_rows[drawn]),
            num_collapses=len(content["treatments"]),
        ),
    }
    path = run.folder / REPORT
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(printable(_render(page)), encoding="utf-8")
    return path


def _render(page: Mapping[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("vade_jax.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["uri"] = lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}"
    environment.filters["breakable"] = _breakable
    script = environment.get_template("map.js").render()
    return environment.get_template("report.html").render(
        {"text": plain_text, "palette": palette, **page},
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _breakable(name: str) -> Markup:
    """A name as HTML, in which lines can break after '_' and '/' before three more characters."""
    return Markup(re.sub(r"(?<=[_/])(?=[^_/\s]{3})", "<wbr>", str(escape(name))))


def existing_files(folder: Path) -> dict[str, str]:
    """The files of a run in this folder that a reader may want -> what they hold."""
    return {name: meaning for name, meaning in _FILES.items() if exists(folder / name)}


def _nearness(run: Run, state: TrainState, x: np.ndarray, clusters: Clusters, batch_size: int) -> np.ndarray:
    """log p(z|c) of rows x [N, D] at z = z_mean and their own cluster c, up to a constant of the cluster: [N]."""
    embed, prior = make_embed(run.model, batch_size), state.params["prior"]
    means, variances = np.asarray(prior.means), np.exp(np.asarray(prior.log_vars))
    nearness = np.empty(len(x), np.float32)
    for rows in row_slices(x):
        z_mean, own = embed(state, x[rows])[0], clusters.of_rows[rows]
        nearness[rows] = -(np.square(z_mean - means[own]) / variances[own]).sum(axis=1)
    return np.nan_to_num(nearness, nan=-np.inf)


def _maps(
    z_mean: np.ndarray, centres: np.ndarray, train: Dataset, clusters: Clusters, drawn: np.ndarray
) -> dict[str, LatentMap]:
    """What the colours show -> map of the drawn rows: 'cluster', and 'label' if some of them have one.

    Args:
      z_mean: [n, J], of the drawn rows.
      centres: [K, J], the prior's means.
      train: the N rows.
      clusters: of the N rows.
      drawn: [n], the indices of the drawn rows.
    """
    layout = layout_2d(np.concatenate([z_mean, centres]), seed=0)
    points, centre_points = layout[: len(z_mean)], layout[len(z_mean) :]
    numbers = range(len(centres))
    texts = [
        f"{row_name(train.ids, row)}: cluster {cluster}, probability {probability(clusters.certainty[row])}"
        for row, cluster in zip(drawn, clusters.of_rows[drawn], strict=True)
    ]
    maps = {"cluster": latent_map(points, clusters.of_rows[drawn], numbers, centre_points, numbers, texts)}
    if train.labels is not None and num_labelled(train.labels[drawn]):
        labels = train.labels[drawn]
        present = np.unique(labels[labels >= 0])
        names = [train.label_names[label] for label in present]
        colours = clusters_of_labels(confusion(labels, clusters.of_rows[drawn], len(centres), train.label_names))
        maps["label"] = latent_map(
            points,
            np.where(labels >= 0, np.searchsorted(present, labels), -1),
            names,
            np.array([np.median(points[labels == label], axis=0) for label in present]),
            [colours[name] for name in names],
            [
                f"{train.label_names[of_row] if of_row >= 0 else 'no label'}, {text}"
                for of_row, text in zip(labels, texts, strict=True)
            ],
        )
    return maps


def _confusion_chart(confusion: Confusion) -> Chart:
    counts = confusion.counts[confusion.order].T
    return draw_matrix(counts, confusion.labels, confusion.order, "label", "cluster")
