"""Settings that depend on the rows: 'auto' is resolved, and settings that do not suit the rows are refused."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from vade_jax.data.column_names import abbreviate
from vade_jax.data.covariates import KnownCovariates
from vade_jax.data.dataset import Dataset
from vade_jax.data.gaps import greatest, has_gaps
from vade_jax.data.levels import column_name
from vade_jax.data.offsets import source_limits
from vade_jax.data.scaling import SCALINGS, are_counts, fitted_scaling, in_unit_interval, scaled_limits
from vade_jax.networks.by_columns import BY_COLUMNS, Column
from vade_jax.networks.likelihood_base import Support
from vade_jax.networks.likelihoods import make_likelihood
from vade_jax.networks.model import Model, make_model
from vade_jax.settings.columns import MIXED, columns_of, several_kinds
from vade_jax.settings.field_names import flatten
from vade_jax.settings.rules import AUTO, OFF, ON, is_auto
from vade_jax.system.errors import InputError

# What 'auto' chooses.
_PAPER_WIDTHS = (500, 500, 2000)  # arXiv:1611.05148, Sec. 4.2
# From here on the paper's networks, which learn fewer rows by heart, and layouts, which find better clusters than
# communities there but take longer.
_MANY_ROWS = 8000
# Of 10,992 rows of 16 columns, networks of 256 units found as good clusters as the paper's in a seventh of the time.
_MANY_COLUMNS = 100
_ROWS_PER_UNIT = 16
_WIDTH_LIMITS = 32, 256
# Of the entries of rows with gaps. On 2,500 pen-based digits with 20% and 50% gaps (two seeds), log p(x) of held-out
# rows and the errors of filled gaps are worse with 0 and with 0.5, each time.
_HIDE_SHARE = 0.2
_LIKELIHOOD_OF_SUPPORT: dict[Support, str] = {"unit_interval": "bernoulli", "real": "gaussian_shared"}


def resolve_auto_settings(settings: Mapping[str, Any], rows: Dataset) -> dict[str, tuple[Any, str]]:
    """Returns the fields that the rows decide: fields that are 'auto', and batch sizes larger than the number of rows.

    For 8,000 rows or more starting clusters are found on layouts, and with 100 columns or more the networks are those
    of the paper. Else networks have two layers of about N/16 units, a power of two from 32 to 256. For fewer rows
    stages end early, and starting clusters are Gaussians of the inputs or communities. Those of rows with several
    kinds of columns are, for any N, and each kind has its likelihood; see `columns.several_kinds`. Of other rows,
    binary ones, those in [0, 1] and grey values get the Bernoulli likelihood, and the rest the Gaussian one with a
    learned variance on standardized columns. If one of the two is given, the other is chosen to suit it.

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
    batches: dict[str, tuple[Any, str]] = {
        name: (value, f"{flat[name]} is more than the {num_rows} rows")
        for name, value in batch_sizes_of_all_rows(flat, num_rows).items()
    }
    by_columns = _by_columns_reason(flat, rows)
    if is_auto(flat["augment.hide_share"]) and has_gaps(rows.x):
        batches["augment.hide_share"] = _HIDE_SHARE, "the rows have gaps"
    by_size = {
        "model.hidden": _widths(*rows.x.shape),
        "init.method": _init_method(rows, by_columns),
        "optimizer.early_stopping": ON if num_rows < _MANY_ROWS and flat["data.held_out_share"] else OFF,
    }
    sized = {name: (value, f"{num_rows} rows") for name, value in by_size.items() if is_auto(flat[name])}
    suited = _for_columns(flat, by_columns) if by_columns else _resolve_scaling_and_likelihood(flat, rows)
    return suited | sized | batches


def batch_sizes_of_all_rows(flat: Mapping[str, Any], num_rows: int) -> dict[str, int]:
    """Returns the number of rows as the batch size of each stage whose own is larger, by dotted name."""
    return {
        name: num_rows
        for name, value in flat.items()
        if name.endswith(".batch_size") and not name.startswith("evaluate.") and value > num_rows
    }


