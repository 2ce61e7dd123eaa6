"""Loads the rows that a run trains on, the same rows again for a trained run, and new rows for it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from vade_jax.data import column_names, sources, splits
from vade_jax.data.covariates import NO_COVARIATES, KnownCovariates, match_covariates
from vade_jax.data.dataset import Dataset, ExpectedColumns, Preparation, ReadOptions, Source
from vade_jax.data.fingerprints import digest, fingerprint
from vade_jax.data.gaps import check_no_gaps, has_gaps
from vade_jax.data.levels import match_levels, with_categories
from vade_jax.runs import workdir
from vade_jax.runs.run import Run
from vade_jax.settings.columns import asked_kinds, read_levels
from vade_jax.settings.field_names import flatten
from vade_jax.settings.paths import absolute_path
from vade_jax.system.errors import InputError

_PLACE = ("path", "dir")  # fields of the section data that say where a data set is


class LoadedRows(NamedTuple):
    """The rows that a run trains on.

    Attributes:
      source: the data set.
      train: the rows to cluster.
      test: the rows to score instead, or None.
      place: where the data set was read, the settings 'path' and 'dir' as absolute paths; {} if it was not read here.
    """

    source: Source
    train: Dataset
    test: Dataset | None
    place: dict[str, str]


def load_rows(config: ConfigDict, folder: Path, source: Source | None = None) -> LoadedRows:
    """Loads the rows to train on.

    If the workdir has a run whose columns have the same names in another order, they are put in that order. If a
    relative path leads nowhere from here, it is taken from where that run was started.

    Args:
      config: the settings.
      folder: the workdir, which may have a run and decoded images.
      source: a data set that is already loaded; None to load the one that the config names.

    Returns:
      The rows.

    Raises:
      InputError: the data set or one of its splits cannot be used.
      StorageError: the run in the workdir has a damaged config.json or data.json.
    """
    if source is not None:
        return LoadedRows(source, *_with_categories(*_select(source, config), config), place={})
    settings, known = workdir.read_started(folder) or ({}, {})
    written = flatten(settings)
    place = {name: config.data[name] for name in _PLACE}
    for name, path in place.items():
        if path and path == written.get(f"data.{name}") and not os.path.exists(path):
            place[name] = known.get(name) or path
    names = tuple(known.get("names") or ())
    source = _load(config, place, folder, names)
    train, test = _select(source, config)
    if names and set(names) == set(train.names):
        where = place["path"] or config.data.name
        train = _match(train, names, len(names), where, train.image_shape)
        test = None if test is None else _match(test, names, len(names), where, test.image_shape)
    train, test = _with_categories(train, test, config)
    return LoadedRows(source, train, test, {name: absolute_path(path) for name, path in place.items()})


def _with_categories(train: Dataset, test: Dataset | None, config: ConfigDict) -> tuple[Dataset, Dataset | None]:
    """The rows to cluster with the categories that `data.columns` makes of numbers, and test rows with the same levels.

    Test rows of a model without gaps must have none.
    """
    categories = [column for column, kind in asked_kinds(config.data.columns, train).items() if kind == "category"]
    train = with_categories(train, categories, config.data.path or config.data.name)
    if test is not None:
        field, covariates = "config.data.test_split", KnownCovariates.of_rows(train)
        test = suit_model(test, train.levels, has_gaps(train.x), config.data.test_split, field, covariates)
    return train, test


def suit_model(
    rows: Dataset,
    levels: tuple[tuple[str, ...], ...],
    takes_gaps: bool,
    where: str,
    field: str = "config.data.path",
    covariates: KnownCovariates = NO_COVARIATES,
) -> Dataset:
    """Returns new rows with the levels and the covariates of a model.

    Args:
      rows: with the columns of the model.
      levels: of the model, as in `Dataset.levels`.
      takes_gaps: whether it was trained on rows with gaps.
      where: the file or name of the rows.
      field: of the error.
      covariates: of the rows that it was trained on.

    Raises:
      InputError: the rows have gaps or levels that the model cannot take, or lack covariates.
    """
    rows = match_covariates(match_levels(rows, levels, where, takes_gaps, field), covariates, where, field)
    if not takes_gaps:
        check_no_gaps(rows.x, rows.names, where, field)
    return rows


def reload_rows(run: Run, path: str = "") -> tuple[Dataset, Dataset | None]:
    """Loads the rows of a trained run again, and checks that they have not changed.

    Columns are matched by their names: they may be in another order, with others between them.

    Args:
      run: trained.
      path: where the file of these rows is now; '' for where it was in training.

    Returns:
      The rows that were clustered, and the rows that were scored instead, or None.

    Raises:
      InputError: the rows are not there, or are not the same.
    """
    known = workdir.read(run.folder)[1]
    options = run.config.data
    if path and known.get("path") == "":
        raise InputError(
            "config.data.path",
            repr(path),
            f"no path, since the data set {options.name!r} of this run was read without one",
            "Leave it out. To cluster the rows of this file, use --mode=predict.",
        )
    place = {name: known.get(name, options[name]) for name in _PLACE} | ({"path": path} if path else {})
    try:
        source = _load(run.config, place, workdir.folder_of_all_runs(run.folder), tuple(known["names"]))
    except InputError as error:
        if path or error.field != "config.data.path" or os.path.exists(place["path"]):
            raise
        raise InputError(
            "config.data.path",
            f"{place['path']}, which is not there" if place["path"] else "no path, since its rows came from Python",
            "the rows that the run was trained on",
            "Say where they are now: --config.data.path=FILE.",
        ) from error
    where = place["path"] or options.name
    train, test = _select(source, run.config)
    train = _same(train, known, known, where, "trained on")
    if test is not None:
        test = _same(test, known, known.get("test") or {}, f"{where}, split {options.test_split!r},", "scored on")
    return train, test


def read_rows(run: Run, path: str = "") -> Dataset:
    """Loads rows for a trained run, with their columns in the order of its training rows.

    Args:
      run: trained.
      path: a file or folder of new rows that `vade_jax.data.sources` can read; '' for the training rows.

    Returns:
      The rows.

    Raises:
      InputError: the file cannot be used, its columns differ from those of the run, or the training rows have changed.
    """
    if not path:
        return reload_rows(run)[0]
    description = workdir.read(run.folder)[1]
    source = sources.load("file", path, options=options_of_model(run, description))
    rows = splits.select_split(source, "all", "config.data.path")
    rows = _match(rows, tuple(description["names"]), run.num_features, path, run.image_shape)
    covariates = KnownCovariates.of_description(description)
    takes_gaps = run.model.likelihood.takes_gaps
    return suit_model(rows, read_levels(description), takes_gaps, path, covariates=covariates)


def options_of_model(run: Run, description: Mapping[str, Any]) -> ReadOptions:
    """How to read new rows for a trained run whose training rows have this description."""
    expected = ExpectedColumns(tuple(description["names"]), run.image_shape, read_levels(description))
    return read_options(run.config, description)._replace(expected=expected)


def identify(rows: Dataset) -> dict[str, Any]:
    """What tells rows from others, as the workdir keeps it; see `workdir.differing_rows`."""
    return {
        "num_rows": len(rows.x),
        "num_features": rows.x.shape[1],
        "fingerprint": fingerprint(rows.inputs),
        "digest": digest(rows.inputs),
        **({"levels": rows.levels} if rows.levels else {}),
        **KnownCovariates.of_rows(rows).describe(),
        **({} if rows.weights is None else {"weights": digest(rows.weights)}),
    }


def _same(rows: Dataset, known: Mapping[str, Any], identity: Mapping[str, Any], where: str, use: str) -> Dataset:
    """The rows with the columns and the image shape of a run, after a check that they are the run's own.

    Args:
      rows: read again.
      known: the description of the run.
      identity: what `identify` returned for the run's rows.
      where: where the rows were read, for the error.
      use: what the run did with its rows, for the error.
    """
    names, image_shape = tuple(known["names"]), known["image_shape"]
    rows = _match(rows, names, known["num_features"], where, rows.image_shape)
    rows = match_covariates(match_levels(rows, read_levels(known), where), KnownCovariates.of_description(known), where)
    rows = splits.with_offset(rows, Preparation.of_description(known).offset)  # chosen again, in the file's order
    if differing := workdir.differing_rows(identity, identify(rows)):
        raise InputError(
            "config.data.path",
            f"{where} with {differing}",
            f"the rows that the run was {use}",
            "Restore them, say where they are now (--config.data.path=FILE), or train on these in another workdir.",
        )
    return rows._replace(names=names, image_shape=tuple(image_shape) if image_shape else None)


def _match(
    rows: Dataset, names: tuple[str, ...], num_features: int, where: str, image_shape: tuple[int, int, int] | None
) -> Dataset:
    return column_names.match_columns(rows, names, num_features, where, "config.data.path", image_shape)


def _load(config: ConfigDict, place: Mapping[str, str], folder: Path, columns: tuple[str, ...]) -> Source:
    """The data set that the config names, from this place; the workdir may hold decoded images.

    Args:
      config: the settings.
      place: where the data set is, the settings 'path' and 'dir'.
      folder: the workdir.
      columns: those of the run in the workdir; () if there is none.
    """
    return sources.load(
        config.data.name,
        path=place["path"],
        data_dir=place["dir"],
        cache_dir=folder / "data",
        options=read_options(config, columns=columns),
    )


def _select(source: Source, config: ConfigDict) -> tuple[Dataset, Dataset | None]:
    """The rows to cluster, and the rows to score instead, or None."""
    options = config.data
    train = splits.select_split(source, options.train_split, "config.data.train_split")
    for field in ("covariates", "weights"):
        if options[field] and getattr(train, field) is None:
            raise InputError(
                f"config.data.{field}",
                repr(options[field]),
                f"no {field}, since {options.path or options.name} has no named columns for them",
                "Use a table or an .h5ad, or leave them out.",
            )
    if not options.test_split:
        return train, None
    test = splits.select_split(source, options.test_split, "config.data.test_split")
    test = column_names.match_columns(
        test, train.names, train.x.shape[1], options.test_split, "config.data.test_split", train.image_shape
    )
    return train, splits.with_offset(test, train.offset)


def read_options(
    config: ConfigDict, description: Mapping[str, Any] | None = None, columns: tuple[str, ...] = ()
) -> ReadOptions:
    """How to read rows.

    Args:
      config: the settings.
      description: of the rows of a trained model that the rows are for; None for rows to train on.
      columns: those of a run on the same rows; () if there is none.
    """
    return ReadOptions(
        label_column=config.data.label_column,
        id_column=config.data.id_column,
        image_size=config.data.image_size,
        normalize=config.data.normalize,
        prepared=None if description is None else Preparation.of_description(description),
        **{name: config.data[name] for name in ("dates", "layer", "obsm", "raw", "skip_damaged", "weights")},
        columns=columns,
        covariates=tuple(config.data.covariates)
        if description is None
        else KnownCovariates.of_description(description).entries,
    )
