r"""A likelihood of your own, the Student t distribution: python examples/own_likelihood.py.

Its tails are heavier than a Gaussian's, so that outliers move the decoder less. The same class on the command line,
without `register_likelihood`:

  PYTHONPATH=examples python main.py --config=configs/table.py --config.data.path=x.csv --workdir=/tmp/run \
    --config.model.likelihood=own_likelihood:StudentT

The other modes of main.py import it from that workdir only with --allow_import.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from sklearn.datasets import load_wine
from sklearn.metrics import adjusted_rand_score

from vade_jax import Likelihood, VaDE, register_likelihood


@dataclass(frozen=True)
class StudentT(Likelihood):
    """p(x|z) = prod_d t(x_d | location_d, scale_d) with a learned scale and fixed degrees of freedom.

    The heads are the location and the logarithm of the squared scale, before its lower bound is applied.

    Attributes:
      min_log_var: the lower bound of the logarithm of the squared scale, from the setting `model.min_log_var`.
      degrees_of_freedom: above 1, for the mean to exist; the Gaussian is the limit of large ones.
    """

    min_log_var: float
    degrees_of_freedom: float = 5.0
    num_heads = 2
    support = "real"  # 'auto' chooses the scaling by this

    def log_prob(self, x: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns log p(x|z) [...] in nats, for x [..., D] and two heads [..., D]."""
        location, raw_log_var = heads
        scale = self._scale(raw_log_var)
        return jax.scipy.stats.t.logpdf(x, self.degrees_of_freedom, location, scale).sum(axis=-1)

    def mean(self, *heads: jax.Array) -> jax.Array:
        """Returns E[x|z] [..., D]."""
        location, _ = heads
        return location

    def sample(self, key: jax.Array, *heads: jax.Array) -> jax.Array:
        """Returns a draw x ~ p(x|z) [..., D]."""
        location, raw_log_var = heads
        noise = jax.random.t(key, self.degrees_of_freedom, location.shape)
        return location + self._scale(raw_log_var) * noise

    def _scale(self, raw_log_var: jax.Array) -> jax.Array:
        log_var = self.min_log_var + jax.nn.softplus(raw_log_var - self.min_log_var)
        return jnp.exp(0.5 * log_var)


register_likelihood("own_student_t", StudentT)

FAST = {"optimizer.min_steps": 200, "init.method": "gmm"}  # to be done in seconds; leave it out for better clusters


def main(**settings: Any) -> float:
    """Clusters scikit-learn's wines with it, and returns the adjusted Rand index."""
    wines = load_wine()
    model = VaDE(n_clusters=3, hidden=(64,), likelihood="own_student_t", settings={**FAST, **settings}, verbose=True)
    score = adjusted_rand_score(wines.target, model.fit_predict(wines.data))
    print(f"adjusted Rand index {score:.3f}")
    return score


if __name__ == "__main__":
    main()
