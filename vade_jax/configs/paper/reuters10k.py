"""Reuters-10k by the schedule of the authors' code (arXiv:1611.05148, Sec. 4.2), from scratch.

vade-jax --config=paper/reuters10k --config.data.path=rcv1.npz --workdir=/tmp/paper_reuters10k

As there: 15 epochs, rates of 2e-3 for networks and prior, times 0.5 every five epochs. The squared error counts once,
which is a Gaussian with a fixed sigma^2 of 1/2. The prior starts from the means of one k-means, with variances of 1.

Differences that remain: those of paper/mnist, and other stories with other weights of words: the authors' matrix is in
their code only. Rows are scaled here to a mean variance of 1.
"""

import math

from ml_collections import ConfigDict

from vade_jax.configs.paper import mnist


def get_config() -> ConfigDict:
    """The authors' schedule for Reuters-10k."""
    config = mnist.get_config()
    config.data.name = "file"
    config.data.path = "../shared/data/reuters_rcv1_4root.npz"
    config.data.scaling = "rescale"
    config.data.train_split = "train[:10000]"
    config.model.num_clusters = 4
    config.model.likelihood = "gaussian_fixed"
    config.model.min_log_var = math.log(1 / 2)
    config.optimizer.update(decay_rate=0.5, decay_epochs=5, final_fraction=0.0)
    config.init.update(method="kmeans", prior="unit_variances")
    config.train.num_epochs = 15
    return config
