"""The row map computes every row once, with noise that belongs to the row."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vade_jax.data.scaling import Scaling
from vade_jax.inference.row_map import make_row_map


@pytest.mark.parametrize("num_rows", [1, 2, 7, 8, 9, 37])
def test_the_row_map_computes_each_row_once_for_any_remainder(num_rows):
    def fn(params, x, keys):
        return {"double": 2 * x[:, 0], "noise": jax.vmap(jax.random.normal)(keys)}

    row_map = make_row_map(fn, batch_size=8)
    x = np.arange(num_rows, dtype=np.uint8)[:, None]
    scaling = Scaling(jnp.ones((1, 1)), jnp.full((1, 1), 0.5))
    answer = row_map({}, scaling, x, jax.random.key(0))
    np.testing.assert_array_equal(answer["double"], np.arange(num_rows) - 1.0)
    # a row's noise belongs to the row: another batch size gives the same draws
    again = make_row_map(fn, batch_size=3)({}, scaling, x, jax.random.key(0))
    np.testing.assert_array_equal(answer["noise"], again["noise"])
    assert len(set(answer["noise"].tolist())) == num_rows
