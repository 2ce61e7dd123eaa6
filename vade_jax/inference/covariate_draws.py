"""Covariates of rows that a model generates: given ones, and those of random training rows."""

from collections.abc import Sequence

import numpy as np

from vade_jax.data.covariates import KnownCovariates
from vade_jax.data.scaling import Scaling
from vade_jax.system.errors import InputError


def draw_covariates(known: KnownCovariates, count: int, seed: int, given: Sequence[str] = ()) -> np.ndarray | None:
    """Returns the covariates of random training rows, with given values in place of their own.

    Args:
      known: of the training rows.
      count: M.
      seed: of the choice of rows.
      given: COVARIATE=VALUE for some of them.

    Returns:
      [M, S], float32, as stored; None if the model has no covariates.

    Raises:
      InputError: a covariate or a value that the model does not have.
    """
    values = given_values(known, given)
    if not known.names:
        return None
    mix = np.array(known.mix, np.float32)
    drawn = mix[np.random.default_rng(seed).integers(len(mix), size=count)]
    return np.where(np.isnan(values), drawn, values)


def given_values(known: KnownCovariates, given: Sequence[str]) -> np.ndarray:
    """Returns the values of covariates as stored, [S], float32; NaN for those that are not given."""
    values = np.full(len(known.names), np.nan, np.float32)
    for entry in given:
        number = next((i for i, name in enumerate(known.names) if entry.startswith(f"{name}=")), None)
        if number is None:
            expected = f"one of the model's covariates, {', '.join(known.names) or 'which has none'}"
            raise InputError("config.generate.covariates", repr(entry), expected, "Write it as COVARIATE=VALUE.")
        value, levels = entry.removeprefix(f"{known.names[number]}="), known.levels[number]
        values[number] = _stored(entry, value, levels)
    return values


def _stored(entry: str, value: str, levels: Sequence[str]) -> float:
    """A value of a covariate as it is stored."""
    if value in levels:
        return float(levels.index(value))
    try:
        number = np.nan if levels else float(value)
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        expected = f"one of {', '.join(levels)}" if levels else "a number"
        raise InputError("config.generate.covariates", repr(entry), expected, "Correct the value.")
    return number


def scaled_covariates(covariates: np.ndarray | None, scaling: Scaling) -> np.ndarray | None:
    """Returns covariates [M, S], as stored, as the model sees them; None for None."""
    if covariates is None:
        return None
    count = covariates.shape[1]
    shift, scale = (np.asarray(part)[:, -count:] for part in (scaling.shift, scaling.scale))
    return (covariates - shift) * scale
