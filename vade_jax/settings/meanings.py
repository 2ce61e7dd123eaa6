"""What each setting means, as the comments of `vade_jax.settings.defaults` say it."""

import inspect
import re

from vade_jax.settings import defaults

_ASSIGNMENT = re.compile(r"config\.(?P<name>[\w.]+) = .*?(?:  # (?P<meaning>.*))?")


def meanings() -> dict[str, str]:
    """Returns dotted name -> meaning of every section and field, in the order of the defaults; '' without a comment.

    A comment stands above its field or behind it.
    """
    found: dict[str, str] = {}
    above: list[str] = []
    for line in map(str.strip, inspect.getsource(defaults.get_config).splitlines()):
        if line.startswith("#"):
            above.append(line.removeprefix("#").strip())
            continue
        if match := _ASSIGNMENT.fullmatch(line):
            found[match["name"]] = " ".join(filter(None, [*above, match["meaning"]]))
        above = []
    return found
