"""The parameters of the estimator as settings, and back; errors about settings in the words of the parameters."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from sklearn.utils import check_random_state

from vade_jax.settings import defaults, rules
from vade_jax.settings.field_names import STAGES, flatten, nested
from vade_jax.settings.rule_forms import is_a
from vade_jax.settings.rules import AUTO, RULES
from vade_jax.system.errors import InputError

# parameter -> dotted name of the setting that it sets
_FIELDS = {
    "n_clusters": "model.num_clusters",
    "latent_dim": "model.latent_dim",
    "hidden": "model.hidden",
    "network": "model.network",
    "likelihood": "model.likelihood",
    "scaling": "data.scaling",
}
_COLUMNS = "data.columns"
_WITHOUT_WORKDIR = {"report": False, "checkpoint.keep": 0}  # nothing is kept that the estimator does not read
# setting -> the parameter or the argument that its errors name
_PARAMETERS = {field: parameter for parameter, field in _FIELDS.items()} | {
    "seed": "random_state",
    _COLUMNS: "column_types",
    "data.covariates": "covariates",
    "data.weights": "sample_weight",
    "generate.covariates": "covariates",
    "data.path": "X",
    "data.train_split": "X",
}
_ALL_ROWS = "'all' with "  # what errors say of X: the rows of the split 'all'
_ALLOW = "add --allow_import (in Python: allow_import=True)", "set allow_import=True"
_MENTIONED = re.compile(r"(--)?config\.(\w+(?:\.\w+)*)(?:(=)([^\s,]*[^\s,.])?)?")


def config_of(parameters: Mapping[str, Any]) -> ConfigDict:
    """Returns the settings of an estimator's parameters, as `get_params` returns them, but for `max_epochs`.

    Where the number of clusters is to be chosen, it is 1.

    Raises:
      InputError: a name in `settings` is unknown, or a parameter that is no setting has a wrong value.
    """
    if not isinstance(parameters["settings"] or {}, Mapping):
        got = repr(parameters["settings"])
        raise InputError("settings", got, "a dict of settings, or None", "Write {'train.num_epochs': 5}, for one.")
    settings = flatten(parameters["settings"] or {})
    rules.check_names(settings)
    clusters = parameters["n_clusters"]
    if isinstance(clusters, str) and clusters != AUTO:
        raise InputError("n_clusters", repr(clusters), f"an integer >= 1, or {AUTO!r}", "Set one of these.")
    given = {field: parameters[name] for name, field in _FIELDS.items()} | {
        "model.num_clusters": 1 if clusters == AUTO else clusters,
        "seed": _seed(parameters["random_state"]),
        "data.name": "file",
        _COLUMNS: tuple(f"{column}={kind}" for column, kind in (parameters["column_types"] or {}).items()),
        **(_WITHOUT_WORKDIR if parameters["workdir"] is None else {}),
        **settings,
    }
    return ConfigDict(nested({**flatten(defaults.get_config().to_dict()), **given}))


def bounded(config: ConfigDict, max_epochs: int | None, num_rows: int) -> ConfigDict:
    """Returns settings with which each stage goes through so many rows at most max_epochs times; None for no bound.

    Raises:
      InputError: max_epochs is no integer >= 1, or another setting has a wrong value.
    """
    if max_epochs is None:
        return config
    if not (is_a(max_epochs, int | np.integer) and max_epochs >= 1):  # type: ignore[arg-type]
        raise InputError("max_epochs", repr(max_epochs), "an integer >= 1, or None", "Set one of these.")
    rules.check_fields(config.to_dict())
    flat = flatten(config.to_dict())
    steps = min(num_rows // min(num_rows, flat[f"{stage}.batch_size"]) for stage in STAGES)
    epochs = {f"{stage}.num_epochs": min(flat[f"{stage}.num_epochs"], int(max_epochs)) for stage in STAGES}
    min_steps = min(flat["optimizer.min_steps"], int(max_epochs) * steps)
    return ConfigDict(nested(flat | epochs | {"optimizer.min_steps": min_steps}))


def parameters_of(fields: Mapping[str, Any], description: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameters of an estimator whose run has these settings and this description of its rows."""
    asked, usual = flatten(fields), flatten(defaults.get_config().to_dict())
    asked = {name: value for name, value in asked.items() if (name, value) not in _WITHOUT_WORKDIR.items()}
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


def with_settings(settings: Mapping[str, Any] | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parameter `settings` with other values of some fields, which '.' or '__' join: 'train__num_epochs'.

    Raises:
      InputError: there is no such field.
    """
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    rules.check_names(changed)
    return flatten(settings or {}) | changed


def in_parameters(error: InputError) -> InputError:
    """Returns an error about settings in the words of the estimator's parameters."""
    field = error.field.removeprefix("config.") if error.field.startswith("config.") else ""
    return InputError(
        _parameter(field) if field else error.field,
        text_in_parameters(error.got.removeprefix(_ALL_ROWS)),
        text_in_parameters(error.expected),
        text_in_parameters(error.remedy),
    )


def text_in_parameters(text: str) -> str:
    """Returns a text in which settings, and flags that set them, are named as the estimator's parameters.

    Example:
      >>> text_in_parameters("Set --config.data.scaling=range, or config.train.num_epochs.")
      "Set scaling='range', or settings['train.num_epochs']."
      >>> text_in_parameters("Set --config.train.num_epochs=VALUE.")
      "Set settings={'train.num_epochs': VALUE}."
    """
    return _MENTIONED.sub(_mention_in_parameters, text).replace(*_ALLOW)


def _mention_in_parameters(mention: re.Match[str]) -> str:
    _, field, sets, value = mention.groups()
    if field not in RULES:  # config.json, for one
        return mention[0]
    if not sets:
        return _parameter(field)
    written = value if value and re.fullmatch(r"[A-Z]+|[\d.]+", value) else repr(value or "")
    parameter = _PARAMETERS.get(field)
    return f"{parameter}={written}" if parameter else f"settings={{{field!r}: {written}}}"


def _parameter(field: str) -> str:
    return _PARAMETERS.get(field, f"settings[{field!r}]")


def _seed(random_state: int | np.random.RandomState | None) -> int:
    """The seed: random_state if it is an integer, else a random integer drawn from it."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31))
