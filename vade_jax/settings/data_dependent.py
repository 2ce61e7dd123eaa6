"""Settings that depend on the rows: 'auto' is resolved, and settings that do not suit the rows are refused."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vade_jax.data.dataset import Dataset
from vade_jax.data.scaling import SCALINGS
from vade_jax.networks.model import Model, Support, make_likelihood, make_model
from vade_jax.settings.field_names import flatten
from vade_jax.settings.rules import AUTO
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import row_slices

# What 'auto' chooses.
_LIKELIHOOD_OF_SUPPORT: dict[Support, str] = {"unit_interval": "bernoulli", "real": "gaussian_shared"}
_TOLERANCE = 1e-6  # around [0, 1], for rounding


def resolve_auto_settings(settings: Mapping[str, Any], rows: Dataset) -> dict[str, tuple[Any, str]]:
    """Returns the fields that the rows decide: fields that are 'auto', and batch sizes larger than the number of rows.

    Binary rows, rows in [0, 1] and grey values get the Bernoulli likelihood. Other rows get the Gaussian one with a
    learned variance, on standardized columns. If one of the two fields is given, the other is chosen to suit it.

    Args:
      settings: nested sections, each field checked by itself.
      rows: the rows to cluster.

    Returns:
      Dotted name -> the field's value, and the reason in words; {} if the rows decide nothing.

    Raises:
      InputError: a field names code that cannot be imported.
    """
    flat = flatten(settings)
    num_rows = len(rows.x)
    batches = {
        name: (num_rows, f"{value} is more than the {num_rows} rows")
        for name, value in flat.items()
        if name.endswith(".batch_size") and not name.startswith("evaluate.") and value > num_rows
    }
    return _resolve_scaling_and_likelihood(flat, rows) | batches


def _resolve_scaling_and_likelihood(flat: Mapping[str, Any], rows: Dataset) -> dict[str, tuple[str, str]]:
    """Returns `resolve_auto_settings` of these two fields."""
    scaling, likelihood = flat["data.scaling"], flat["model.likelihood"]
    if AUTO not in (scaling, likelihood):
        return {}
    reason, pairs = _suitable_pairs(rows)
    if likelihood != AUTO:
        support = make_likelihood(likelihood, flat["model.min_log_var"]).support
        return {"data.scaling": (next(name for name, other in pairs if other == support), reason)}
    if scaling == AUTO:
        scaling, support = pairs[0]
        return {"data.scaling": (scaling, reason), "model.likelihood": (_LIKELIHOOD_OF_SUPPORT[support], reason)}
    if scaling not in dict(pairs):
        reason, pairs = _pair_of_own_scaling(rows.x, scaling)
    return {"model.likelihood": (_LIKELIHOOD_OF_SUPPORT[dict(pairs)[scaling]], reason)}


def _suitable_pairs(rows: Dataset) -> tuple[str, tuple[tuple[str, Support], ...]]:
    """Returns what the rows are, in words, and pairs of a scaling and a likelihood's support, the best pair first.

    Every built-in scaling and every support is in one of the pairs.
    """
    low, high = rows.x.min(), rows.x.max()
    if low >= 0 and high <= 1:
        return "every value lies in [0, 1]", (
            ("none", "unit_interval"),
            ("range", "unit_interval"),
            ("standardize", "real"),
            ("rescale", "real"),
        )
    if rows.x.dtype == np.uint8 or rows.image_shape:
        return f"the values are grey values, {low:g} to {high:g}", (
            ("range", "unit_interval"),
            ("rescale", "real"),
            ("standardize", "real"),
            ("none", "real"),
        )
    return f"the values lie in [{low:.4g}, {high:.4g}]", (
        ("standardize", "real"),
        ("range", "unit_interval"),
        ("rescale", "real"),
        ("none", "real"),
    )


def _pair_of_own_scaling(x: np.ndarray, scaling: str) -> tuple[str, tuple[tuple[str, Support], ...]]:
    """Returns what rows x [N, D] are after a scaling that is not built in, and its pair, like `_suitable_pairs`."""
    low, high = _scaled_limits(x, *SCALINGS[scaling](x))
    support: Support = "unit_interval" if _in_unit_interval(low, high) else "real"
    return f"the scaled values lie in [{low:.4g}, {high:.4g}]", ((scaling, support),)


def check_against_data(settings: Mapping[str, Any], train: Dataset, test: Dataset | None) -> None:
    """Checks the fields that depend on the rows.

    Args:
      settings: nested sections, each field checked by itself, none of them 'auto'.
      train: the rows to cluster.
      test: the rows to score, or None.

    Raises:
      InputError: the first field that does not suit the rows, or names code that cannot be imported.
    """
    flat = flatten(settings)
    _check_number_of_rows(flat, train.x)
    model = _make_model(flat, train)
    for field in ("augment.max_degrees", "augment.max_shift"):
        if flat[field] and train.image_shape is None:
            raise InputError(
                f"config.{field}",
                f"{flat[field]} for rows without an image shape",
                "0, or images [N, H, W] or [N, H, W, C]",
                f"Set --config.{field}=0, or save the array as images.",
            )
    if model.likelihood.support == "unit_interval":
        shift, scale = SCALINGS[flat["data.scaling"]](train.x)
        for part in filter(None, (train, test)):
            check_unit_interval(part.x, shift, scale, flat["model.likelihood"])


def _make_model(flat: Mapping[str, Any], rows: Dataset) -> Model:
    return make_model(
        network=flat["model.network"],
        likelihood=flat["model.likelihood"],
        num_features=rows.x.shape[1],
        image_shape=rows.image_shape,
        latent_dim=flat["model.latent_dim"],
        hidden=tuple(flat["model.hidden"]),
        min_log_var=flat["model.min_log_var"],
    )


def _check_number_of_rows(flat: Mapping[str, Any], x: np.ndarray) -> None:
    """Checks that rows x [N, D] differ, and that there are enough for the clusters and for finding them."""
    num_rows = len(x)
    if all((x[part] == x[0]).all() for part in row_slices(x)):
        raise InputError(
            "config.data.train_split",
            f"{flat['data.train_split']!r} with {num_rows} equal rows" if num_rows > 1 else "1 row",
            "rows that differ",
            "Check the file that they are read from, or add rows.",
        )
    if flat["model.num_clusters"] > num_rows:
        raise InputError(
            "config.model.num_clusters",
            f"{flat['model.num_clusters']}",
            f"at most the number of rows, {num_rows}",
            "Use fewer clusters or more rows.",
        )
    if flat["init.max_rows"] < max(2, flat["model.num_clusters"]):
        raise InputError(
            "config.init.max_rows",
            f"{flat['init.max_rows']}",
            f"at least 2 and at least the number of clusters, {flat['model.num_clusters']}",
            "Leave it at 100000, the default.",
        )


def check_unit_interval(x: np.ndarray, shift: np.ndarray, scale: np.ndarray, likelihood: str) -> None:
    """Checks that scaled rows lie in [0, 1].

    Args:
      x: [N, D], as stored.
      shift: [1, D] or [1, 1].
      scale: [1, D] or [1, 1].
      likelihood: the name of the likelihood that needs it, for the error.

    Raises:
      InputError: a scaled value is outside [0, 1].
    """
    low, high = _scaled_limits(x, shift, scale)
    if not _in_unit_interval(low, high):
        raise InputError(
            "config.model.likelihood",
            f"{likelihood!r} with scaled rows in [{low:.4g}, {high:.4g}]",
            "values in [0, 1]",
            "Set --config.data.scaling=range, or --config.model.likelihood=gaussian.",
        )


def _scaled_limits(x: np.ndarray, shift: np.ndarray, scale: np.ndarray) -> tuple[float, float]:
    """Returns the smallest and the largest value of the rows x [N, D] after scaling."""
    ends = (x.min(axis=0) - shift) * scale, (x.max(axis=0) - shift) * scale
    return float(np.minimum(*ends).min()), float(np.maximum(*ends).max())


def _in_unit_interval(low: float, high: float) -> bool:
    return low >= -_TOLERANCE and high <= 1 + _TOLERANCE
