"""What is wrong with a file, all at once: one error of one line names every problem."""

from collections.abc import Sequence
from typing import NamedTuple

from vade_jax.system.errors import InputError

_MAX_SHOWN = 10


class Problem(NamedTuple):
    """A reason why a file cannot be used.

    Attributes:
      got: a noun phrase that says what and where it is, such as "2 infinite values in the column a (the first in row
        4)".
      expected: a noun phrase, such as "finite numbers".
      remedy: a sentence that says what to do.
    """

    got: str
    expected: str
    remedy: str


def raise_problems(problems: Sequence[Problem], where: str) -> None:
    """Raises an InputError that names the problems of a file, at most ten of them and then their number.

    Args:
      problems: none for a file that can be used.
      where: the file or name of the rows.
    """
    if not problems:
        return
    shown = problems[:_MAX_SHOWN]
    got = [f"({number}) {problem.got}" for number, problem in enumerate(shown, 1)]
    more = len(problems) - len(shown)
    listed = f"{len(problems):,} problems: {', '.join(got)}{f' and {more:,} more' if more else ''}"
    raise InputError(
        "config.data.path",
        f"{where} with {problems[0].got if len(problems) == 1 else listed}",
        " and ".join(dict.fromkeys(problem.expected for problem in shown)),
        " ".join(dict.fromkeys(problem.remedy for problem in shown)),
    )
