"""Generates rows with a trained run: draws of the model, or points on a line between two of its clusters or rows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.commands.load_rows import reload_rows
from vade_jax.core.mixture_prior import log_responsibilities
from vade_jax.data import output_files
from vade_jax.data.covariates import KnownCovariates
from vade_jax.data.levels import named_columns
from vade_jax.data.offsets import add_offset
from vade_jax.inference import answers
from vade_jax.inference.answers import make_embed
from vade_jax.inference.covariate_draws import draw_covariates, given_values, scaled_covariates
from vade_jax.reports.image_strips import save_sample_grid
from vade_jax.runs import workdir
from vade_jax.runs.run import Run, with_settings
from vade_jax.runs.saved_model import restore
from vade_jax.settings.columns import read_levels
from vade_jax.settings.rules import AUTO, EACH, MEAN
from vade_jax.system.errors import InputError, with_storage_errors
from vade_jax.system.precision import matmul_precision
from vade_jax.training.train_state import TrainState

_PICTURE = ".png"
_ANY = -1  # for `cluster`: c ~ Cat(pi)


@with_storage_errors
def generate(
    folder: Path,
    output: str = "",
    seed: int = 0,
    kind: str = AUTO,
    cluster: int | str = AUTO,
    between_clusters: Sequence[int] = (),
    between_rows: Sequence[int] = (),
    num_samples: int = 10,
    truncation: float = 0.0,
    covariates: Sequence[str] = (),
    path: str = "",
    allow_import: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a file with draws of the model, or with points on a line, in the units of the training rows.

    A draw is c ~ Cat(pi), z ~ p(z|c), x ~ p(x|z). On a line z is evenly spaced, and its cluster is argmax_c p(c|z).
    A table has cluster, the covariates and the columns of the training rows, with the names of categories; if one of
    these is named cluster, ours is cluster_vade. An .npz has cluster [M], x [M, D] and covariates [M, S], where
    categories are numbers. A .png, for images, has a line of images for each cluster, or one block if c is drawn.

    Args:
      folder: the workdir of a finished run, or of several runs: the best one generates.
      output: a .png (images), .csv, .parquet or .npz; '' for generated.png or generated.csv in the workdir.
      seed: of the draws.
      kind: 'sample' for x ~ p(x|z), 'mean' for E[x|z]; 'auto' for the mean of images and on a line, else samples.
      cluster: -1 to draw c, the number of a cluster, or 'each' for num_samples draws of every cluster; 'auto' is 'each'
        for images, else -1. A number can be text.
      between_clusters: two clusters: z on the line between their means; () for draws.
      between_rows: the numbers of two training rows: z on the line between the means of their q(z|x).
      num_samples: how many draws, or points on the line, including its ends.
      truncation: each z lies within this many standard deviations of its cluster's mean in every dimension; 0 for no
        limit.
      covariates: values of covariates, such as 'batch=b1'. Draws have those of random training rows for the others; on
        a line the others are not known.
      path: for between_rows, where the file of the training rows is now; '' for where it was in training.
      allow_import: whether the run's settings can import code (package.module:factory); only for trusted folders.
      settings: dotted name -> value, in place of the run's own: precision.

    Returns:
      The path of the file.

    Raises:
      InputError: there is no such run, cluster or row, the options exclude each other, the likelihood cannot draw x, or
        the output cannot be used.
      StorageError: a file cannot be read or written.
    """
    _check_one_source(cluster, between_clusters, between_rows)
    run, state, _ = restore(folder, allow_import)
    run = with_settings(run, settings)
    description = workdir.read(run.folder)[1]
    image_shape = description["image_shape"]
    target = Path(output) if output else run.folder / ("generated.png" if image_shape else "generated.csv")
    output_files.check(target, "config.generate.output", (_PICTURE,) if image_shape else ())
    if cluster == AUTO:
        cluster = EACH if image_shape else _ANY
    num_clusters = run.config.model.num_clusters
    _check_numbers("cluster", [] if cluster == EACH else [int(cluster)], num_clusters, "cluster")
    _check_numbers("between_clusters", between_clusters, num_clusters, "cluster")
    _check_numbers("between_rows", between_rows, run.num_rows, "training row")
    on_line = len(between_clusters) > 0 or len(between_rows) > 0
    mean = kind == MEAN or (kind == AUTO and (on_line or bool(image_shape)))
    key = jax.random.key(seed)
    known = KnownCovariates.of_description(description)
    with matmul_precision(run.config.precision), _no_sample_errors():
        if on_line:
            start, end = _ends_of_line(run, state, between_clusters, between_rows, path)
            z = answers.interpolate(start, end, num_samples)[None]
            own = np.tile(given_values(known, covariates), (num_samples, 1)) if known.names else None
            scaled = scaled_covariates(own, state.scaling)
            x = answers.decode(run.model, state.params, z, None if mean else key, scaled)
            clusters = np.asarray(log_responsibilities(z, state.params["prior"]).argmax(axis=-1))
        else:
            shape, drawn = _shape_of_draws(cluster, num_clusters, num_samples)
            own = draw_covariates(known, math.prod(shape), seed, covariates)
            scaled = scaled_covariates(own, state.scaling)
            x, clusters = answers.generate(
                run.model, state.params, key, shape, drawn, truncation or math.inf, mean=mean, covariates=scaled
            )
    if output_files.ending(target) == _PICTURE:
        lines = _in_lines(x)
        save_sample_grid(target, lines.reshape(*lines.shape[:2], *image_shape))
    else:
        _write_rows(target, run, state, x.reshape(clusters.size, -1), clusters.ravel(), description, own)
    return target


