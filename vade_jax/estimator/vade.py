"""VaDE as a scikit-learn estimator: VaDE(n_clusters=10).fit_predict(X)."""

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.commands.continue_training import continue_training
from vade_jax.commands.train import train
from vade_jax.data.annotated_cells import annotate, is_cells
from vade_jax.data.dataset import Source
from vade_jax.estimator.answers import Answers
from vade_jax.estimator.argument_checks import checked_callbacks, checked_layer
from vade_jax.estimator.chosen_clusters import recommended_clusters
from vade_jax.estimator.insights import Insights
from vade_jax.estimator.parameter_errors import with_parameter_errors
from vade_jax.reports import findings, results
from vade_jax.reports.findings import FINDINGS
from vade_jax.runs.metrics_log import METRICS, write_metrics
from vade_jax.runs.replaced_run import OWNER
from vade_jax.runs.saved_model import save_model
from vade_jax.runs.treatment import EpochCallback
from vade_jax.runs.workdir import RESULTS, best_run_folder, claim, read
from vade_jax.settings.estimator_parameters import bounded, config_of, parameters_of, with_settings
from vade_jax.settings.field_names import flatten
from vade_jax.settings.paths import user_path
from vade_jax.settings.rules import AUTO
from vade_jax.system.atomic_files import atomic_write, write_array, write_json
from vade_jax.system.console import lines_without_bars, silence
from vade_jax.system.errors import InputError, with_storage_errors
from vade_jax.system.forks import check_not_forked

_FEW_EPOCHS = 5
_NESTED = "settings__"  # before a field's name in searches


