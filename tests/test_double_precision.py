"""A process with jax_enable_x64 trains, predicts, saves and loads models of float32, from the same random draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.runs import assert_same_bits

from vade_jax.core.mixture_prior import sample_prior
from vade_jax.networks.model import init_params, make_model
from vade_jax.training.augmentation import random_affine

# The rows are images and are streamed, so that augmentation and shards are part of the run.
PROGRAM = """
import sys
import jax
jax.config.update("jax_enable_x64", True)
import numpy as np
from vade_jax import VaDE

rows = np.random.default_rng(0).integers(0, 17, (90, 16)) * np.repeat([0.2, 1.0], 45)[:, None]
stages = {f"{stage}.{name}": value for stage in ("pretrain", "guide", "train")
          for name, value in (("num_epochs", 1), ("batch_size", 32))}
settings = {**stages, "init.method": "gmm", "init.num_restarts": 1, "optimizer.min_steps": 0, "guide.num_rounds": 1,
            "align.num_epochs": 0, "align.batch_size": 32, "init.soft_neighbors": 0,
            "augment.max_shift": 0.1, "train.kl_warmup_epochs": 1, "data.max_resident_mib": 0.0,
            "evaluate.bound_samples": 2, "pretrain.objective": "vae", "optimizer.rate_factor": 0.1}
model = VaDE(2, latent_dim=2, hidden=(8,), image_shape=(4, 4, 1), likelihood="gaussian_shared", settings=settings)
model.fit(rows)
model.save(sys.argv[1])
loaded = VaDE.load(sys.argv[1])
for name, answer in {
    "params": lambda of: jax.tree.leaves(of._params),
    "scaling": lambda of: list(of._scaling),
    "transform": lambda of: [of.transform(rows)],
    "score_samples": lambda of: [of.score_samples(rows)],
    "sample": lambda of: [of.sample(3)[0]],
}.items():
    for one, other in zip(answer(model), answer(loaded), strict=True):
        assert one.dtype == other.dtype == np.float32, (name, one.dtype, other.dtype)
        assert np.array_equal(one, other), name
probabilities = loaded.predict_proba(rows)
assert probabilities.dtype == np.float32
assert np.array_equal(probabilities.argmax(axis=1), model.labels_)
"""


def test_a_process_in_double_precision_has_models_of_single_precision(command_line, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    ran = command_line(tmp_path / "saved", program=tmp_path / "program.py")
    assert ran.returncode == 0, ran.stderr[-2000:]


def draws(network):
    key = jax.random.key(3)
    model = make_model(
        network=network,
        likelihood="gaussian_shared",
        num_features=64,
        image_shape=(8, 8, 1),
        latent_dim=3,
        hidden=(8,),
        min_log_var=-6.0,
    )
    params = init_params(key, model, 64, 4, 3)
    moved = random_affine(key, jnp.arange(64, dtype=jnp.float32), (8, 8, 1), 5.0, 0.1)
    return params, moved, sample_prior(key, params["prior"], (5,))


@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_draws_and_new_parameters_are_the_same_in_double_precision(network):
    single = draws(network)
    with jax.enable_x64(True):
        double = draws(network)
    assert_same_bits(single, double)
    assert {leaf.dtype for leaf in jax.tree.leaves(double)} == {np.dtype(np.float32), np.dtype(np.int32)}
