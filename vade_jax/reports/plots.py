"""Pictures of the report on matplotlib axes of the user's own. Nothing but these axes is changed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from vade_jax.reports.charts import LIGHT, plot_bars, plot_curves
from vade_jax.reports.cluster_rows import Clusters
from vade_jax.reports.findings import Findings
from vade_jax.reports.palette import style_of
from vade_jax.reports.training_curves import stages_of
from vade_jax.system.errors import InputError

_MARKERS = ("o", "^", "s", "P")  # those of `palette.MARKERS`
_WHICH = ("stage", "epoch", "total_epochs", "step")  # of a record: which epoch it is


def plot_map(axes: Axes, findings: Findings) -> None:
    """Draws the rows of the report's map, in the colours of their clusters, and the clusters' numbers at their centres.

    Args:
      axes: to draw on.
      findings: of a run. Rows of small clusters are drawn last.
    """
    points, centres = findings.layout
    of_rows = findings.clusters.of_rows[findings.drawn.rows]
    sizes = np.bincount(of_rows, minlength=len(centres))
    for cluster in np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)].tolist():
        style, own = style_of(cluster), points[of_rows == cluster]
        axes.scatter(
            own[:, 0],
            own[:, 1],
            s=12,
            color=LIGHT.groups[style.colour],
            marker=_MARKERS[style.marker],
            linewidth=0,
            label=cluster,
        )
    for cluster, (x, y) in enumerate(centres.tolist()):
        if sizes[cluster]:
            box = {"boxstyle": "round,pad=0.2", "facecolor": LIGHT.background, "edgecolor": LIGHT.line, "alpha": 0.8}
            axes.text(x, y, str(cluster), ha="center", va="center", color=LIGHT.ink, bbox=box, clip_on=True)
    name = "t-SNE" if findings.centres.shape[1] > 2 else "z"
    axes.set_xlabel(f"{name} 1")
    axes.set_ylabel(f"{name} 2")


def plot_sizes(axes: Axes, clusters: Clusters) -> None:
    """Draws the number of rows of each cluster, in its colour."""
    colours = [LIGHT.groups[style_of(cluster).colour] for cluster in range(len(clusters.sizes))]
    plot_bars(axes, LIGHT, clusters.sizes, "rows", colours=colours)


def plot_metric(axes: Axes, records: Sequence[dict[str, Any]], metric: str) -> None:
    """Draws a metric over the epochs of a run, a line for each stage.

    Args:
      axes: to draw on.
      records: of metrics.jsonl, one for each epoch.
      metric: its name there, such as 'loss' or 'effective_clusters'.

    Raises:
      InputError: no epoch has such a metric.
    """
    known = sorted({name for record in records for name in record}.difference(_WHICH))
    if metric not in known:
        raise InputError("metric", repr(metric), f"one of {', '.join(known)}", "history_ has all of them.")
    stages = stages_of([record for record in records if metric in record])
    lines = {
        stage: ([record["total_epochs"] for record in of_stage], [record[metric] for record in of_stage])
        for stage, of_stage in stages.items()
    }
    plot_curves(axes, LIGHT, lines, "epoch of the run")
    if len(lines) > 1:
        axes.legend(frameon=False)  # where no line is
    axes.set_ylabel(metric)
