"""Columns by their names."""

from collections import Counter
from collections.abc import Sequence

from vade_jax.data.dataset import Dataset
from vade_jax.system.console import print_line
from vade_jax.system.errors import InputError


def check_names(names: Sequence[str], where: str) -> None:
    """Raises an InputError where two columns have one name."""
    repeated = [str(name) for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(
            "config.data.path",
            f"{where} has several columns called {abbreviate(repeated)}",
            "each must have a name of its own",
            "Rename them; those of an .h5ad by adata.var_names_make_unique().",
        )


def column_indices(names: Sequence[str], due: Sequence[str], where: str, field: str = "config.data.path") -> list[int]:
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
            f"the rows lack {abbreviate(missing)}",
            f"the model was made for {len(due)} columns",
            "Bring rows with the columns it was trained on.",
        )
    known = set(due)
    unknown = [name for name in names if name not in known]
    if unknown:
        print_line(
            f"{where}: {len(unknown):,} columns that the model does not know are left out: {abbreviate(unknown)}"
        )
    return [found[name] for name in due]


def abbreviate(names: Sequence[str]) -> str:
    """Names in a list of twenty at most."""
    shown = ", ".join(map(str, names[:20]))
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20:,} more"


def match_columns(rows: Dataset, names: Sequence[str], num_features: int, where: str, field: str) -> Dataset:
    """Rows whose columns are those that a model was made for, in their order; others are left out.

    Args:
      rows: [N, D].
      names: of the model's columns; () where they had none.
      num_features: of the model.
      where: the rows came from, for what is printed of columns left out.
      field: the config field that the rows came from, for the error.

    Returns:
      The rows, their columns in the model's order.

    Raises:
      InputError: columns that are missing, or another number of them where they have no names.
    """
    if names and rows.names and rows.names != tuple(names):
        order = column_indices(rows.names, names, where, field)
        rows = rows._replace(x=rows.x[:, order], names=tuple(names))
    if rows.x.shape[1] != num_features:
        raise InputError(
            field,
            f"the rows have {rows.x.shape[1]} columns",
            f"the model was made for {num_features} columns",
            "Bring rows with the columns it was trained on.",
        )
    return rows
