"""VaDE as a scikit-learn estimator: VaDE(n_clusters=10).fit_predict(X)."""

import tempfile
import warnings
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, ClusterMixin, DensityMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from vade_jax.commands.load_rows import suit_model
from vade_jax.commands.predict import clusters, describe_rows_outside, log_likelihoods
from vade_jax.commands.train import train
from vade_jax.data.column_checks import checked_values
from vade_jax.data.dataset import DEFAULT_READ_OPTIONS, Dataset, Preparation, ReadOptions, Source
from vade_jax.data.frames import encoded_frame, has_text, joined_columns, rows_of, with_gaps_filled
from vade_jax.data.levels import named_columns
from vade_jax.data.scaling import Scaling
from vade_jax.inference.answers import generate, make_embed
from vade_jax.inference.calibration import calibrated
from vade_jax.inference.imputation import impute
from vade_jax.reports import results
from vade_jax.runs.replaced_run import OWNER
from vade_jax.runs.run import KeyUse, Run, make_run
from vade_jax.runs.saved_model import restore, save_model
from vade_jax.runs.workdir import RESULTS, best_run_folder, claim, read
from vade_jax.settings.columns import read_levels
from vade_jax.settings.estimator_parameters import config_of, parameters_of
from vade_jax.settings.paths import user_path
from vade_jax.system.atomic_files import atomic_write, write_array, write_json
from vade_jax.system.console import silence
from vade_jax.system.devices import replicate
from vade_jax.system.errors import InputError, with_storage_errors
from vade_jax.system.precision import matmul_precision
from vade_jax.training.train_state import TrainState


