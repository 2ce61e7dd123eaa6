"""MNIST by the schedule of the authors' code (arXiv:1611.05148, Sec. 4.2, and github.com/slim1017/VaDE), from scratch.

vade-jax --config=paper/mnist --workdir=/tmp/paper_mnist

3,000 epochs: about ten hours on two CPU cores. It was not measured at this length; mnist_paper is a shortened one.

As there: networks 500-500-2000-10 with Glorot weights, batches of 100, Adam with epsilon 1e-4, rates of 2e-3 for
networks and prior, times 0.9 every ten epochs down to 2e-4. The prior starts from one diagonal mixture of the latent
means, with equal weights. q(c|x) is that of one draw of z. There are no guided stages. Collapses are reported only.

Differences that remain:
- The autoencoder is trained here, by the same optimizer. Theirs comes as weights, whose training is not in the code.
- The head of log sigma_z^2 starts at the constant 0 instead of random weights.
- The weights pi are a softmax of numbers that are trained, and the variances an exponential. There both are trained
  themselves, without a constraint.
- log pi is counted once in p(c, z). There it is summed over the latent dimensions.
- The loss is the negative ELBO with all its constants. There log 2 pi is counted another number of times.
- No label ends a run. There a run on HAR ends if its accuracy is low after an epoch.
"""

from ml_collections import ConfigDict

from vade_jax.configs import base


def get_config() -> ConfigDict:
    """The authors' schedule for MNIST."""
    config = base.get_config()
    config.data.name = "mnist"
    config.data.held_out_share = 0.0
    config.model.hidden = (500, 500, 2000)
    config.model.weights = "glorot_uniform"
    config.optimizer.update(schedule="staircase", decay_rate=0.9, decay_epochs=10, final_fraction=0.1)
    config.optimizer.update(adam_epsilon=1e-4, min_steps=0)
    config.pretrain.batch_size = 100
    config.init.update(method="gmm", covariance="diag", num_restarts=1, prior="equal_weights")
    config.init.update(soft_neighbors=0, log_var=0.0)
    config.guide.num_rounds = 0
    config.align.num_epochs = 0
    config.train.update(num_epochs=3000, batch_size=100, estimator="sample")
    config.train.update(learning_rate=2e-3, prior_learning_rate=2e-3)
    config.doctor.max_cures = 0
    config.evaluate.estimator = "sample"
    return config
