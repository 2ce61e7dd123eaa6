"""One run: its settings, folder, model and random keys. It has no rows and no labels."""

import math
from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from vade_jax.data.covariates import KnownCovariates
from vade_jax.data.scaling import Scaling
from vade_jax.networks.by_columns import Column
from vade_jax.networks.model import Model, init_params, make_model
from vade_jax.networks.weights import redraw_weights
from vade_jax.runs import workdir
from vade_jax.settings import defaults, field_names, rules
from vade_jax.settings.columns import read_columns
from vade_jax.system.devices import replicate
from vade_jax.training.augmentation import Augmentation, in_turn, make_random_affine, make_random_gaps
from vade_jax.training.train_state import TrainState

_LEAST_EPOCHS, _LEAST_STEPS = 10, 1000  # between checkpoints; a small network trains so many steps in few seconds
_MOST_PASSES = 25  # of an epoch; a small network learns few rows by heart in a few times as many
_MOST_HELD_OUT = 1000  # with as many rows, the share of outliers among new rows is known to a factor of 1.3


class KeyUse(IntEnum):
    """The uses of the seed, with one number each, so that no two uses share a random key."""

    PARAMS = 0
    STAGES = 1
    EVALUATION = 2
    WATCH = 3
    NUM_CLUSTERS = 4
    REPORT = 5
    SAMPLES = 6
    EARLY_STOPPING = 7


class Run(NamedTuple):
    """What the stages and all modes work on.

    Attributes:
      config: the settings.
      folder: the workdir.
      model: the networks and the likelihood.
      num_rows: N, the number of rows to cluster.
      num_features: D.
      image_shape: (H, W, C), or None if the rows are not images.
      columns: the kinds of the D columns; () if the likelihood is the same for all.
      weighted: whether the rows have weights in training.
    """

    config: ConfigDict
    folder: Path
    model: Model
    num_rows: int
    num_features: int
    image_shape: tuple[int, int, int] | None
    columns: tuple[Column, ...] = ()
    weighted: bool = False

    @property
    def moves(self) -> dict[str, Any]:
        """The settings of random moves of images, by their names in the section augment."""
        return {name: self.config.augment[name] for name in ("max_degrees", "max_shift")}

    @property
    def augmentation(self) -> Augmentation | None:
        """The random moves of images in training; None without augmentation."""
        if not self.image_shape or not any(self.moves.values()):
            return None
        return make_random_affine(self.image_shape, **self.moves)

    @property
    def encoder_augmentation(self) -> Augmentation | None:
        """What is done at random to the encoder's input in training: moves of images, and more gaps in rows with gaps.

        None if it is nothing.
        """
        share, moves = self.config.augment.hide_share, self.augmentation
        if not self.model.likelihood.takes_gaps or not float(share):
            return moves
        hide = make_random_gaps(float(share), self.model.covariates.count)
        return in_turn(moves, hide) if moves else hide

    @property
    def held_out_rows(self) -> np.ndarray:
        """The indices of the rows that no stage trains on, ascending, the same for every run on the same rows.

        Their clusters are found like those of all rows. How likely they are says how likely new rows are.
        """
        count = num_held_out(self.config.data.held_out_share, self.num_rows)
        return np.sort(np.random.default_rng(1).choice(self.num_rows, count, replace=False))

    def num_epochs(self, section: ConfigDict) -> int:
        """Returns the number of epochs of a stage, see `stage_length`; 0 if it takes the autoencoder of another run."""
        return 0 if section.get("workdir") else self._length(section)[0]

    def num_passes(self, section: ConfigDict) -> int:
        """Returns how often an epoch of a stage goes through the rows, see `stage_length`."""
        return self._length(section)[1]

    def _length(self, section: ConfigDict) -> tuple[int, int]:
        return stage_length(section.num_epochs, section.batch_size, self.num_rows, self.config.optimizer.min_steps)

    def key(self, use: KeyUse) -> jax.Array:
        """Returns the random key for one use of the seed."""
        return jax.random.fold_in(jax.random.key(self.config.seed), use)


def num_held_out(share: float, num_rows: int) -> int:
    """Returns how many of num_rows rows no stage trains on, for the setting `data.held_out_share`."""
    return min(round(share * num_rows), _MOST_HELD_OUT, num_rows - 1)


