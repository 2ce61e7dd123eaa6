"""Small train states and checkpoints of them."""

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.data.scaling import Scaling
from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.runs.progress import BEGINNING
from vade_jax.system.devices import replicate
from vade_jax.training.train_state import TrainState


def state(value):
    full = jnp.full((2, 3), value)
    return replicate(
        TrainState(
            step=jnp.int32(value),
            params={
                "encoder": {"kernel": full},
                "decoder": {"kernel": full},
                "prior": GMMPrior(full[0, :2], full, full),
            },
            opt_state=({"mu": full},),
            key=jax.random.key(value),
            scaling=Scaling(full[:1], full[:1]),
            rate_factor=jnp.float32(value),
        )
    )


def same(left, right):
    if jnp.issubdtype(left.dtype, jax.dtypes.prng_key):
        left, right = jax.random.key_data(left), jax.random.key_data(right)
    return np.array_equal(left, right) and left.dtype == right.dtype and left.sharding == right.sharding


def at(epoch, loss=1.0, began=0):
    return BEGINNING._replace(stage="pretrain", epoch=epoch, total_epochs=began + epoch, losses=[loss] if epoch else [])


def saved(folder):
    with Checkpoints(folder, keep=2) as checkpoints:
        checkpoints.save(state(1), at(1))
        checkpoints.save(state(2), at(2))
    return sorted(path.relative_to(folder / "2") for path in (folder / "2").rglob("*") if path.is_file())
