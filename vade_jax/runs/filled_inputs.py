"""The rows that clusters are found on as searches for neighbours see them: scaled, without gaps, and as features."""

import jax.numpy as jnp
import numpy as np

from vade_jax.data.scaling import Scaling
from vade_jax.inference.imputation import make_fill
from vade_jax.initialization.column_kinds import Columns, split_columns
from vade_jax.initialization.covariate_effects import without_effects
from vade_jax.networks.column_families import NUMBER_KINDS
from vade_jax.networks.model import Model
from vade_jax.runs.run import Run
from vade_jax.runs.saved_model import load_autoencoder
from vade_jax.system import processes
from vade_jax.system.atomic_files import exists, write_array
from vade_jax.system.errors import damaged_file_errors
from vade_jax.training.train_state import TrainState

_FILE = "filled_inputs.npy"
_MOST_WITH_COUNTS = 10  # columns


def write_filled_rows(run: Run, sample: np.ndarray, pretrained: TrainState | None) -> None:
    """Writes the sample without its gaps, for `scaled_rows`, if rows can have gaps. All processes call this together.

    Args:
      run: the file is written to its folder.
      sample: [M, D], the rows that clusters are found on, as stored.
      pretrained: the autoencoder; None to keep the file that is there, or to load the autoencoder.
    """
    if not run.model.likelihood.takes_gaps:
        return
    path = run.folder / _FILE
    if pretrained is None and processes.decided_by_first("kept" if exists(path) else ""):
        return
    filled = filled_rows(run, pretrained or load_autoencoder(run), sample)
    processes.on_first_process(lambda: write_array(path, filled), _FILE)


def scaled_rows(run: Run, scaling: Scaling, sample: np.ndarray) -> np.ndarray:
    """Returns the sample [M, D + S] as the model's input, with E[x|z] of the first autoencoder in its gaps.

    Args:
      run: its folder has what `write_filled_rows` wrote.
      scaling: of the rows.
      sample: [M, D + S], the rows that clusters are found on, as stored.

    Raises:
      StorageError: the file is damaged.
    """
    if not run.model.likelihood.takes_gaps:
        return np.asarray(scaling(jnp.asarray(sample)))
    path = run.folder / _FILE
    if not exists(path):
        return filled_rows(run, load_autoencoder(run), sample)
    with damaged_file_errors(path):
        return np.load(path)


def filled_rows(run: Run, pretrained: TrainState, x: np.ndarray) -> np.ndarray:
    """Returns rows x [M, D + S], as stored, as the model's input, with E[x|z] of an autoencoder in their gaps."""
    if not run.model.likelihood.takes_gaps:
        return np.asarray(pretrained.scaling(jnp.asarray(x)))
    return make_fill(run.model, run.config.evaluate.batch_size)(pretrained, x)


def searched_rows(run: Run, scaling: Scaling, sample: np.ndarray) -> np.ndarray:
    """Returns the `searched_features` [M, F] of `scaled_rows`."""
    return searched_features(run.model, scaled_rows(run, scaling, sample))


def searched_features(model: Model, x: np.ndarray) -> np.ndarray:
    """Returns what searches for neighbours see of rows: their features, without what the covariates explain of them.

    Args:
      model: its likelihood gives the features.
      x: [M, D + S], as the model's input, without gaps.

    Returns:
      [M, F].
    """
    features, covariates = (jnp.asarray(part) for part in model.covariates.split(x))
    seen = model.likelihood.features(features), model.covariates.encode(covariates)
    return without_effects(*map(np.asarray, seen))


def columns_by_kind(run: Run, x: np.ndarray) -> Columns | None:
    """The rows x [M, D], as stored, by kinds of columns; None for images, numbers alone, and rows with covariates.

    Of at most ten columns, integers that are counts are a kind of their own; in more, such as the pixels of scans, they
    are numbers.
    """
    if run.image_shape or run.model.covariates.count:
        return None
    if run.columns:
        columns = split_columns(x, *zip(*run.columns, strict=True))
        has_counts = columns.counts.shape[1] > 0 and x.shape[1] <= _MOST_WITH_COUNTS
        return None if all(kind in NUMBER_KINDS for kind, _ in run.columns) and not has_counts else columns
    is_binary = bool(((x == 0) | (x == 1)).all())
    return split_columns(x, ["binary"] * x.shape[1], [0] * x.shape[1]) if is_binary else None


def changing_arrays(run: Run, scaling: Scaling, sample: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns the arrays that decide `searched_rows`, for a `basis`."""
    arrays = np.asarray(scaling.shift), np.asarray(scaling.scale)
    if not (run.model.likelihood.takes_gaps or run.model.likelihood.has_features):
        return arrays  # they decide it, and are compared faster
    return (*arrays, searched_rows(run, scaling, sample))
