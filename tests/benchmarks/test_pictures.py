"""The paper's figures from a small run on the digits."""

import matplotlib.image
import pytest
from helpers.runs import tiny

from benchmarks import generation
from vade_jax.commands.train import train
from vade_jax.runs.run import read_run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "run"
    config = tiny(checkpoint__every_epochs=1, checkpoint__keep=1000)
    train(config, folder)
    return folder


def test_checkpoints_are_evenly_spaced(finished):
    run = read_run(finished)
    moments = [progress for _, progress in generation.checkpoints_of(run, 1000)]
    assert [(moment.stage, moment.total_epochs) for moment in moments] == [
        *(("pretrain", epoch) for epoch in (0, 1, 2, 3)),
        *(("cluster", epoch) for epoch in (3, 4, 5, 6)),
    ]
    some = [progress.total_epochs for _, progress in generation.checkpoints_of(run, 3)]
    assert (some[0], some[-1], len(some)) == (0, 6, 3)


@pytest.mark.parametrize("draw", [generation.draw_clusters, generation.draw_lines, generation.draw_training])
def test_figures_are_drawn(finished, tmp_path, monkeypatch, draw):
    monkeypatch.setattr(generation, "layout_2d", lambda points, seed: points[:, :2])  # t-SNE takes seconds for each
    draw(finished, tmp_path / "picture.png")
    assert matplotlib.image.imread(tmp_path / "picture.png").std() > 0.01
