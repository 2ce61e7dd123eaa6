"""Parts of the user's own in files outside the package, named as package.module:factory."""

import functools

import numpy as np
import pytest
from helpers.own_parts import FAST, PARTS, imported
from helpers.runs import tiny
from ml_collections import ConfigDict
from sklearn.datasets import make_blobs

from vade_jax import VaDE
from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.generate import generate
from vade_jax.commands.predict import predict
from vade_jax.commands.select_k import select_k
from vade_jax.commands.train import train
from vade_jax.runs import workdir
from vade_jax.runs.run import read_run
from vade_jax.runs.saved_model import check_autoencoder, restore
from vade_jax.settings import rules
from vade_jax.system.errors import InputError

pytestmark = pytest.mark.usefixtures("own_parts")
X, _ = make_blobs([30, 40, 50], n_features=4, cluster_std=0.5, random_state=0)


@pytest.fixture(scope="module")
def main(command_line, own_parts_folder):
    """The command line in a process that can import the four parts."""
    return functools.partial(command_line, environment={"PYTHONPATH": str(own_parts_folder)})


@pytest.fixture(scope="module")
def trained(main, own_parts_folder):
    """The workdir of a run of the command line with all four parts."""
    settings = [f"--config.{name}={value}" for name, value in {**FAST, **PARTS}.items()]
    answer = main(f"--workdir={own_parts_folder / 'run'}", *settings)
    assert answer.returncode == 0, answer.stderr
    return own_parts_folder / "run"


def test_another_process_predicts_with_all_four_if_it_may_import_them(main, own_parts_folder, trained):
    flags = ["--mode=predict", f"--workdir={trained}", f"--config.predict.output={own_parts_folder / 'out.npz'}"]
    answer = main(*flags, "--allow_import")
    assert answer.returncode == 0, answer.stderr
    with np.load(own_parts_folder / "out.npz") as predicted, np.load(trained / "assignments.npz") as assignments:
        np.testing.assert_array_equal(predicted["cluster"], assignments["cluster"])


def test_another_process_refuses_to_import_unless_it_may(main, own_parts_folder, trained):
    output = own_parts_folder / "refused.npz"
    answer = main("--mode=predict", f"--workdir={trained}", f"--config.predict.output={output}")
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


def test_a_likelihood_without_sample_generates_means(trained, tmp_path):
    generate(trained, str(tmp_path / "out.csv"), kind="mean", allow_import=True)
    with pytest.raises(
        InputError, match=r"^config\.generate\.kind: got draws of x, but StudentT cannot draw x"
    ) as caught:
        generate(trained, str(tmp_path / "drawn.csv"), allow_import=True)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


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
    parameter = {"data.name": r"settings\['data.name'\]"}.get(field, field.partition(".")[2])
    with pytest.raises(InputError, match=rf"^{parameter}: got '{PARTS[field]}' .* set allow_import=True\."):
        VaDE.load(tmp_path / "model")
    loaded = VaDE.load(tmp_path / "model", allow_import=True)
    np.testing.assert_array_equal(loaded.predict(X), clusters)
    np.testing.assert_array_equal(loaded.score_samples(X), model.score_samples(X))


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


def test_the_settings_that_can_name_code_are_these_four():
    assert {name for name, rule in rules.RULES.items() if rule.registry is not None} == PARTS.keys()
