"""The rule of each config field. It checks one field at a time, without the data."""

import difflib
import numbers
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vade_jax.core.elbo import ESTIMATORS
from vade_jax.core.fit_prior import PRIORS
from vade_jax.data.scaling import SCALINGS
from vade_jax.data.single_cells import NORMALIZATIONS
from vade_jax.data.sources import SOURCES
from vade_jax.data.table_columns import DATES
from vade_jax.initialization.methods import COVARIANCES, METHODS, NEIGHBORS
from vade_jax.networks.by_columns import BY_COLUMNS
from vade_jax.networks.column_families import KINDS
from vade_jax.networks.encoders_decoders import NETWORKS
from vade_jax.networks.likelihoods import LIKELIHOODS
from vade_jax.networks.weights import WEIGHTS
from vade_jax.settings.field_names import flatten
from vade_jax.settings.rule_forms import Rule, integer, is_a, is_share, number, one_of, registered, rule_of
from vade_jax.system.errors import InputError
from vade_jax.system.precision import PRECISIONS
from vade_jax.system.registry import UNKNOWN_NAME_REMEDY, named_module
from vade_jax.training.objectives import CLUSTERING, PRETRAINING
from vade_jax.training.optimizer import SCHEDULES

AUTO = "auto"  # the value of a field that the rows decide
ON, OFF = "on", "off"
EACH = "each"  # a value of generate.cluster
SAMPLE, MEAN = "sample", "mean"  # the values of generate.kind, besides AUTO


def is_auto(value: Any) -> bool:
    """Whether a field is 'auto', which a field of several values has as ('auto',)."""
    return value == AUTO or (isinstance(value, tuple | list) and list(value) == [AUTO])


_SEED = rule_of(lambda value: is_a(value, numbers.Integral) and 0 <= value < 2**32, "an integer in [0, 2^32)")
_TEXT = rule_of(lambda value: isinstance(value, str), "text")
PATH = rule_of(lambda value: isinstance(value, str), "text")
_SWITCH = rule_of(lambda value: isinstance(value, bool), "True or False")
_NUMBER = number(lambda value: True, "a number")
_NOT_NEGATIVE = number(lambda value: value >= 0, "a number >= 0")
_POSITIVE = number(lambda value: value > 0, "a number > 0")
_AT_LEAST_ONE = number(lambda value: value >= 1, "a number >= 1")
_FRACTION = number(lambda value: 0 <= value <= 1, "a number in [0, 1]")
_WIDTHS = rule_of(
    lambda value: (
        is_auto(value) or (isinstance(value, tuple | list) and all(integer(1).holds(width) for width in value))
    ),
    f"integers >= 1, such as (500, 500, 2000), or {AUTO!r}",
)
_PAIR = rule_of(
    lambda value: (
        isinstance(value, tuple | list) and len(value) in (0, 2) and all(integer(0).holds(part) for part in value)
    ),
    "two integers >= 0, such as (0, 1), or ()",
)
_CLUSTER = rule_of(
    lambda value: (
        value in (AUTO, EACH, "-1") or value.isdecimal() if isinstance(value, str) else integer(-1).holds(value)
    ),
    f"the number of a cluster, -1, {EACH!r} or {AUTO!r}",
)
_FACTORS = rule_of(
    lambda value: (
        isinstance(value, tuple | list) and all(map(_POSITIVE.holds, value)) and 0 < len(value) == len({*value})
    ),
    "different numbers > 0, such as (0.5, 1.0, 2.0)",
)

_HIDDEN = rule_of(lambda value: value == AUTO or is_share(value), f"a number in [0, 1), or {AUTO!r}")
_COLUMNS = rule_of(
    lambda value: (
        isinstance(value, tuple | list)
        and all(isinstance(part, str) and part.rpartition("=")[2] in KINDS and "=" in part for part in value)
    ),
    f"texts COLUMN=KIND, such as ('age=number', 'sex=category'), each kind one of {', '.join(KINDS)}",
)
_NAMES = rule_of(
    lambda value: (
        isinstance(value, tuple | list)
        and all(isinstance(part, str) and part for part in value)
        and len(value) == len({*value})
    ),
    "different names of columns, such as ('batch', 'donor')",
)
_VALUES = rule_of(
    lambda value: isinstance(value, tuple | list) and all(isinstance(part, str) and "=" in part for part in value),
    "texts COVARIATE=VALUE, such as ('batch=b1',)",
)

