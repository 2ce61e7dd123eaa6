"""Matches the columns of rows to a model's by their names."""

from collections import Counter
from collections.abc import Sequence

from vade_jax.data.dataset import Dataset
from vade_jax.system.console import print_line
from vade_jax.system.errors import InputError, show_name


def repeated_names(names: Sequence[str]) -> list[str]:
    """The names that more than one column has."""
    return [str(name) for name, count in Counter(names).items() if count > 1]


def check_names(names: Sequence[str], where: str) -> None:
    """Raises an InputError if two columns have the same name."""
    if repeated := repeated_names(names):
        raise InputError(
            "config.data.path",
            f"{where} with several columns called {abbreviate(repeated)}",
            "a different name for each column",
            "Rename them; for an .h5ad, call adata.var_names_make_unique().",
        )


def column_indices(
    names: Sequence[str], expected: Sequence[str], where: str, field: str = "config.data.path"
) -> list[int]:
    """The index of each of the model's columns among the rows' columns. Prints which columns are left out.

    Args:
      names: the names of the rows' columns.
      expected: the names of the model's columns.
      where: the file or split of the rows, for the print and the error.
      field: its config field, for the error.

    Returns:
      The indices, in the model's order.

    Raises:
      InputError: columns are missing.
    """
    found = {name: index for index, name in enumerate(names)}
    for name in expected:  # a name that was read with the blank after a separator is now read without it
        if name not in found and str(name).lstrip() in found:
            found[name] = found[str(name).lstrip()]
    missing = [name for name in expected if name not in found]
    if missing:
        raise InputError(
            field,
            f"rows of {where} without the columns {abbreviate(missing)}",
            f"all of the model's {len(expected)} columns",
            "Add the columns that it was trained on.",
        )
    known = {found[name] for name in expected}
    unknown = [name for index, name in enumerate(names) if index not in known]
    if unknown:
        print_line(
            f"{where}: {len(unknown):,} columns that the model does not know are left out: {abbreviate(unknown)}"
        )
    return [found[name] for name in expected]


def abbreviate(names: Sequence[str]) -> str:
    """Joins names by commas, at most twenty of them. A name with blanks that would not be seen is quoted."""
    shown = ", ".join(map(show_name, names[:20]))
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20:,} more"


def match_columns(
    dataset: Dataset,
    names: Sequence[str],
    num_features: int,
    where: str,
    field: str,
    image_shape: tuple[int, int, int] | None = None,
) -> Dataset:
    """Selects the model's columns of a data set, in the model's order.

    Args:
      dataset: x [N, D].
      names: the names of the model's columns; () if they have none.
      num_features: the number of the model's columns.
      where: the file or split of the rows, for the print of columns that are left out and for the error.
      field: its config field, for the error.
      image_shape: of the model's images, (H, W, C); None if the rows are not compared with it.

    Returns:
      The data set, x [N, num_features].

    Raises:
      InputError: columns are missing, columns without names differ in number, or images have another shape.
    """
    if image_shape and dataset.image_shape and dataset.image_shape != image_shape:
        raise InputError(
            field,
            f"{where} with images of {' x '.join(map(str, dataset.image_shape))}",
            f"the model's images of {' x '.join(map(str, image_shape))}",
            "Use images of the shape that it was trained on.",
        )
    if names and dataset.names and dataset.names != tuple(names):
        order = column_indices(dataset.names, names, where, field)
        offset = None if dataset.offset is None else dataset.offset[order]
        levels = tuple(dataset.levels[column] for column in order) if dataset.levels else ()
        dataset = dataset._replace(
            x=dataset.x[:, order], names=tuple(names), offset=offset, levels=levels if any(levels) else ()
        )
    if dataset.x.shape[1] != num_features:
        raise InputError(
            field,
            f"rows of {where} with {dataset.x.shape[1]} columns",
            f"the model's {num_features} columns",
            "Use rows with the columns that it was trained on.",
        )
    return dataset
