"""Errors that the person at the keyboard can mend."""


class InputError(ValueError):
    """A config field, a flag or a file that cannot be used: which, what came, what is due and the remedy, in one line.

    Attributes:
      field: the config field or flag, as the user writes it without the dashes: 'config.data.path'.
    """

    def __init__(self, field: str, came: object, due: str, remedy: str):
        self.field = field
        super().__init__(" ".join(f"{field}: {came}; {due}. {remedy}".split()))


class DivergedError(RuntimeError):
    """A loss that is no longer finite."""
