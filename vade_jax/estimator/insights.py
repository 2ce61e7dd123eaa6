"""What a fitted estimator shows of its clusters and its training: a table, plots, a report and the history."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from vade_jax.estimator.fitted_run import FittedRun
from vade_jax.reports import html_report, plots
from vade_jax.reports.findings import Findings
from vade_jax.settings.field_names import flatten
from vade_jax.settings.paths import user_path
from vade_jax.system.errors import InputError, with_storage_errors
from vade_jax.system.optional_imports import import_extra

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes


class Insights(FittedRun):
    """The methods that describe a fit."""

    @property
    def history_(self) -> dict[str, np.ndarray]:
        """The metrics of the epochs: name -> [n_iter_], such as 'loss' in nats, and the 'stage' of each epoch.

        A stage without a metric has NaN: the autoencoder has no clusters. `pandas.DataFrame` makes a table of it.
        """
        check_is_fitted(self)
        names = dict.fromkeys(name for record in self._records for name in record)
        return {name: np.array([record.get(name, np.nan) for record in self._records]) for name in names}

    def summary(self) -> "pandas.DataFrame":
        """A frame with a row for each cluster, by its number.

        Its columns are size (training rows), share (of all training rows), probability (the mean calibrated one of its
        rows; NaN for an empty cluster) and marks (what sets it apart, in words; '' for images).

        Raises:
          InputError: pandas is not installed, or the run is of an older version.
        """
        table = self._found().table()
        pandas = import_extra("pandas", "summary", "summary")
        return pandas.DataFrame(table, index=pandas.RangeIndex(len(table), name="cluster"))

    def plot_latent(self, ax: "Axes | None" = None) -> "Axes":
        """Draws up to 2,000 training rows in the latent space, in the colours of their clusters, and returns the axes.

        More than two dimensions are mapped to two by t-SNE, which takes seconds.

        Args:
          ax: axes of matplotlib to draw on; None for those of a new figure.

        Raises:
          InputError: the run is of an older version.
        """
        ax, found = _axes(ax), self._found()
        plots.plot_map(ax, found)
        return ax

    def plot_clusters(self, ax: "Axes | None" = None) -> "Axes":
        """Draws the number of training rows of each cluster, and returns the axes; see `plot_latent`."""
        ax, found = _axes(ax), self._found()
        plots.plot_sizes(ax, found.clusters)
        return ax

    def plot_history(self, ax: "Axes | None" = None, metric: str = "loss") -> "Axes":
        """Draws a metric over the epochs, and returns the axes.

        Each stage has its own loss, so only the epochs of one stage can be compared.

        Args:
          ax: axes of matplotlib to draw on; None for those of a new figure.
          metric: a name of `history_`.

        Raises:
          InputError: there is no such metric.
        """
        check_is_fitted(self)
        ax = _axes(ax)
        plots.plot_metric(ax, self._records, metric)
        return ax

    @with_storage_errors
    def report(self, path: str | Path) -> Path:
        """Writes the report of the fit as one HTML file, the page of the command line, and returns its path.

        Args:
          path: of the page. Its folder is created if only the last part of its name is missing.

        Raises:
          InputError: the path is a folder, or the run is of an older version.
          StorageError: the page cannot be written.
        """
        found, path = self._found(), user_path(path)
        if path.is_dir():
            raise InputError("path", str(path), "the name of a file", f"Name a file in it: {path / 'report.html'}.")
        html_report.write_report(path, found, self.results_, flatten(self._settings), self._records, files={})
        return path

    def _found(self) -> Findings:
        """What the report says about the clusters."""
        check_is_fitted(self)
        if self._findings is None:
            raise InputError(
                "workdir",
                "a run of an older version, which kept no findings",
                "a run with findings.npz",
                "Fit again, or run --mode=evaluate on the workdir.",
            )
        return self._findings


def _axes(ax: "Axes | None") -> Any:
    """The axes themselves, or those of a new figure."""
    if ax is not None:
        return ax
    from matplotlib import pyplot  # only here: it chooses how figures are shown

    return pyplot.subplots()[1]
