"""Evaluates a trained state: clusters, the ELBO, scores and samples as arrays and numbers. Writes no files."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_matrix

from vade_jax.data.dataset import Dataset, sample_row_indices
from vade_jax.inference.answers import Posterior, generate, log_likelihood, mean_elbo, posterior
from vade_jax.inference.calibration import calibrated, calibration_temperature
from vade_jax.initialization import soft_memberships
from vade_jax.initialization.modularity import mean_modularity
from vade_jax.reports import label_scores
from vade_jax.reports.covariate_scores import covariate_scores
from vade_jax.reports.label_scores import Confusion
from vade_jax.runs import starting_clusters
from vade_jax.runs.input_graphs import clustered_row_indices
from vade_jax.runs.run import KeyUse, Run
from vade_jax.runs.watched_rows import read_cluster_history
from vade_jax.system.large_arrays import empty_array
from vade_jax.training.train_state import TrainState

_SAMPLES_PER_CLUSTER = 10


@dataclass(frozen=True)
class EvaluationOptions:
    """How a state is evaluated: the settings of the section `evaluate`.

    Attributes:
      estimator: of q(c|x): 'sample', 'mean' or 'optimal'.
      batch_size: rows for one device call.
      bound_samples: L, draws of z for the importance-weighted bound.
      bound_rows: how many random rows that bound is computed for; 0 for all.
    """

    estimator: str
    batch_size: int
    bound_samples: int
    bound_rows: int


@dataclass(frozen=True)
class Evaluation:
    """What a trained state says about the rows of its run.

    The scored rows are the test rows, or the training rows if there are no test rows.

    Attributes:
      posterior: q(c|x) of the training rows.
      test_posterior: q(c|x) of the test rows, or None.
      temperature: at which q(c|x) is calibrated; see `calibration_temperature`.
      probabilities: [N, K], the calibrated cluster probabilities of the training rows.
      test_probabilities: the same of the test rows, or None.
      scores: see `label_scores.scores`, of the labelled ones of the scored rows; each None without labels.
      training_scores: the same of the training rows that clusters are found on, to compare with the starting clusters.
      labelled_rows: the number of scored rows that have a label.
      covariates: what the scored rows' clusters say about their covariates; see `covariate_scores`.
      confusion: of the labelled ones of the scored rows; None without labels.
      elbo: 'elbo' and its five terms by name, means over the scored rows, nats.
      log_likelihoods: [R], the importance-weighted bound of log p(x), nats, of R of the test rows, or of the rows of
        the run that were not trained on. If there are neither, of R training rows.
      bound_samples: L, draws of z for that bound.
      occupancy: [K], the number of scored rows in each cluster.
      input_modularity: mean modularity of the training rows' clusters on the graphs of the inputs.
      starting_clusters: scores and modularities of the clusters that each stage started from, in order.
      accuracy_by_epoch: accuracy on the watched rows; None for epochs without clusters, or without labels.
      samples: [K, 10, D], E[x|z] for draws of z from each cluster, as the model sees rows; None if rows are not images.
    """

    posterior: Posterior
    test_posterior: Posterior | None
    temperature: float
    probabilities: np.ndarray
    test_probabilities: np.ndarray | None
    scores: dict[str, float | None]
    training_scores: dict[str, float | None]
    labelled_rows: int
    covariates: dict[str, dict[str, float]]
    confusion: Confusion | None
    elbo: dict[str, float]
    log_likelihoods: np.ndarray
    bound_samples: int
    occupancy: list[int]
    input_modularity: float
    starting_clusters: list[dict[str, Any]]
    accuracy_by_epoch: list[float | None]
    samples: np.ndarray | None

    @property
    def scored_posterior(self) -> Posterior:
        """q(c|x) of the scored rows."""
        return self.posterior if self.test_posterior is None else self.test_posterior


def evaluate_state(
    run: Run,
    state: TrainState,
    train: Dataset,
    test: Dataset | None,
    *,
    input_graphs: Sequence[csr_matrix],
    total_epochs: int,
    options: EvaluationOptions,
) -> Evaluation:
    """Evaluates a trained state. The only place where labels are scored.

    Args:
      run: trained; its folder holds the starting clusters and the watched rows' clusters.
      state: the trained state.
      train: the rows that were clustered.
      test: the rows to score instead, or None.
      input_graphs: as `load_input_graphs` returns them.
      total_epochs: how many epochs the run has done.
      options: how to evaluate.

    Returns:
      The evaluation.
    """
    posterior_key, rows_key, bound_key, generate_key = jax.random.split(run.key(KeyUse.EVALUATION), 4)
    train_x = train.inputs
    scored, scored_x = (train, train_x) if test is None else (test, test.inputs)
    train_posterior = _posterior(run, state, train_x, posterior_key, options)
    test_posterior = None if test is None else _posterior(run, state, scored_x, posterior_key, options)
    allocate = functools.partial(empty_array, folder=run.folder)
    scored_posterior = train_posterior if test_posterior is None else test_posterior
    elbo = mean_elbo(
        run.model,
        state,
        scored_x,
        posterior_key,
        estimator=options.estimator,
        batch_size=options.batch_size,
        allocate=allocate,
    )
    candidates = _rows_not_trained_on(run, test)
    bound_x = scored_x[candidates[sample_row_indices(len(candidates), rows_key, options.bound_rows)]]
    log_likelihoods = log_likelihood(
        run.model,
        state,
        bound_x,
        bound_key,
        num_samples=options.bound_samples,
        batch_size=options.batch_size,
    )
    num_clusters = train_posterior.responsibilities.shape[1]
    samples = None
    if train.image_shape:
        shape, cluster = (num_clusters, _SAMPLES_PER_CLUSTER), jnp.arange(num_clusters)[:, None]
        samples, _ = generate(run.model, state.params, generate_key, shape, cluster, mean=True)
    clustered = clustered_row_indices(run)
    temperature = _calibration_temperature(run, train_posterior)
    clustered_labels = None if train.labels is None else train.labels[clustered]
    return Evaluation(
        posterior=train_posterior,
        test_posterior=test_posterior,
        temperature=temperature,
        probabilities=calibrated(train_posterior.responsibilities, temperature, allocate),
        test_probabilities=None
        if test_posterior is None
        else calibrated(test_posterior.responsibilities, temperature, allocate),
        scores=_scores(scored.labels, scored_posterior.clusters),
        training_scores=_scores(clustered_labels, train_posterior.clusters[clustered]),
        labelled_rows=label_scores.num_labelled(scored.labels),
        covariates=covariate_scores(scored, scored_posterior.clusters),
        confusion=_confusion(scored, scored_posterior.clusters, num_clusters),
        elbo=elbo,
        log_likelihoods=log_likelihoods,
        bound_samples=options.bound_samples,
        occupancy=label_scores.occupancy(scored_posterior.clusters, num_clusters),
        input_modularity=mean_modularity(input_graphs, train_posterior.clusters[clustered]),
        starting_clusters=_score_starting_clusters(run, train.labels),
        accuracy_by_epoch=_accuracy_by_epoch(run, train.labels, total_epochs),
        samples=samples,
    )


def _rows_not_trained_on(run: Run, test: Dataset | None) -> np.ndarray:
    """Returns the indices of the scored rows that were not trained on; of all training rows if there are none."""
    if test is not None:
        return np.arange(len(test.x))
    held_out = run.held_out_rows
    return held_out if len(held_out) else np.arange(run.num_rows)


def _posterior(run: Run, state: TrainState, x: np.ndarray, key: jax.Array, options: EvaluationOptions) -> Posterior:
    return posterior(
        run.model,
        state,
        x,
        key,
        estimator=options.estimator,
        batch_size=options.batch_size,
        allocate=functools.partial(empty_array, folder=run.folder),
    )


def _scores(labels: np.ndarray | None, clusters: np.ndarray) -> dict[str, float | None]:
    if labels is None or not label_scores.num_labelled(labels):
        return dict.fromkeys(("accuracy", "balanced_accuracy", "nmi", "ari"))
    return {**label_scores.scores(labels, clusters)}


def _confusion(rows: Dataset, clusters: np.ndarray, num_clusters: int) -> Confusion | None:
    if rows.labels is None or not label_scores.num_labelled(rows.labels):
        return None
    return label_scores.confusion(rows.labels, clusters, num_clusters, rows.label_names)


def _calibration_temperature(run: Run, posterior: Posterior) -> float:
    """The temperature of q(c|x) of the training rows, by how certain a mixture is of their clusters.

    Where memberships were not softened, it is by these memberships instead.
    """
    stage = starting_clusters.finding_names(run)[-1]
    found, rows = starting_clusters.read_with_rows(run, stage)
    responsibilities = posterior.responsibilities[rows]
    confidence = float(found.memberships.max(axis=1).mean(dtype=np.float64))
    softened = run.config.init.soft_neighbors and not found.are_probabilities
    points = starting_clusters.read_points(run) if softened else None
    if points is not None:
        num_clusters = responsibilities.shape[1]
        confidence = soft_memberships.confidence(posterior.clusters[rows], num_clusters, points, run.config.seed)
    return calibration_temperature(responsibilities, confidence)


def _score_starting_clusters(run: Run, labels: np.ndarray | None) -> list[dict[str, Any]]:
    """The scores and modularities of the clusters that each stage started from, for the labels [N] of all rows."""
    scores = []
    for stage in starting_clusters.finding_names(run):
        found, rows = starting_clusters.read_with_rows(run, stage)
        scores.append(
            {
                **_scores(None if labels is None else labels[rows], found.memberships.argmax(axis=1)),
                "modularity": float(found.modularity),
                "found_modularity": float(found.found_modularity),
                "restart_scores": found.scores.tolist(),
            }
        )
    return scores


def _accuracy_by_epoch(run: Run, labels: np.ndarray | None, total_epochs: int) -> list[float | None]:
    """On the watched rows, after each epoch of the run; None if there are no clusters or no labels."""
    rows, clusters = read_cluster_history(run, total_epochs)
    of_rows = None if labels is None else labels[rows]
    return [None if epoch.min() < 0 else _scores(of_rows, epoch)["accuracy"] for epoch in clusters]
