"""One run: its settings, its folder, its model and the keys of its seed. It holds no rows and no labels."""

import functools
import math
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from vade_jax.data.scaling import Scaling
from vade_jax.networks.model import Model, init_params, make_model
from vade_jax.runs import workdir
from vade_jax.settings import defaults, field_names, rules
from vade_jax.system.devices import replicate
from vade_jax.training.augmentation import Augmentation, random_affine
from vade_jax.training.train_state import TrainState


class KeyUse(IntEnum):
    """One number for each use of the seed, so that no two uses share a key."""

    PARAMS = 0
    STAGES = 1
    EVALUATION = 2
    WATCH = 3
    NUM_CLUSTERS = 4
    REPORT = 5
    SAMPLES = 6


class Run(NamedTuple):
    """What the stages and every mode work on.

    Attributes:
      config: the settings.
      folder: the workdir.
      model: the networks and the likelihood.
      num_rows: N, of the rows to cluster.
      num_features: D.
      image_shape: (H, W, C), or None where rows are no images.
    """

    config: ConfigDict
    folder: Path
    model: Model
    num_rows: int
    num_features: int
    image_shape: tuple[int, int, int] | None

    @property
    def augmentation(self) -> Augmentation | None:
        """How images are moved in training; None where they are not."""
        options = self.config.augment
        if not self.image_shape or not any(options.values()):
            return None
        return functools.partial(random_affine, image_shape=self.image_shape, **options)

    def num_epochs(self, section: ConfigDict) -> int:
        """The epochs of a stage: `num_epochs` of its section, or as many as `optimizer.min_steps` steps take.

        None where none are asked for, or where the section takes the autoencoder of another run.
        """
        asked = 0 if section.get("workdir") else section.num_epochs
        return num_epochs(asked, section.batch_size, self.num_rows, self.config.optimizer.min_steps)

    def key(self, use: KeyUse) -> jax.Array:
        """The random key for one use of the seed."""
        return jax.random.fold_in(jax.random.key(self.config.seed), use)


def num_epochs(asked: int, batch_size: int, num_rows: int, min_steps: int) -> int:
    """The epochs of a stage: as many as asked for, or as min_steps steps take; none where none are asked for.

    Args:
      asked: the stage's own number.
      batch_size: B, at most N.
      num_rows: N.
      min_steps: `optimizer.min_steps`.
    """
    return max(asked, math.ceil(min_steps / (num_rows // batch_size))) if asked else 0


def make_run(config: ConfigDict, folder: Path, description: dict[str, Any]) -> Run:
    """The run of a config on rows of this description: num_rows, num_features and image_shape (None: no images)."""
    image_shape = tuple(description["image_shape"]) if description["image_shape"] else None
    model = make_model(
        network=config.model.network,
        likelihood=config.model.likelihood,
        num_features=description["num_features"],
        image_shape=image_shape,
        latent_dim=config.model.latent_dim,
        hidden=tuple(config.model.hidden),
        min_log_var=config.model.min_log_var,
    )
    return Run(config, folder, model, description["num_rows"], description["num_features"], image_shape)


def read_run(folder: Path) -> Run:
    """The run in the folder, or the best of several, with the usual values of fields that came after it.

    Raises:
      InputError: there is none.
    """
    folder = workdir.best_run_folder(folder)
    fields, description = workdir.read(folder)
    usual = defaults.get_config().to_dict()
    fields = field_names.nested(field_names.flatten(usual) | field_names.flatten(fields))
    rules.check_fields(fields)
    return make_run(ConfigDict(fields), folder, description)


def initial_state(run: Run) -> TrainState:
    """The state before the first stage, without an optimizer; the scaling is filled in from the rows."""
    sizes = run.config.model
    params = init_params(run.key(KeyUse.PARAMS), run.model, run.num_features, sizes.num_clusters, sizes.latent_dim)
    unscaled = Scaling(jnp.zeros((1, run.num_features)), jnp.ones((1, run.num_features)))
    return replicate(TrainState.create(params, run.key(KeyUse.STAGES), unscaled))
