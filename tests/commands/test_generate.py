"""Samples of clusters and points between them: their units, their clusters, and that a seed repeats them."""

import shutil
from types import SimpleNamespace

import jax
import numpy as np
import pandas as pd
import pytest
from helpers.runs import tiny
from matplotlib import image

from vade_jax.commands.generate import _write_rows, generate
from vade_jax.commands.train import train
from vade_jax.core.mixture_prior import sample_prior
from vade_jax.data import sources
from vade_jax.data.scaling import Scaling
from vade_jax.reports.image_strips import save_sample_grid
from vade_jax.runs import saved_model
from vade_jax.runs.run import KeyUse
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
    frame = pd.read_csv(generate(table, str(tmp_path / "out.csv"), cluster="each", num_samples=200))
    assert list(frame) == ["cluster", "small", "large"]
    assert frame["cluster"].tolist() == [0] * 200 + [1] * 200
    means = frame.groupby("cluster").mean().sort_values("small")
    np.testing.assert_allclose(means["small"], [0, 20], atol=2)
    np.testing.assert_allclose(means["large"], [1000, 5000], atol=400)
    for cluster in (1, "1"):
        of_one = pd.read_csv(generate(table, str(tmp_path / "one.csv"), cluster=cluster, num_samples=7))
        assert of_one["cluster"].tolist() == [1] * 7


def test_a_feature_named_cluster_is_written_beside_the_clusters(table, tmp_path):
    folder = shutil.copytree(table, tmp_path / "run")
    description = (folder / "data.json").read_text()
    (folder / "data.json").write_text(description.replace('"small"', '"cluster"'))
    frame, expected = (pd.read_csv(generate(run, str(tmp_path / "out.csv"))) for run in (folder, table))
    assert list(frame) == ["cluster_vade", "cluster", "large"]
    np.testing.assert_array_equal(frame, expected)


def test_rows_of_a_table_are_drawn_from_every_step_of_the_model(table, tmp_path):
    def written(**options):
        with np.load(generate(table, str(tmp_path / "out.npz"), num_samples=4000, **options)) as file:
            return dict(file)

    drawn, of_any, means = written(), written(kind="sample", cluster=-1), written(kind="mean", cluster="-1")
    np.testing.assert_array_equal(drawn["x"], of_any["x"])
    np.testing.assert_array_equal(drawn["cluster"], means["cluster"])
    run, state, _ = saved_model.restore(table)
    weights = jax.nn.softmax(state.params["prior"].logits)
    np.testing.assert_allclose(np.bincount(drawn["cluster"]) / 4000, weights, atol=5 * 0.5 / 4000**0.5)
    _, raw_log_var = run.model.decoder.apply(state.params["decoder"], np.zeros((1, 3), np.float32))
    log_var = run.model.likelihood._log_var(raw_log_var)
    noise = (drawn["x"] - means["x"]) * np.asarray(state.scaling.scale)
    np.testing.assert_allclose(noise.var(axis=0), np.exp(log_var[0]), rtol=5 * (2 / 4000) ** 0.5)


def test_truncated_samples_are_nearer_to_the_mean(table, tmp_path):
    def spread(truncation):
        path = generate(
            table, str(tmp_path / "out.npz"), kind="mean", cluster=0, num_samples=500, truncation=truncation
        )
        with np.load(path) as drawn:
            return drawn["x"].std(axis=0)

    assert (spread(0.1) < 0.3 * spread(0.0)).all()


def test_line_starts_and_ends_at_the_given_clusters_or_rows(table, digits, tmp_path):
    frame = pd.read_csv(generate(table, "", between_clusters=(0, 1), num_samples=5))
    assert pd.read_csv(generate(table, "", kind="mean", between_clusters=(0, 1), num_samples=5)).equals(frame)
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
    with np.load(generate(digits, str(tmp_path / "out.npz"))) as file:
        assert file["cluster"].tolist() == np.repeat(range(10), 10).tolist()
        assert len(np.unique(file["x"])) > 100  # means, and no draws of 0 and 16