class VaDE(Answers, Insights):
    """Variational Deep Embedding (Jiang et al. 2017, arXiv:1611.05148) as a scikit-learn estimator.

    `fit` trains as the command line does: the same settings and seed give the same clusters. Labels are never read: y
    is ignored everywhere. X can have gaps (NaN, None, pandas.NA), and a pandas frame can have columns of text. A model
    of rows without gaps refuses rows with gaps. Columns of a frame are matched by their names. X can be an AnnData.

    New rows may have values outside the range of the training rows. If the likelihood needs x in [0, 1], as 'bernoulli'
    does, they are clipped to that range, and a UserWarning says how many rows have such values.

    Args:
      n_clusters: K; 'auto' for the number that `--mode=select_k` recommends. That trains one more autoencoder, and then
        clusters random halves of up to 10,000 rows, five times for each K from 1 to 20. On few rows the fit takes about
        ten times as long. The settings 'select_k.max_clusters' and 'select_k.num_splits' make it shorter. A fit that is
        resumed in a workdir chooses again, and comes to the same number.
      latent_dim: J.
      hidden: widths of the encoder's hidden layers, reversed in the decoder; 'auto' to choose by rows and columns.
      network: 'mlp', or 'conv' for images. Also a name of `register_network`, or package.module:factory.
      likelihood: of p(x|z): 'bernoulli', 'gaussian', 'gaussian_shared', or 'auto' to choose by the rows. Also a name
        of `register_likelihood`, or package.module:factory.
      scaling: of the rows: 'range', 'standardize', 'rescale', 'none', or 'auto' to choose by the rows. Also a name of
        `register_scaling`, or package.module:function.
      column_types: name or number of a column -> its kind: 'number', 'positive', 'binary', 'category', 'count' or
        'heavy_tailed'. The other columns are what they look like.
      image_shape: (H, W, C) if the rows are images, else None.
      max_epochs: the most passes over the rows in each stage: the autoencoder, each guide round, align, and the last
        one. None for those of the settings.
      callbacks: functions that are called after each epoch with its metrics, a dict such as {'stage': 'pretrain',
        'epoch': 1, 'loss': 9.5}. If one returns True, training ends after this epoch, and the fit as usual: clusters
        are found, if they were not yet. No file keeps them.
      settings: any other field of `vade_jax.settings.defaults` by its dotted name, such as {'pretrain.num_epochs': 20}.
        `set_params` and searches take one as settings__pretrain__num_epochs.
      workdir: the folder for the run's files. An interrupted fit of the same rows and settings resumes from it. A fit
        that has ended is replaced by one of other rows or settings; other files in the folder are never deleted. None
        keeps no files.
      verbose: 1 to show progress bars and what is chosen; 2 for a line a stage in place of bars where the output is no
        terminal, such as a log file; 0 for nothing.
      random_state: the seed. An integer gives the same result in every call.

    Attributes:
      n_clusters_: K.
      labels_: [N], the cluster of each training row.
      weights_: [K], the cluster weights pi.
      means_: [K, J], the cluster means in the latent space.
      covariances_: [K, J], the diagonals of the cluster covariances.
      cluster_centers_: [K, D], E[x|z] at these means, in the units of X.
      history_: the metrics of each epoch.
      n_iter_: the number of epochs, of all stages.
      results_: the content of `results.json`.
      n_features_in_: D.
    """

    def __init__(
        self,
        n_clusters: int | str = 10,
        *,
        latent_dim: int = 10,
        hidden: Sequence[int] | str = "auto",
        network: str = "mlp",
        likelihood: str = "auto",
        scaling: str = "auto",
        column_types: Mapping[str | int, str] | None = None,
        image_shape: tuple[int, int, int] | None = None,
        max_epochs: int | None = None,
        callbacks: Sequence[EpochCallback] | None = None,
        settings: Mapping[str, Any] | None = None,
        workdir: str | Path | None = None,
        verbose: bool | int = False,
        random_state: int | np.random.RandomState | None = 0,
    ):
        self.n_clusters = n_clusters
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.network = network
        self.likelihood = likelihood
        self.scaling = scaling
        self.column_types = column_types
        self.image_shape = image_shape
        self.max_epochs = max_epochs
        self.callbacks = callbacks
        self.settings = settings
        self.workdir = workdir
        self.verbose = verbose
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; if deep, also each of `settings`, such as settings__pretrain__num_epochs."""
        own = super().get_params(deep)
        fields = flatten(self.settings) if deep and isinstance(self.settings, Mapping) else {}
        return own | {_NESTED + name.replace(".", "__"): value for name, value in fields.items()}

    @with_parameter_errors
    def set_params(self, **params: Any) -> "VaDE":
        """Sets parameters, and single ones of `settings`: set_params(settings__pretrain__num_epochs=20).

        Raises:
          InputError: a ValueError that names a field of `settings` that does not exist.
          ValueError: there is no such parameter.
        """
        nested = {name: params.pop(name) for name in [*params] if name.startswith(_NESTED)}
        super().set_params(**params)
        if nested:
            fields = {name.removeprefix(_NESTED): value for name, value in nested.items()}
            self.settings = with_settings(self.settings, fields)
        return self

    @with_parameter_errors
    @with_storage_errors
    def fit(
        self,
        X: Any,
        y: object = None,
        *,
        covariates: Any = None,
        sample_weight: Any = None,
        layer: str | None = None,
    ) -> "VaDE":
        """Clusters the rows of X [N, D].

        An AnnData is read as the command line reads an .h5ad: counts are normalized, and the genes that `var` marks as
        highly_variable are used. Its `obs` gets vade_cluster, vade_probability and vade_outlier, its `obsm` X_vade (as
        `transform`) and vade_probabilities. Settings such as 'data.normalize' say otherwise.

        Args:
          X: rows, as an array, a frame or an AnnData.
          y: not read.
          covariates: how each row was measured, such as its batch, which the clusters are not to follow. Names of
            columns of X or, for an AnnData, of its obs, which are then no features; or a pandas frame, or an array
            [N, S] or [N]. Text, and whole numbers of at most 20 different values, are levels.
          sample_weight: [N], numbers >= 0: how much each row counts in the losses and in the prior; None for 1.
          layer: of an AnnData, the layer to read in place of X, also for new cells; None for X.

        Raises:
          InputError: a ValueError that names the parameter, or the value of X, that cannot be used. Also if the workdir
            has a run that `fit` did not write, or an interrupted fit of other rows or settings. Also in a process that
            was forked after JAX was used: start workers by 'spawn' or joblib's 'loky'.
          DivergedError: training collapsed and no cure helped.
          StorageError: a file cannot be read or written, such as on a full disk.
        """
        check_not_forked()
        config = config_of(self.get_params(deep=False))
        if layer is not None:
            config.data.layer = checked_layer(layer, X)
        with tempfile.TemporaryDirectory() as temporary, _shown(self.verbose):
            rows = self._training_rows(X, config, covariates, sample_weight)
            config, source = bounded(config, self.max_epochs, len(rows.x)), Source({"train": rows})
            if self.n_clusters == AUTO:
                config.model.num_clusters = recommended_clusters(config, source, Path(temporary, "autoencoder"))
            folder = user_path(self.workdir or Path(temporary, "run"))
            train(config, folder, source, owner="VaDE.fit", callbacks=checked_callbacks(self.callbacks))
            self._keep(folder, allow_import=True)  # only what this estimator's own parameters name
            if is_cells(X):
                annotate(X, *self._annotations(rows.inputs))
        return self

    @with_parameter_errors
    @with_storage_errors
    def partial_fit(self, X: Any, y: object = None, *, covariates: Any = None, sample_weight: Any = None) -> "VaDE":
        """Goes on from the trained model: at most five more epochs of the last stage, on new rows X [N, D] alone.

        The scaling, K and the numbers of the clusters stay, but rows can change their cluster. A cluster that the new
        rows lack loses weight. The probabilities change. The temperature is fitted again, so that those of the new rows
        are as certain, on average, as before. The threshold of outliers, `labels_`, `results_`, `summary` and the
        report are of the new rows; `history_` goes on. Parameters that were set after the fit are not used, but for
        `callbacks`, `max_epochs` and `verbose`. The workdir keeps the fit.

        Before any fit it is `fit`. The arguments are those of `fit`; of an AnnData the layer of the fit is read.

        Raises:
          InputError: X cannot be used, has fewer different rows than clusters, or has values outside the range of the
            training rows where the likelihood needs values in it.
          DivergedError: the loss is not finite. The model stays as it was.
          StorageError: a temporary file cannot be written, such as on a full disk.
        """
        if not hasattr(self, "labels_"):
            return self.fit(X, y, covariates=covariates, sample_weight=sample_weight)
        _, state = self._trained()
        with tempfile.TemporaryDirectory() as temporary, _shown(self.verbose):
            rows = self._more_rows(X, covariates, sample_weight)
            epochs, folder = min(_FEW_EPOCHS, self.max_epochs or _FEW_EPOCHS), Path(temporary, "run")
            callbacks = checked_callbacks(self.callbacks)
            settings, trained = self._settings, (state, self._progress, self.results_.get("temperature", 1.0))
            continue_training(settings, self._description, *trained, self._records, rows, folder, epochs, callbacks)
            self._keep(folder, allow_import=True)  # what the trained model has imported already
            # The fit's settings have more epochs and stages. The run has ended all the same.
            self._settings, self._progress = settings, self._progress._replace(stopped=True)
            self._on_devices = None
            if is_cells(X):
                annotate(X, *self._annotations(rows.inputs))
        return self

    def fit_transform(self, X: Any, y: object = None, *, covariates: Any = None, **fit_params: Any) -> Any:
        """Fits, and returns the mean of q(z|x) of each row of X [N, D], as [N, J]; the arguments are those of `fit`."""
        return self.fit(X, y, covariates=covariates, **fit_params).transform(X, covariates=covariates)

    @with_parameter_errors
    @with_storage_errors
    def save(self, folder: str | Path) -> None:
        """Writes a workdir for `load` and for the command line; it has no pickle files. No `fit` replaces it.

        Raises:
          InputError: the folder has another run, or cannot be written.
          StorageError: a file cannot be written, such as on a full disk.
        """
        run, state = self._trained()
        folder = user_path(folder)
        claim(folder, self._settings, self._description | {OWNER: ""})
        save_model(run._replace(folder=folder), state, self._progress)
        write_array(folder / results.LOG_LIKELIHOODS, self._log_likelihoods)
        with atomic_write(folder / results.ASSIGNMENTS) as partial:
            np.savez(partial, cluster=self.labels_)
        write_metrics(folder / METRICS, self._records)
        if self._findings is not None:
            findings.write(folder / FINDINGS, self._findings)
        write_json(folder / RESULTS, self.results_)

    @classmethod
    @with_parameter_errors
    @with_storage_errors
    def load(cls, folder: str | Path, allow_import: bool = False) -> "VaDE":
        """The fitted estimator from a workdir that `save` or the command line wrote.

        Args:
          folder: the workdir.
          allow_import: whether its settings can import code (package.module:factory); only for trusted folders.

        Raises:
          InputError: the folder has no run that has ended, or its settings import code and allow_import is False.
        """
        folder = best_run_folder(user_path(folder))
        fields, description = read(folder)
        loaded = cls(**parameters_of(fields, description))
        loaded.n_features_in_ = description["num_features"]
        if names := description["names"]:
            loaded.feature_names_in_ = np.array(names, object)
        loaded._keep(folder, allow_import)
        return loaded


def _shown(verbose: bool | int) -> AbstractContextManager[None]:
    """A context that shows as much of a fit as `verbose` says."""
    if verbose not in (0, 1, 2):
        raise InputError("verbose", repr(verbose), "0, 1 or 2", "Set one of these.")
    if not verbose:
        return silence()
    return lines_without_bars() if verbose == 2 and not sys.stderr.isatty() else nullcontext()
