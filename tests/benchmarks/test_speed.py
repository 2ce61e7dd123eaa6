"""The speed benchmark: its contenders do the same work, and its ratios and shares are what they are called."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import contenders, seeds, speed
from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.networks.model import init_params, make_model
from vade_jax.training.objectives import negative_elbo


def make_record(**training):
    return {
        "num_rows": 1000,
        "rates": {"product_a": {"rate": [1e9, 2e9]}, "product_b": {"rate": [1.5e9]}, "copy_jax": {"rate": [1e9]}},
        "training": {"100": training},
    }


def test_ratios_are_paired_by_round():
    training = {"vade_jax": {"seconds_per_step": [1.0, 2.0, 4.0]}, "torch": {"seconds_per_step": [2.0, 6.0, 8.0]}}
    assert speed.ratio(training, "torch", "vade_jax") == 2
    assert speed.ratio(training, "torch", "torch_compile") is None


def test_the_roofline_is_the_longer_of_products_and_traffic():
    record, work = make_record(), contenders.work(100)
    assert speed.roofline(record, 100) == pytest.approx(work["operations"] / 2e9)
    record["rates"]["copy_jax"]["rate"] = [1.0]
    assert speed.roofline(record, 100) == pytest.approx(work["bytes"])
    assert speed.roofline({**record, "rates": {}}, 100) is None


def test_the_work_of_a_step_is_that_of_its_products():
    """A tiny count by hand: each product forward, its two gradients, but that of the data."""
    weights = 784 * 500 + 500 * 500 + 500 * 2000 + 2000 * 20 + 10 * 2000 + 2000 * 500 + 500 * 500 + 500 * 784
    assert contenders.work(1)["operations"] == 2 * (3 * weights - 784 * 500)
    assert contenders.work(7)["operations"] == 7 * contenders.work(1)["operations"]
    assert contenders.work(7)["bytes"] == 40 * weights


def test_the_products_are_those_of_the_work():
    matrices = contenders._matrices(2)
    forward, weight_grads, input_grads = contenders._products(matrices)
    assert [product.shape for product in forward] == [outputs.shape for _, _, outputs in matrices]
    assert [product.shape for product in weight_grads] == [weights.shape for _, weights, _ in matrices]
    assert [product.shape for product in input_grads] == [inputs.shape for inputs, _, _ in matrices[1:]]
    operations = 2 * sum(2 * 3 * weights.size for _, weights, _ in matrices) - 2 * 2 * 784 * 500
    assert contenders.work(2)["operations"] == operations


def test_runs_side_by_side_count_their_steps(monkeypatch):
    monkeypatch.setattr(contenders, "HIDDEN", (8,))
    record = contenders._runs_side_by_side(16, 32, 0)
    assert record["steps"] == 2 * contenders._NUM_RUNS
    assert 0 < record["seconds_per_step"] < 1


def test_a_table_row_for_each_contender():
    entry = {"seconds_per_step": [0.5, 0.25], "first_epoch_seconds": [9.0, 9.0], "steps": 10}
    table = speed.rows(make_record(vade_jax=entry, torch={"failure": "no torch"}))
    assert table[1][:4] == ["100", "vade_jax", "375.0", "1.00"]
    assert table[1][5] == "5.2"  # ten steps of 0.375 s less
    assert table[2] == ["100", "torch", "no torch"]


@pytest.mark.parametrize(("name", "library"), [("vade_jax", "jax"), ("products_numpy", "numpy")])
def test_a_contender_runs_in_a_process_of_its_own(name, library):
    command = [sys.executable, "-m", "benchmarks.contenders", name, "16", "--num_rows=32", "--seconds=0"]
    answer = subprocess.run(command, cwd=seeds.ROOT, capture_output=True, text=True, check=True)
    record = json.loads(answer.stdout.splitlines()[-1])
    assert record["seconds_per_step"] > 0
    assert record["epochs"] == 1
    assert record["version"].startswith(f"{library} ")


def test_a_failed_contender_leaves_its_reason():
    record = speed.measure(["vade_jax"], [64], 1, num_rows=8, seconds=0)
    assert "ZeroDivisionError" in record["training"]["64"]["vade_jax"]["failure"]


def test_the_rival_computes_the_same_bound():
    """The same weights and all but no noise: both losses are the same number."""
    torch = pytest.importorskip("torch", reason="the rival is PyTorch's")
    from benchmarks.torch_vade import VaDE

    sizes = {"hidden": (7, 5, 6), "latent_dim": 3, "num_clusters": 4}
    torch.manual_seed(0)
    rival = VaDE(8, **sizes)
    with torch.no_grad():
        rival.z_log_var.weight.zero_()
        rival.z_log_var.bias.fill_(-30.0)
        rival.logits.copy_(torch.arange(4.0))
        rival.log_vars.copy_(torch.randn(4, 3))

    def layers(*modules):
        linear = [part for module in modules for part in module.modules() if isinstance(part, torch.nn.Linear)]
        return [{"kernel": part.weight.detach().numpy().T, "bias": part.bias.detach().numpy()} for part in linear]

    names = [f"Dense_{number}" for number in range(4)]
    encoder_names = [*names[:3], "z_mean", "z_log_var"]
    encoder = dict(zip(encoder_names, layers(rival.encoder, rival.z_mean, rival.z_log_var), strict=True))
    prior = GMMPrior(*(jnp.asarray(array.detach().numpy()) for array in (rival.logits, rival.means, rival.log_vars)))
    params = {
        "encoder": {"params": encoder},
        "decoder": {"params": dict(zip(names, layers(rival.decoder), strict=True))},
        "prior": prior,
    }
    model = make_model(
        network="mlp",
        likelihood="bernoulli",
        num_features=8,
        image_shape=None,
        latent_dim=3,
        hidden=(7, 5, 6),
        min_log_var=-6.0,
    )
    expected = init_params(jax.random.key(0), model, 8, 4, 3)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, expected)
    x = np.random.default_rng(0).random((16, 8), dtype=np.float32)
    loss, _ = negative_elbo(model, "sample", 1)(
        params, {"x": jnp.asarray(x)}, jax.random.split(jax.random.key(0), 16), jnp.zeros((), jnp.int32)
    )
    np.testing.assert_allclose(loss.mean(), rival(torch.from_numpy(x)).item(), rtol=1e-5)
