"""The speed benchmark: contenders do the same work, and ratios are computed correctly."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import contenders, matrix_products, records, speed
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


def test_roofline_is_the_longer_of_products_and_memory_traffic():
    record, work = make_record(), matrix_products.work(100)
    assert speed.roofline(record, 100) == pytest.approx(work["operations"] / 2e9)
    record["rates"]["copy_jax"]["rate"] = [1.0]
    assert speed.roofline(record, 100) == pytest.approx(work["bytes"])
    assert speed.roofline({**record, "rates": {}}, 100) is None


def test_work_counts_the_products_of_a_step():
    """Counted by hand: each product forward and its two gradients, without the gradient of the data."""
    weights = 784 * 500 + 500 * 500 + 500 * 2000 + 2000 * 20 + 10 * 2000 + 2000 * 500 + 500 * 500 + 500 * 784
    assert matrix_products.work(1)["operations"] == 2 * (3 * weights - 784 * 500)
    assert matrix_products.work(7)["operations"] == 7 * matrix_products.work(1)["operations"]
    assert matrix_products.work(7)["bytes"] == 40 * weights


def test_products_have_the_operations_of_work():
    matrices = matrix_products._matrices(2)
    forward, weight_grads, input_grads = matrix_products._products(matrices)
    assert [product.shape for product in forward] == [outputs.shape for _, _, outputs in matrices]
    assert [product.shape for product in weight_grads] == [weights.shape for _, weights, _ in matrices]
    assert [product.shape for product in input_grads] == [inputs.shape for inputs, _, _ in matrices[1:]]
    operations = 2 * sum(2 * 3 * weights.size for _, weights, _ in matrices) - 2 * 2 * 784 * 500
    assert matrix_products.work(2)["operations"] == operations


@pytest.mark.slow
def test_runs_side_by_side_count_all_steps(monkeypatch):
    monkeypatch.setattr(contenders, "HIDDEN", (8,))
    record = contenders._runs_side_by_side(16, 32, 0)
    assert record["steps"] == 2 * contenders._NUM_RUNS
    assert 0 < record["seconds_per_step"] < 1


def test_table_has_a_row_for_each_contender():
    entry = {"seconds_per_step": [0.5, 0.25], "first_epoch_seconds": [9.0, 9.0], "steps": 10}
    table = speed.rows(make_record(vade_jax=entry, torch={"failure": "no torch"}))
    assert table[1][:4] == ["100", "vade_jax", "375.0", "1.00"]
    assert table[1][5] == "5.2"  # 9 s without ten steps of 0.375 s
    assert table[2] == ["100", "torch", "no torch"]


@pytest.mark.parametrize(
    ("name", "library"),
    [pytest.param("vade_jax", "jax", marks=pytest.mark.slow), ("products_numpy", "numpy")],
)
def test_contender_runs_in_a_separate_process(name, library):
    command = [sys.executable, "-m", "benchmarks.contenders", name, "16", "--num_rows=32", "--seconds=0"]
    answer = subprocess.run(command, cwd=records.ROOT, capture_output=True, text=True, check=True)
    record = json.loads(answer.stdout.splitlines()[-1])
    assert record["seconds_per_step"] > 0
    assert record["epochs"] == 1
    assert record["version"].startswith(f"{library} ")


def test_record_has_the_failure_of_a_contender():
    record = speed.measure(["vade_jax"], [64], 1, num_rows=8, seconds=0)
    assert "ZeroDivisionError" in record["training"]["64"]["vade_jax"]["failure"]


def test_torch_vade_has_the_same_loss():
    """With the same weights and almost no noise, both losses are equal."""
    torch = pytest.importorskip("torch", reason="it compares with PyTorch")
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
