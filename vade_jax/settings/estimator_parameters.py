"""The parameters of the estimator as settings, and back."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from sklearn.utils import check_random_state

from vade_jax.settings import defaults
from vade_jax.settings.field_names import flatten, nested

# parameter -> dotted name of the setting that it sets
_FIELDS = {
    "n_clusters": "model.num_clusters",
    "latent_dim": "model.latent_dim",
    "hidden": "model.hidden",
    "likelihood": "model.likelihood",
    "scaling": "data.scaling",
}
_COLUMNS = "data.columns"


def config_of(parameters: Mapping[str, Any]) -> ConfigDict:
    """Returns the settings of an estimator's parameters, as `get_params` returns them."""
    given = {field: parameters[name] for name, field in _FIELDS.items()} | {
        "seed": _seed(parameters["random_state"]),
        "data.name": "file",
        _COLUMNS: tuple(f"{column}={kind}" for column, kind in (parameters["column_types"] or {}).items()),
        "report": parameters["workdir"] is not None,
        **(parameters["settings"] or {}),
    }
    return ConfigDict(nested({**flatten(defaults.get_config().to_dict()), **given}))


def parameters_of(fields: Mapping[str, Any], description: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of an estimator whose run has these settings and this description of its rows."""
    asked, usual = flatten(fields), flatten(defaults.get_config().to_dict())
    named = {name: asked.pop(field) for name, field in _FIELDS.items()}
    kinds = dict(entry.rpartition("=")[::2] for entry in asked.pop(_COLUMNS, ()))
    image_shape = description["image_shape"]
    return {
        **named,
        "hidden": tuple(named["hidden"]),
        "column_types": kinds or None,
        "image_shape": tuple(image_shape) if image_shape else None,
        "random_state": asked.pop("seed"),
        "settings": {name: value for name, value in asked.items() if value != usual.get(name)} or None,
    }


def _seed(random_state: int | np.random.RandomState | None) -> int:
    """The seed: random_state if it is an integer, else a random integer drawn from it."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31))
