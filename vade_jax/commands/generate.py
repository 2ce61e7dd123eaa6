"""What a trained run generates: E[x|z] for z drawn from its clusters, or on a line between two of them."""

import math
from collections.abc import Sequence
from pathlib import Path

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
from vade_jax.runs.saved_model import restore
from vade_jax.system.errors import InputError
from vade_jax.system.precision import matmul_precision


def generate(
    folder: Path,
    output: str = "",
    seed: int = 0,
    cluster: int = -1,
    between_clusters: Sequence[int] = (),
    between_rows: Sequence[int] = (),
    num_samples: int = 10,
    truncation: float = 0.0,
) -> Path:
    """Writes E[x|z], in the units of the rows as they came, for draws z ~ p(z|c) or for z on a line.

    A table has cluster and the columns of the training rows, an .npz cluster [M] and x [M, D]; a .png, for images, has
    a line for each cluster. On a line, the cluster is argmax_c p(c|z).

    Args:
      folder: the workdir of a run that ended, or of several, of which the best is asked.
      output: a .png (images), .csv, .parquet or .npz; '' for generated.png or generated.csv in the workdir.
      seed: of the draws.
      cluster: of the draws; -1 for each in turn.
      between_clusters: two clusters, from whose first mean to whose second z goes; () for draws.
      between_rows: the numbers of two training rows, from whose first q(z|x)'s mean to whose second z goes.
      num_samples: of each cluster, or on the line, its ends included.
      truncation: z lies within so many standard deviations of its cluster's mean in every dimension; 0: anywhere.

    Returns:
      The path written.

    Raises:
      InputError: there is no such run, cluster or row, or the output does not suit it.
    """
    run, state, _ = restore(folder)
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
            means = state.params["prior"].means
            start, end = (
                means[np.array(between_clusters)] if between_clusters else _means_of_rows(run, state, between_rows)
            )
            x, clusters = _on_line(run, state, start, end, num_samples)
        else:
            of = range(num_clusters) if cluster < 0 else [cluster]
            key = jax.random.key(seed)
            x = answers.generate(run.model, state.params, key, of, num_samples, truncation or math.inf)
            clusters = np.repeat(of, num_samples)
    if target.suffix == ".png":
        save_sample_grid(target, x.reshape(*x.shape[:2], *image_shape))
    else:
        stored = np.asarray(state.scaling.inverse(x.reshape(len(clusters), -1)))
        names = description["names"] or [f"column_{number}" for number in range(run.num_features)]
        output_files.write(target, {"cluster": clusters, "x": stored}, {"x": list(names)})
    return target


def _means_of_rows(run, state, numbers):
    """z_mean [2, J] of training rows."""
    x = read_rows(run).x[np.array(numbers)]
    return make_embed(run.model, len(x))(state, x)[0]


def _on_line(run, state, start, end, num_steps):
    """E[x|z] [1, num_steps, D] for z from one end [J] to the other, and the cluster of each z by p(c|z)."""
    x = answers.interpolate(run.model, state.params, start, end, num_steps)
    clusters = log_responsibilities(jnp.linspace(start, end, num_steps), state.params["prior"]).argmax(axis=-1)
    return x[None], np.asarray(clusters)


def _check_numbers(name, numbers, count, what):
    for number in numbers:
        if number >= count:
            raise InputError(
                f"config.generate.{name}",
                f"{number} came",
                f"the run has the {what}s 0 to {count - 1}",
                f"Set --config.generate.{name} to a {what}'s number.",
            )
