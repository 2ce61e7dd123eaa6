"""The parts of deep embedded clustering against the paper's formulas in float64, and runs with it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.runs import assert_same_bits, params_of, tiny
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.core.mixture_prior import GMMPrior, log_responsibilities
from vade_jax.runs.metrics_log import read_metrics
from vade_jax.runs.saved_model import check_autoencoder
from vade_jax.runs.workdir import read
from vade_jax.system.errors import InputError
from vade_jax.training import dec

ONE_STAGE = {"guide__num_rounds": 0, "align__num_epochs": 0}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dec") / "run"
    config = tiny(**ONE_STAGE, init__method="kmeans", train__objective="dec")
    return folder, train(config, folder)


def prior_of(rng, num_clusters):
    shapes = (num_clusters,), (num_clusters, 3), (num_clusters, 3)
    return GMMPrior(*(jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes))


def test_soft_assignments_are_students_t():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 5, 3))
    prior = prior_of(rng, 4)
    lengths = ((z[..., None, :] - np.float64(prior.means)) ** 2 / np.exp(np.float64(prior.log_vars))).sum(axis=-1)
    kernel = 1 / (1 + lengths)
    answer = np.exp(dec.log_soft_assignments(jnp.asarray(z, jnp.float32), prior))
    np.testing.assert_allclose(answer, kernel / kernel.sum(axis=-1, keepdims=True), rtol=1e-5)


def test_soft_assignments_do_not_depend_on_the_unit_of_z():
    rng = np.random.default_rng(2)
    z, prior = jnp.asarray(rng.normal(size=(5, 3)), jnp.float32), prior_of(rng, 4)
    narrow = GMMPrior(prior.logits, prior.means / 100, prior.log_vars - 2 * jnp.log(100.0))
    expected = dec.log_soft_assignments(z, prior)
    np.testing.assert_allclose(dec.log_soft_assignments(z / 100, narrow), expected, rtol=1e-4)


def test_soft_assignments_have_a_gradient_for_the_means_only():
    rng = np.random.default_rng(3)
    z, prior = jnp.asarray(rng.normal(size=(5, 3)), jnp.float32), prior_of(rng, 4)
    slope = jax.grad(lambda prior: dec.log_soft_assignments(z, prior)[:, 0].sum())(prior)
    assert slope.means.any()
    assert not slope.log_vars.any()
    assert not slope.logits.any()


def test_soft_assignments_require_equal_latent_dimensions():
    prior = GMMPrior(jnp.zeros(4), jnp.zeros((4, 2)), jnp.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"\(5, 3\) and means \(4, 2\)"):
        dec.log_soft_assignments(jnp.zeros((5, 3)), prior)


def test_targets_match_values_computed_by_hand():
    q = np.array([[0.8, 0.2], [0.6, 0.4]])
    first = np.array([0.64 / 1.4, 0.04 / 0.6])
    second = np.array([0.36 / 1.4, 0.16 / 0.6])
    np.testing.assert_allclose(dec.sharpen_targets(q), [first / first.sum(), second / second.sum()])


@given(arrays(np.float64, (6, 3), elements=st.floats(0.01, 1.0)))
def test_targets_are_distributions_and_keep_equal_assignments(weights):
    q = weights / weights.sum(axis=1, keepdims=True)
    targets = dec.sharpen_targets(q)
    np.testing.assert_allclose(targets.sum(axis=1), 1)
    assert (targets >= 0).all()
    alike = np.tile(q[:1], (6, 1))
    np.testing.assert_allclose(dec.sharpen_targets(alike), alike)  # q^2 / f is q where f is a multiple of q


def test_mixture_of_centroids_assigns_to_the_nearest_mean():
    rng = np.random.default_rng(1)
    prior = dec.mixture_of_centroids(prior_of(rng, 4))
    z = jnp.asarray(rng.normal(size=(50, 3)), jnp.float32)
    nearest = ((z[:, None] - prior.means[None]) ** 2).sum(axis=-1).argmin(axis=-1)
    np.testing.assert_array_equal(log_responsibilities(z, prior).argmax(axis=-1), nearest)
    np.testing.assert_array_equal(dec.log_soft_assignments(z, prior).argmax(axis=-1), nearest)


def test_a_run_trains_only_encoder_and_centroids(finished):
    folder, results = finished
    records = [record for record in read_metrics(folder / "metrics.jsonl") if record["stage"] == "cluster"]
    assert all(record["loss"] == record["kl_targets"] >= 0 for record in records)
    begun, ended = params_of_autoencoder(folder), params_of(folder)
    assert_same_bits(begun["decoder"], ended["decoder"])
    assert not np.array_equal(jax.tree.leaves(begun["encoder"])[0], jax.tree.leaves(ended["encoder"])[0])
    assert not ended["prior"].logits.any()
    assert np.ptp(ended["prior"].log_vars) == 0
    assert results["accuracy"] > 0.2


def params_of_autoencoder(folder):
    from vade_jax.runs.run import read_run
    from vade_jax.runs.saved_model import load_autoencoder

    return jax.tree.map(np.asarray, load_autoencoder(read_run(folder)).params)


def test_predict_gives_the_clusters_of_training(finished, tmp_path):
    folder, _ = finished
    path = predict(folder, "", str(tmp_path / "out.npz"))
    with np.load(path) as answer, np.load(folder / "assignments.npz") as trained:
        np.testing.assert_array_equal(answer["cluster"], trained["cluster"])


def test_a_pretrained_autoencoder_gives_the_same_bits_as_pretraining(finished, digits_run, tmp_path):
    """The autoencoder's scaling is used too, and no pretraining is done."""
    folder, _ = finished
    train(tiny(**ONE_STAGE, pretrain__workdir=str(folder)), tmp_path / "taken")
    assert_same_bits(params_of(digits_run[0]), params_of(tmp_path / "taken"))
    assert {record["stage"] for record in read_metrics(tmp_path / "taken" / "metrics.jsonl")} == {"cluster"}


