"""Loads the rows that a run trains on, and new rows for a trained run."""

from pathlib import Path

from ml_collections import ConfigDict

from vade_jax.data import column_names, sources, splits
from vade_jax.data.dataset import Dataset, ExpectedColumns, ReadOptions, Source
from vade_jax.runs import workdir
from vade_jax.runs.run import Run


def read_rows(run: Run, path: str = "") -> Dataset:
    """Loads rows for a trained run, with their columns in the order of its training rows.

    Args:
      run: trained.
      path: a file or folder that `vade_jax.data.sources` can read; '' for the training rows.

    Returns:
      The rows.

    Raises:
      InputError: the file cannot be used, or its columns differ from those of the run.
    """
    if not path:
        return load_rows(run.config, run.folder)[1]
    description = workdir.read(run.folder)[1]
    names = tuple(description["names"])
    expected = ExpectedColumns(names=names, image_shape=run.image_shape)
    source = sources.load("file", path, options=_read_options(run.config)._replace(expected=expected))
    rows = splits.select_split(source, "all", "config.data.path")
    return column_names.match_columns(rows, names, run.num_features, path, "config.data.path")


def load_rows(config: ConfigDict, folder: Path, source: Source | None = None) -> tuple[Source, Dataset, Dataset | None]:
    """Loads the data set of a config.

    Args:
      config: the settings.
      folder: the workdir, which may hold decoded images.
      source: a data set that is already loaded, or None.

    Returns:
      The data set, the rows to cluster, and the rows to score instead, or None.

    Raises:
      InputError: the data set or one of its splits cannot be used.
    """
    options = config.data
    if source is None:
        source = sources.load(
            options.name,
            path=options.path,
            data_dir=options.dir,
            cache_dir=folder / "data",
            options=_read_options(config),
        )
    train_rows = splits.select_split(source, options.train_split, "config.data.train_split")
    if not options.test_split:
        return source, train_rows, None
    test_rows = splits.select_split(source, options.test_split, "config.data.test_split")
    test_rows = column_names.match_columns(
        test_rows, train_rows.names, train_rows.x.shape[1], options.test_split, "config.data.test_split"
    )
    return source, train_rows, test_rows


def _read_options(config: ConfigDict) -> ReadOptions:
    return ReadOptions(
        label_column=config.data.label_column,
        id_column=config.data.id_column,
        image_size=config.data.image_size,
    )
