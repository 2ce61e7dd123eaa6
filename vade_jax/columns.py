"""Columns by their names."""

from collections import Counter
from collections.abc import Sequence

from vade_jax.errors import InputError
from vade_jax.progress import say


def check_names(names: Sequence[str], where: str) -> None:
    """Raises an InputError where two columns have one name."""
    repeated = [str(name) for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(
            "config.data.path",
            f"{where} has several columns called {in_short(repeated)}",
            "each must have a name of its own",
            "Rename them; those of an .h5ad by adata.var_names_make_unique().",
        )


def places(names: Sequence[str], due: Sequence[str], where: str, field: str = "config.data.path") -> list[int]:
    """Where the columns that a model knows lie among those of rows. Prints which others are left out.

    Args:
      names: of the rows' columns.
      due: of the model's.
      where: the rows came from, for the print.
      field: the config field that they came from, for the error.

    Returns:
      The place of each of the model's columns, in its order.

    Raises:
      InputError: some are missing.
    """
    found = {name: place for place, name in enumerate(names)}
    missing = [name for name in due if name not in found]
    if missing:
        raise InputError(
            field,
            f"the rows lack {in_short(missing)}",
            f"the model was made for {len(due)} columns",
            "Bring rows with the columns it was trained on.",
        )
    known = set(due)
    unknown = [name for name in names if name not in known]
    if unknown:
        say(f"{where}: {len(unknown):,} columns that the model does not know are left out: {in_short(unknown)}")
    return [found[name] for name in due]


def in_short(names: Sequence[str]) -> str:
    """Names in a list of twenty at most."""
    shown = ", ".join(map(str, names[:20]))
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20:,} more"
