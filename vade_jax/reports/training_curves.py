"""Curves of the metrics over the epochs of a run."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from vade_jax.reports.charts import Chart, draw_curves

_Limits = tuple[float, float] | None  # of the y axis


class Curve(NamedTuple):
    """Lines over the epochs, with their title and unit.

    Attributes:
      title: of the chart.
      unit: of the values.
      lines: name -> (epochs, values).
      xlabel: which epochs.
      spans: stage -> its first and its last epoch; {} for one stage.
      limits: of the y axis; None to fit the lines.
    """

    title: str
    unit: str
    lines: dict[str, tuple[Sequence[float], Sequence[float] | np.ndarray]]
    xlabel: str
    spans: dict[str, tuple[float, float]]
    limits: _Limits

    def draw(self) -> Chart:
        """The chart."""
        return draw_curves(self.lines, self.xlabel, self.spans, self.limits)


def stages_of(records: Sequence[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Stage -> its records of metrics.jsonl, in the order of the stages."""
    stages: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        stages.setdefault(record["stage"], []).append(record)
    return stages


def training_curves(records: Sequence[dict[str, Any]], num_clusters: int) -> list[Curve]:
    """The curves of each stage's loss, and of the metrics that all stages with clusters share.

    Args:
      records: of metrics.jsonl, one for each epoch.
      num_clusters: K.
    """
    stages = stages_of(records)
    curves = []
    for stage, of_stage in stages.items():
        curves.append(Curve(f"Loss, {stage}", "nats per row", _losses(of_stage), "epoch of the stage", {}, None))
    clustering = [record for record in records if "confidence" in record]
    epochs = [record["total_epochs"] for record in clustering]
    spans = {
        stage: (of_stage[0]["total_epochs"], of_stage[-1]["total_epochs"])
        for stage, of_stage in stages.items()
        if "confidence" in of_stage[0]
    }
    for title, unit, values, limits in _shared_metrics(clustering, num_clusters) if clustering else ():
        lines: dict[str, Any] = {name: (epochs, value) for name, value in values.items()}
        curves.append(Curve(title, unit, lines, "epoch of the run", spans, limits))
    return curves


def _losses(records: Sequence[dict[str, Any]]) -> dict[str, tuple[Sequence[float], Sequence[float] | np.ndarray]]:
    """Line -> (epochs, losses) of a stage's records: of the training rows, and of held-out rows if these are known."""
    names = {"training rows": "loss", "held-out rows": "held_out_loss"}
    known = {line: [record for record in records if name in record] for line, name in names.items()}
    lines: dict[str, tuple[Sequence[float], Sequence[float] | np.ndarray]] = {
        line: ([record["epoch"] for record in of_line], [record[names[line]] for record in of_line])
        for line, of_line in known.items()
        if of_line
    }
    return lines if len(lines) > 1 else {"": lines["training rows"]}


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
