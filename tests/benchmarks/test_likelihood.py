"""The benchmark of log p(x): its VAE, its bounds on test rows, its record."""

import matplotlib.image
import numpy as np
import pytest
from helpers.runs import tiny
from sklearn.datasets import load_digits

from benchmarks import likelihood, records
from vade_jax.commands.train import train
from vade_jax.settings import rules

CPU = {"platform": "cpu", "kind": "cpu", "count": 1, "cpus": 2}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("likelihood")
    images = load_digits().images.astype(np.uint8)
    np.savez(folder / "digits.npz", x_train=images[:600], x_test=images[600:800])
    config = tiny(data__name="file", data__path=str(folder / "digits.npz"), train__num_epochs=1)
    config.data.update(train_split="train", test_split="test")
    train(config, folder / "run")
    return folder / "run"


def test_bound_rises_with_the_number_of_draws(finished):
    """The mean over rows rises towards log p(x)."""
    answer = likelihood.bounds(finished, False, [1, 10, 200], 100)
    means = [bound["mean"] for bound in answer["bounds"].values()]
    assert means == sorted(means)
    assert answer["rows"] == 100
    assert all(0 < bound["standard_error"] < 5 for bound in answer["bounds"].values())


def test_vae_uses_the_standard_normal_prior(finished):
    own, standard = (likelihood.bounds(finished, flag, [5], 50)["bounds"]["5"]["mean"] for flag in (False, True))
    assert own != standard


def test_bounds_need_a_test_split(digits_run):
    with pytest.raises(ValueError, match=r"no data\.test_split"):
        likelihood.bounds(digits_run[0], False, [1], 10)


@pytest.mark.parametrize("rounds", [1, 3])
def test_vae_trains_for_as_many_epochs(rounds):
    flags = [f"--config.guide.num_rounds={rounds}"]
    config = records.read_config("configs/mnist.py", [*flags, *likelihood.vae_flags("configs/mnist.py", flags)])
    rules.check_fields(config.to_dict())
    assert config.pretrain.num_epochs == 120 + 10 * rounds + 10 + 4
    assert (config.pretrain.objective, config.guide.num_rounds, config.train.num_epochs) == ("vae", 0, 0)


def test_record_keeps_other_models_and_seeds(tmp_path):
    origin = {"config": "configs/mnist.py", "flags": [], "device": CPU, "versions": {}, "settings": {}, "runs": []}
    entry = {"rows": 10, "bounds": {"1": {"mean": -90.0, "standard_error": 0.5}}}
    record = likelihood.with_bounds(None, origin, "VAE", 0, entry)
    record = likelihood.with_bounds(record, origin, "VaDE", 1, entry)
    assert likelihood.rows(record)[1:] == [
        ["VAE", "0", "1", "-90.00", "0.50", "10"],
        ["VaDE", "1", "1", "-90.00", "0.50", "10"],
    ]
    likelihood.save_figure(tmp_path / "figure.png", record)
    assert matplotlib.image.imread(tmp_path / "figure.png").std() > 0.01
    elsewhere = likelihood.with_bounds(record, {**origin, "device": {**CPU, "cpus": 64}}, "VaDE", 2, entry)
    assert elsewhere["models"].keys() == {"VaDE"}
