"""The report of a run: report/index.html, one page that includes its pictures."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from vade_jax.reports import palette, plain_text
from vade_jax.reports.charts import Chart, draw_bars, draw_matrix
from vade_jax.reports.findings import Findings
from vade_jax.reports.label_scores import Confusion, clusters_of_labels, confusion, num_labelled
from vade_jax.reports.latent_map import LatentMap, latent_map
from vade_jax.reports.plain_text import probability
from vade_jax.reports.quality import quality, scattered_clusters
from vade_jax.reports.training_curves import training_curves
from vade_jax.system.atomic_files import atomic_write, exists
from vade_jax.system.console import printable

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
    path: Path,
    findings: Findings,
    content: Mapping[str, Any],
    settings: Mapping[str, Any],
    records: Sequence[dict[str, Any]],
    files: Mapping[str, str],
) -> None:
    """Draws the results of a trained run, and writes them as a page.

    Args:
      path: of the page; its folder is created if it does not exist.
      findings: about its clusters.
      content: of results.json.
      settings: dotted name -> value.
      records: of metrics.jsonl, one for each epoch.
      files: names of files in the folder above that of the page -> what they hold.
    """
    clusters, cards = findings.clusters, findings.cards
    num_clusters, latent_dim = findings.centres.shape
    page: dict[str, Any] = {
        "results": content,
        "settings": settings,
        "terms": _ELBO_TERMS,
        "clusters": clusters,
        "data": _data_name(settings),
        "files": files,
        "curves": [(curve, curve.draw()) for curve in training_curves(records, num_clusters)],
        "sizes": draw_bars(clusters.sizes, "rows"),
        "confidence": draw_bars(clusters.confidence, "mean probability", top=1.0),
        "maps": _maps(findings),
        "num_drawn": len(findings.drawn.rows),
        "latent_dim": latent_dim,
        "images": findings.images,
        "interpolations": findings.lines,
        "some_unlabelled": findings.some_unlabelled,
        "confusion": findings.confusion and _confusion_chart(findings.confusion),
        "open_cards": len(cards) <= _MAX_OPEN_CARDS,
        "cards": cards,
        "headline": findings.headline,
        "quality": quality(
            clusters,
            unmarked=[card.cluster for card in cards if not card.marks]
            if not findings.images and len(cards) > 1
            else (),
            scattered=scattered_clusters(findings.drawn.z_mean, clusters.of_rows[findings.drawn.rows]),
            num_collapses=len(content["treatments"]),
        ),
    }
    path.parent.mkdir(exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_text(printable(_render(page)), encoding="utf-8")


def _data_name(settings: Mapping[str, Any]) -> str:
    """The title of the page: the name of the file, of the data set, or 'rows' for rows that came from Python."""
    if settings["data.name"] != "file":
        return settings["data.name"]
    return Path(settings["data.path"]).name or "rows"


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


def _maps(findings: Findings) -> dict[str, LatentMap]:
    """What the colours show -> map of the drawn rows: 'cluster', and 'label' if some of them have one."""
    clusters, drawn = findings.clusters, findings.drawn
    points, centre_points = findings.layout
    numbers = range(len(findings.centres))
    of_rows = clusters.of_rows[drawn.rows]
    texts = [
        f"{name}: cluster {cluster}, probability {probability(certainty)}"
        for name, cluster, certainty in zip(drawn.names, of_rows, clusters.certainty[drawn.rows], strict=True)
    ]
    maps = {"cluster": latent_map(points, of_rows, numbers, centre_points, numbers, texts)}
    if drawn.labels is not None and num_labelled(drawn.labels):
        labels = drawn.labels
        present = np.unique(labels[labels >= 0])
        names = [drawn.label_names[label] for label in present]
        colours = clusters_of_labels(confusion(labels, of_rows, len(numbers), drawn.label_names))
        maps["label"] = latent_map(
            points,
            np.where(labels >= 0, np.searchsorted(present, labels), -1),
            names,
            np.array([np.median(points[labels == label], axis=0) for label in present]),
            [colours[name] for name in names],
            [
                f"{drawn.label_names[of_row] if of_row >= 0 else 'no label'}, {text}"
                for of_row, text in zip(labels, texts, strict=True)
            ],
        )
    return maps


def _confusion_chart(confusion: Confusion) -> Chart:
    counts = confusion.counts[confusion.order].T
    return draw_matrix(counts, confusion.labels, confusion.order, "label", "cluster")
