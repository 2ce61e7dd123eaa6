"""What --mode=select_k shows: a table, a sentence and a chart of its measurements."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from vade_jax.system.atomic_files import atomic_write


def summary(content: Mapping[str, Any]) -> str:
    """The content of select_k.json as a table, and the recommendation in a sentence."""
    rows = content["by_num_clusters"]
    has_mixtures = any("mixture_behind" in row for row in rows)
    mixture_title = "  mixture behind best" if has_mixtures else ""
    lines = [f"   K  bound behind best{mixture_title}  stability  prediction strength  modularity  effective  smallest"]
    for row in rows:
        lines.append(
            f"{row['num_clusters']:>4}  {row['bound_behind']:>8.3f} +- {row['bound_behind_se']:.3f}"
            f"{_mixture_behind(row) if has_mixtures else ''}"
            f"  {row['stability']:>9.3f}  {row['prediction_strength']:>19.3f}  {row['modularity']:>10.4f}"
            f"  {row['effective_clusters']:>9.2f}  {row['smallest_cluster']:>8.2%}"
        )
    return "\n".join([*lines, _sentence(content)])


def _mixture_behind(row: Mapping[str, Any]) -> str:
    """The column of mixtures in a line; blank if none of this size was fitted."""
    if "mixture_behind" not in row:
        return " " * 21
    return f"  {row['mixture_behind']:>10.3f} +- {row['mixture_behind_se']:.3f}"


def _sentence(content: Mapping[str, Any]) -> str:
    number, other, margin, error = (content[key] for key in ("num_clusters", "runner_up", "margin", "standard_error"))
    tried = [row["num_clusters"] for row in content["by_num_clusters"]]
    by = "" if other is None else f"{abs(margin):.4f}"
    if by and error:
        by += f" ({abs(margin) / error:.1f} standard errors)"
    if content["measure"] == "stability":
        nearest = f" K = {other} is closest, {by} below the limit." if by else ""
        return f"K = 1 is recommended: no K from {tried[0]} to {tried[-1]} has stable clusters.{nearest}"
    if content["measure"] == "mixture":
        than = f"; K = {other} is {by} {'better' if margin < 0 else 'worse'} in log p(x) of held-out rows" if by else ""
        return f"K = {number} is recommended: a mixture of so many components is as likely as one of more{than}."
    if not by:
        return f"K = {number} is recommended: no other K has stable clusters."
    if margin < 0:
        return f"K = {number} is recommended, the smallest within one standard error; K = {other} is {by} better."
    return f"K = {number} is recommended, ahead of K = {other} by {by} in modularity."


def save_chart(path: Path, rows: Sequence[Mapping[str, float]], recommended: int) -> None:
    """Writes a PNG with four panels of the measurements by K. A dotted line marks the recommended K.

    Args:
      path: of the PNG.
      rows: 'by_num_clusters' of select_k.json.
      recommended: K.
    """
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
        "held-out log p(x), nats below the best K": {"bound": "bound_behind", "mixtures": "mixture_behind"},
        "modularity on the neighbour graph of the inputs": {"modularity": "modularity"},
        "agreement of two halves": {"adjusted Rand index": "stability", "prediction strength": "prediction_strength"},
        "sizes": {"effective clusters / K": "effective_share", "smallest / average cluster": "smallest_of_average"},
    }
    for axes, (title, lines) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        for label, name in lines.items():
            measured = [row for row in rows if name in row]
            values, errors = ([row.get(key, 0.0) for row in measured] for key in (name, f"{name}_se"))
            if measured:
                axes.errorbar(
                    [row["num_clusters"] for row in measured], values, errors, marker=".", capsize=2, label=label
                )
        axes.axvline(recommended, color="grey", linestyle=":")
        axes.locator_params(axis="x", integer=True)
        axes.set(title=title, xlabel="K")
        axes.legend()
    with atomic_write(path) as partial:
        figure.savefig(partial)
