"""The 70,000 MNIST digits with convolutional networks.

vade-jax --config=mnist_conv --workdir=/tmp/mnist_conv

Training images are randomly rotated and shifted. Accuracy over seeds 0 to 2: median 0.986, worst 0.986; the first
starting clusters have 0.980 in the median. A run takes 47 minutes on one CPU core.
"""

from ml_collections import ConfigDict

from vade_jax.configs import mnist


def get_config() -> ConfigDict:
    """The settings behind the numbers above."""
    config = mnist.get_config()
    config.model.network = "conv"
    config.init.num_layouts, config.init.num_restarts = 4, 5
    config.augment.max_degrees = 10.0
    config.augment.max_shift = 0.1
    config.pretrain.num_epochs = 60  # fewer than by default, because convolutions are slow
    config.guide.num_rounds = 3
    config.align.learning_rate = config.align.prior_learning_rate = 2e-3
    return config
