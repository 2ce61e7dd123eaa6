"""Errors that the person at the keyboard can mend."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class InputError(ValueError):
    """A config field, a flag or a file that cannot be used: which, what came, what is due and the remedy, in one line.

    Attributes:
      field: the config field or flag, as the user writes it without the dashes: 'config.data.path'.
      status: that the program ends with.
    """

    status = 2

    def __init__(self, field: str, came: object, due: str, remedy: str):
        self.field = field
        super().__init__(" ".join(f"{field}: {came}; {due}. {remedy}".split()))


class DivergedError(RuntimeError):
    """Training that collapsed, or whose loss ran away, beyond what its cures could mend.

    Attributes:
      status: that the program ends with.
      treatments: what was diagnosed and tried, as it is written to results.json.
    """

    status = 3

    def __init__(self, message: str, treatments: list[dict[str, Any]]):
        """Keeps the treatments."""
        self.treatments = treatments
        super().__init__(message)


@contextmanager
def readable(path: Path, due: str, remedy: str) -> Iterator[None]:
    """Whatever a library raises at a file or folder that it cannot read, as an InputError at config.data.path."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # libraries raise errors of many kinds at a file that is none of theirs
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError("config.data.path", f"{path} cannot be read: {reason[:200]}", due, remedy) from error
