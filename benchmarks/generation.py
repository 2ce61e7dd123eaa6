"""Draws the paper's figures again: python -m benchmarks.generation --workdir=/tmp/generation.

The figures show samples of each cluster, interpolations between clusters, and the latent space of the watched rows
during training. Samples are drawn for the config's number of clusters and for other numbers, all from one autoencoder.
PNGs go to benchmarks/results/generation_<config>/. Only image data sets are supported. Labels only colour the latent
space.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks import arguments, records, seeds
from vade_jax.commands.generate import generate
from vade_jax.commands.load_rows import read_rows
from vade_jax.inference import answers
from vade_jax.reports.image_strips import save_sample_grid
from vade_jax.reports.layout_2d import layout_2d
from vade_jax.runs import saved_model
from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.runs.progress import Progress
from vade_jax.runs.run import Run, initial_state
from vade_jax.runs.stages import make_stages
from vade_jax.runs.watched_rows import watched_rows
from vade_jax.system.devices import replicate
from vade_jax.training.train_state import start_stage

_SAMPLES = 10
_TRUNCATION = 2.0  # standard deviations
_KEPT = ("--config.checkpoint.every_epochs=5", "--config.checkpoint.keep=1000", "--config.report=false")
_PANELS = 6


def main() -> None:
    """Runs the missing trainings and draws the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/mnist.py")
    parser.add_argument("--workdir", type=Path, required=True, help="folder for the runs")
    parser.add_argument(
        "--clusters", type=arguments.integers, default="7,14", help="other numbers of clusters, separated by commas"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("flags", nargs="*", help="further flags of main.py, after --")
    options = parser.parse_args()
    target = records.RESULTS / f"generation_{Path(options.config).stem}"
    target.mkdir(parents=True, exist_ok=True)
    first = options.workdir / "recipe" / f"seed{options.seed}"
    _train(options, first.parent, [])
    draw_clusters(first, target / "clusters.png")
    draw_lines(first, target / "lines.png")
    draw_training(first, target / "latent_space.png")
    for number in options.clusters:
        folder = options.workdir / f"clusters{number}"
        _train(options, folder, [f"--config.pretrain.workdir={first}", f"--config.model.num_clusters={number}"])
        draw_clusters(folder / first.name, target / f"clusters_{number}.png")
    print(f"wrote {target}")


def _train(options: argparse.Namespace, folder: Path, flags: list[str]) -> None:
    for run in seeds.measure(options.config, [options.seed], folder, [*_KEPT, *options.flags, *flags]):
        if "failure" in run:
            raise SystemExit(f"{folder}: {run['failure']}")


def draw_clusters(folder: Path, path: Path) -> None:
    """Writes E[x|z] for draws of z within two standard deviations of each cluster's mean, one line for a cluster."""
    generate(folder, str(path), num_samples=_SAMPLES, truncation=_TRUNCATION)


def draw_lines(folder: Path, path: Path) -> None:
    """Writes E[x|z] for z from each cluster's mean to the next one's, one line for a cluster.

    Raises:
      ValueError: the rows of the run are not images.
    """
    run, state, _ = saved_model.restore(folder)
    shape = read_rows(run).image_shape
    if shape is None:
        raise ValueError(f"the rows of the run in {folder} are not images")
    means = state.params["prior"].means
    line = answers.interpolate(means, np.roll(means, -1, axis=0), _SAMPLES)
    images = answers.decode(run.model, state.params, line)
    save_sample_grid(path, images.reshape(*images.shape[:2], *shape))


def draw_training(folder: Path, path: Path) -> None:
    """Writes 2D layouts of the watched rows' latent means, at checkpoints from the first to the last."""
    run, _, _ = saved_model.restore(folder)
    rows = read_rows(run)
    watched = watched_rows(run)
    embed = answers.make_embed(run.model, run.config.evaluate.batch_size)
    moments = checkpoints_of(run, _PANELS)
    figure = Figure(figsize=(2.4 * len(moments), 2.7), dpi=120, layout="constrained")
    for axes, (state, progress) in zip(figure.subplots(1, len(moments), squeeze=False)[0], moments, strict=True):
        points = layout_2d(embed(state, rows.x[watched])[0], run.config.seed)
        colors = None if rows.labels is None else rows.labels[watched]
        axes.scatter(points[:, 0], points[:, 1], c=colors, s=2, cmap="tab10", linewidths=0)
        axes.set_title(f"{progress.stage}, epoch {progress.total_epochs}", fontsize="small")
        axes.set_xticks([])
        axes.set_yticks([])
    figure.savefig(path, metadata={"Software": None})


def checkpoints_of(run: Run, count: int) -> list[tuple[Any, Progress]]:
    """At most `count` of a run's checkpoints, evenly spaced from the first to the last: (state, progress) of each."""
    state = initial_state(run)
    template = replicate(start_stage(state, make_stages(run)[0].tx, state.key))
    with Checkpoints(run.folder / "checkpoints", run.config.checkpoint.keep) as checkpoints:
        steps = checkpoints.steps()
        selected = np.unique(np.linspace(0, len(steps) - 1, count).round().astype(int))
        restored = [checkpoints.restore(template, steps[index]) for index in selected]
    return [moment for moment in restored if moment is not None]


if __name__ == "__main__":
    main()
