"""What settings and rows ask of each other. Knows plain values alone."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vade_jax.data.dataset import Dataset
from vade_jax.data.scaling import SCALINGS
from vade_jax.settings.field_names import flatten
from vade_jax.settings.rules import AUTO
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import row_slices


def resolve_auto_settings(settings: Mapping[str, Any], rows: Dataset) -> dict[str, tuple[Any, str]]:
    """The fields that the rows decide: those that are 'auto', and batches of more rows than there are.

    Binary rows, rows in [0, 1] and grey values get the Bernoulli likelihood; others the Gaussian one with a learned
    variance, on standardized columns.

    Args:
      settings: nested sections, each field checked by itself.
      rows: to cluster.

    Returns:
      Dotted name -> the field's value, and why in words; {} where the rows decide nothing.
    """
    flat = flatten(settings)
    num_rows = len(rows.x)
    batches = {
        name: (num_rows, f"there are {num_rows} rows, and {value} were asked")
        for name, value in flat.items()
        if name.endswith(".batch_size") and not name.startswith("evaluate.") and value > num_rows
    }
    asked = flat["data.scaling"], flat["model.likelihood"]
    if AUTO not in asked:
        return batches
    kind, pairs = _suited(rows)
    scaling, likelihood = next(
        pair
        for pair in pairs
        if all(one == AUTO or one.startswith(other) for one, other in zip(asked, pair, strict=True))
    )
    chosen = {"data.scaling": (scaling, kind), "model.likelihood": (_LIKELIHOODS[likelihood], kind)}
    return {name: value for name, value in chosen.items() if flat[name] == AUTO} | batches


_LIKELIHOODS = {"bernoulli": "bernoulli", "gaussian": "gaussian_shared"}  # family -> the one that is taken


def _suited(rows):
    """What rows hold, in words, and the pairs of a scaling and a likelihood's family, the best suited first."""
    low, high = rows.x.min(), rows.x.max()
    if low >= 0 and high <= 1:
        order = ("none", "bernoulli"), ("range", "bernoulli"), ("standardize", "gaussian"), ("rescale", "gaussian")
        return "every value lies in [0, 1]", order
    if rows.x.dtype == np.uint8 or rows.image_shape:
        order = ("range", "bernoulli"), ("rescale", "gaussian"), ("standardize", "gaussian"), ("none", "gaussian")
        return f"the values are grey values, {low:g} to {high:g}", order
    order = ("standardize", "gaussian"), ("range", "bernoulli"), ("rescale", "gaussian"), ("none", "gaussian")
    return f"the values lie in [{low:.4g}, {high:.4g}]", order


def check_against_data(settings: Mapping[str, Any], train: Dataset, test: Dataset | None) -> None:
    """Checks the fields that depend on the rows.

    Args:
      settings: nested sections, each field checked by itself.
      train: the rows to cluster.
      test: the rows to score, or None.

    Raises:
      InputError: the first field that does not suit the rows.
    """
    flat = flatten(settings)
    _check_number_of_rows(flat, train.x)
    if flat["model.network"] == "conv" and train.image_shape is None:
        raise InputError(
            "config.model.network",
            "'conv' came",
            "it needs images [N, H, W] or [N, H, W, C], and these rows have no image shape",
            "Set --config.model.network=mlp, or save the array as images.",
        )
    for field in ("augment.max_degrees", "augment.max_shift"):
        if flat[field] and train.image_shape is None:
            raise InputError(
                f"config.{field}",
                f"{flat[field]} came",
                "only images [N, H, W] or [N, H, W, C] can be moved, and these rows have no image shape",
                f"Set --config.{field}=0, or save the array as images.",
            )
    if flat["model.likelihood"] == "bernoulli":
        shift, scale = SCALINGS[flat["data.scaling"]](train.x)
        for part in filter(None, (train, test)):
            check_unit_interval(part.x, shift, scale)


def _check_number_of_rows(flat, x):
    """Rows that differ, as many as the clusters and the batches ask for."""
    num_rows = len(x)
    if all((x[part] == x[0]).all() for part in row_slices(x)):
        raise InputError(
            "config.data.train_split",
            f"{flat['data.train_split']!r} came, of {num_rows} equal rows" if num_rows > 1 else "1 row came",
            "there must be rows that differ, to find clusters of them",
            "Check what they were saved from, or bring more.",
        )
    if flat["model.num_clusters"] > num_rows:
        raise InputError(
            "config.model.num_clusters",
            f"{flat['model.num_clusters']} came",
            f"it must be at most the number of rows, {num_rows}",
            "Ask for fewer clusters or bring more rows.",
        )
    if flat["init.max_rows"] < max(2, flat["model.num_clusters"]):
        raise InputError(
            "config.init.max_rows",
            f"{flat['init.max_rows']} came",
            f"it must be at least 2 and the number of clusters, {flat['model.num_clusters']}",
            "Leave it at 100000.",
        )


def check_unit_interval(x: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> None:
    """Raises an InputError where scaled rows leave [0, 1], which the Bernoulli likelihood needs."""
    low = float(((x.min(axis=0) - shift) * scale).min())
    high = float(((x.max(axis=0) - shift) * scale).max())
    if low < -1e-6 or high > 1 + 1e-6:
        raise InputError(
            "config.model.likelihood",
            f"'bernoulli' came and the scaled rows lie in [{low:.4g}, {high:.4g}]",
            "it needs values in [0, 1]",
            "Set --config.data.scaling=range, or --config.model.likelihood=gaussian.",
        )
