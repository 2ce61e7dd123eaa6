"""Samples of clusters and points between them: their units, their clusters, and that a seed repeats them."""

import shutil

import numpy as np
import pandas as pd
import pytest
from helpers.runs import tiny
from matplotlib import image

from vade_jax.commands.generate import generate
from vade_jax.commands.train import train
from vade_jax.data import sources
from vade_jax.runs import saved_model
from vade_jax.system.errors import InputError


@pytest.fixture(scope="module")
def digits(digits_run, tmp_path_factory):
    return shutil.copytree(digits_run[0], tmp_path_factory.mktemp("digits") / "run")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Two clusters far apart, in columns of very different units."""
    folder = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal([0, 1000], [1, 50], (150, 2)), rng.normal([20, 5000], [1, 50], (150, 2))])
    pd.DataFrame(x, columns=["small", "large"]).to_csv(folder / "x.csv", index=False)
    config = tiny(
        data__name="file",
        data__path=str(folder / "x.csv"),
        data__scaling="auto",
        model__likelihood="auto",
        model__num_clusters=2,
        pretrain__num_epochs=40,
        checkpoint__every_epochs=40,
    )
    train(config, folder / "run")
    return folder / "run"


def test_samples_have_the_units_of_the_training_rows(table, tmp_path):
    frame = pd.read_csv(generate(table, str(tmp_path / "out.csv"), num_samples=200))
    assert list(frame) == ["cluster", "small", "large"]
    assert frame["cluster"].tolist() == [0] * 200 + [1] * 200
    means = frame.groupby("cluster").mean().sort_values("small")
    np.testing.assert_allclose(means["small"], [0, 20], atol=2)
    np.testing.assert_allclose(means["large"], [1000, 5000], atol=400)
    of_one = pd.read_csv(generate(table, str(tmp_path / "one.csv"), cluster=1, num_samples=7))
    assert of_one["cluster"].tolist() == [1] * 7


def test_truncated_samples_are_nearer_to_the_mean(table, tmp_path):
    def spread(truncation):
        path = generate(table, str(tmp_path / "out.npz"), cluster=0, num_samples=500, truncation=truncation)
        with np.load(path) as drawn:
            return drawn["x"].std(axis=0)

    assert (spread(0.1) < 0.3 * spread(0.0)).all()


def test_line_starts_and_ends_at_the_given_clusters_or_rows(table, digits, tmp_path):
    frame = pd.read_csv(generate(table, "", between_clusters=(0, 1), num_samples=5))
    assert frame["cluster"].iloc[[0, -1]].tolist() == [0, 1]
    steps = np.diff(frame["small"])
    assert (steps > 0).all() or (steps < 0).all()
    answer = generate(digits, str(tmp_path / "line.npz"), between_rows=(3, 5), num_samples=4)
    with np.load(answer) as line:
        assert line["x"].shape == (4, 64)
        assert line["cluster"].shape == (4,)
        run, state, _ = saved_model.restore(digits)
        z_mean, _ = run.model.encode(state.params, sources.load("digits").splits["train"].x[[3, 5]] / np.float32(16))
        np.testing.assert_allclose(line["x"][[0, -1]], 16 * run.model.mean_x(state.params, z_mean), atol=1e-3)


def test_images_are_a_png_that_depends_only_on_the_seed(digits, tmp_path):
    first = generate(digits).read_bytes()
    assert generate(digits, str(tmp_path / "again.png")).read_bytes() == first
    other = generate(digits, str(tmp_path / "other.png"), seed=1)
    assert other.read_bytes() != first
    height, width = image.imread(other).shape[:2]
    assert height == width  # ten clusters, ten samples each


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cluster": 10}, "config.generate.cluster: got 10, expected the number of a cluster, 0 to 9"),
        ({"between_clusters": (0, 10)}, "config.generate.between_clusters: got 10"),
        (
            {"between_rows": (0, 1797)},
            "config.generate.between_rows: got 1797, expected the number of a training row, 0 to 1796",
        ),
        ({"output": "out.txt"}, "config.generate.output: got 'out.txt', expected .*png"),
    ],
)
def test_missing_clusters_rows_and_formats_are_refused(digits, options, words):
    with pytest.raises(InputError, match=words):
        generate(digits, **options)


def test_png_of_a_table_is_refused(table, tmp_path):
    with pytest.raises(InputError, match=r"config.generate.output: got .*out.png', expected"):
        generate(table, str(tmp_path / "out.png"))
