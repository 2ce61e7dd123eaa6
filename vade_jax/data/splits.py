"""Selects splits of a data set by name and joins them."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from vade_jax.data.column_names import abbreviate, match_columns
from vade_jax.data.dataset import Dataset, Source
from vade_jax.data.labels import Labels, join_labels
from vade_jax.data.levels import joined_levels, match_levels
from vade_jax.data.offsets import change_offset
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import empty_array


def select_split(source: Source, split: str, field: str) -> Dataset:
    """The rows of one or more splits.

    Args:
      source: the splits.
      split: one name, several joined by '+', or 'all'; '[:n]' after a name takes its first n rows. For example
        'train', 'train+test' or 'train[:10000]'.
      field: the config field of the split, for the error.

    Returns:
      The rows, in the order of the names. Columns are matched by their names, if they have some.

    Raises:
      InputError: the source has no such split, or the splits have different columns or image shapes.
    """
    parsed = [(name, "") for name in source.splits] if split == "all" else _parse(split, list(source.splits))
    if not parsed:
        raise InputError(
            field,
            repr(split),
            f"a split of the data set, which has {abbreviate(list(source.splits))}",
            "Name one of them, several joined by '+', or 'all'; '[:n]' after a name takes its first n rows.",
        )
    return _join({name: source.splits[name] for name, _ in parsed}, parsed, split, field)


def _parse(split: str, names: Sequence[str]) -> list[tuple[str, str]]:
    """(name, n or '' for all rows) of each part of a split; [] if it is none. A name can have any characters."""
    name = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    part = rf"({name})(?:\[:([1-9]\d*)\])?"
    return re.findall(rf"{part}(?:\+|$)", split) if re.fullmatch(rf"{part}(?:\+{part})*", split) else []


def _join(splits: Mapping[str, Dataset], parsed: Sequence[tuple[str, str]], split: str, field: str) -> Dataset:
    """The first n rows of each split, one after the other."""
    first_name, first = next(iter(splits.items()))
    for name, dataset in splits.items():
        matched_by_name = first.names and dataset.names
        if dataset.image_shape != first.image_shape or (dataset.x.shape[1] != first.x.shape[1] and not matched_by_name):
            raise InputError(
                field,
                f"{split!r} with {_shape(first)} in {first_name} and {_shape(dataset)} in {name}",
                "splits whose rows have the same shape",
                f"Name one of them: --{field}={first_name}.",
            )
    offset = _first_offset(list(splits.values()))
    alike = {
        name: with_offset(match_columns(dataset, first.names, first.x.shape[1], name, field), offset)
        for name, dataset in splits.items()
    }
    levels = joined_levels(list(alike.values()))
    alike = {name: match_levels(dataset, levels, name) for name, dataset in alike.items()}
    parts = [_first_rows(alike[name], count) for name, count in parsed]
    covariates = _join_covariates(splits, parsed, split, field)
    if len(parts) == 1:
        return parts[0]._replace(covariates=covariates)
    numbers, label_names = _join_labels(parts)
    return parts[0]._replace(
        covariates=covariates,
        x=_concatenate([part.x for part in parts]),
        labels=numbers,
        label_names=label_names,
        ids=_all_or_none([part.ids for part in parts]),
        weights=_all_or_none([part.weights for part in parts]),
    )


def _join_covariates(
    splits: Mapping[str, Dataset], parsed: Sequence[tuple[str, str]], split: str, field: str
) -> Dataset | None:
    """The covariates of the first n rows of each split; None if they have none."""
    given = {name: dataset.covariates for name, dataset in splits.items() if dataset.covariates is not None}
    if not given:
        return None
    if lacking := [name for name in splits if name not in given]:
        expected = f"covariates in {abbreviate(lacking)} too"
        raise InputError(
            field, f"{split!r} with covariates in {next(iter(given))}", expected, "Add them, or leave all out."
        )
    return _join(given, parsed, split, field)


def _join_labels(parts: Sequence[Dataset]) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The labels [N] of several data sets and their names; None if one has no labels."""
    labels = [Labels(part.labels, part.label_names) for part in parts if part.labels is not None]
    return join_labels(labels) if len(labels) == len(parts) else (None, ())


def _shape(dataset: Dataset) -> str:
    """The shape of the rows of a data set, in words."""
    if dataset.image_shape is None:
        return f"rows of {dataset.x.shape[1]} columns"
    return f"images of {' x '.join(map(str, dataset.image_shape))}"


def _first_offset(datasets: Sequence[Dataset]) -> np.ndarray | None:
    """The offset [D] of several data sets: for each column that of the first one that has one."""
    offset = np.zeros(datasets[0].x.shape[1])
    for dataset in datasets:
        offset = np.where(offset == 0, 0.0 if dataset.offset is None else dataset.offset, offset)
    return offset if offset.any() else None


def with_offset(dataset: Dataset, offset: np.ndarray | None) -> Dataset:
    """A data set, x [N, D], with another offset [D]; None for none."""
    return dataset._replace(x=change_offset(dataset.x, dataset.offset, offset), offset=offset)


def _all_or_none(columns: list[np.ndarray | None]) -> np.ndarray | None:
    """Columns [N_i] joined; None if one is missing."""
    present = [column for column in columns if column is not None]
    return np.concatenate(present) if len(present) == len(columns) else None


def _concatenate(parts: list[np.ndarray]) -> np.ndarray:
    """Arrays [N_i, D] joined."""
    joined = empty_array((sum(map(len, parts)), parts[0].shape[1]), np.result_type(*parts))
    return np.concatenate(parts, out=joined)


def _first_rows(dataset: Dataset, count: str) -> Dataset:
    """The first int(count) rows of a data set; all for ''."""
    if not count:
        return dataset
    first = {name: getattr(dataset, name) for name in ("x", "labels", "ids", "weights")}
    return dataset._replace(**{name: array[: int(count)] for name, array in first.items() if array is not None})
