"""The rows that a run trains on, and new rows for a trained run."""

from pathlib import Path

from ml_collections import ConfigDict

from vade_jax.data import column_names, sources, splits
from vade_jax.data.dataset import Dataset, ExpectedColumns, ReadOptions, Source
from vade_jax.runs import workdir
from vade_jax.runs.run import Run


def read_rows(run: Run, path: str = "") -> Dataset:
    """Rows for a trained run, their columns in its order.

    Args:
      run: trained.
      path: a file or folder of rows as `vade_jax.data.sources` reads them; '' for the run's own training rows.

    Returns:
      The rows.

    Raises:
      InputError: a file that cannot be used, or other columns than the run's.
    """
    if not path:
        return load_rows(run.config, run.folder)[1]
    description = workdir.read(run.folder)[1]
    names, image_shape = tuple(description["names"]), description["image_shape"]
    form = ExpectedColumns(names, tuple(image_shape) if image_shape else None)
    source = sources.load("file", path, options=_options(run.config)._replace(form=form))
    rows = splits.select_split(source, "all", "config.data.path")
    return column_names.match_columns(rows, names, run.num_features, path, "config.data.path")


def load_rows(config: ConfigDict, folder: Path, source: Source | None = None) -> tuple[Source, Dataset, Dataset | None]:
    """The source, the rows to cluster and the rows to score instead, or None."""
    options = config.data
    source = source or sources.load(options.name, options.path, options.dir, folder / "data", _options(config))
    train_rows = splits.select_split(source, options.train_split, "config.data.train_split")
    if not options.test_split:
        return source, train_rows, None
    test_rows = splits.select_split(source, options.test_split, "config.data.test_split")
    num_features = train_rows.x.shape[1]
    test_rows = column_names.match_columns(
        test_rows, train_rows.names, num_features, options.test_split, "config.data.test_split"
    )
    return source, train_rows, test_rows


def _options(config):
    return ReadOptions(config.data.label_column, config.data.id_column, config.data.image_size)
