"""Weights of rows: in the loss of a step, in the prior, and in a run."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from helpers.models import small_model
from helpers.runs import params_of, tiny
from sklearn.datasets import make_blobs

from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.data.row_weights import checked_weights, read_weights
from vade_jax.data.scaling import Scaling
from vade_jax.networks.model import init_params
from vade_jax.runs import starting_clusters
from vade_jax.runs.input_graphs import count_equal_rows
from vade_jax.runs.row_weights import row_weights
from vade_jax.runs.run import read_run
from vade_jax.system.errors import InputError
from vade_jax.training.epoch import train_step
from vade_jax.training.objectives import WEIGHTS, guided_negative_elbo, negative_elbo, reconstruction, vae
from vade_jax.training.train_state import TrainState

FEATURES, LATENT, CLUSTERS = 5, 2, 3
MODEL = small_model("gaussian_shared", FEATURES, LATENT, 6)
X = np.random.default_rng(0).normal(size=(4, FEATURES)).astype(np.float32)
WEIGHT = np.array([2, 0, 1, 3])
OBJECTIVES = {
    "reconstruction": reconstruction(MODEL),
    "vae": vae(MODEL),
    "elbo": negative_elbo(MODEL, "optimal", 1),
    "guided": guided_negative_elbo(MODEL, 1, 10.0),
}


def stepped(name, rows, weights=None):
    """The parameters and the mean loss of a step of gradient descent with rate 1; a row keeps its noise."""
    params = init_params(jax.random.key(0), MODEL, FEATURES, CLUSTERS, LATENT)
    scaling = Scaling(jnp.zeros((1, FEATURES)), jnp.ones((1, FEATURES)))
    tx = optax.sgd(1.0)
    state = TrainState.create(params, jax.random.key(1), scaling).replace(opt_state=tx.init(params))
    memberships = np.eye(CLUSTERS, dtype=np.float32)[rows % CLUSTERS] * 0.9 + 0.1 / CLUSTERS
    batch = {"x": jnp.asarray(X[rows]), "memberships": jnp.asarray(memberships)}
    if weights is not None:
        batch[WEIGHTS] = jnp.asarray(weights / weights.mean(), jnp.float32)

    def objective(params, batch, keys, step):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(2), jnp.asarray(rows))
        return OBJECTIVES[name](params, batch, keys, step)

    state, metrics = train_step(
        state,
        batch,
        jnp.arange(len(rows)),
        objective=objective,
        tx=tx,
        batch_size=len(rows),
        sum_over_devices=lambda tree: tree,
    )
    return state.params, metrics


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_row_of_weight_w_counts_as_w_equal_rows_and_one_of_weight_0_as_none(name):
    weighted, loss = stepped(name, np.arange(4), WEIGHT)
    repeated, expected = stepped(name, np.repeat(np.arange(4), WEIGHT))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), weighted, repeated)
    for metric in expected:
        np.testing.assert_allclose(loss[metric], expected[metric], rtol=1e-5)
    equal, same = stepped(name, np.arange(4), np.full(4, 7.0))
    alike, known = stepped(name, np.arange(4))
    jax.tree.map(np.testing.assert_array_equal, (equal, same), (alike, known))


TABLE = pd.DataFrame(make_blobs([60, 60, 60], n_features=4, cluster_std=0.5, random_state=0)[0], columns=list("abcd"))
TABLE = pd.concat([TABLE, TABLE.iloc[:1]], ignore_index=True)  # the last row equals the first one
WEIGHTS_OF_ROWS = np.random.default_rng(0).integers(0, 4, len(TABLE)).astype(np.float64)


def config_of(path, **changes):
    fields = {"data__name": "file", "data__path": str(path), "data__weights": "often", "model__num_clusters": 3}
    fields |= {"data__scaling": "standardize", "model__likelihood": "gaussian_shared", "guide__num_rounds": 1}
    return tiny(**{**fields, "pretrain__num_epochs": 2, "train__num_epochs": 1, "guide__num_epochs": 1, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    TABLE.assign(often=WEIGHTS_OF_ROWS).to_csv(folder / "x.csv", index=False)
    train(config_of(folder / "x.csv"), folder / "run")
    return folder


def test_a_run_keeps_the_weights_and_the_prior_has_the_shares_that_they_say(trained):
    run = read_run(trained / "run")
    expected = WEIGHTS_OF_ROWS / WEIGHTS_OF_ROWS.mean()
    np.testing.assert_allclose(row_weights(run), expected, rtol=1e-6)
    np.testing.assert_allclose(count_equal_rows(run), [expected[0] + expected[-1], *expected[1:-1]], rtol=1e-6)
    assert json.loads((trained / "run" / "data.json").read_text())["names"] == list("abcd")
    assert starting_clusters.read(run, "guide1").memberships.shape == (len(TABLE) - 1, 3)


def test_weights_change_training_and_equal_ones_do_not(trained):
    TABLE.assign(often=2.5).to_csv(trained / "equal.csv", index=False)
    TABLE.to_csv(trained / "none.csv", index=False)
    train(config_of(trained / "equal.csv"), trained / "equal")
    train(config_of(trained / "none.csv", data__weights=""), trained / "none")
    jax.tree.map(np.testing.assert_array_equal, params_of(trained / "equal"), params_of(trained / "none"))
    decoder = params_of(trained / "none")["decoder"]["params"]["decoder"]["Dense_0"]["kernel"]
    assert (decoder != params_of(trained / "run")["decoder"]["params"]["decoder"]["Dense_0"]["kernel"]).any()


def test_streamed_rows_are_weighted_too(trained):
    train(config_of(trained / "x.csv", data__max_resident_mib=0.0), trained / "streamed")
    assert np.isfinite(json.loads((trained / "streamed" / "results.json").read_text())["elbo"])


def test_weights_are_read_again_and_new_rows_need_none(trained):
    assert np.isfinite(evaluate(trained / "run")["elbo"])
    TABLE.to_csv(trained / "new.csv", index=False)
    found = [
        predict(trained / "run", str(trained / name), str(trained / f"of {name}")) for name in ("new.csv", "x.csv")
    ]
    assert found[0].read_text() == found[1].read_text()
    TABLE.assign(often=1.0 + WEIGHTS_OF_ROWS).to_csv(trained / "other.csv", index=False)
    with pytest.raises(InputError, match="with a run of other rows: here are rows of other weights"):
        train(config_of(trained / "other.csv"), trained / "run")


@pytest.mark.parametrize(
    ("weights", "got"),
    [
        ([1, -1], "-1.0 in row 1"),
        ([np.nan, 1], "nan in row 0"),
        ([0, 0], "only zeros"),
        ([1, 2, 3], r"weights of shape"),
    ],
)
def test_what_is_no_weight_is_refused(weights, got):
    with pytest.raises(InputError, match=f"^sample_weight: got {got}"):
        checked_weights(weights, 2, "sample_weight")


def test_a_column_that_is_missing_or_text_is_refused(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    with pytest.raises(InputError, match=r"^config.data.weights: got 'c', expected a column of x.csv"):
        read_weights(frame, "c", "x.csv")
    with pytest.raises(InputError, match=r"^config.data.weights: got nan in row 0"):
        read_weights(frame, "b", "x.csv")
    np.save(tmp_path / "x.npy", np.ones((5, 2)))
    with pytest.raises(InputError, match=r"^config.data.weights: got 'often', expected no weights, since"):
        train(config_of(tmp_path / "x.npy"), tmp_path / "run")
