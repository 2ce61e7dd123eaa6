"""The 70,000 MNIST digits with convolutional networks.

python main.py --config=configs/mnist_conv.py --workdir=/tmp/mnist_conv

In training the images are moved, and small parts of clusters go where the pixels' neighbours are. Accuracy 0.986 in the
median of seeds 0 to 2 and in the worst, from 0.980 at the first clusters; 47 minutes a run on one CPU core.
"""

from ml_collections import ConfigDict

from configs import mnist


def get_config() -> ConfigDict:
    """The settings of this claim."""
    config = mnist.get_config()
    config.model.network = "conv"
    config.augment.max_degrees = 10.0
    config.augment.max_shift = 0.1
    config.pretrain.num_epochs = 60  # convolutions take their time
    config.guide.num_rounds = 3
    config.align.learning_rate = config.align.prior_learning_rate = 2e-3
    return config
