"""The parts of `benchmarks.waiting`: their rows, and the commands that are timed on them."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_wine

from benchmarks import calibration, records, rival_runs, scaling_point, timing
from vade_jax.data.scaling import SCALINGS
from vade_jax.reports import label_scores

SMALL, LARGE = ("wine", "table", "predict", "digits"), ("configs", "growth")
_OURS, _CLUSTPY = "vade-jax", "ClustPy's VaDE"
_FAST_RIVALS = ("KMeans", "umap-learn + GaussianMixture")  # of the part configs
RIVALS = ("KMeans", "GaussianMixture", "umap-learn + GaussianMixture", _CLUSTPY)
_TABLE_ROWS, _PREDICTED_ROWS = 870, 10_000
_WARM_UP_SEED = 99
_NUM_FEATURES, _NUM_CLUSTERS = (10, 100, 1000), (5, 20, 80)  # of the part growth; the first of each is the base
_NEED_NO_TFDS = ("digits", "file", "rcv1")


@dataclass(frozen=True)
class Contender:
    """A command that is timed.

    Attributes:
      command: seed -> the program and its arguments.
      answer: (seed, last line of its output) -> 'versions', 'device' if it has one, and scores or times.
    """

    command: Callable[[int], list[str]]
    answer: Callable[[int, str], dict[str, Any]]


@dataclass(frozen=True)
class Part:
    """Contenders that take turns.

    Attributes:
      sizes: (N, D, K) of the rows; in the part growth by contender.
      contenders: by name; None for one that cannot be measured here.
      warm_up: commands that run once, unmeasured, before all others.
    """

    sizes: tuple[int, int, int] | dict[str, tuple[int, int, int]]
    contenders: dict[str, Contender | None]
    warm_up: Sequence[list[str]] = field(default=())


@dataclass(frozen=True)
class Options:
    """What the parts are made of.

    Attributes:
      folder: for rows, runs and compiled programs.
      clustpy_python: the interpreter of an environment that has ClustPy; '' for none.
      configs: paths of the configs of the part 'configs'.
      growth_rows: numbers of rows of the part 'growth'.
    """

    folder: Path
    clustpy_python: str
    configs: Sequence[str]
    growth_rows: Sequence[int]


def make_parts(name: str, options: Options) -> dict[str, Part]:
    """The part of this name; of 'configs' a part for each config whose rows are there, named after its file."""
    if name != "configs":
        return {name: _PARTS[name](options)}
    here = [config for config in options.configs if _has_rows(config)]
    return {Path(config).stem: _config_part(config, options, _FAST_RIVALS, warm=False) for config in here}


def _has_rows(config: str) -> bool:
    """Whether a config's data set can be read; prints a line if it needs TFDS's folder and there is none."""
    if "TFDS_DATA_DIR" in os.environ or records.read_config(config, []).data.name in _NEED_NO_TFDS:
        return True
    print(f"{config} is skipped: its data set is read from TFDS_DATA_DIR, which is not set", file=sys.stderr)
    return False


def _wine(options: Options) -> Part:
    x, labels = load_wine(return_X_y=True)
    return _table_part("wine", x, labels, options, has_classes=True)


def _table(options: Options) -> Part:
    x, labels, _ = calibration.make_gaussians(_TABLE_ROWS)
    return _table_part("table", x, labels, options, has_classes=False)


def _table_part(name: str, x: np.ndarray, labels: np.ndarray, options: Options, has_classes: bool) -> Part:
    """The estimator from a warm cache on a table [N, D], and its rivals on standardized columns."""
    folder = options.folder / name
    ours, others = (folder / file for file in ("x.npy", "standardized.npy"))
    shift, scale = SCALINGS["standardize"](x)
    _save(ours, x)
    _save(others, (x - shift) * scale)
    cached = ("--cache", str(folder / "programs"))
    num_clusters = len(np.unique(labels))
    vade = _clusterer(_OURS, ours, labels, has_classes, cached)
    rivals = _rivals(RIVALS, others, labels, options, has_classes)
    sizes = (len(x), x.shape[1], num_clusters)
    return Part(sizes, {_OURS: vade, **rivals}, warm_up=[vade.command(_WARM_UP_SEED)])


def _save(path: Path, x: np.ndarray) -> None:
    """Writes rows as float32."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, x.astype(np.float32))


def _rivals(
    names: Sequence[str], rows: Path, labels: np.ndarray, options: Options, has_classes: bool = True
) -> dict[str, Contender | None]:
    rivals: dict[str, Contender | None] = {}
    for name in names:
        python = options.clustpy_python if name == _CLUSTPY else sys.executable
        rivals[name] = _clusterer(name, rows, labels, has_classes, python=python) if python else None
    return rivals


