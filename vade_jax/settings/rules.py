"""The rule of each config field. It checks one field at a time, without the data."""

import difflib
import numbers
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from vade_jax.core.elbo import ESTIMATORS
from vade_jax.data.scaling import SCALINGS
from vade_jax.data.single_cells import NORMALIZATIONS
from vade_jax.data.sources import SOURCES
from vade_jax.data.table_columns import DATES
from vade_jax.initialization.methods import COVARIANCES, METHODS, NEIGHBORS
from vade_jax.networks.encoders_decoders import NETWORKS
from vade_jax.networks.likelihoods import LIKELIHOODS
from vade_jax.settings.field_names import flatten
from vade_jax.system.errors import InputError
from vade_jax.system.precision import PRECISIONS
from vade_jax.system.registry import UNKNOWN_NAME_REMEDY, Registry, named_module
from vade_jax.training.objectives import CLUSTERING, PRETRAINING
from vade_jax.training.optimizer import SCHEDULES

AUTO = "auto"  # the value of a field that the rows decide
EACH = "each"  # a value of generate.cluster
SAMPLE, MEAN = "sample", "mean"  # the values of generate.kind, besides AUTO

_LARGEST = sys.float_info.max  # NaN is not <= it


def is_auto(value: Any) -> bool:
    """Whether a field is 'auto', which a field of several values has as ('auto',)."""
    return value == AUTO or (isinstance(value, tuple | list) and list(value) == [AUTO])


class Rule(NamedTuple):
    """What values a field can have.

    Attributes:
      holds: whether the field can have a value.
      describe: returns these values in words, as a noun phrase. It is a function because a registry can grow.
      registry: the table that has these values as names, or None. `holds` is also true for package.module:factory.
    """

    holds: Callable[[Any], bool]
    describe: Callable[[], str]
    registry: Registry[Any] | None = None


def _rule(holds: Callable[[Any], bool], expected: str) -> Rule:
    return Rule(holds, lambda: expected)


def _integer(least: int) -> Rule:
    return _rule(lambda value: _is(value, numbers.Integral) and value >= least, f"an integer >= {least}")


def _number(condition: Callable[[float], bool], expected: str) -> Rule:
    return _rule(lambda value: _is(value, numbers.Real) and abs(value) <= _LARGEST and condition(value), expected)


def _one_of(choices: Collection[str]) -> Rule:
    return _rule(lambda value: isinstance(value, str) and value in choices, f"one of {', '.join(map(repr, choices))}")


def _registered(registry: Registry[Any], *others: str) -> Rule:
    return Rule(lambda value: value in registry or value in others, lambda: registry.describe_names(*others), registry)


