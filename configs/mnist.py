"""The 70,000 MNIST digits, train and test together, through TFDS.

python main.py --config=configs/mnist.py --workdir=/tmp/mnist
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    """The settings of this claim."""
    config = base.get_config()
    config.data.name = "mnist"
    return config
