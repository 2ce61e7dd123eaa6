"""Generates rows with a trained run: E[x|z] for z drawn from its clusters, or on a line between two points."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.commands.load_rows import read_rows
from vade_jax.core.mixture_prior import log_responsibilities
from vade_jax.data import output_files
from vade_jax.inference import answers
from vade_jax.inference.answers import make_embed
from vade_jax.reports.image_strips import save_sample_grid
from vade_jax.runs import workdir
from vade_jax.runs.run import Run
from vade_jax.runs.saved_model import restore
from vade_jax.system.errors import InputError
from vade_jax.system.precision import matmul_precision
from vade_jax.training.train_state import TrainState


def generate(
    folder: Path,
    output: str = "",
    seed: int = 0,
    cluster: int = -1,
    between_clusters: Sequence[int] = (),
    between_rows: Sequence[int] = (),
    num_samples: int = 10,
    truncation: float = 0.0,
    allow_import: bool = False,
) -> Path:
    """Writes a file with E[x|z], in the units of the training rows, for draws z ~ p(z|c) or for z on a line.

    A table has cluster and the columns of the training rows. An .npz has cluster [M] and x [M, D]. A .png, for images,
    has a line of images for each cluster. For z on a line, cluster is argmax_c p(c|z).

    Args:
      folder: the workdir of a finished run, or of several runs: the best one generates.
      output: a .png (images), .csv, .parquet or .npz; '' for generated.png or generated.csv in the workdir.
      seed: of the draws.
      cluster: the cluster to draw from; -1 for every cluster.
      between_clusters: two clusters: z on the line between their means; () for draws.
      between_rows: the numbers of two training rows: z on the line between the means of their q(z|x).
      num_samples: how many draws from each cluster, or points on the line, including its ends.
      truncation: each z lies within this many standard deviations of its cluster's mean in every dimension; 0 for no
        limit.
      allow_import: whether the run's settings can import code (package.module:factory); only for trusted folders.

    Returns:
      The path of the file.

    Raises:
      InputError: there is no such run, cluster or row, or the output cannot be used.
    """
    run, state, _ = restore(folder, allow_import)
    description = workdir.read(run.folder)[1]
    image_shape = description["image_shape"]
    target = Path(output) if output else run.folder / ("generated.png" if image_shape else "generated.csv")
    output_files.check(target, "config.generate.output", (".png",) if image_shape else ())
    num_clusters = run.config.model.num_clusters
    _check_numbers("cluster", [cluster] if cluster >= 0 else [], num_clusters, "cluster")
    _check_numbers("between_clusters", between_clusters, num_clusters, "cluster")
    _check_numbers("between_rows", between_rows, run.num_rows, "training row")
    with matmul_precision(run.config.precision):
        if len(between_clusters) or len(between_rows):
            start, end = _ends_of_line(run, state, between_clusters, between_rows)
            x, clusters = _points_on_line(run, state, start, end, num_samples)
        else:
            drawn = range(num_clusters) if cluster < 0 else [cluster]
            key = jax.random.key(seed)
            x = answers.generate(run.model, state.params, key, drawn, num_samples, truncation or math.inf)
            clusters = np.repeat(drawn, num_samples)
    if target.suffix == ".png":
        save_sample_grid(target, x.reshape(*x.shape[:2], *image_shape))
    else:
        _write_rows(target, run, state, x.reshape(len(clusters), -1), clusters, description["names"])
    return target


def _ends_of_line(run: Run, state: TrainState, clusters: Sequence[int], rows: Sequence[int]) -> tuple[Any, Any]:
    """Two points z [J]: the prior's means of two clusters, or the means of q(z|x) of two training rows."""
    if clusters:
        start, end = state.params["prior"].means[np.array(clusters)]
    else:
        x = read_rows(run).x[np.array(rows)]
        start, end = make_embed(run.model, len(x))(state, x)[0]
    return start, end


def _points_on_line(
    run: Run, state: TrainState, start: Any, end: Any, num_points: int
) -> tuple[np.ndarray, np.ndarray]:
    """E[x|z] [1, num_points, D] for z from start [J] to end [J], and argmax_c p(c|z) [num_points]."""
    x = answers.interpolate(run.model, state.params, start, end, num_points)
    clusters = log_responsibilities(jnp.linspace(start, end, num_points), state.params["prior"]).argmax(axis=-1)
    return x[None], np.asarray(clusters)


def _write_rows(
    target: Path, run: Run, state: TrainState, x: np.ndarray, clusters: np.ndarray, names: Sequence[str]
) -> None:
    """Writes rows [M, D], as the model sees them, in the units of the training rows, with their clusters [M]."""
    stored = np.asarray(state.scaling.inverse(jnp.asarray(x)))
    column_names = list(names) or [f"column_{number}" for number in range(run.num_features)]
    output_files.write(target, {"cluster": clusters, "x": stored}, {"x": column_names})


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
