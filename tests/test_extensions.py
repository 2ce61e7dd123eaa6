"""Parts of the user's own: networks, likelihoods, scalings and data sets in files outside the package."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from helpers.runs import fields, tiny
from ml_collections import ConfigDict
from sklearn.datasets import make_blobs

import vade_jax
from vade_jax import VaDE
from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.generate import generate
from vade_jax.commands.predict import predict
from vade_jax.commands.select_k import select_k
from vade_jax.commands.train import train
from vade_jax.data.dataset import Dataset
from vade_jax.data.scaling import SCALINGS
from vade_jax.data.sources import SOURCES
from vade_jax.networks.encoders_decoders import NETWORKS
from vade_jax.networks.model import LIKELIHOODS, Bernoulli
from vade_jax.runs import workdir
from vade_jax.runs.run import read_run
from vade_jax.runs.saved_model import check_autoencoder, restore
from vade_jax.settings import data_dependent, rules
from vade_jax.system.errors import InputError

ROOT = Path(__file__).parent.parent
X, LABELS = make_blobs([30, 40, 50], n_features=4, cluster_std=0.5, random_state=0)

FILES = {
    "extension_likelihood": """
from dataclasses import dataclass
import jax
import jax.numpy as jnp
from vade_jax import Likelihood

@dataclass(frozen=True)
class StudentT(Likelihood):
    min_log_var: float
    num_heads = 2

    def log_prob(self, x, *heads):
        location, raw_log_var = heads
        scale = jnp.exp(0.5 * (self.min_log_var + jax.nn.softplus(raw_log_var - self.min_log_var)))
        return jax.scipy.stats.t.logpdf(x, 5.0, location, scale).sum(axis=-1)

    def mean(self, *heads):
        return heads[0]

def no_likelihood(min_log_var):
    return "student t"
""",
    "extension_network": """
from flax import linen as nn

class Encoder(nn.Module):
    latent_dim: int

    @nn.compact
    def __call__(self, x):
        h = nn.tanh(nn.Dense(8)(x))
        return nn.Dense(self.latent_dim, name="z_mean")(h), nn.Dense(self.latent_dim, name="z_log_var")(h)

class Decoder(nn.Module):
    num_features: int
    num_heads: int

    @nn.compact
    def __call__(self, z):
        return tuple(nn.Dense(self.num_features)(z) for _ in range(self.num_heads))

def make_networks(shapes):
    return Encoder(shapes.latent_dim), Decoder(shapes.num_features, shapes.num_heads)
""",
    "extension_scaling": """
import numpy as np

def robust(x):
    low, median, high = np.quantile(x, (0.25, 0.5, 0.75), axis=0, keepdims=True)
    return median.astype(np.float32), (1 / (high - low)).astype(np.float32)

def by_column(x):
    low, high = x.min(axis=0, keepdims=True), x.max(axis=0, keepdims=True)
    return low.astype(np.float32), (1 / (high - low)).astype(np.float32)
""",
    "extension_data": """
from sklearn.datasets import make_blobs
from vade_jax import Source, make_dataset

def load_blobs(path, data_dir, cache_dir, options):
    x, labels = make_blobs([30, 40, 50], n_features=4, cluster_std=0.5, random_state=0)
    return Source({"train": make_dataset(x, labels, "blobs")})
""",
}
PARTS = {
    "model.likelihood": "extension_likelihood:StudentT",
    "model.network": "extension_network:make_networks",
    "data.scaling": "extension_scaling:robust",
    "data.name": "extension_data:load_blobs",
}
FAST = {
    "model.num_clusters": 3,
    "model.latent_dim": 2,
    "model.hidden": (8,),
    "pretrain.num_epochs": 2,
    "train.num_epochs": 1,
    "init.method": "gmm",
    "init.num_restarts": 1,
    "guide.num_rounds": 0,
    "align.num_epochs": 0,
    "optimizer.min_steps": 0,
    "evaluate.bound_samples": 2,
    "evaluate.bound_rows": 10,
    "report": False,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with one file for each part."""
    folder = tmp_path_factory.mktemp("parts")
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch, folder):
    """The files can be imported but are not; names that a test registers are gone after it."""
    monkeypatch.syspath_prepend(folder)
    for name in FILES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    for registry in (LIKELIHOODS, NETWORKS, SCALINGS, SOURCES):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    strict = jax.config.jax_numpy_rank_promotion, jax.config.jax_numpy_dtype_promotion
    _set_promotion("allow", "standard")  # as in the user's program, in every thread
    yield
    _set_promotion(*strict)


def _set_promotion(rank, dtype):
    jax.config.update("jax_numpy_rank_promotion", rank)
    jax.config.update("jax_numpy_dtype_promotion", dtype)


def imported():
    return FILES.keys() & sys.modules.keys()


def main(folder, *flags):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, ROOT / "main.py", *flags]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)


@pytest.fixture(scope="module")
def trained(folder):
    """The workdir of a run of the command line with all four parts."""
    settings = [f"--config.{name}={value}" for name, value in {**FAST, **PARTS}.items()]
    answer = main(folder, f"--workdir={folder / 'run'}", *settings)
    assert answer.returncode == 0, answer.stderr
    return folder / "run"


def test_another_process_predicts_with_all_four_if_it_may_import_them(folder, trained):
    flags = ["--mode=predict", f"--workdir={trained}", f"--config.predict.output={folder / 'out.npz'}"]
    answer = main(folder, *flags, "--allow_import")
    assert answer.returncode == 0, answer.stderr
    with np.load(folder / "out.npz") as predicted, np.load(trained / "assignments.npz") as assignments:
        np.testing.assert_array_equal(predicted["cluster"], assignments["cluster"])