def test_a_pretrained_autoencoder_allows_another_number_of_clusters(finished, tmp_path):
    folder, _ = finished
    results = train(tiny(**ONE_STAGE, pretrain__workdir=str(folder), model__num_clusters=7), tmp_path / "seven")
    assert len(results["occupancy"]) == 7


def test_an_autoencoder_of_rows_with_another_scaling_is_an_error(finished):
    folder, _ = finished
    config = tiny(pretrain__workdir=str(folder), data__scaling="none")
    with pytest.raises(InputError, match=r"with an autoencoder of data.scaling = range, not none"):
        check_autoencoder(config, read(folder)[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model__latent_dim": 4}, "an autoencoder of model.latent_dim = 3, not 4"),
        ({"model__hidden": (8,)}, r"an autoencoder of model.hidden = .*16.*, not .*8"),
        ({"data__train_split": "train[:500]"}, "an autoencoder of other rows"),
        ({"data__held_out_share": 0.2}, r"an autoencoder that held out other rows .data.held_out_share = 0.1, not 0.2"),
    ],
)
def test_an_autoencoder_of_other_settings_or_rows_is_an_error(finished, tmp_path, changes, message):
    folder, _ = finished
    with pytest.raises(InputError, match=f"config.pretrain.workdir: .* with {message}"):
        train(tiny(**ONE_STAGE, pretrain__workdir=str(folder), **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_folder_without_an_autoencoder_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"config.pretrain.workdir: .* with no autoencoder"):
        train(tiny(pretrain__workdir=str(tmp_path / "nothing")), tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_pretraining_of_a_variational_autoencoder(tmp_path):
    changes = {"pretrain__objective": "vae", "pretrain__kl_warmup_epochs": 1, "train__num_epochs": 0}
    results = train(tiny(**ONE_STAGE, **changes), tmp_path)
    first, *_, last = read_metrics(tmp_path / "metrics.jsonl")
    assert first["stage"] == last["stage"] == "pretrain"
    assert first["loss"] < -first["elbo"]
    assert last["loss"] == pytest.approx(-last["elbo"], rel=1e-5)
    assert last["elbo"] > first["elbo"]
    assert json.loads((tmp_path / "results.json").read_text())["accuracy"] == results["accuracy"] > 0.3