def _by_columns_reason(flat: Mapping[str, Any], rows: Dataset) -> str:
    """Returns why the likelihood is chosen by columns, in words; '' if it is not."""
    if flat["model.likelihood"] == BY_COLUMNS:
        return "the likelihood is by columns"
    if flat["model.likelihood"] != AUTO or rows.image_shape:
        return ""
    if flat["data.columns"]:
        return "config.data.columns gives kinds"
    return several_kinds(rows)


def _for_columns(flat: Mapping[str, Any], reason: str) -> dict[str, tuple[str, str]]:
    """Returns `resolve_auto_settings` of the scaling and the likelihood, for a likelihood by columns."""
    chosen = {"data.scaling": "standardize", "model.likelihood": BY_COLUMNS}
    return {name: (value, reason) for name, value in chosen.items() if flat[name] == AUTO}


def _widths(num_rows: int, num_columns: int) -> tuple[int, ...]:
    """Returns the widths of the hidden layers for rows of this shape."""
    if num_rows >= _MANY_ROWS and num_columns >= _MANY_COLUMNS:
        return _PAPER_WIDTHS
    least, most = _WIDTH_LIMITS
    width = min(most, max(least, 2 ** round(math.log2(num_rows / _ROWS_PER_UNIT))))
    return width, width


def _init_method(rows: Dataset, by_columns: str) -> str:
    """Returns the method that finds starting clusters in rows: layouts only of many rows of one kind of columns."""
    is_mixed = bool(rows.levels) or by_columns in MIXED
    return "manifold" if len(rows.x) >= _MANY_ROWS and not is_mixed else "gaussians_or_communities"


def _resolve_scaling_and_likelihood(flat: Mapping[str, Any], rows: Dataset) -> dict[str, tuple[str, str]]:
    """Returns `resolve_auto_settings` of these two fields."""
    scaling, likelihood = flat["data.scaling"], flat["model.likelihood"]
    if AUTO not in (scaling, likelihood):
        return {}
    reason, pairs = _suitable_pairs(rows)
    if likelihood != AUTO:
        support = make_likelihood(likelihood, flat["model.min_log_var"]).support
        if support == "count":
            return {"data.scaling": ("none", f"the likelihood {likelihood!r} is of counts")}
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
    low, high = source_limits(rows.x, rows.offset)
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
    low, high = scaled_limits(x, *SCALINGS[scaling](x))
    support: Support = "unit_interval" if in_unit_interval(low, high) else "real"
    return f"the scaled values lie in [{low:.4g}, {high:.4g}]", ((scaling, support),)


def check_against_data(settings: Mapping[str, Any], train: Dataset) -> None:
    """Checks the fields that depend on the training rows. Rows that a trained model is asked about need not pass.

    Args:
      settings: nested sections, each field checked by itself, none of them 'auto'.
      train: the rows to cluster.

    Raises:
      InputError: the first field that does not suit the rows, or names code that cannot be imported.
    """
    flat = flatten(settings)
    _check_number_of_rows(flat, train.x)
    _check_gaps(flat, train)
    if flat["optimizer.early_stopping"] == ON and not flat["data.held_out_share"]:
        got, remedy = f"{ON!r} with config.data.held_out_share=0", f"Set --config.optimizer.early_stopping={OFF}."
        raise InputError("config.optimizer.early_stopping", got, f"{OFF!r}, or held-out rows", remedy)
    if train.covariates is not None and train.image_shape:
        raise InputError("config.data.covariates", "covariates of images", "rows that are no images", "Leave them out.")
    model = _make_model(flat, train, columns_of(settings, train))
    for field in ("augment.max_degrees", "augment.max_shift"):
        if flat[field] and train.image_shape is None:
            raise InputError(
                f"config.{field}",
                f"{flat[field]} for rows without an image shape",
                "0, or images [N, H, W] or [N, H, W, C]",
                f"Set --config.{field}=0, or save the array as images.",
            )
    _check_support(flat, model.likelihood.support, train.x)


