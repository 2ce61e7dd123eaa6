"""The forms that rules of settings have."""

import numbers
import sys
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from vade_jax.system.registry import Registry

_LARGEST = sys.float_info.max  # NaN is not <= it


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


def rule_of(holds: Callable[[Any], bool], expected: str) -> Rule:
    """The rule of a condition, and the values in words."""
    return Rule(holds, lambda: expected)


def integer(least: int) -> Rule:
    """The rule of an integer that is at least so large."""
    return rule_of(lambda value: is_a(value, numbers.Integral) and value >= least, f"an integer >= {least}")


def number(condition: Callable[[float], bool], expected: str) -> Rule:
    """The rule of a finite number with a condition."""
    return rule_of(lambda value: is_a(value, numbers.Real) and abs(value) <= _LARGEST and condition(value), expected)


def one_of(choices: Collection[str]) -> Rule:
    """The rule of a text that is one of some."""
    return rule_of(lambda value: isinstance(value, str) and value in choices, f"one of {', '.join(map(repr, choices))}")


def registered(registry: Registry[Any], *others: str) -> Rule:
    """The rule of a name of a registry, package.module:factory, or another text."""
    return Rule(lambda value: value in registry or value in others, lambda: registry.describe_names(*others), registry)


def is_a(value: Any, kind: type) -> bool:
    """Whether a value is of a type, other than True and False."""
    return isinstance(value, kind) and not isinstance(value, bool)


def is_share(value: Any) -> bool:
    """Whether a value, which can be text, is a number in [0, 1)."""
    try:
        return not isinstance(value, bool) and 0 <= float(value) < 1
    except (TypeError, ValueError):
        return False
