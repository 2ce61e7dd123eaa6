"""The 70,000 MNIST digits with convolutional networks.

python main.py --config=configs/mnist_conv.py --workdir=/tmp/mnist_conv

Not measured yet.
"""

from ml_collections import ConfigDict

from configs import mnist


def get_config() -> ConfigDict:
    """The settings of this claim."""
    config = mnist.get_config()
    config.model.network = "conv"
    return config
