"""The paper's pictures, remade: python -m benchmarks.generation --workdir=/tmp/generation.

What each cluster generates, with the config's number of clusters and with others, from one autoencoder; lines between
clusters; the latent space of watched rows while it trains. PNGs go to benchmarks/results/generation_<config>/. Images
alone; labels colour the latent space and decide nothing.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks import seeds
from vade_jax.commands.generate import generate
from vade_jax.commands.load_rows import read_rows
from vade_jax.inference import answers
from vade_jax.initialization.umap_layouts import umap_layout_2d
from vade_jax.reports.image_strips import save_sample_grid
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
    """Trains what is not trained, and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/mnist.py")
    parser.add_argument("--workdir", type=Path, required=True, help="a folder for the runs")
    parser.add_argument("--clusters", type=seeds.integers, default="7,14", help="other numbers, joined by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("flags", nargs="*", help="further flags of main.py, after --")
    options = parser.parse_args()
    target = seeds.RESULTS / f"generation_{Path(options.config).stem}"
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


def _train(options, folder, flags):
    for run in seeds.measure(options.config, [options.seed], folder, [*_KEPT, *options.flags, *flags]):
        if "failure" in run:
            raise SystemExit(f"{folder}: {run['failure']}")


def draw_clusters(folder: Path, path: Path) -> None:
    """Writes E[x|z] of draws from each cluster, a line each, within two standard deviations of its mean."""
    generate(folder, str(path), num_samples=_SAMPLES, truncation=_TRUNCATION)


def draw_lines(folder: Path, path: Path) -> None:
    """Writes E[x|z] for z from each cluster's mean to the next one's, a line each.

    Raises:
      ValueError: its rows are no images.
    """
    run, state, _ = saved_model.restore(folder)
    shape = read_rows(run).image_shape
    if shape is None:
        raise ValueError(f"the rows of the run in {folder} are no images")
    means = state.params["prior"].means
    images = answers.interpolate(run.model, state.params, means, np.roll(means, -1, axis=0), _SAMPLES)
    save_sample_grid(path, images.reshape(*images.shape[:2], *shape))


def draw_training(folder: Path, path: Path) -> None:
    """Writes layouts in the plane of the watched rows' latent means, at checkpoints from the first to the last."""
    run, _, _ = saved_model.restore(folder)
    rows = read_rows(run)
    watched = watched_rows(run)
    embed = answers.make_embed(run.model, min(run.config.evaluate.batch_size, len(watched)))
    moments = checkpoints_of(run, _PANELS)
    figure = Figure(figsize=(2.4 * len(moments), 2.7), dpi=120, layout="constrained")
    for axes, (state, progress) in zip(figure.subplots(1, len(moments), squeeze=False)[0], moments, strict=True):
        points = umap_layout_2d(embed(state, rows.x[watched])[0], run.config.seed)
        colors = None if rows.labels is None else rows.labels[watched]
        axes.scatter(points[:, 0], points[:, 1], c=colors, s=2, cmap="tab10", linewidths=0)
        axes.set_title(f"{progress.stage}, epoch {progress.total_epochs}", fontsize="small")
        axes.set_xticks([])
        axes.set_yticks([])
    figure.savefig(path, metadata={"Software": None})


def checkpoints_of(run: Run, count: int) -> list[tuple[Any, Progress]]:
    """So many of the checkpoints that a run has kept, evenly from the first to the last, with the progress made."""
    state = initial_state(run)
    template = replicate(start_stage(state, make_stages(run)[0].tx, state.key))
    with Checkpoints(run.folder / "checkpoints", run.config.checkpoint.keep) as checkpoints:
        numbers = checkpoints.steps()
        places = np.unique(np.linspace(0, len(numbers) - 1, count).round().astype(int))
        restored = [checkpoints.restore(template, numbers[place]) for place in places]
    return [moment for moment in restored if moment is not None]


if __name__ == "__main__":
    main()