class VaDE(ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin, DensityMixin, BaseEstimator):
    """Variational Deep Embedding (Jiang et al. 2017, arXiv:1611.05148) as a scikit-learn estimator.

    `fit` trains as the command line does: the same settings and seed give the same clusters. Labels are never read: y
    is ignored everywhere. X can have gaps (NaN, None, pandas.NA), and a pandas frame can have columns of text. A model
    of rows without gaps refuses rows with gaps.

    New rows may have values outside the range of the training rows. If the likelihood needs x in [0, 1], as 'bernoulli'
    does, they are clipped to that range, and a UserWarning says how many rows have such values.

    Args:
      n_clusters: K.
      latent_dim: J.
      hidden: widths of the encoder's hidden layers, reversed in the decoder; 'auto' to choose by the number of rows.
      likelihood: of p(x|z): 'bernoulli', 'gaussian', 'gaussian_shared', or 'auto' to choose by the rows. Also a name
        of `register_likelihood`, or package.module:factory.
      scaling: of the rows: 'range', 'standardize', 'rescale', 'none', or 'auto' to choose by the rows. Also a name of
        `register_scaling`, or package.module:function.
      column_types: name or number of a column -> its kind: 'number', 'binary', 'category', 'count' or 'heavy_tailed'.
        The other columns are what they look like.
      image_shape: (H, W, C) if the rows are images, else None.
      settings: any other field of `vade_jax.settings.defaults` by its dotted name, such as {'pretrain.num_epochs': 20}.
      workdir: the folder for the run's files. An interrupted fit of the same rows and settings resumes from it. A fit
        that has ended is replaced by one of other rows or settings; other files in the folder are never deleted. None
        keeps no files.
      verbose: whether to show progress.
      random_state: the seed. An integer gives the same result in every call.

    Attributes:
      labels_: [N], the cluster of each training row.
      weights_: [K], the cluster weights pi.
      means_: [K, J], the cluster means in the latent space.
      covariances_: [K, J], the diagonals of the cluster covariances.
      results_: the content of `results.json`.
      n_features_in_: D.
    """

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        latent_dim: int = 10,
        hidden: Sequence[int] | str = "auto",
        likelihood: str = "auto",
        scaling: str = "auto",
        column_types: Mapping[str | int, str] | None = None,
        image_shape: tuple[int, int, int] | None = None,
        settings: Mapping[str, Any] | None = None,
        workdir: str | Path | None = None,
        verbose: bool = False,
        random_state: int | np.random.RandomState | None = 0,
    ):
        self.n_clusters = n_clusters
        self.latent_dim = latent_dim
        self.hidden = hidden
        self.likelihood = likelihood
        self.scaling = scaling
        self.column_types = column_types
        self.image_shape = image_shape
        self.settings = settings
        self.workdir = workdir
        self.verbose = verbose
        self.random_state = random_state

    @with_storage_errors
    def fit(self, X: Any, y: object = None) -> "VaDE":
        """Clusters the rows of X [N, D].

        Raises:
          InputError: a ValueError that names the setting, or the value of X, that cannot be used. Also if the workdir
            has a run that `fit` did not write, or an interrupted fit of other rows or settings.
          DivergedError: training collapsed and no cure helped.
          StorageError: a file cannot be read or written, such as on a full disk.
        """
        rows = self._rows(X, ensure_min_samples=2)
        with tempfile.TemporaryDirectory() as temporary, nullcontext() if self.verbose else silence():
            folder = user_path(self.workdir or temporary)
            train(config_of(self.get_params(deep=False)), folder, Source({"train": rows}), owner="VaDE.fit")
            self._keep(folder, allow_import=True)  # only what this estimator's own parameters name
        return self

    def _rows(self, X: Any, options: ReadOptions = DEFAULT_READ_OPTIONS, **validation: Any) -> Dataset:
        """X [N, D] as scikit-learn validates it, as a data set with names, levels and image shape."""
        with checked_values(X):
            X, levels = encoded_frame(X, for_training=options.prepared is None) if has_text(X) else (X, ())
            array = validate_data(self, X, ensure_all_finite="allow-nan", **validation)
            array = array.astype(np.float64) if array.dtype.kind == "O" else array  # numbers of Python
        names = tuple(getattr(self, "feature_names_in_", ()))
        return rows_of(array, names, self.image_shape, levels, options.offset)

    def _keep(self, folder: Path, allow_import: bool) -> None:
        """Reads from a workdir everything that prediction and `save` need."""
        run, state, self._progress = restore(folder, allow_import)
        self._settings, self._description = run.config.to_dict(), read(run.folder)[1]
        self._params, self._scaling = jax.tree.map(np.asarray, (state.params, jax.tree.leaves(state.scaling)))
        self._log_likelihoods = np.load(run.folder / results.LOG_LIKELIHOODS)
        with np.load(run.folder / results.ASSIGNMENTS) as assignments:
            self.labels_ = assignments["cluster"]
        self.results_ = results.read(run.folder)
        prior = self._params["prior"]
        self.weights_ = np.asarray(jax.nn.softmax(prior.logits))
        self.means_, self.covariances_ = prior.means, np.exp(prior.log_vars)
        self._on_devices: tuple[Run, TrainState] | None = None
        self._trained()

    def _trained(self) -> tuple[Run, TrainState]:
        """The trained run and its state on the devices, where copies and pickles have none."""
        check_is_fitted(self)
        if self._on_devices is None:
            run = make_run(ConfigDict(self._settings), Path(), self._description)
            state = TrainState.create(self._params, run.key(KeyUse.STAGES), Scaling(*self._scaling))
            self._on_devices = run, replicate(state)
        return self._on_devices

    def __getstate__(self) -> dict[str, Any]:
        return {name: None if name == "_on_devices" else value for name, value in super().__getstate__().items()}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    _n_features_out = property(lambda self: self.means_.shape[1])  # scikit-learn reads it

    @with_storage_errors
    def _asked(self, X: Any) -> tuple[Run, TrainState, np.ndarray]:
        """The trained run, its state and the checked rows X [N, D]. Warns if rows are outside the training range."""
        run, state = self._trained()
        options = ReadOptions(prepared=Preparation.of_description(self._description))
        rows = self._rows(X, options, reset=False)
        x = suit_model(rows, read_levels(self._description), run.model.likelihood.takes_gaps, "X", "X").x
        if description := describe_rows_outside(run, state, x):
            warnings.warn(description, UserWarning, stacklevel=4)
        return run, state, x

    def predict(self, X: Any) -> np.ndarray:
        """The cluster of each row of X [N, D], as [N], int32."""
        return clusters(*self._asked(X)).clusters

    def predict_proba(self, X: Any) -> np.ndarray:
        """The calibrated cluster probabilities of each row of X [N, D], as [N, K].

        A row in whose surroundings clusters meet or overlap is less certain. They are `responsibilities` at a
        temperature that was fitted without labels; the most probable cluster is the same.
        """
        return calibrated(self.responsibilities(X), self.results_.get("temperature", 1.0))

    def responsibilities(self, X: Any) -> np.ndarray:
        """The model's own q(c|x) of each row of X [N, D], as [N, K], which are more certain than they are right."""
        return clusters(*self._asked(X)).responsibilities

    def transform(self, X: Any) -> np.ndarray:
        """The mean of q(z|x) of each row of X [N, D], as [N, J]."""
        run, state, x = self._asked(X)
        return make_embed(run.model, run.config.evaluate.batch_size)(state, x)[0]

    def impute(self, X: Any) -> Any:
        """X [N, D] with E[x | the observed entries of its row] in its gaps, of a category the most probable level.

        Returns:
          A frame of the same columns for a pandas frame, else float64. Observed entries stay as they are.
        """
        run, state, x = self._asked(X)
        filled = x
        if run.model.likelihood.takes_gaps:
            scoring, key = run.config.evaluate, run.key(KeyUse.EVALUATION)
            with matmul_precision(run.config.precision):
                size, count = scoring.batch_size, scoring.bound_samples
                filled = state.scaling.inverse(impute(run.model, state, x, key, num_samples=count, batch_size=size))
        return with_gaps_filled(X, self._named_columns(filled))

    def score_samples(self, X: Any) -> np.ndarray:
        """The importance-weighted bound of log p(x) of each scaled row of X [N, D], [N] nats; -inf for far rows."""
        return log_likelihoods(*self._asked(X))

    def score(self, X: Any, y: object = None) -> float:
        """The mean of `score_samples`, nats."""
        return float(self.score_samples(X).mean(dtype=np.float64))

    def sample(self, n_samples: int = 1, mean: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Draws c ~ Cat(pi), z ~ p(z|c) and x ~ p(x|z), in the units of the training rows.

        With the Bernoulli likelihood each value of x is one of two: what the model sees as 0 and as 1.

        Args:
          n_samples: number of samples; every call with the same number returns the same ones.
          mean: whether to return E[x|z] instead of x, for the same c and z.

        Returns:
          X [n_samples, D], and the clusters [n_samples].

        Raises:
          InputError: n_samples is below 1.
          NotImplementedError: mean is False and the likelihood is one of your own without `sample`.
        """
        if n_samples < 1:
            raise InputError("n_samples", n_samples, "an integer >= 1", "Ask for at least one sample.")
        run, state = self._trained()
        with matmul_precision(run.config.precision):
            key = run.key(KeyUse.SAMPLES)
            x, drawn = generate(run.model, state.params, key, (n_samples,), mean=mean)
        return joined_columns(self._named_columns(state.scaling.inverse(x))), drawn

    def _named_columns(self, stored: np.ndarray) -> list[np.ndarray]:
        """The columns of rows [N, D], as stored, in the units of X, with the names of levels."""
        return named_columns(stored, read_levels(self._description), self._description.get("offset"))

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
        write_json(folder / RESULTS, self.results_)

    @classmethod
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
