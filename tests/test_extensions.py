"""Parts of the user's own that `register_network` and its kin add: networks, likelihoods, scalings and data sets."""

import numpy as np
import pytest
from helpers.own_parts import FAST
from helpers.runs import fields, tiny
from sklearn.datasets import make_blobs

import vade_jax
from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.train import train
from vade_jax.data.dataset import Dataset
from vade_jax.networks.likelihoods import Bernoulli
from vade_jax.runs import workdir
from vade_jax.runs.run import read_run
from vade_jax.settings import data_dependent, rules
from vade_jax.system.errors import InputError

pytestmark = pytest.mark.usefixtures("own_parts")
X, _ = make_blobs([30, 40, 50], n_features=4, cluster_std=0.5, random_state=0)


def test_registered_parts_are_used_by_their_names(tmp_path):
    import extension_data
    import extension_likelihood
    import extension_network
    import extension_scaling

    vade_jax.register_likelihood("own_student_t", extension_likelihood.StudentT)
    vade_jax.register_network("tanh", extension_network.make_networks)
    vade_jax.register_scaling("robust", extension_scaling.robust)
    vade_jax.register_data_source("blobs", extension_data.load_blobs)
    config = tiny(data__name="blobs", data__scaling="robust", model__likelihood="own_student_t", model__network="tanh")
    config.update_from_flattened_dict({**FAST, "model.hidden": (8,)})
    results = train(config, tmp_path / "run")
    assert results["accuracy"] > 1 / 3
    assert evaluate(tmp_path / "run")["elbo"] == results["elbo"]


def test_a_name_that_is_not_registered_here_says_what_to_do(tmp_path):
    settings = fields(model__likelihood="own_student_t")
    workdir.claim(tmp_path, settings, {"num_rows": 120, "num_features": 4, "image_shape": None, "names": ()})
    with pytest.raises(InputError, match=r"config\.model\.likelihood: got 'own_student_t', .* run that code first"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("register", "field", "name"),
    [
        ("register_likelihood", "model__likelihood", "gaussian"),
        ("register_network", "model__network", "mlp"),
        ("register_scaling", "data__scaling", "range"),
        ("register_data_source", "data__name", "digits"),
    ],
)
def test_rules_follow_the_registries(register, field, name):
    with pytest.raises(InputError, match=r"expected one of .*, or package\.module:factory"):
        rules.check_fields(fields(**{field: "another"}))
    getattr(vade_jax, register)("another", lambda *_: None)
    rules.check_fields(fields(**{field: "another"}))
    rules.check_fields(fields(**{field: "extension_gone:f"}))  # only its form is checked
    for taken in ("another", name):
        with pytest.raises(ValueError, match=f"there is already a .* named '{taken}'"):
            getattr(vade_jax, register)(taken, lambda *_: None)


class Beta(Bernoulli):
    """Another likelihood of x in [0, 1]."""


def test_auto_suits_a_likelihood_or_a_scaling_of_the_users_own():
    rows = Dataset(X.astype(np.float32), None, None)

    def resolved(scaling, likelihood):
        settings = fields(data__scaling=scaling, model__likelihood=likelihood)
        chosen = data_dependent.resolve_auto_settings(settings, rows)
        chosen = {name: value for name, (value, _) in chosen.items() if not name.endswith("batch_size")}
        settings["data"]["scaling"] = chosen.get("data.scaling", scaling)
        settings["model"]["likelihood"] = chosen.get("model.likelihood", likelihood)
        data_dependent.check_against_data(settings, rows)
        return chosen

    vade_jax.register_likelihood("beta", lambda min_log_var: Beta())
    assert resolved("auto", "beta") == {"data.scaling": "range"}
    assert resolved("auto", "extension_likelihood:StudentT") == {"data.scaling": "standardize"}
    assert resolved("extension_scaling:by_column", "auto") == {"model.likelihood": "bernoulli"}
    assert resolved("extension_scaling:robust", "auto") == {"model.likelihood": "gaussian_shared"}
    with pytest.raises(InputError, match=r"config\.model\.likelihood: got 'beta' with scaled rows in"):
        resolved("standardize", "beta")


def test_a_network_that_refuses_the_rows_is_one_line():
    def only_images(shapes):
        raise ValueError("images are needed\nand these are none")

    vade_jax.register_network("only_images", only_images)
    rows = Dataset(X.astype(np.float32), None, None)
    with pytest.raises(
        InputError, match=r"^config\.model\.network: got 'only_images', .*: images are needed"
    ) as caught:
        data_dependent.check_against_data(fields(model__network="only_images"), rows)
    assert "\n" not in str(caught.value)
