"""What goes into a checkpoint comes out, keys included, and the last ones are kept."""

import jax
import jax.numpy as jnp
import numpy as np

from vade_jax.checkpoints import BEGINNING, Checkpoints
from vade_jax.priors import GMMPrior
from vade_jax.train_state import Scaling, TrainState
from vade_jax.training import replicate


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


def test_round_trip(tmp_path):
    progress = BEGINNING._replace(
        stage="cluster", epoch=3, total_epochs=8, seconds={"pretrain": 1.5}, losses=[0.1, 1 / 3]
    )
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        assert checkpoints.restore(state(0)) is None
        checkpoints.save(state(7), progress)
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        restored, restored_progress = checkpoints.restore(state(0))
    assert restored_progress == progress
    assert isinstance(restored.params["prior"], GMMPrior)
    assert all(jax.tree.leaves(jax.tree.map(same, restored, state(7))))


def test_the_last_ones_are_kept_and_the_latest_is_restored(tmp_path):
    with Checkpoints(tmp_path / "c", keep=2) as checkpoints:
        for epoch in range(4):
            checkpoints.save(state(epoch), BEGINNING._replace(stage="pretrain", epoch=epoch, total_epochs=epoch))
        restored, progress = checkpoints.restore(state(0))
    assert len([path for path in (tmp_path / "c").iterdir() if path.is_dir()]) == 2
    assert progress.epoch == 3
    assert int(restored.step) == 3


def test_progress_counts_epochs_seconds_losses_and_treatments():
    progress = BEGINNING.spent("load", 1.0).next_stage("pretrain").next_epoch(7.0, 2.0).next_epoch(6.0, 0.5)
    assert (progress.stage, progress.epoch, progress.total_epochs) == ("pretrain", 2, 2)
    assert progress.losses == [7.0, 6.0]
    progress = progress.treated("exploding_loss", "it rose", "retreat")
    progress = progress.spent("initialize", 3.0).next_stage("cluster").next_epoch(5.0, 0.25)
    assert (progress.epoch, progress.total_epochs, progress.losses) == (1, 3, [5.0])
    assert progress.seconds == {"load": 1.0, "pretrain": 2.5, "initialize": 3.0, "cluster": 0.25}
    (treatment,) = progress.treatments
    assert treatment == {
        "stage": "pretrain",
        "epoch": 2,
        "diagnosis": "exploding_loss",
        "detail": "it rose",
        "cure": "retreat",
    }
    assert BEGINNING.losses == []
