"""An estimator that is fitted in seconds, and rows for it."""

from sklearn.datasets import make_blobs

from vade_jax import VaDE

X, LABELS = make_blobs([60, 80, 100], n_features=4, cluster_std=0.5, random_state=0)
FAST = {
    "pretrain.num_epochs": 20,
    "train.num_epochs": 2,
    "init.method": "gmm",
    "init.num_restarts": 1,
    "guide.num_rounds": 0,
    "align.num_epochs": 0,
    "optimizer.min_steps": 0,
    "optimizer.schedule": "constant",  # so that any number of epochs is the same program, which is compiled once
    "checkpoint.every_epochs": 20,
    "evaluate.bound_samples": 5,
    **{f"{stage}.batch_size": 16 for stage in ("pretrain", "guide", "align", "train")},
}
QUICK = {**FAST, "pretrain.num_epochs": 1, "train.num_epochs": 0, "report": False}


def fast(**changes):
    return VaDE(n_clusters=3, latent_dim=3, hidden=(16,), settings=FAST, **changes)
