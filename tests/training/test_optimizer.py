"""Learning-rate schedules and gradient clipping."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from vade_jax.training.optimizer import make_schedule, make_tx


def test_gradients_are_clipped_by_their_global_norm():
    tx = make_tx(optax.constant_schedule(1.0), adam_epsilon=1e3, max_grad_norm=1.0)
    params = {"encoder": jnp.zeros(2), "decoder": jnp.zeros(2), "prior": jnp.zeros(2)}
    grads = jax.tree.map(lambda leaf: leaf + 100.0, params)
    with jax.numpy_dtype_promotion("standard"):
        updates, _ = tx.update(grads, tx.init(params), params)
    # with a huge epsilon Adam's step is the gradient divided by epsilon
    np.testing.assert_allclose(optax.tree.norm(updates) * 1e3, 1.0, rtol=1e-2)


def test_schedules_match_values_computed_by_hand():
    def schedule(name, final_fraction, learning_rate=1e-3):
        return make_schedule(
            name,
            learning_rate=learning_rate,
            final_fraction=final_fraction,
            decay_rate=0.5,
            decay_steps=10,
            num_steps=100,
        )

    cosine = schedule("cosine", 0.1)
    np.testing.assert_allclose([cosine(0), cosine(50), cosine(100)], [1e-3, 5.5e-4, 1e-4], rtol=1e-5)
    staircase = schedule("staircase", 0.2)
    np.testing.assert_allclose([staircase(s) for s in (0, 9, 10, 20, 30, 99)], [1e-3, 1e-3, 5e-4, 2.5e-4, 2e-4, 2e-4])
    constant = schedule("constant", 0.2)
    np.testing.assert_allclose([constant(0), constant(99)], [1e-3, 1e-3])
    assert float(schedule("cosine", 0.1, learning_rate=0.0)(3)) == 0.0