def stage_length(asked: int, batch_size: int, num_rows: int, min_steps: int) -> tuple[int, int]:
    """Returns the number of epochs of a stage, and how often each goes through the rows.

    On few rows a stage needs many passes for min_steps steps. An epoch then has several passes, at most 25: what is
    done after every epoch would take longer than training.

    Args:
      asked: `num_epochs` of the stage's section; 0 for no epochs.
      batch_size: B, at most N.
      num_rows: N.
      min_steps: `optimizer.min_steps`.
    """
    if not asked:
        return 0, 1
    passes = max(asked, math.ceil(min_steps / (num_rows // batch_size)))
    each = min(passes // asked, _MOST_PASSES)
    return math.ceil(passes / each), each


def epochs_between_checkpoints(every: int, steps_per_epoch: int) -> int:
    """Returns how many epochs of so many steps lie between two checkpoints, for `checkpoint.every_epochs`.

    It depends on no clock, so that a rollback to the last checkpoint has the same result each time.
    """
    return every or max(_LEAST_EPOCHS, math.ceil(_LEAST_STEPS / steps_per_epoch))


def make_run(config: ConfigDict, folder: Path, description: dict[str, Any]) -> Run:
    """Returns the run of a config.

    Args:
      config: the settings.
      folder: the workdir.
      description: of the rows: 'num_rows', 'num_features' and 'image_shape', which is None if they are not images. Also
        what `describe_columns` returns, if the rows are newer than version 0.1.0.
    """
    image_shape = tuple(description["image_shape"]) if description["image_shape"] else None
    columns, gaps = read_columns(description)
    model = make_model(
        network=config.model.network,
        likelihood=config.model.likelihood,
        num_features=description["num_features"],
        image_shape=image_shape,
        latent_dim=config.model.latent_dim,
        hidden=tuple(config.model.hidden),
        min_log_var=config.model.min_log_var,
        columns=columns,
        gaps=gaps,
        covariates=tuple(map(len, KnownCovariates.of_description(description).levels)),
    )
    sizes = description["num_rows"], description["num_features"]
    return Run(config, folder, model, *sizes, image_shape, columns, weighted=bool(description.get("weights")))


def with_settings(run: Run, settings: Mapping[str, Any] | None) -> Run:
    """Returns the run with other values of some settings.

    Args:
      run: trained.
      settings: dotted name -> value.

    Raises:
      InputError: a value that the setting cannot have.
    """
    if not settings:
        return run
    fields = field_names.nested(field_names.flatten(run.config.to_dict()) | dict(settings))
    rules.check_fields(fields)
    return run._replace(config=ConfigDict(fields))


def read_run(folder: Path, allow_import: bool = False) -> Run:
    """Returns the run in the folder, or the best one of several.

    Args:
      folder: the workdir.
      allow_import: whether the run's settings can import code (package.module:factory); only for trusted folders.

    Raises:
      InputError: there is no run in the folder, a setting is not valid, or it imports code and allow_import is False.
    """
    folder = workdir.best_run_folder(folder)
    fields, description = read_settings(folder)
    if not allow_import:
        rules.check_no_imports(fields, folder)
    return make_run(ConfigDict(fields), folder, description)


def read_settings(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the settings of the run in the folder, as nested sections, and the description of its rows.

    Fields that are newer than the run have their default values. Nothing is imported.

    Raises:
      InputError: there is no run in the folder, or a setting is not valid.
    """
    fields, description = workdir.read(folder)
    usual = defaults.get_config().to_dict()
    fields = field_names.nested(field_names.flatten(usual) | field_names.flatten(fields))
    rules.check_fields(fields)
    return fields, description


def initial_state(run: Run) -> TrainState:
    """Returns the state before the first stage, without an optimizer and with a scaling that changes nothing."""
    sizes = run.config.model
    params = init_params(run.key(KeyUse.PARAMS), run.model, run.num_features, sizes.num_clusters, sizes.latent_dim)
    networks = {name: params[name] for name in ("encoder", "decoder")}
    params |= redraw_weights(sizes.weights, run.key(KeyUse.PARAMS), networks)
    shape = 1, run.num_features + run.model.covariates.count
    unscaled = Scaling(jnp.zeros(shape, jnp.float32), jnp.ones(shape, jnp.float32))
    return replicate(TrainState.create(params, run.key(KeyUse.STAGES), unscaled))
