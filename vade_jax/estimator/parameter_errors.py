"""Errors of the estimator name its parameters, and not the settings of the command line."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from vade_jax.settings.estimator_parameters import in_parameters, text_in_parameters
from vade_jax.system.errors import DivergedError, InputError

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def parameter_errors() -> Iterator[None]:
    """A context in which errors about settings become errors about the estimator's parameters."""
    try:
        yield
    except InputError as error:
        raise in_parameters(error).with_traceback(error.__traceback__) from error.__cause__
    except DivergedError as error:
        again = DivergedError(text_in_parameters(str(error)), error.treatments)
        raise again.with_traceback(error.__traceback__) from error.__cause__


def with_parameter_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Decorates a function with `parameter_errors`."""

    @functools.wraps(function)
    def translated(*args: P.args, **kwargs: P.kwargs) -> T:
        with parameter_errors():
            return function(*args, **kwargs)

    return translated
