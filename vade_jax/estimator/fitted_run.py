"""What a fit leaves in memory: the trained run, its state, and how new rows are read for it."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from vade_jax.commands.load_rows import options_of_model, read_options, suit_model
from vade_jax.commands.predict import annotations, clusters, describe_rows_outside, latent_means, outliers
from vade_jax.data.annotated_cells import is_cells
from vade_jax.data.column_checks import checked_values, is_frame
from vade_jax.data.column_names import check_names, column_indices, match_columns
from vade_jax.data.covariates import KnownCovariates
from vade_jax.data.dataset import DEFAULT_READ_OPTIONS, Dataset, ReadOptions
from vade_jax.data.frames import encoded_frame, has_text, rows_of
from vade_jax.data.levels import named_columns
from vade_jax.data.row_weights import checked_weights, read_weights
from vade_jax.data.scaling import Scaling
from vade_jax.data.single_cells import read_cells
from vade_jax.estimator.given_covariates import covariates_of_new_rows, covariates_to_train_on, without_columns
from vade_jax.estimator.parameter_errors import with_parameter_errors
from vade_jax.inference.calibration import calibrated
from vade_jax.inference.outliers import outlier_threshold
from vade_jax.reports import findings, results
from vade_jax.reports.findings import FINDINGS, Findings
from vade_jax.runs.metrics_log import METRICS, read_metrics
from vade_jax.runs.run import KeyUse, Run, make_run
from vade_jax.runs.saved_model import restore
from vade_jax.runs.workdir import read
from vade_jax.settings.columns import read_levels
from vade_jax.system.console import silence
from vade_jax.system.devices import replicate
from vade_jax.system.errors import InputError, with_storage_errors
from vade_jax.system.forks import check_not_forked
from vade_jax.training.train_state import TrainState


class FittedRun(BaseEstimator):
    """An estimator that holds a trained run."""

    image_shape: tuple[int, int, int] | None
    _findings: Findings | None = None  # as in pickles of older versions
    _records: Sequence[dict[str, Any]] = ()

    def _rows(self, X: Any, options: ReadOptions = DEFAULT_READ_OPTIONS, **validation: Any) -> Dataset:
        """X [N, D] as scikit-learn validates it, as a data set with names, levels and image shape."""
        with checked_values(X):
            X, levels = encoded_frame(X, for_training=options.prepared is None) if has_text(X) else (X, ())
            array = validate_data(self, X, ensure_all_finite="allow-nan", **validation)
            array = array.astype(np.float64) if array.dtype.kind == "O" else array  # numbers of Python
        names = tuple(getattr(self, "feature_names_in_", ()))
        return rows_of(array, names, self.image_shape, levels, options.offset)

    def _training_rows(self, X: Any, config: ConfigDict, covariates: Any, sample_weight: Any) -> Dataset:
        """X [N, D] to train on, with covariates and weights. Columns that `config.data` names are read too."""
        options = read_options(config)
        covariates = options.covariates or None if covariates is None else covariates
        weights = options.weights if is_frame(X) and sample_weight is None else ""
        if is_cells(X):
            rows = self._cells(X, config)
        else:
            rows = self._rows(without_columns(X, covariates, weights), ensure_min_samples=2)
        count = len(rows.x)
        rows = rows._replace(covariates=covariates_to_train_on(covariates, X, count))
        if sample_weight is not None:
            return rows._replace(weights=checked_weights(sample_weight, count, "sample_weight"))
        return rows._replace(weights=read_weights(X, weights, "X")) if weights else rows

    def _cells(self, cells: Any, config: ConfigDict) -> Dataset:
        """The cells of an AnnData to train on. Their genes become the features."""
        rows = read_cells(cells, "X", read_options(config)._replace(covariates=()))
        self.n_features_in_, self.feature_names_in_ = len(rows.names), np.array(rows.names, object)
        return rows

    def _own_columns(self, X: Any) -> Any:
        """X with the columns of the fit, in their order, if both have names.

        Raises:
          InputError: columns are missing, or one is there twice.
        """
        names = getattr(self, "feature_names_in_", None)
        if names is None or not is_frame(X) or not all(isinstance(name, str) for name in X.columns):
            return X
        if [*X.columns] == [*names]:
            return X
        check_names([name for name in X.columns if name in {*names}], "X")
        with silence():
            return X.iloc[:, column_indices([*X.columns], names, "X", "X")]

    def _keep(self, folder: Path, allow_import: bool) -> None:
        """Reads from a workdir everything that predictions, reports and `save` need."""
        run, state, self._progress = restore(folder, allow_import)
        self._settings, self._description = run.config.to_dict(), read(run.folder)[1]
        self._params, self._scaling = jax.tree.map(np.asarray, (state.params, jax.tree.leaves(state.scaling)))
        self._log_likelihoods = np.load(run.folder / results.LOG_LIKELIHOODS)
        with np.load(run.folder / results.ASSIGNMENTS) as assignments:
            self.labels_ = assignments["cluster"]
        self.results_ = results.read(run.folder)
        self._findings = findings.read(run.folder / FINDINGS)
        self._records = read_metrics(run.folder / METRICS)
        prior = self._params["prior"]
        self.weights_ = np.asarray(jax.nn.softmax(prior.logits))
        self.means_, self.covariances_ = prior.means, np.exp(prior.log_vars)
        self.n_clusters_, self.n_iter_ = len(self.weights_), self._progress.total_epochs
        self._on_devices: tuple[Run, TrainState] | None = None
        self._trained()

    def _trained(self) -> tuple[Run, TrainState]:
        """The trained run and its state on the devices, where copies and pickles have none."""
        check_is_fitted(self)
        check_not_forked()
        if self._on_devices is None:
            run = make_run(ConfigDict(self._settings), Path(), self._description)
            state = TrainState.create(self._params, run.key(KeyUse.STAGES), Scaling(*self._scaling))
            self._on_devices = run, replicate(state)
        return self._on_devices

    def __getstate__(self) -> dict[str, Any]:
        return {name: None if name == "_on_devices" else value for name, value in super().__getstate__().items()}

    @with_parameter_errors
    @with_storage_errors
    def _asked(self, X: Any, covariates: Any = None) -> tuple[Run, TrainState, np.ndarray]:
        """The trained run, its state and the checked rows X [N, D] with their covariates, [N, D + S], as stored.

        Warns if rows are outside the training range.
        """
        run, state = self._trained()
        x = self._new_rows(X, covariates).inputs
        if description := describe_rows_outside(run, state, x):
            warnings.warn(description, UserWarning, stacklevel=5)
        return run, state, x

    def _new_rows(self, X: Any, covariates: Any) -> Dataset:
        """New rows X [N, D] of the model, with its columns, levels and covariates."""
        run, _ = self._trained()
        known = KnownCovariates.of_description(self._description)
        options = options_of_model(run, self._description)
        if is_cells(X):
            with silence():
                rows = read_cells(X, "X", options._replace(covariates=()))
                rows = match_columns(rows, self._description["names"], run.num_features, "X", "X")
        else:
            rows = self._rows(self._own_columns(X), options, reset=False)
        rows = rows._replace(covariates=covariates_of_new_rows(covariates, X, len(rows.x), known))
        return suit_model(rows, read_levels(self._description), run.model.likelihood.takes_gaps, "X", "X", known)

    def _more_rows(self, X: Any, covariates: Any, sample_weight: Any) -> Dataset:
        """New rows to train on, with their weights.

        Raises:
          InputError: they have values that the likelihood does not take.
        """
        run, state = self._trained()
        rows = self._new_rows(X, covariates)
        if description := describe_rows_outside(run, state, rows.inputs):
            got = f"{description.partition(' have ')[0]} outside the range of the training rows"
            raise InputError("X", got, "values in this range, for the likelihood", "Fit again on all rows.")
        if sample_weight is None:
            return rows
        return rows._replace(weights=checked_weights(sample_weight, len(rows.x), "sample_weight"))

    def _annotations(self, x: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """What `obs` and `obsm` of an AnnData get of its training rows x [N, D + S], as stored: name -> array."""
        run, state = self._trained()
        threshold = outlier_threshold(self._log_likelihoods, run.config.predict.outlier_share)
        probabilities = calibrated(clusters(run, state, x).responsibilities, self.results_["temperature"])
        answers = {"cluster": self.labels_, "probabilities": probabilities}
        answers["outlier"] = outliers(run, state, x, threshold)
        return annotations(answers, latent_means(run, state, x))

    def _named_columns(self, stored: np.ndarray) -> list[np.ndarray]:
        """The columns of rows [N, D], as stored, in the units of X, with the names of levels."""
        return named_columns(stored, read_levels(self._description), self._description.get("offset"))
