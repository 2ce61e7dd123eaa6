"""The 70,000 MNIST digits in a few minutes: a smaller network, and clusters that are found once, as communities.

vade-jax --config=mnist_fast --workdir=/tmp/mnist_fast

Accuracy over seeds 100 to 102: median 0.965, worst 0.965; the first starting clusters have 0.969 in the median. A run
takes 4 minutes on one CPU core.
"""

from ml_collections import ConfigDict

from vade_jax.configs import mnist


def get_config() -> ConfigDict:
    """The settings behind the numbers above."""
    config = mnist.get_config()
    config.model.hidden = (256, 256, 512)
    config.pretrain.num_epochs = 10
    config.pretrain.learning_rate = 2e-3
    config.pretrain.batch_size = config.align.batch_size = 64
    config.init.method = "communities"
    config.init.num_restarts = 1
    config.guide.num_rounds = 0
    config.align.num_epochs = 4
    config.train.num_epochs = 1
    return config