def test_another_process_refuses_to_import_unless_it_may(folder, trained):
    output = folder / "refused.npz"
    answer = main(folder, "--mode=predict", f"--workdir={trained}", f"--config.predict.output={output}")
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith("error: config.data.name: got 'extension_data:load_blobs' in ")
    assert "would import the module extension_data," in answer.stderr
    assert "--allow_import" in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize("read", [read_run, restore, evaluate, predict, generate, select_k, VaDE.load])
def test_nothing_that_reads_a_workdir_imports_unless_it_may(trained, read):
    with pytest.raises(InputError, match=r"allow_import=True"):
        read(trained)
    assert not imported()
    restore(trained, allow_import=True)
    assert imported() == {"extension_likelihood", "extension_network"}  # what the model needs


def test_training_resumes_without_leave_because_its_config_names_the_code(trained):
    config = ConfigDict(workdir.read(trained)[0])
    epochs = (trained / "metrics.jsonl").read_text()
    assert train(config, trained)["occupancy"]
    assert (trained / "metrics.jsonl").read_text() == epochs


def test_an_autoencoder_is_taken_only_with_code_that_the_config_names(trained):
    settings, description = workdir.read(trained)
    config = ConfigDict(settings)
    config.pretrain.workdir = str(trained)
    check_autoencoder(config, description)
    config.model.network = "mlp"
    with pytest.raises(InputError, match=r"config\.pretrain\.workdir: .* model.network = .*extension_network"):
        check_autoencoder(config, description)
    assert not imported()


@pytest.mark.parametrize("field", PARTS)
def test_the_estimator_uses_each_part(field, tmp_path):
    settings = {**FAST, field: PARTS[field], "evaluate.batch_size": 64}
    model = VaDE(n_clusters=3, latent_dim=2, hidden=(8,), settings=settings)
    clusters = model.fit_predict(X)
    assert imported() == ({PARTS[field].partition(":")[0]} if field != "data.name" else set())  # fit has its rows
    np.testing.assert_array_equal(model.predict(X), clusters)
    model.save(tmp_path / "model")
    with pytest.raises(InputError, match=rf"^config\.{field}: got '{PARTS[field]}' .*allow_import=True"):
        VaDE.load(tmp_path / "model")
    loaded = VaDE.load(tmp_path / "model", allow_import=True)
    np.testing.assert_array_equal(loaded.predict(X), clusters)
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))


def test_registered_parts_are_used_by_their_names(tmp_path):
    import extension_data
    import extension_likelihood
    import extension_network
    import extension_scaling

    vade_jax.register_likelihood("student_t", extension_likelihood.StudentT)
    vade_jax.register_network("tanh", extension_network.make_networks)
    vade_jax.register_scaling("robust", extension_scaling.robust)
    vade_jax.register_data_source("blobs", extension_data.load_blobs)
    config = tiny(data__name="blobs", data__scaling="robust", model__likelihood="student_t", model__network="tanh")
    config.update_from_flattened_dict({**FAST, "model.hidden": (8,)})
    results = train(config, tmp_path / "run")
    assert results["accuracy"] > 1 / 3
    assert evaluate(tmp_path / "run")["elbo"] == results["elbo"]


def test_a_name_that_is_not_registered_here_says_what_to_do(tmp_path):
    settings = fields(model__likelihood="student_t")
    workdir.claim(tmp_path, settings, {"num_rows": 120, "num_features": 4, "image_shape": None, "names": ()})
    with pytest.raises(InputError, match=r"config\.model\.likelihood: got 'student_t', .* run that code first"):
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
        data_dependent.check_against_data(settings, rows, None)
        return chosen

    vade_jax.register_likelihood("beta", lambda min_log_var: Beta())
    assert resolved("auto", "beta") == {"data.scaling": "range"}
    assert resolved("auto", "extension_likelihood:StudentT") == {"data.scaling": "standardize"}
    assert resolved("extension_scaling:by_column", "auto") == {"model.likelihood": "bernoulli"}
    assert resolved("extension_scaling:robust", "auto") == {"model.likelihood": "gaussian_shared"}
    with pytest.raises(InputError, match=r"config\.model\.likelihood: got 'beta' with scaled rows in"):
        resolved("standardize", "beta")


@pytest.mark.parametrize(
    ("field", "name", "message"),
    [
        ("model.likelihood", "extension_gone:f", "importing extension_gone failed with ModuleNotFoundError"),
        ("model.network", "extension_network:Gone", "extension_network has no function or class Gone"),
        ("data.scaling", "extension_scaling.gone:f", "importing extension_scaling.gone failed"),
        ("data.name", "extension_data:np", "extension_data has no function or class np"),
        ("model.likelihood", "extension_likelihood:no_likelihood", "makes 'student t', expected a factory of a "),
    ],
)
def test_code_that_cannot_be_used_is_one_line_and_writes_nothing(tmp_path, field, name, message):
    config = tiny()
    config.update_from_flattened_dict({field: name})
    with pytest.raises(InputError, match=rf"^config\.{field}: got '{name}', .*{message}") as caught:
        train(config, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_network_that_refuses_the_rows_is_one_line():
    def only_images(shapes):
        raise ValueError("images are needed\nand these are none")

    vade_jax.register_network("only_images", only_images)
    rows = Dataset(X.astype(np.float32), None, None)
    with pytest.raises(
        InputError, match=r"^config\.model\.network: got 'only_images', .*: images are needed"
    ) as caught:
        data_dependent.check_against_data(fields(model__network="only_images"), rows, None)
    assert "\n" not in str(caught.value)


def test_the_settings_that_can_name_code_are_these_four():
    assert {name for name, rule in rules.RULES.items() if rule.registry is not None} == PARTS.keys()
