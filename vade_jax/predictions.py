"""A trained model's answers on rows, written to a file of the kind that its name ends in."""

from pathlib import Path

import numpy as np

from vade_jax.arrays import row_parts
from vade_jax.errors import InputError
from vade_jax.evaluation import Posterior
from vade_jax.extras import import_extra

_FIELD = "config.predict.output"


def check(path: Path) -> None:
    """Raises an InputError where predictions cannot be written to the path; writes nothing."""
    if path.suffix not in WRITERS or not path.parent.is_dir():
        raise InputError(
            _FIELD,
            f"{str(path)!r} came",
            f"it must end in one of {', '.join(WRITERS)} and lie in an existing folder",
            "Set --config.predict.output=FILE.csv.",
        )
    if path.suffix != ".npz":
        import_extra("pandas", path, _FIELD)  # missed now, not after all rows were asked


def write(path: Path, ids: np.ndarray | None, answer: Posterior, log_likelihood: np.ndarray) -> None:
    """Writes what the model says of N rows.

    An .npz holds cluster [N], responsibilities [N, K], log_likelihood [N] and, where rows have ids, id [N]. A table has
    the columns id, cluster, probability_0 to probability_K-1 and log_likelihood, and a line for each row.

    Args:
      path: one that `check` let pass.
      ids: [N], or None.
      answer: of the rows.
      log_likelihood: [N], the importance-weighted bound, nats.
    """
    WRITERS[path.suffix](path, ids, answer, log_likelihood)


def _write_npz(path, ids, answer, log_likelihood):
    named = {} if ids is None else {"id": ids.astype(str) if ids.dtype.kind == "O" else ids}  # objects would be pickles
    np.savez(
        path,
        cluster=answer.clusters,
        responsibilities=answer.responsibilities,
        log_likelihood=log_likelihood,
        **named,
    )


def _write_csv(path, ids, answer, log_likelihood):
    for number, frame in enumerate(_frames(path, ids, answer, log_likelihood)):
        frame.to_csv(path, index=False, mode="a" if number else "w", header=not number)


def _write_parquet(path, ids, answer, log_likelihood):
    frames = list(_frames(path, ids, answer, log_likelihood))
    import_extra("pandas", path, _FIELD).concat(frames).to_parquet(path, index=False)


def _frames(path, ids, answer, log_likelihood):
    """The table in parts."""
    pandas = import_extra("pandas", path, _FIELD)
    for rows in row_parts(answer.responsibilities):
        columns = {} if ids is None else {"id": ids[rows]}
        columns["cluster"] = answer.clusters[rows]
        columns |= {f"probability_{c}": q_c for c, q_c in enumerate(answer.responsibilities[rows].T)}
        yield pandas.DataFrame(columns | {"log_likelihood": log_likelihood[rows]})


# ending -> function of the path and what `write` takes.
WRITERS = {".npz": _write_npz, ".csv": _write_csv, ".parquet": _write_parquet}
