"""Parameters of the estimator that change training, single settings in searches, and the number of clusters."""

import jax
import numpy as np
import pytest
from helpers.estimators import FAST, QUICK, X, fast
from helpers.runs import stop_after
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from vade_jax import MLPDecoder, MLPEncoder, VaDE, register_network
from vade_jax.system.errors import InputError


def test_a_single_setting_can_be_set():
    model = fast().set_params(settings__pretrain__num_epochs=5, **{"settings__train.num_epochs": 6})
    assert model.settings == {**FAST, "pretrain.num_epochs": 5, "train.num_epochs": 6}
    assert FAST["pretrain.num_epochs"] == 20
    assert VaDE().set_params(settings__init__method="gmm").settings == {"init.method": "gmm"}
    assert model.get_params()["settings__pretrain__num_epochs"] == 5
    assert "settings__pretrain__num_epochs" not in model.get_params(deep=False)
    assert clone(model).settings == model.settings
    pipeline = make_pipeline(VaDE()).set_params(vade__settings__train__num_epochs=3)
    assert pipeline[0].settings == {"train.num_epochs": 3}


def test_a_setting_that_does_not_exist_is_named():
    with pytest.raises(InputError, match=r"^settings\['train.num_epoch'\]: .* settings\['train.num_epochs'\]"):
        fast().set_params(settings__train__num_epoch=3)
    with pytest.raises(ValueError, match="Invalid parameter 'setting'"):
        fast().set_params(setting=3)


def test_a_search_over_a_setting():
    values = {"settings__pretrain__num_epochs": [1, 2]}
    search = GridSearchCV(fast().set_params(settings=QUICK), values, cv=2, refit=False).fit(X)
    assert [p["settings__pretrain__num_epochs"] for p in search.cv_results_["params"]] == [1, 2]
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_max_epochs_bounds_every_stage():
    model = fast(max_epochs=3).fit(X)
    assert model.history_["stage"].tolist() == ["pretrain"] * 3 + ["cluster"] * 2
    assert model.n_iter_ == 5


@pytest.mark.usefixtures("own_registries")
def test_the_network_is_a_name_of_the_registry(tmp_path):
    register_network("narrow", lambda shapes: (MLPEncoder(shapes.latent_dim, (4,)), _decoder(shapes)))
    model = fast(network="narrow").set_params(settings=QUICK).fit(X)
    assert {leaf.shape[-1] for leaf in jax.tree.leaves(model._params["encoder"])} <= {4, 3}
    model.save(tmp_path / "model")
    assert VaDE.load(tmp_path / "model").network == "narrow"


def _decoder(shapes):
    return MLPDecoder(shapes.num_features, (4,), shapes.num_heads)


def test_callbacks_get_the_metrics_of_each_epoch(fitted, tmp_path):
    seen = []
    model = fast(callbacks=[seen.append], workdir=tmp_path / "run").set_params(settings__report=False).fit(X)
    assert [epoch["total_epochs"] for epoch in seen] == [*range(1, 23)]
    assert [epoch["loss"] for epoch in seen] == model.history_["loss"].tolist()
    assert seen[0]["stage"] == "pretrain"
    assert "callbacks" not in (tmp_path / "run" / "config.json").read_text()
    np.testing.assert_array_equal(model.labels_, fitted.labels_)
    assert VaDE.load(tmp_path / "run").callbacks is None


@pytest.mark.parametrize(
    ("stage", "stages"), [("pretrain", ["pretrain"] * 2), ("cluster", ["pretrain"] * 20 + ["cluster"])]
)
def test_a_callback_ends_training_and_the_fit_as_usual(stage, stages, tmp_path):
    last = stages.count(stage)
    calls = []

    def stop(epoch):
        return epoch["stage"] == stage and epoch["epoch"] >= last

    model = fast(callbacks=[stop, calls.append]).fit(X)
    assert model.history_["stage"].tolist() == stages
    assert len(calls) == model.n_iter_ == len(stages)
    np.testing.assert_array_equal(model.predict(X), model.labels_)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(VaDE.load(tmp_path / "model").predict_proba(X), model.predict_proba(X))


def test_a_callback_can_end_a_guided_fit_before_its_clusters_are_found(tmp_path):
    settings = FAST | {"guide.num_rounds": 1, "guide.num_epochs": 3, "align.num_epochs": 3}
    model = fast(callbacks=[lambda epoch: True], workdir=tmp_path / "run").set_params(settings=settings).fit(X)
    assert model.history_["stage"].tolist() == ["pretrain"]
    assert len(np.unique(model.labels_)) > 1
    again = clone(model).fit(X)  # it has ended
    np.testing.assert_array_equal(again.labels_, model.labels_)
    assert again.n_iter_ == 1


def test_a_fit_that_is_interrupted_after_it_was_stopped_stays_stopped(tmp_path, monkeypatch):
    model = fast(workdir=tmp_path / "run").set_params(settings=FAST | {"pretrain.num_epochs": 4})
    stop_after(2, monkeypatch, lambda: model.fit(X))
    stopped = clone(model).set_params(callbacks=[lambda epoch: epoch["total_epochs"] >= 3]).fit(X)
    assert stopped.n_iter_ == 3


def test_an_error_in_a_callback_reaches_the_user():
    def fail(epoch):
        raise ZeroDivisionError(epoch["stage"])

    with pytest.raises(ZeroDivisionError, match="pretrain"):
        fast(callbacks=[fail]).fit(X)


def test_the_number_of_clusters_is_recommended():
    settings = FAST | {"select_k.max_clusters": 5, "select_k.num_splits": 2, "init.soft_neighbors": 0}
    chosen = fast().set_params(n_clusters="auto", settings=settings).fit(X)
    assert chosen.n_clusters_ == 3
    assert chosen.n_clusters == "auto"
    given = clone(chosen).set_params(n_clusters=3).fit(X)
    jax.tree.map(np.testing.assert_array_equal, chosen._params, given._params)
    assert chosen._settings == given._settings
    assert chosen.n_iter_ == given.n_iter_


def test_few_rows_have_few_numbers_of_clusters_to_choose_from():
    settings = QUICK | {"select_k.num_splits": 2}
    assert fast().set_params(n_clusters="auto", settings=settings).fit(X[::20]).n_clusters_ < 6
