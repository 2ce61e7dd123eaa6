"""Variational Deep Embedding (Jiang et al. 2017, arXiv:1611.05148) in JAX.

To cluster rows: `VaDE`, a scikit-learn estimator. For your own JAX code: the mixture prior, every term of the ELBO, the
ELBO in both of its forms, and the networks, as pure functions and Flax modules. To add parts of your own:
`register_network`, `register_likelihood`, `register_scaling` and `register_data_source`.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vade_jax.api import *  # noqa: F403
    from vade_jax.data.sources import register_data_source as register_data_source
    from vade_jax.estimator import VaDE as VaDE

__version__ = "0.2.0"

# Public name -> its module, where this takes longer to import than JAX: scikit-learn, data readers.
_SLOW = {"VaDE": "vade_jax.estimator", "register_data_source": "vade_jax.data.sources"}


def __getattr__(name: str) -> Any:
    """Imports the public names on first use, so that the command line can show its help without JAX."""
    if name == "__all__":
        return sorted([*importlib.import_module("vade_jax.api").__all__, *_SLOW])
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(_SLOW.get(name, "vade_jax.api")), name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted([*globals(), *__getattr__("__all__")])
