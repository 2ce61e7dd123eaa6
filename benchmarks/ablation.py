"""One choice of a recipe at a time: python -m benchmarks.ablation --config=configs/digits.py --workdir=/tmp/ablation.

A cell is the recipe with one choice changed. Each cell runs over seeds as in `benchmarks.seeds`, in its own folder
below the workdir. Finished runs are not trained again. The record is written to benchmarks/results/ after every run.
Flags for main.py follow `--`. They apply to every cell, and the flags of a cell come after them.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from benchmarks import records, seeds, text_tables
from vade_jax.core.elbo import ESTIMATORS
from vade_jax.data import sources, splits
from vade_jax.runs.run import stage_length
from vade_jax.settings.field_names import STAGES, flatten

_STARTS: dict[str, dict[str, Any]] = {
    "manifold": {"init.method": "manifold"},
    "gmm": {"init.method": "gmm", "init.covariance": "full"},
    "gmm_diag": {"init.method": "gmm", "init.covariance": "diag"},
    "kmeans": {"init.method": "kmeans"},
    "random": {"init.method": "random", "init.soft_neighbors": 0},
}
_UNGUIDED = {"guide.num_rounds": 0, "align.num_epochs": 0}
_COLUMNS = ("cell", "seeds", "initial accuracy", "accuracy", "worst", "best", "ELBO", "seconds")


def main() -> None:
    """Runs the cells that are not finished and writes the record of all cells."""
    parser = seeds.make_parser(__doc__, default_seeds="0,1,2")
    parser.add_argument("--cells", type=lambda text: text.split(","), help="separated by commas; all by default")
    options = parser.parse_args()
    config = records.read_config(options.config, options.flags)
    cells = make_cells(config.to_dict(), _num_rows(config))
    chosen = options.cells or list(cells)
    if unknown := [name for name in chosen if name not in cells]:
        parser.error(f"unknown cells: {', '.join(unknown)}. Choose from {', '.join(cells)}")
    path = records.record_path("ablation", options.name, options.config)
    deadline = time.monotonic() + 60 * options.budget
    for name in chosen:
        runs = []
        flags = [*options.flags, *cells[name]]
        for run in seeds.measure(options.config, options.seeds, options.workdir / name, flags, deadline):
            runs.append(run)
            cell = records.make_record(options.config, flags, runs)
            records.write(path, with_cell(records.read(path), options.flags, name, cell))
    record = records.read(path)
    if record:
        print(text_tables.aligned(_table(record["cells"])))
        print(f"wrote {path}")


def _num_rows(config: ConfigDict) -> int:
    source = sources.load(config.data.name, config.data.path, config.data.dir)
    return len(splits.select_split(source, config.data.train_split, "config.data.train_split").x)


def make_cells(settings: Mapping[str, Any], num_rows: int) -> dict[str, list[str]]:
    """The cells of a recipe.

    They change the starting clusters with and without guiding, pretraining, the estimator of q(c|x) or another stage.

    Args:
      settings: the recipe, nested sections.
      num_rows: number of rows to cluster.

    Returns:
      Name -> flags of main.py that change the recipe. 'recipe' has none. A cell with the same settings as an earlier
      cell is left out.
    """
    recipe = flatten(settings)
    changes: dict[str, dict[str, Any]] = {
        "recipe": {},
        "hard_clusters": {"init.soft_neighbors": 0},
        **_STARTS,
        **{f"{name}_unguided": {**start, **_UNGUIDED} for name, start in _STARTS.items()},
        "pretrain_x0.25": _pretraining(recipe, num_rows, 0.25),
        "pretrain_x4": _pretraining(recipe, num_rows, 4),
        **{f"estimator_{name}": {"train.estimator": name} for name in ESTIMATORS},
        "rounds_0": {"guide.num_rounds": 0},
        "rounds_2": {"guide.num_rounds": 2},
        "rounds_3": {"guide.num_rounds": 3},
        "no_align": {"align.num_epochs": 0},
        "kl_c_weight_1": {"guide.kl_c_weight": 1.0, "align.kl_c_weight": 1.0},
        "one_layout": {"init.num_layouts": 1},
        "one_component": {"init.components": 1},
        "no_parts_moved": {"init.part_rows": 0},
        "embedding_neighbors": {"init.neighbors": "embedding"},
    }
    cells, known = {}, []
    for name, change in changes.items():
        settings_of_cell = {**recipe, **change}
        if settings_of_cell not in known:
            known.append(settings_of_cell)
            cells[name] = [f"--config.{field}={value}" for field, value in change.items()]
    return cells


def _pretraining(recipe: Mapping[str, Any], num_rows: int, factor: float) -> dict[str, Any]:
    """The settings that change only the number of pretraining epochs, by a factor.

    If optimizer.min_steps would lengthen pretraining again, it is set to 0, and the other stages get the epochs that
    they have with it.
    """

    def length(stage: str, asked: int) -> int:
        return math.prod(stage_length(asked, recipe[f"{stage}.batch_size"], num_rows, recipe["optimizer.min_steps"]))

    lengths = {f"{stage}.num_epochs": length(stage, recipe[f"{stage}.num_epochs"]) for stage in STAGES}
    lengths["pretrain.num_epochs"] = math.ceil(factor * lengths["pretrain.num_epochs"])
    if lengths["pretrain.num_epochs"] == length("pretrain", lengths["pretrain.num_epochs"]):
        return {"pretrain.num_epochs": lengths["pretrain.num_epochs"]}
    return {"optimizer.min_steps": 0, **lengths}


def with_cell(earlier: dict[str, Any] | None, flags: Sequence[str], name: str, cell: dict[str, Any]) -> dict[str, Any]:
    """Adds a cell, or runs of a cell, to the record of an ablation.

    Args:
      earlier: the record so far, or None.
      flags: flags of main.py that every cell has.
      name: the cell's name.
      cell: its runs, as `records.make_record` returns them. Its flags are `flags`, then those of the cell.

    Returns:
      'config', 'flags' and 'cells': name -> 'changes' (the flags of the cell only), 'summary', and what
      `records.make_record` returns. Earlier cells are kept if config, flags, device and recipe are the same. So are
      earlier runs of other seeds.
    """
    record = {"config": cell["config"], "flags": list(flags)}
    same_recipe = earlier is not None and all(earlier[key] == record[key] for key in record)
    cells = earlier["cells"] if earlier and same_recipe else {}
    kept = {other: old for other, old in cells.items() if _is_comparable(old, cell, len(flags))}
    merged = records.merge(kept.get(name), cell)
    runs = [{key: value for key, value in run.items() if key != "accuracy_by_epoch"} for run in merged["runs"]]
    entry = {"changes": cell["flags"][len(flags) :], "summary": records.summarize(runs), **merged, "runs": runs}
    return {**record, "cells": {**kept, name: entry}}


def _is_comparable(old: dict[str, Any], cell: dict[str, Any], common: int) -> bool:
    """Whether two cells whose first `common` flags are shared were measured on one device with one recipe."""
    changed = {
        flag.removeprefix("--config.").partition("=")[0] for one in (old, cell) for flag in one["flags"][common:]
    }

    def recipe(one: dict[str, Any]) -> dict[str, Any]:
        settings = one.get("settings", {})
        return {"settings": settings and {name: settings[name] for name in settings if name not in changed}}

    return records.agree(old, cell, "device") and records.agree(recipe(old), recipe(cell), "settings")


def _table(cells: Mapping[str, Any]) -> list[list[str]]:
    """A text table with one row for each cell; the first row has the column names."""
    rows = [list(_COLUMNS)]
    for name, cell in cells.items():
        summary = cell["summary"] or {}
        scores = [text_tables.number(summary.get(key), 4) for key in ("initial_accuracy", "accuracy", "worst", "best")]
        bound, seconds = text_tables.number(summary.get("elbo"), 2), text_tables.number(summary.get("seconds"), 0)
        rows.append([name, records.count(cell["runs"]), *scores, bound, seconds])
    return rows


if __name__ == "__main__":
    main()
