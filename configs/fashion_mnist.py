"""The 70,000 images of Fashion-MNIST, train and test together, through TFDS.

python main.py --config=configs/fashion_mnist.py --workdir=/tmp/fashion_mnist

Not measured yet.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    """The settings of this claim."""
    config = base.get_config()
    config.data.name = "fashion_mnist"
    return config
