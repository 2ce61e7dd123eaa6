"""What a fitted estimator says about rows, and the rows that it generates."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, ClusterMixin, DensityMixin, TransformerMixin

from vade_jax.commands.predict import clusters, latent_means, log_likelihoods
from vade_jax.data.covariates import KnownCovariates
from vade_jax.data.frames import joined_columns, with_gaps_filled
from vade_jax.estimator.fitted_run import FittedRun
from vade_jax.estimator.given_covariates import stored_covariates
from vade_jax.estimator.parameter_errors import with_parameter_errors
from vade_jax.inference.answers import decode, generate
from vade_jax.inference.calibration import calibrated
from vade_jax.inference.covariate_draws import draw_covariates, scaled_covariates
from vade_jax.inference.imputation import impute
from vade_jax.runs.run import KeyUse
from vade_jax.system.errors import InputError
from vade_jax.system.precision import matmul_precision


class Answers(ClassNamePrefixFeaturesOutMixin, ClusterMixin, TransformerMixin, DensityMixin, FittedRun):
    """The methods that scikit-learn gives to models of clusters, of densities and of features.

    A model that was fitted with covariates needs those of new rows. They are given as to `fit`; an array has them in
    the same order. Without the argument they are the columns of X, or of an AnnData's obs, that have their names.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    _n_features_out = property(lambda self: self.means_.shape[1])  # scikit-learn reads it

    @property
    def cluster_centers_(self) -> np.ndarray:
        """E[x|z] at the mean of each cluster in the latent space, [K, D], in the units of X.

        It is what the decoder makes of `means_`: a typical row, not the mean of the cluster's rows. A column of text
        has its most probable level; the array then holds objects. Covariates are as if they were not known.
        """
        run, state = self._trained()
        with matmul_precision(run.config.precision):
            x = decode(run.model, state.params, self.means_)
        return joined_columns(self._named_columns(state.scaling.inverse(x)))

    def predict(self, X: Any, *, covariates: Any = None) -> np.ndarray:
        """The cluster of each row of X [N, D], as [N], int32."""
        return clusters(*self._asked(X, covariates)).clusters

    def predict_proba(self, X: Any, *, covariates: Any = None) -> np.ndarray:
        """The calibrated cluster probabilities of each row of X [N, D], as [N, K].

        A row in whose surroundings clusters meet or overlap is less certain. They are `responsibilities` at a
        temperature that was fitted without labels; the most probable cluster is the same.
        """
        return calibrated(self.responsibilities(X, covariates=covariates), self.results_.get("temperature", 1.0))

    def responsibilities(self, X: Any, *, covariates: Any = None) -> np.ndarray:
        """The model's own q(c|x) of each row of X [N, D], as [N, K], which are more certain than they are right."""
        return clusters(*self._asked(X, covariates)).responsibilities

    def transform(self, X: Any, *, covariates: Any = None) -> np.ndarray:
        """The mean of q(z|x) of each row of X [N, D], as [N, J]."""
        return latent_means(*self._asked(X, covariates))

    def impute(self, X: Any, *, covariates: Any = None) -> Any:
        """X [N, D] with E[x | the observed entries of its row] in its gaps, of a category the most probable level.

        Returns:
          A frame of the same columns for a pandas frame, else float64. Observed entries stay as they are, and so do
          columns that the fit did not have.
        """
        run, state, x = self._asked(X, covariates)
        filled, _ = run.model.covariates.split(x)
        if run.model.likelihood.takes_gaps:
            scoring, key = run.config.evaluate, run.key(KeyUse.EVALUATION)
            with matmul_precision(run.config.precision):
                size, count = scoring.batch_size, scoring.bound_samples
                filled = state.scaling.inverse(impute(run.model, state, x, key, num_samples=count, batch_size=size))
        own = self._own_columns(X)
        values = with_gaps_filled(own, self._named_columns(filled))
        return values if own is X else X.assign(**{name: values[name] for name in values})

    def score_samples(self, X: Any, *, covariates: Any = None) -> np.ndarray:
        """The importance-weighted bound of log p(x) of each scaled row of X [N, D], [N] nats; -inf for far rows."""
        return log_likelihoods(*self._asked(X, covariates))

    def score(self, X: Any, y: object = None, *, covariates: Any = None) -> float:
        """The mean of `score_samples`, nats."""
        return float(self.score_samples(X, covariates=covariates).mean(dtype=np.float64))

    @with_parameter_errors
    def sample(
        self, n_samples: int = 1, mean: bool = False, *, covariates: Any = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws c ~ Cat(pi), z ~ p(z|c) and x ~ p(x|z), in the units of the training rows.

        With the Bernoulli likelihood each value of x is one of two: what the model sees as 0 and as 1.

        Args:
          n_samples: number of samples; every call with the same number returns the same ones.
          mean: whether to return E[x|z] instead of x, for the same c and z.
          covariates: those of the samples: a frame or an array of n_samples rows, or a dict such as {'batch': 'b1'}.
            Those that are not given are those of random training rows.

        Returns:
          X [n_samples, D], and the clusters [n_samples].

        Raises:
          InputError: n_samples is below 1, or the covariates are not those of the fit.
          NotImplementedError: mean is False and the likelihood is one of your own without `sample`.
        """
        if n_samples < 1:
            raise InputError("n_samples", n_samples, "an integer >= 1", "Ask for at least one sample.")
        run, state = self._trained()
        known = KnownCovariates.of_description(self._description)
        if covariates is None or isinstance(covariates, Mapping):
            entries = [f"{name}={value}" for name, value in (covariates or {}).items()]
            given = draw_covariates(known, n_samples, run.config.seed, entries)
        else:
            given = stored_covariates(covariates, n_samples, known)
        with matmul_precision(run.config.precision):
            key, scaled = run.key(KeyUse.SAMPLES), scaled_covariates(given, state.scaling)
            x, drawn = generate(run.model, state.params, key, (n_samples,), mean=mean, covariates=scaled)
        return joined_columns(self._named_columns(state.scaling.inverse(x))), drawn