def _shape_of_draws(
    cluster: int | str, num_clusters: int, num_samples: int
) -> tuple[tuple[int, ...], jax.Array | int | None]:
    """The shape of the draws, and their clusters as `sample_prior` takes them."""
    if cluster == EACH:
        return (num_clusters, num_samples), jnp.arange(num_clusters)[:, None]
    if int(cluster) == _ANY:
        return (num_samples,), None
    return (1, num_samples), int(cluster)


def _in_lines(x: np.ndarray) -> np.ndarray:
    """Images [R, n, D] as they are, and [M, D] as a square block of lines that white images fill up."""
    if x.ndim == 3:
        return x
    width = math.ceil(math.sqrt(len(x)))
    padded = np.pad(x, [(0, -len(x) % width), (0, 0)], constant_values=1.0)
    return padded.reshape(-1, width, x.shape[1])


def _ends_of_line(
    run: Run, state: TrainState, clusters: Sequence[int], rows: Sequence[int], path: str
) -> tuple[jax.Array, jax.Array]:
    """Two points z [J]: the prior's means of two clusters, or the means of q(z|x) of two training rows."""
    if len(clusters):
        start, end = state.params["prior"].means[np.array(clusters)]
    else:
        x = reload_rows(run, path)[0].inputs[np.array(rows)]
        start, end = make_embed(run.model, run.config.evaluate.batch_size)(state, x)[0]
    return start, end


def _write_rows(
    target: Path,
    run: Run,
    state: TrainState,
    x: np.ndarray,
    clusters: np.ndarray,
    description: Mapping[str, Any],
    covariates: np.ndarray | None = None,
) -> None:
    """Writes rows [M, D], as the model sees them, in the units of the training rows, with their clusters [M].

    The covariates [M, S] are as stored.
    """
    stored = state.scaling.inverse(x)
    column_names = list(description["names"]) or [f"column_{number}" for number in range(run.num_features)]
    levels, offset = read_levels(description), description.get("offset")
    known = KnownCovariates.of_description(description)
    if output_files.ending(target) == ".npz":  # an array holds numbers alone: those of categories
        given = {} if covariates is None else {"covariates": covariates}
        output_files.write(target, {"cluster": clusters, **given, "x": add_offset(stored, offset)}, {"x": column_names})
        return
    # the names of the user's columns come last, and are the headings of the columns of these arrays
    own = [] if covariates is None else named_columns(covariates, known.levels)
    headings = {f"covariate {j}": [name] for j, name in enumerate(known.names)}
    arrays = {"cluster": clusters} | {f"covariate {j}": column for j, column in enumerate(own)}
    if levels:
        arrays |= {f"column {j}": column for j, column in enumerate(named_columns(stored, levels, offset))}
        headings |= {f"column {j}": [name] for j, name in enumerate(column_names)}
    else:
        arrays["x"], headings["x"] = add_offset(stored, offset), column_names
    output_files.write(target, arrays, headings)


def _check_one_source(cluster: int | str, between_clusters: Sequence[int], between_rows: Sequence[int]) -> None:
    """Raises an InputError if more than one of the three says where z comes from."""
    given = {
        "cluster": "" if cluster == AUTO else str(cluster),
        "between_clusters": ",".join(map(str, between_clusters)),
        "between_rows": ",".join(map(str, between_rows)),
    }
    names = [name for name, value in given.items() if value]
    if len(names) > 1:
        raise InputError(
            f"config.generate.{names[1]}",
            f"{given[names[1]]} with generate.{names[0]}={given[names[0]]}",
            "only one of generate.cluster, generate.between_clusters and generate.between_rows",
            "Leave out the others.",
        )


@contextmanager
def _no_sample_errors() -> Iterator[None]:
    """Turns the error of a likelihood that cannot draw x into an InputError."""
    try:
        yield
    except NotImplementedError as error:
        raise InputError(
            "config.generate.kind",
            f"draws of x, but {error}",
            "a likelihood that can draw x, or the mean",
            f"Set --config.generate.kind={MEAN}.",
        ) from error


def _check_numbers(field: str, numbers: Sequence[int], count: int, kind: str) -> None:
    """Raises an InputError if a number is not below count."""
    for number in numbers:
        if number >= count:
            raise InputError(
                f"config.generate.{field}",
                str(number),
                f"the number of a {kind}, 0 to {count - 1}",
                f"Set --config.generate.{field} to the number of a {kind}.",
            )
