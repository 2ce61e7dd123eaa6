"""Asks trained models rows of every kind, for `benchmarks.faults`: wrong values, types, shapes, columns and files."""

import functools
import itertools
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.datasets import load_wine

from benchmarks.long_process import small_model
from benchmarks.rows_of_every_kind import EQUAL, OTHER, UNUSABLE, Rows, frame
from vade_jax import VaDE
from vade_jax.commands.predict import predict
from vade_jax.runs.saved_model import restore
from vade_jax.system.console import silence
from vade_jax.system.errors import InputError

LIKELIHOODS = ("bernoulli", "gaussian", "gaussian_shared")
METHODS = ("predict_proba", "responsibilities", "predict", "transform", "score_samples", "score")
_KINDS = EQUAL | UNUSABLE | OTHER


def ask_wrong_rows(folder: Path) -> Counter[str]:
    """Counts how trained models of every likelihood answer rows of every kind, in Python and in files.

    'same': finite probabilities that sum to 1; those of equal rows are the same. 'said': an error says what is wrong
    with the rows. Any other key describes a failure.

    Args:
      folder: for the models and the files.
    """
    outcomes: Counter[str] = Counter()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for likelihood in LIKELIHOODS:
        for name, make in (("frame", frame), ("array", np.asarray)):
            run = folder / f"{likelihood}_{name}"
            model = trained(likelihood, make, run)
            for kind, ended in [*asked_in_python(model), *asked_in_files(run)]:
                outcomes[ended if ended in ("same", "said") else f"{run.name}, {kind}: {ended}"] += 1
    return outcomes


def trained(likelihood: str, make: Rows, folder: Path) -> VaDE:
    """A model of the wine, fitted on what make returns, and saved in the folder."""
    with silence():
        model = small_model(0, likelihood).fit(make(load_wine().data))
        model.save(folder)
    return model


def some_rows() -> np.ndarray:
    """Six rows of the wine, two of each kind of it."""
    return load_wine().data[[0, 20, 70, 90, 140, 160]]


def asked_in_python(model: VaDE, kinds: dict[str, Rows] = _KINDS) -> Iterator[tuple[str, str]]:
    """Yields a method with each kind of rows, and how it answers; see `outcome`.

    'refused' are equal rows, which must be answered, and 'answered' are unusable ones, which must be refused.
    """
    x = some_rows()
    for name in METHODS:
        method = getattr(model, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a model that was fitted on a frame misses the names
            expected = method(x)
        for kind, make in kinds.items():
            is_right = functools.partial(_is_right, name, expected if kind in EQUAL else None)
            ended = outcome(lambda make=make, method=method: method(make(x)), is_right)  # type: ignore[misc]
            is_other = ended == ("said" if kind in EQUAL else "same" if kind in UNUSABLE else "")
            yield f"{name} of {kind}", {"said": "refused", "same": "answered"}[ended] if is_other else ended


def _is_right(name: str, expected: Any, found: Any) -> bool:
    """Whether what a method returned can be right; it must equal what is expected, if that is not None."""
    if expected is not None and not np.array_equal(found, expected):
        return False
    if name in ("predict_proba", "responsibilities"):
        return are_probabilities(found)
    if name in ("score", "score_samples"):  # log p(x) of rows that are far from all others is -inf
        return not np.isnan(found).any() and not np.isposinf(found).any()
    return bool(np.isfinite(found).all())


def are_probabilities(found: np.ndarray) -> bool:
    """Whether these are finite rows that sum to 1, one or more."""
    return bool(len(found) and np.isfinite(found).all() and np.allclose(found.sum(axis=1), 1, atol=1e-5))


def _write_npz(rows: Any, path: Path) -> None:
    if sparse.issparse(rows):
        sparse.save_npz(path, rows)
    else:
        np.savez(path, x=np.asanyarray(rows))


# name of a file -> function (rows, path) that writes them; it raises an error if they cannot be in such a file.
_WRITERS: dict[str, Callable[[Any, Path], None]] = {
    "x.npy": lambda rows, path: np.save(path, np.asanyarray(rows)),
    "x.npz": _write_npz,
    "x.csv": lambda rows, path: pd.DataFrame(rows).to_csv(path, index=False),
    "x.parquet": lambda rows, path: pd.DataFrame(rows).to_parquet(path),
}


def asked_in_files(run: Path, kinds: dict[str, Rows] = _KINDS) -> Iterator[tuple[str, str]]:
    """Yields the name of a file with each kind of rows, and how the mode predict answers it; see `outcome`."""
    x, restored = some_rows(), restore(run)
    for (kind, make), (name, write) in itertools.product(kinds.items(), _WRITERS.items()):
        path = run.parent / name
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                write(make(x), path)
        except Exception:  # pandas, pyarrow and NumPy raise errors of many types
            continue
        with mock.patch("vade_jax.commands.predict.restore", return_value=restored):  # to read the model takes a second
            ended = outcome(functools.partial(_predicted, run, path), are_probabilities, str(path))
        yield f"{name} of {kind}", ended


def _predicted(run: Path, path: Path) -> np.ndarray:
    output = run.parent / "answer.npz"
    with silence():
        predict(run, str(path), str(output))
    with np.load(output) as answer:
        return answer["probabilities"]


def outcome(ask: Callable[[], Any], is_right: Callable[[Any], bool], path: str = "") -> str:
    """'same' if the answer is right, 'said' if it is refused with words; else what is wrong.

    Args:
      ask: returns the answer.
      is_right: whether the answer can be right.
      path: of the file that is asked, which the words must name in one line; '' in Python, where scikit-learn raises
        its own errors.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        try:
            found = ask()
        except (ValueError, TypeError) as error:
            words = str(error)
            is_clear = path in words and "\n" not in words and isinstance(error, InputError) if path else words.strip()
            return "said" if is_clear else f"unclear: {error!r}"[:300]
        except Exception as error:  # any other exception is a failure that the campaign looks for
            return repr(error)[:300]
    return "same" if is_right(found) else f"wrong: {found}"[:300]
