"""Invalid inputs for `benchmarks.faults`: settings with values of every kind, and damaged data files."""

import itertools
import random
import shutil
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import records
from vade_jax.data import sources
from vade_jax.settings import field_names, rules
from vade_jax.system.console import silence
from vade_jax.system.errors import InputError

NOT_NUMBERS: tuple[Any, ...] = (None, "?", "", True, [], [0], {}, ("a",), b"x", object())
WRONG_VALUES = (*NOT_NUMBERS, -1, -0.5, 10**30, float("nan"), float("inf"))


def try_invalid_settings() -> Counter[str]:
    """Counts outcomes of setting each field to values of every kind.

    'same': the value is valid. 'said': the error names the field. Any other key describes a failure.
    """
    defaults = field_names.flatten(records.read_config("configs/base.py", []).to_dict())
    outcomes: Counter[str] = Counter()
    for name, value in itertools.product(defaults, WRONG_VALUES):
        try:
            rules.check_fields(field_names.nested({**defaults, name: value}))
            outcomes["same"] += 1
        except InputError as error:
            outcomes["said" if error.field == f"config.{name}" else f"{name} = {value!r}: {error}"] += 1
        except Exception as error:  # any other exception is a failure that the campaign looks for
            outcomes[f"{name} = {value!r}: {error!r}"] += 1
    return outcomes


def try_damaged_files(folder: Path, count: int, rng: random.Random) -> Counter[str]:
    """Counts outcomes of reading `count` damaged data files of every kind.

    'same': the file can still be read. 'said': the error names the file. Any other key describes a failure.
    """
    outcomes: Counter[str] = Counter()
    ways = ("truncated", "bit flipped")
    for number, (ending, write) in zip(range(count), itertools.cycle(KINDS.items()), strict=False):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        path = folder / ending
        write(path)
        damaged = rng.choice(sorted(path.rglob("*.*"))) if path.is_dir() else path
        damage = ways[number // len(KINDS) % len(ways)]
        DAMAGE[damage](damaged, rng)
        try:
            with silence(), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sources.load("file", str(path))
            outcomes["same"] += 1
        except InputError as error:
            outcomes["said" if str(path) in str(error) else f"unclear: {error}"] += 1
        except Exception as error:  # any other exception is a failure that the campaign looks for
            outcomes[f"{damage} {ending}: {error!r}"[:300]] += 1
    return outcomes


def _flip(path: Path, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _truncate(path: Path, rng: random.Random) -> None:
    path.write_bytes(path.read_bytes()[: rng.randrange(max(1, path.stat().st_size))])


# name -> function (path of a file, random generator) that damages the file.
DAMAGE: dict[str, Callable[[Path, random.Random], None]] = {
    "truncated": _truncate,
    "bit flipped": _flip,
    "removed": lambda path, rng: path.unlink(),
}


def _rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)


def _sparse(path: Path) -> None:
    from scipy.sparse import csr_matrix, save_npz

    save_npz(path, csr_matrix(np.maximum(_rows(), 0)))


def _frame() -> Any:
    import pandas as pd

    return pd.DataFrame(_rows(), columns=list("abcde"))


def _h5ad(path: Path) -> None:
    from anndata import AnnData

    AnnData(np.abs(_rows()).round()).write_h5ad(path)


def _images(folder: Path) -> None:
    from PIL import Image

    folder.mkdir()
    for number, grey in enumerate(np.random.default_rng(0).integers(256, size=(6, 12, 12), dtype=np.uint8)):
        Image.fromarray(grey).save(folder / f"{number}.{('png', 'jpg', 'bmp')[number % 3]}")


# name of a file or folder -> function (its path) that writes rows to it.
KINDS: dict[str, Callable[[Path], Any]] = {
    "x.npy": lambda path: np.save(path, _rows()),
    "x.npz": lambda path: np.savez_compressed(path, x=_rows(), y=np.arange(40) % 3),
    "sparse.npz": _sparse,
    "x.csv": lambda path: _frame().to_csv(path, index=False),
    "x.tsv": lambda path: _frame().to_csv(path, index=False, sep="\t"),
    "x.parquet": lambda path: _frame().to_parquet(path),
    "x.h5ad": _h5ad,
    "images": _images,
}