def _check_support(flat: Mapping[str, Any], support: Support, x: np.ndarray) -> None:
    """Checks that the scaled rows x [N, D] lie in the support of the likelihood."""
    if support == "real":
        return
    shift, scale = fitted_scaling(flat["data.scaling"], x)
    low, high = scaled_limits(x, shift, scale)
    if support == "unit_interval":
        fits, expected = in_unit_interval(low, high), "values in [0, 1]"
        remedy = "Set --config.data.scaling=range, or --config.model.likelihood=gaussian."
    else:
        fits = bool((shift == 0).all() and (scale == 1).all() and are_counts(x))
        expected = "counts, which are integers >= 0, with the scaling 'none'"
        remedy = (
            "Set --config.data.scaling=none, for an .h5ad also --config.data.normalize=none, or another likelihood."
        )
    if not fits:
        raise InputError(
            "config.model.likelihood",
            f"{flat['model.likelihood']!r} with scaled rows in [{low:.4g}, {high:.4g}]",
            expected,
            remedy,
        )


def _check_gaps(flat: Mapping[str, Any], rows: Dataset) -> None:
    """Checks that each column has a value somewhere, and that only rows with gaps get more of them."""
    shown = flat["augment.hide_share"]
    if not has_gaps(rows.x):
        if shown != AUTO and float(shown) > 0:
            raise InputError(
                "config.augment.hide_share",
                f"{shown} for rows without gaps",
                f"0 or {AUTO!r}, or rows with gaps",
                f"Set --config.augment.hide_share={AUTO}.",
            )
        return
    empty = [column_name(rows, column) for column in np.flatnonzero(np.isnan(greatest(rows.x, axis=0))).tolist()]
    if empty:
        raise InputError(
            "config.data.path",
            f"rows without any value in the columns {abbreviate(empty)}",
            "columns that some rows have",
            "Leave out these columns.",
        )


def _make_model(flat: Mapping[str, Any], rows: Dataset, columns: tuple[Column, ...]) -> Model:
    return make_model(
        network=flat["model.network"],
        likelihood=flat["model.likelihood"],
        num_features=rows.x.shape[1],
        image_shape=rows.image_shape,
        latent_dim=flat["model.latent_dim"],
        hidden=tuple(flat["model.hidden"]),
        min_log_var=flat["model.min_log_var"],
        columns=columns,
        gaps=has_gaps(rows.x),
        covariates=tuple(map(len, KnownCovariates.of_rows(rows).levels)),
    )


def _check_number_of_rows(flat: Mapping[str, Any], x: np.ndarray) -> None:
    """Checks that there are enough distinct rows x [N, D] for the clusters, and enough rows for finding them."""
    num_rows, num_clusters = len(x), flat["model.num_clusters"]
    num_distinct = count_distinct_rows(x, max(2, num_clusters))
    if num_distinct == 1:
        raise InputError(
            "config.data.train_split",
            f"{flat['data.train_split']!r} with {num_rows} equal rows" if num_rows > 1 else "1 row",
            "rows that differ",
            "Check the file that they are read from, or add rows.",
        )
    if num_clusters > num_distinct:
        counted = "rows" if num_distinct == num_rows else f"different rows among the {num_rows}"
        raise InputError(
            "config.model.num_clusters",
            f"{num_clusters}",
            f"at most the number of {counted}, {num_distinct}",
            "Use fewer clusters or more rows.",
        )
    if flat["init.max_rows"] < max(2, num_clusters):
        raise InputError(
            "config.init.max_rows",
            f"{flat['init.max_rows']}",
            f"at least 2 and at least the number of clusters, {num_clusters}",
            "Leave it at 100000, the default.",
        )


def count_distinct_rows(x: np.ndarray, enough: int) -> int:
    """Returns how many different rows x [N, D] has, or `enough` if there are at least so many."""
    found: set[bytes] = set()
    for row in x:
        found.add((row + row.dtype.type(0)).tobytes())  # -0.0 + 0 is 0.0
        if len(found) == enough:
            break
    return len(found)