def test_the_default_picture_is_that_of_the_report(digits, tmp_path):
    """The draws of z and the decoded means are those of reports/, which the run saved as samples.png."""
    key = jax.random.split(saved_model.restore(digits)[0].key(KeyUse.EVALUATION), 4)[3]
    run, state, _ = saved_model.restore(digits)
    z, _ = sample_prior(key, state.params["prior"], (10, 10), np.arange(10)[:, None])
    save_sample_grid(
        tmp_path / "expected.png", np.asarray(jax.jit(run.model.mean_x)(state.params, z)).reshape(10, 10, 8, 8, 1)
    )
    assert (tmp_path / "expected.png").read_bytes() == (digits / "samples.png").read_bytes()


def test_images_of_drawn_clusters_are_a_square_block(digits, tmp_path):
    path = generate(digits, str(tmp_path / "block.PNG"), kind="sample", cluster=-1, num_samples=7)
    picture = image.imread(path)
    side = picture.shape[0] // 3
    assert picture.shape[:2] == (3 * side, 3 * side)
    assert (picture[-side:, -side:] == 1).all()  # white beside the seventh
    assert {0.0, 1.0} == set(np.unique(picture[..., :3]))  # draws of a Bernoulli


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
        (
            {"between_clusters": (2, 5), "between_rows": (0, 17)},
            r"config.generate.between_rows: got 0,17 with generate.between_clusters=2,5, expected only one of",
        ),
        ({"cluster": 3, "between_rows": (0, 17)}, "config.generate.between_rows: got 0,17 with generate.cluster=3"),
        ({"cluster": "-1", "between_clusters": (0, 1)}, "config.generate.between_clusters: got 0,1 with .*cluster=-1"),
    ],
)
def test_missing_clusters_rows_and_formats_are_refused(digits, options, words):
    with pytest.raises(InputError, match=words):
        generate(digits, **options)


def test_png_of_a_table_is_refused(table, tmp_path):
    with pytest.raises(InputError, match=r"config.generate.output: got .*out.png', expected"):
        generate(table, str(tmp_path / "out.png"))


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".npz"])
def test_categories_are_written_by_their_names(tmp_path, ending):
    scaling = Scaling(np.array([[10.0, 0, 0]], np.float32), np.ones((1, 3), np.float32))
    description = {"names": ["age", "sex", "cluster"], "levels": [[], ["f", "m"], []], "offset": None}
    state, path = SimpleNamespace(scaling=scaling), tmp_path / f"x{ending}"
    _write_rows(path, None, state, np.array([[1.5, 1, 2], [2, 0, 3]]), np.array([4, 5]), description)
    if ending == ".npz":
        with np.load(path) as arrays:
            assert arrays["x"].tolist() == [[11.5, 1, 2], [12, 0, 3]]
        return
    table = pd.read_csv(path) if ending == ".csv" else pd.read_parquet(path)
    expected = {"cluster_vade": [4, 5], "age": [11.5, 12], "sex": ["m", "f"], "cluster": [2.0, 3.0]}
    assert table.to_dict("list") == expected


@pytest.mark.parametrize("levels", [[], [[], ["f", "m"]]])
def test_covariates_come_before_the_features_and_keep_their_names(tmp_path, levels):
    scaling = Scaling(np.zeros((1, 4), np.float32), np.ones((1, 4), np.float32))
    covariates = {"names": ["cluster", "x"], "levels": [["one", "two"], []], "mix": []}
    description = {"names": ["x0", "x1"], "levels": levels, "offset": None, "covariates": covariates}
    state, path = SimpleNamespace(scaling=scaling), tmp_path / "x.csv"
    _write_rows(path, None, state, np.ones((2, 2)), np.array([4, 5]), description, np.float32([[1, 7], [np.nan, 8]]))
    rows = pd.read_csv(path)
    assert list(rows) == ["cluster_vade", "cluster", "x", "x0", "x1"]
    assert rows["cluster"].fillna("").tolist() == ["two", ""]
    assert rows["x"].tolist() == [7, 8]
