"""Functions on devices: their compiled programs go with them."""

import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.programs import num_programs

from vade_jax.system.devices import over_devices, split_over_devices


@pytest.mark.parametrize("ahead", [False, True])
def test_programs_go_with_their_function(ahead):
    rows = np.ones((jax.local_device_count(), 3, 2), np.float32)

    def use():
        double = over_devices(lambda x: jnp.tanh(x) * 2, in_axes=(0,), out_axes=0)
        if ahead:
            double.lower(rows).compile()
        return double(rows)

    use()
    before = num_programs()
    for _ in range(3):
        use()
    assert num_programs() == before


def test_traces_go_with_their_function():
    rows = np.ones((jax.local_device_count(), 3, 2), np.float32)

    def double(x):
        return jnp.tanh(x) * 2

    over_devices(double, in_axes=(0,), out_axes=0)(rows)
    gone = weakref.ref(double)
    del double
    gc.collect()
    assert gone() is None


def test_positions_are_split_evenly():
    np.testing.assert_array_equal(split_over_devices(5, 2), [[0, 1, 2], [3, 4, 5]])
