"""The 70,000 MNIST digits with convolutional networks.

python main.py --config=configs/mnist_conv.py --workdir=/tmp/mnist_conv

Accuracy 0.978 on seed 0, the only one that was run, from first clusters of 0.980; 43 minutes on two CPU cores that did
other work beside it.
"""

from ml_collections import ConfigDict

from configs import mnist


def get_config() -> ConfigDict:
    """The settings of this claim."""
    config = mnist.get_config()
    config.model.network = "conv"
    return config