def _clusterer(
    name: str,
    rows: Path,
    labels: np.ndarray,
    has_classes: bool,
    cached: Sequence[str] = (),
    python: str = sys.executable,
) -> Contender:
    """A contender of `waiting_point` on a file of rows, scored by their labels [N]."""
    num_clusters = len(np.unique(labels))

    def answer(_: int, line: str) -> dict[str, Any]:
        found = json.loads(line.splitlines()[-1])  # ClustPy prints lines of its own before
        scores = label_scores.scores(labels, np.array(found.pop("clusters")))
        kept = ("accuracy", "ari") if has_classes else ("ari",)
        return {**found, **{score: round(scores[score], 4) for score in kept}}

    return Contender(lambda seed: _worker(name, rows, num_clusters, seed, cached, python), answer)


def _worker(
    name: str, rows: Path, num_clusters: int, seed: int, cached: Sequence[str] = (), python: str = sys.executable
) -> list[str]:
    return [python, "-m", "benchmarks.waiting_point", name, str(rows), str(num_clusters), str(seed), *cached]


def _prediction(options: Options) -> Part:
    """`VaDE.predict` on rows in [0, 1] around ten centres."""
    rows = options.folder / "predict" / "x.npy"
    rows.parent.mkdir(parents=True)
    scaling_point.write_rows(rows, _PREDICTED_ROWS, timing.NUM_FEATURES)
    _save(rows, np.load(rows) / 255)
    predict = Contender(
        lambda seed: _worker("predict", rows, timing.NUM_CLUSTERS, seed), lambda _, line: json.loads(line)
    )
    return Part((_PREDICTED_ROWS, timing.NUM_FEATURES, timing.NUM_CLUSTERS), {_OURS: predict})


def _digits(options: Options) -> Part:
    return _config_part("configs/digits.py", options, RIVALS, warm=True)


def _config_part(config: str, options: Options, rivals: Sequence[str], warm: bool) -> Part:
    """The command line with a config, and rivals on its rows, which are scaled as for the model.

    Args:
      config: the config's path.
      options: as in `make_parts`.
      rivals: keys of `waiting_point.CONTENDERS`.
      warm: whether the command is also timed in another workdir with the compiled programs of the first one.
    """
    folder = options.folder / Path(config).stem
    x, labels = rival_runs.scaled_rows(records.read_config(config, []))
    _save(folder / "x.npy", x)
    ours: dict[str, Contender | None] = {f"{_OURS}, cold": _command(config, folder, "cold")}
    if warm:
        ours[f"{_OURS}, warm"] = _command(config, folder, "warm")
    ours[f"{_OURS}, finished"] = _command(config, folder, "cold")
    num_clusters = len(np.unique(labels))
    return Part((len(x), x.shape[1], num_clusters), ours | _rivals(rivals, folder / "x.npy", labels, options))


def _command(config: str, folder: Path, kind: str) -> Contender:
    """main.py in a workdir of its kind; both kinds of a seed share a folder of compiled programs."""

    def workdir(seed: int) -> Path:
        return folder / f"{kind}{seed}"

    def command(seed: int) -> list[str]:
        cache = f"--config.compilation_cache={folder / f'programs{seed}'}"
        return [
            sys.executable,
            "main.py",
            f"--config={config}",
            f"--config.seed={seed}",
            f"--workdir={workdir(seed)}",
            cache,
        ]

    def answer(seed: int, _: str) -> dict[str, Any]:
        results = json.loads((workdir(seed) / "results.json").read_text())
        scores = {name: round(results[name], 4) for name in ("accuracy", "ari")}
        return {"versions": results["versions"], "device": results["device"]["kind"], **scores}

    return Contender(command, answer)


def _growth(options: Options) -> Part:
    """The estimator, without compiled programs, on tables of which one size changes at a time."""
    base = (options.growth_rows[0], _NUM_FEATURES[0], _NUM_CLUSTERS[0])
    points = [
        (*base[:axis], value, *base[axis + 1 :])
        for axis, values in enumerate((options.growth_rows, _NUM_FEATURES, _NUM_CLUSTERS))
        for value in values
    ]
    sizes, contenders = {}, {}
    for num_rows, num_features, num_clusters in dict.fromkeys(points):
        x, labels, _ = calibration.make_gaussians(num_rows, num_features, num_clusters)
        name = f"{num_rows:,} x {num_features:,}, K={num_clusters}"
        rows = options.folder / "growth" / f"{num_rows}_{num_features}_{num_clusters}.npy"
        _save(rows, x)
        sizes[name] = (num_rows, num_features, num_clusters)
        contenders[name] = _clusterer(_OURS, rows, labels, has_classes=False)
    return Part(sizes, {**contenders})


_PARTS: dict[str, Callable[[Options], Part]] = {
    "wine": _wine,
    "table": _table,
    "predict": _prediction,
    "digits": _digits,
    "growth": _growth,
}
