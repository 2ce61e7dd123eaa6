"""Tables of named parts, such as likelihoods, which user code can extend."""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from vade_jax.system.errors import InputError, first_line

T = TypeVar("T")

UNKNOWN_NAME_REMEDY = (
    "If your own code registers the name, run that code first in this Python process. "
    "On the command line write package.module:factory."
)

_RESERVED = "auto"  # the value of a setting that the rows decide


class Registry(Mapping[str, T], Generic[T]):
    """The parts that a setting can name.

    A part has a registered name, or it is named as package.module:factory and imported when it is looked up.
    Iteration yields the registered names only.

    Attributes:
      kind: what the parts are, such as 'likelihood'.
      field: the setting that names one, such as 'model.likelihood'.

    Example:
      >>> shapes = Registry("shape", "plot.shape", {"square": lambda side: side**2})
      >>> shapes.register("cube", lambda side: side**3)
      >>> shapes["cube"](2), shapes["math:sqrt"](4), list(shapes)
      (8, 2.0, ['square', 'cube'])
    """

    def __init__(self, kind: str, field: str, entries: Mapping[str, T]) -> None:
        """Starts with the given names and parts."""
        self.kind = kind
        self.field = field
        self._entries = dict(entries)

    def register(self, name: str, entry: T) -> None:
        """Adds a part.

        Raises:
          ValueError: the name is taken, empty, 'auto', or contains ':'.
        """
        if not name or ":" in name or name == _RESERVED:
            raise ValueError(f"{name!r} cannot name a {self.kind}: use a name without ':' that is not {_RESERVED!r}")
        if name in self._entries:
            raise ValueError(f"there is already a {self.kind} named {name!r}: choose another name")
        self._entries[name] = entry

    def __getitem__(self, name: str) -> T:
        """Returns the part of this name. It imports the module of package.module:factory.

        Raises:
          InputError: no part has this name, or the module or the attribute cannot be imported.
        """
        if name in self._entries:
            return self._entries[name]
        module = named_module(name)
        if module is None:
            raise InputError(f"config.{self.field}", repr(name), self.describe_names(), UNKNOWN_NAME_REMEDY)
        return self._import(name, module)

    def __contains__(self, name: object) -> bool:
        """Whether a name is registered, or has the form package.module:factory. It imports nothing."""
        return isinstance(name, str) and (name in self._entries or named_module(name) is not None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def describe_names(self, *others: str) -> str:
        """Returns the values that the setting can have, in words: registered names, others, package.module:factory."""
        return f"one of {', '.join(map(repr, [*self, *others]))}, or package.module:factory"

    def _import(self, name: str, module: str) -> Any:
        def error(problem: str) -> InputError:
            return InputError(
                f"config.{self.field}",
                f"{name!r}, but {problem}",
                f"package.module:factory of a {self.kind} that can be imported",
                "Check the name. The folder of the module must be on PYTHONPATH.",
            )

        try:
            imported = importlib.import_module(module)
        except Exception as cause:  # the module is code: it can raise anything
            raise error(f"importing {module} failed with {type(cause).__name__}: {first_line(cause)}") from cause
        attribute = name.rpartition(":")[2]
        factory = getattr(imported, attribute, None)
        if not callable(factory):
            raise error(f"{module} has no function or class {attribute}")
        return factory


def named_module(name: str) -> str | None:
    """Returns the module that package.module:factory names; None for a text of any other form.

    Example:
      >>> named_module("my.parts:student_t"), named_module("gaussian"), named_module("a b:c")
      ('my.parts', None, None)
    """
    module, _, attribute = name.partition(":")
    parts = [*module.split("."), attribute]
    return module if all(part.isidentifier() for part in parts) else None