RULES: dict[str, Rule] = {
    "seed": _SEED,
    "num_runs": integer(1),
    "rate_factors": _FACTORS,
    "precision": one_of(PRECISIONS),
    "compilation_cache": PATH,
    "report": _SWITCH,
    "data.name": registered(SOURCES),
    "data.path": PATH,
    "data.label_column": _TEXT,
    "data.id_column": _TEXT,
    "data.dates": one_of(DATES),
    "data.normalize": one_of(NORMALIZATIONS),
    "data.layer": _TEXT,
    "data.obsm": _TEXT,
    "data.raw": _SWITCH,
    "data.image_size": integer(0),
    "data.skip_damaged": _SWITCH,
    "data.dir": PATH,
    "data.train_split": _TEXT,
    "data.test_split": _TEXT,
    "data.held_out_share": number(lambda value: 0 <= value < 1, "a number in [0, 1)"),
    "data.scaling": registered(SCALINGS, AUTO),
    "data.columns": _COLUMNS,
    "data.covariates": _NAMES,
    "data.weights": _TEXT,
    "data.max_resident_mib": _NOT_NEGATIVE,
    "data.shard_mib": _POSITIVE,
    "model.num_clusters": integer(1),
    "model.latent_dim": integer(1),
    "model.network": registered(NETWORKS),
    "model.hidden": _WIDTHS,
    "model.likelihood": registered(LIKELIHOODS, AUTO, BY_COLUMNS),
    "model.weights": one_of(WEIGHTS),
    "model.min_log_var": _NUMBER,
    "augment.max_degrees": number(lambda value: 0 <= value <= 180, "a number in [0, 180]"),
    "augment.max_shift": _FRACTION,
    "augment.hide_share": _HIDDEN,
    "optimizer.rate_factor": _POSITIVE,
    "optimizer.schedule": one_of(SCHEDULES),
    "optimizer.final_fraction": _FRACTION,
    "optimizer.decay_rate": number(lambda value: 0 < value <= 1, "a number in (0, 1]"),
    "optimizer.decay_epochs": integer(1),
    "optimizer.min_steps": integer(0),
    "optimizer.early_stopping": one_of((AUTO, ON, OFF)),
    "optimizer.adam_epsilon": _POSITIVE,
    "optimizer.max_grad_norm": _NOT_NEGATIVE,
    "pretrain.objective": one_of(PRETRAINING),
    "pretrain.workdir": PATH,
    "pretrain.num_epochs": integer(0),
    "pretrain.batch_size": integer(1),
    "pretrain.learning_rate": _POSITIVE,
    "pretrain.prior_learning_rate": _NOT_NEGATIVE,
    "pretrain.kl_warmup_epochs": integer(0),
    "init.method": one_of((AUTO, *METHODS)),
    "init.num_restarts": integer(1),
    "init.covariance": one_of(COVARIANCES),
    "init.num_layouts": integer(1),
    "init.neighbors": one_of(NEIGHBORS),
    "init.neighbor_share": _FRACTION,
    "init.components": integer(1),
    "init.part_rows": integer(0),
    "init.soft_neighbors": integer(0),
    "init.max_rows": integer(1),
    "init.prior": one_of(PRIORS),
    "init.log_var": _NUMBER,
    "guide.num_rounds": integer(0),
    "guide.num_epochs": integer(0),
    "guide.batch_size": integer(1),
    "guide.learning_rate": _POSITIVE,
    "guide.prior_learning_rate": _NOT_NEGATIVE,
    "guide.num_samples": integer(1),
    "guide.kl_c_weight": _AT_LEAST_ONE,
    "align.num_epochs": integer(0),
    "align.batch_size": integer(1),
    "align.learning_rate": _POSITIVE,
    "align.prior_learning_rate": _NOT_NEGATIVE,
    "align.num_samples": integer(1),
    "align.kl_c_weight": _AT_LEAST_ONE,
    "train.objective": one_of(CLUSTERING),
    "train.num_epochs": integer(0),
    "train.batch_size": integer(1),
    "train.learning_rate": _POSITIVE,
    "train.prior_learning_rate": _NOT_NEGATIVE,
    "train.estimator": one_of(ESTIMATORS),
    "train.num_samples": integer(1),
    "train.kl_warmup_epochs": integer(0),
    "doctor.max_cures": integer(0),
    "doctor.not_finite": one_of(("retreat", "skip")),
    "doctor.watch_rows": integer(2),
    "evaluate.estimator": one_of(ESTIMATORS),
    "evaluate.batch_size": integer(1),
    "evaluate.bound_samples": integer(1),
    "evaluate.bound_rows": integer(0),
    "checkpoint.every_epochs": integer(0),
    "checkpoint.keep": integer(0),
    "predict.output": PATH,
    "predict.with_log_likelihood": _SWITCH,
    "predict.with_responsibilities": _SWITCH,
    "predict.outlier_share": _FRACTION,
    "generate.output": PATH,
    "generate.seed": _SEED,
    "generate.kind": one_of((AUTO, SAMPLE, MEAN)),
    "generate.cluster": _CLUSTER,
    "generate.between_clusters": _PAIR,
    "generate.between_rows": _PAIR,
    "generate.num_samples": integer(1),
    "generate.covariates": _VALUES,
    "generate.truncation": _NOT_NEGATIVE,
    "select_k.min_clusters": integer(1),
    "select_k.max_clusters": integer(1),
    "select_k.num_splits": integer(2),
    "select_k.max_rows": integer(2),
}