def _is(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


_SEED = _rule(lambda value: _is(value, numbers.Integral) and 0 <= value < 2**32, "an integer in [0, 2^32)")
_TEXT = _rule(lambda value: isinstance(value, str), "text")
PATH = _rule(lambda value: isinstance(value, str), "text")
_SWITCH = _rule(lambda value: isinstance(value, bool), "True or False")
_NUMBER = _number(lambda value: True, "a number")
_NOT_NEGATIVE = _number(lambda value: value >= 0, "a number >= 0")
_POSITIVE = _number(lambda value: value > 0, "a number > 0")
_AT_LEAST_ONE = _number(lambda value: value >= 1, "a number >= 1")
_FRACTION = _number(lambda value: 0 <= value <= 1, "a number in [0, 1]")
_WIDTHS = _rule(
    lambda value: (
        is_auto(value) or (isinstance(value, tuple | list) and all(_integer(1).holds(width) for width in value))
    ),
    f"integers >= 1, such as (500, 500, 2000), or {AUTO!r}",
)
_PAIR = _rule(
    lambda value: (
        isinstance(value, tuple | list) and len(value) in (0, 2) and all(_integer(0).holds(part) for part in value)
    ),
    "two integers >= 0, such as (0, 1), or ()",
)
_CLUSTER = _rule(
    lambda value: (
        value in (AUTO, EACH, "-1") or value.isdecimal() if isinstance(value, str) else _integer(-1).holds(value)
    ),
    f"the number of a cluster, -1, {EACH!r} or {AUTO!r}",
)
_FACTORS = _rule(
    lambda value: (
        isinstance(value, tuple | list) and all(map(_POSITIVE.holds, value)) and 0 < len(value) == len({*value})
    ),
    "different numbers > 0, such as (0.5, 1.0, 2.0)",
)

RULES: dict[str, Rule] = {
    "seed": _SEED,
    "num_runs": _integer(1),
    "rate_factors": _FACTORS,
    "precision": _one_of(PRECISIONS),
    "compilation_cache": PATH,
    "report": _SWITCH,
    "data.name": _registered(SOURCES),
    "data.path": PATH,
    "data.label_column": _TEXT,
    "data.id_column": _TEXT,
    "data.dates": _one_of(DATES),
    "data.normalize": _one_of(NORMALIZATIONS),
    "data.layer": _TEXT,
    "data.obsm": _TEXT,
    "data.raw": _SWITCH,
    "data.image_size": _integer(0),
    "data.skip_damaged": _SWITCH,
    "data.dir": PATH,
    "data.train_split": _TEXT,
    "data.test_split": _TEXT,
    "data.held_out_share": _number(lambda value: 0 <= value < 1, "a number in [0, 1)"),
    "data.scaling": _registered(SCALINGS, AUTO),
    "data.max_resident_mib": _NOT_NEGATIVE,
    "data.shard_mib": _POSITIVE,
    "model.num_clusters": _integer(1),
    "model.latent_dim": _integer(1),
    "model.network": _registered(NETWORKS),
    "model.hidden": _WIDTHS,
    "model.likelihood": _registered(LIKELIHOODS, AUTO),
    "model.min_log_var": _NUMBER,
    "augment.max_degrees": _number(lambda value: 0 <= value <= 180, "a number in [0, 180]"),
    "augment.max_shift": _FRACTION,
    "optimizer.rate_factor": _POSITIVE,
    "optimizer.schedule": _one_of(SCHEDULES),
    "optimizer.final_fraction": _FRACTION,
    "optimizer.decay_rate": _number(lambda value: 0 < value <= 1, "a number in (0, 1]"),
    "optimizer.decay_epochs": _integer(1),
    "optimizer.min_steps": _integer(0),
    "optimizer.adam_epsilon": _POSITIVE,
    "optimizer.max_grad_norm": _NOT_NEGATIVE,
    "pretrain.objective": _one_of(PRETRAINING),
    "pretrain.workdir": PATH,
    "pretrain.num_epochs": _integer(0),
    "pretrain.batch_size": _integer(1),
    "pretrain.learning_rate": _POSITIVE,
    "pretrain.prior_learning_rate": _NOT_NEGATIVE,
    "pretrain.kl_warmup_epochs": _integer(0),
    "init.method": _one_of((AUTO, *METHODS)),
    "init.num_restarts": _integer(1),
    "init.covariance": _one_of(COVARIANCES),
    "init.num_layouts": _integer(1),
    "init.neighbors": _one_of(NEIGHBORS),
    "init.neighbor_share": _FRACTION,
    "init.components": _integer(1),
    "init.part_rows": _integer(0),
    "init.soft_neighbors": _integer(0),
    "init.max_rows": _integer(1),
    "init.log_var": _NUMBER,
    "guide.num_rounds": _integer(0),
    "guide.num_epochs": _integer(0),
    "guide.batch_size": _integer(1),
    "guide.learning_rate": _POSITIVE,
    "guide.prior_learning_rate": _NOT_NEGATIVE,
    "guide.num_samples": _integer(1),
    "guide.kl_c_weight": _AT_LEAST_ONE,
    "align.num_epochs": _integer(0),
    "align.batch_size": _integer(1),
    "align.learning_rate": _POSITIVE,
    "align.prior_learning_rate": _NOT_NEGATIVE,
    "align.num_samples": _integer(1),
    "align.kl_c_weight": _AT_LEAST_ONE,
    "train.objective": _one_of(CLUSTERING),
    "train.num_epochs": _integer(0),
    "train.batch_size": _integer(1),
    "train.learning_rate": _POSITIVE,
    "train.prior_learning_rate": _NOT_NEGATIVE,
    "train.estimator": _one_of(ESTIMATORS),
    "train.num_samples": _integer(1),
    "train.kl_warmup_epochs": _integer(0),
    "doctor.max_cures": _integer(0),
    "doctor.not_finite": _one_of(("retreat", "skip")),
    "doctor.watch_rows": _integer(2),
    "evaluate.estimator": _one_of(ESTIMATORS),
    "evaluate.batch_size": _integer(1),
    "evaluate.bound_samples": _integer(1),
    "evaluate.bound_rows": _integer(0),
    "checkpoint.every_epochs": _integer(1),
    "checkpoint.keep": _integer(1),
    "predict.output": PATH,
    "predict.with_log_likelihood": _SWITCH,
    "predict.with_responsibilities": _SWITCH,
    "predict.outlier_share": _FRACTION,
    "generate.output": PATH,
    "generate.seed": _SEED,
    "generate.kind": _one_of((AUTO, SAMPLE, MEAN)),
    "generate.cluster": _CLUSTER,
    "generate.between_clusters": _PAIR,
    "generate.between_rows": _PAIR,
    "generate.num_samples": _integer(1),
    "generate.truncation": _NOT_NEGATIVE,
    "select_k.min_clusters": _integer(1),
    "select_k.max_clusters": _integer(1),
    "select_k.num_splits": _integer(2),
    "select_k.max_rows": _integer(2),
}


def check_fields(settings: Mapping[str, Any]) -> None:
    """Checks every field by its rule.

    Args:
      settings: nested sections.

    Raises:
      InputError: the first field that is unknown, missing or out of range.
    """
    flat = flatten(settings)
    for name in sorted(flat.keys() - RULES.keys()):
        raise _unknown_field(name)
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
