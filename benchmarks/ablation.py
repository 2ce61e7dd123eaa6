"""One choice of a recipe at a time: python -m benchmarks.ablation --config=configs/digits.py --workdir=/tmp/ablation.

A cell is the recipe with one thing changed, run over seeds as `benchmarks.seeds` does it, in a folder of its own below
the workdir; what is finished is not trained again. The record goes to benchmarks/results/ after every run. Flags for
main.py follow `--`; they hold in every cell, and a cell's own come after them.
"""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import seeds
from vade_jax.core.elbo import ESTIMATORS
from vade_jax.data import sources, splits
from vade_jax.runs.run import num_epochs
from vade_jax.settings.field_names import flatten

_STARTS = {
    "manifold": {"init.method": "manifold"},
    "gmm": {"init.method": "gmm", "init.covariance": "full"},
    "gmm_diag": {"init.method": "gmm", "init.covariance": "diag"},
    "kmeans": {"init.method": "kmeans"},
    "random": {"init.method": "random"},
}
_UNGUIDED = {"guide.num_rounds": 0, "align.num_epochs": 0}
_STAGES = ("pretrain", "guide", "align", "train")
_COLUMNS = ("cell", "seeds", "initial accuracy", "accuracy", "worst", "best", "ELBO", "seconds")


def main() -> None:
    """Runs the cells that are not done and writes the record of all."""
    parser = seeds.make_parser(__doc__, default_seeds="0,1,2")
    parser.add_argument("--cells", type=lambda text: text.split(","), help="joined by commas; all by default")
    options = parser.parse_args()
    config = seeds.read_config(options.config, options.flags)
    cells = make_cells(config.to_dict(), _num_rows(config))
    chosen = options.cells or list(cells)
    if unknown := [name for name in chosen if name not in cells]:
        parser.error(f"no such cells: {', '.join(unknown)}; there are {', '.join(cells)}")
    path = seeds.record_path("ablation", options.name, options.config)
    deadline = time.monotonic() + 60 * options.budget
    for name in chosen:
        runs = []
        flags = [*options.flags, *cells[name]]
        for run in seeds.measure(options.config, options.seeds, options.workdir / name, flags, deadline):
            runs.append(run)
            cell = seeds.make_record(options.config, flags, runs)
            seeds.write(path, with_cell(seeds.read(path), options.flags, name, cell))
    record = seeds.read(path)
    if record:
        print(seeds.aligned(_table(record["cells"])))
        print(f"wrote {path}")


def _num_rows(config):
    source = sources.load(config.data.name, config.data.path, config.data.dir)
    return len(splits.select_split(source, config.data.train_split, "config.data.train_split").x)


def make_cells(settings: Mapping[str, Any], num_rows: int) -> dict[str, list[str]]:
    """The cells around a recipe: its first clusters, with and without guiding; pretraining, q(c|x), the other stages.

    Args:
      settings: the recipe, nested sections.
      num_rows: of the rows to cluster.

    Returns:
      Name -> flags of main.py that change the recipe. 'recipe' has none; a cell that would run what another one before
      it runs is left out.
    """
    recipe = flatten(settings)
    changes: dict[str, dict[str, Any]] = {
        "recipe": {},
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


def _pretraining(recipe, num_rows, factor):
    """Another length of the autoencoder's stage.

    Where optimizer.min_steps would lengthen it again, that is 0, and the other stages get the epochs that they have.
    """

    def length(stage, asked):
        return num_epochs(asked, recipe[f"{stage}.batch_size"], num_rows, recipe["optimizer.min_steps"])

    lengths = {f"{stage}.num_epochs": length(stage, recipe[f"{stage}.num_epochs"]) for stage in _STAGES}
    lengths["pretrain.num_epochs"] = math.ceil(factor * lengths["pretrain.num_epochs"])
    if lengths["pretrain.num_epochs"] == length("pretrain", lengths["pretrain.num_epochs"]):
        return {"pretrain.num_epochs": lengths["pretrain.num_epochs"]}
    return {"optimizer.min_steps": 0, **lengths}


def with_cell(earlier: dict[str, Any] | None, flags: Sequence[str], name: str, cell: dict[str, Any]) -> dict[str, Any]:
    """A record of an ablation with one cell more, or with more runs in one.

    Args:
      earlier: the record so far, or None.
      flags: of main.py in every cell.
      name: of the cell.
      cell: its runs, as `seeds.make_record` returns them; its flags are those of every cell and its own.

    Returns:
      'config', 'flags' and 'cells': name -> 'changes' (the cell's own flags), 'summary', and what `seeds.make_record`
      returns. Earlier cells stay where config, flags, device and recipe are the same, and so do their runs of other
      seeds.
    """
    record = {"config": cell["config"], "flags": list(flags)}
    same_recipe = earlier is not None and all(earlier[key] == record[key] for key in record)
    cells = earlier["cells"] if earlier and same_recipe else {}
    kept = {other: old for other, old in cells.items() if _alike(old, cell, len(flags))}
    merged = seeds.merge(kept.get(name), cell)
    runs = [{key: value for key, value in run.items() if key != "accuracy_by_epoch"} for run in merged["runs"]]
    entry = {"changes": cell["flags"][len(flags) :], "summary": seeds.summarize(runs), **merged, "runs": runs}
    return {**record, "cells": {**kept, name: entry}}


def _alike(old, cell, common):
    """Whether two cells, with so many flags in common, were measured on the same device and around the same recipe."""
    changed = {
        flag.removeprefix("--config.").partition("=")[0] for one in (old, cell) for flag in one["flags"][common:]
    }

    def recipe(one):
        settings = one.get("settings", {})
        return {"settings": settings and {name: settings[name] for name in settings if name not in changed}}

    return seeds.agree(old, cell, "device") and seeds.agree(recipe(old), recipe(cell), "settings")


def _table(cells):
    """Rows of text, a row for each cell."""
    rows = [list(_COLUMNS)]
    for name, cell in cells.items():
        summary = cell["summary"] or {}
        scores = [seeds.number(summary.get(key), 4) for key in ("initial_accuracy", "accuracy", "worst", "best")]
        bound, seconds = seeds.number(summary.get("elbo"), 2), seeds.number(summary.get("seconds"), 0)
        rows.append([name, seeds.count(cell["runs"]), *scores, bound, seconds])
    return rows


if __name__ == "__main__":
    main()
