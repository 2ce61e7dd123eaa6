"""Errors that the person at the keyboard can mend."""

from typing import Any


class InputError(ValueError):
    """A config field, a flag or a file that cannot be used: which, what came, what is due and the remedy, in one line.

    Attributes:
      field: the config field or flag, as the user writes it without the dashes: 'config.data.path'.
    """

    def __init__(self, field: str, came: object, due: str, remedy: str):
        self.field = field
        super().__init__(" ".join(f"{field}: {came}; {due}. {remedy}".split()))


class DivergedError(RuntimeError):
    """Training that collapsed, or whose loss ran away, beyond what its cures could mend."""

    def __init__(self, message: str, treatments: list[dict[str, Any]]):
        """Keeps what was diagnosed and tried, as it is written to results.json."""
        self.treatments = treatments
        super().__init__(message)
