"""Chooses the matrix of an AnnData file that is read: X, a layer, raw or an obsm."""

from collections.abc import Collection
from typing import Any, NamedTuple

from vade_jax.data.column_names import abbreviate
from vade_jax.data.dataset import ReadOptions
from vade_jax.system.errors import InputError


class CellMatrix(NamedTuple):
    """A matrix of an AnnData file.

    Attributes:
      x: [N, G], of NumPy, SciPy, h5py or anndata, whose rows can be sliced.
      names: the names of the G columns.
      var: a pandas frame about the columns, or None.
      words: what it is, for a printed line; '' for X.
    """

    x: Any
    names: tuple[str, ...]
    var: Any
    words: str


def choose_matrix(cells: Any, path: object, options: ReadOptions) -> CellMatrix:
    """Returns the matrix of cells that the options name.

    Args:
      cells: an AnnData, in memory or in an open file.
      path: its file or name, for the error.
      options: `layer`, `obsm` and `raw`, of which one can be set.

    Raises:
      InputError: the file has no such matrix.
    """
    given = [name for name in ("layer", "obsm", "raw") if getattr(options, name)]
    if len(given) > 1:
        raise InputError(
            f"config.data.{given[1]}",
            f"a value beside data.{given[0]}",
            "only one of data.layer, data.obsm and data.raw",
            "Leave out the others.",
        )
    if options.obsm:
        return _of_obsm(cells, path, options.obsm)
    if options.raw:
        if cells.raw is None:
            raise InputError("config.data.raw", f"True for {path} without raw", "False", "Leave it out.")
        return CellMatrix(_by_rows(cells.raw.X), tuple(map(str, cells.raw.var_names)), cells.raw.var, "raw: ")
    names = tuple(map(str, cells.var_names))
    if options.layer:
        _check_name("layer", options.layer, _layers(cells), path)
        return CellMatrix(_by_rows(cells.layers[options.layer]), names, cells.var, f"layer {options.layer}: ")
    if "X" not in cells.file if cells.isbacked else cells.X is None:
        has = {"layers": _layers(cells), "obsm": [*cells.obsm.keys()], "raw": ["X"] if cells.raw else []}
        listed = "; ".join(f"{name} {abbreviate(found)}" for name, found in has.items() if found)
        raise InputError(
            "config.data.path",
            f"{path} without X, which has {listed or 'no matrix of cells'}",
            "X, or a setting that names another matrix",
            "Set --config.data.layer=NAME, --config.data.obsm=NAME or --config.data.raw=true.",
        )
    return CellMatrix(_by_rows(cells.X), names, cells.var, "")


def _of_obsm(cells: Any, path: object, name: str) -> CellMatrix:
    _check_name("obsm", name, cells.obsm.keys(), path)
    x = cells.obsm[name]
    if hasattr(x, "iloc"):
        return CellMatrix(x.to_numpy(), tuple(map(str, x.columns)), None, f"obsm {name}: ")
    return CellMatrix(_by_rows(x), tuple(f"{name}_{number}" for number in range(x.shape[1])), None, f"obsm {name}: ")


def _layers(cells: Any) -> list[str]:
    """The names of the layers; anndata 0.13 lists X among them, as None."""
    return [name for name in cells.layers if name is not None]


def _check_name(field: str, name: str, names: Collection[str], path: object) -> None:
    if name not in names:
        found = abbreviate([*names]) or "none"
        raise InputError(
            f"config.data.{field}", repr(name), f"a name of {field} in {path}, which has {found}", "Name one of them."
        )


def _by_rows(x: Any) -> Any:
    """A matrix whose rows can be sliced fast: CSR for CSC."""
    if getattr(x, "format", "") != "csc":
        return x
    return (x.to_memory() if hasattr(x, "to_memory") else x).tocsr()