def check_fields(settings: Mapping[str, Any]) -> None:
    """Checks every field by its rule.

    Args:
      settings: nested sections.

    Raises:
      InputError: the first field that is unknown, missing or out of range.
    """
    flat = flatten(settings)
    check_names(flat)
    for name, rule in RULES.items():
        if name not in flat:
            raise InputError(
                f"config.{name}",
                "no value",
                rule.describe(),
                "Start the config from vade_jax/settings/defaults.py.",
            )
        if not rule.holds(flat[name]):
            raise _bad_value(name, flat[name])


def check_names(names: Iterable[str]) -> None:
    """Raises an InputError about the first of these dotted names that is no field, in alphabetical order."""
    for name in sorted({*names} - RULES.keys()):
        raise _unknown_field(name)


def check_no_imports(settings: Mapping[str, Any], path: Path) -> None:
    """Checks that no field names code that would be imported.

    Args:
      settings: nested sections, each field checked by itself.
      path: where the settings were read, for the error.

    Raises:
      InputError: the first field that has the form package.module:factory.
    """
    for field, value in flatten(settings).items():
        module = named_module(value) if RULES[field].registry is not None else None
        if module is not None:
            raise InputError(
                f"config.{field}",
                f"{value!r} in {path}, which would import the module {module}",
                "settings that import no code",
                "If you trust this workdir and the module, add --allow_import (in Python: allow_import=True).",
            )


def explain_flags(argv: Sequence[str], error: Exception) -> InputError:
    """Returns the error of flags or a config file that could not be read.

    Args:
      argv: the command line.
      error: what reading it raised.

    Returns:
      An error that names the config field if one is wrong, else the last line of what was raised.
    """
    for argument in argv:
        if not argument.startswith("--config."):
            continue
        name, _, value = argument.removeprefix("--config.").partition("=")
        if name not in RULES:
            return _unknown_field(name)
        if f"config.{name}" in str(error):
            return _bad_value(name, value)
    last_line = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
    return InputError(
        "flags",
        f"this error: {last_line}",
        "the flags --config, --workdir, --mode and --config.FIELD",
        "--help explains them.",
    )


def _unknown_field(name: str) -> InputError:
    close = difflib.get_close_matches(name, RULES, n=1, cutoff=0.75)
    remedy = f"Did you mean config.{close[0]}?" if close else "Check its name."
    return InputError(f"config.{name}", "an unknown field", "a field of vade_jax/settings/defaults.py", remedy)


def _bad_value(name: str, value: object) -> InputError:
    rule = RULES[name]
    remedy = UNKNOWN_NAME_REMEDY if rule.registry is not None else f"Set --config.{name}=VALUE."
    return InputError(f"config.{name}", repr(value), rule.describe(), remedy)
