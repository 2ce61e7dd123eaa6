"""What is said below the tables: what their marks mean, and what the shipped settings were chosen on.

No decision in a run reads a label. But people chose the recipe and its settings, and they looked at labels for it.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from benchmarks import provenance, records, rivals, table

# Beginnings of the names of sets and configs, in lower case, that settings were chosen on.
_CHOSEN_ON = (
    *("digits", "pendigits", "har", "mnist", "fashion", "rcv1", "reuters", "worm", "r8", "newsgroups", "wine"),
    # These mixtures are among the sets of `benchmarks.judges`, by which the criterion was chosen.
    *("10 columns, 1:50", "200 columns, equal", "200 columns, 1:10, near", "counts, 1:20", "binary, 1:20"),
)
MARKED = "Measured with older code (`python -m benchmarks.stale`)."
_MANY = 4  # names of other sets that are listed
_FIRST_OTHER_SEED = 100  # those below were used for choosing


def below(name: str, text: str) -> str:
    """What is said below a table: what its marks mean, and which sets and seeds were used for choosing settings.

    Args:
      name: of the table.
      text: the table.

    Returns:
      A line of Markdown with an empty line before it; '' if there is nothing to say.
    """
    mark = f"{provenance.MARK} {MARKED}" if provenance.MARK in text else ""
    said = [note for note in (mark, about_sets(SETS.get(name, dict)())) if note]
    return f"\n{' '.join(said)}\n" if said else ""


def about_sets(seeds_by_set: Mapping[str, Collection[int]]) -> str:
    """Which of the sets and seeds settings were chosen on, in sentences; '' without sets.

    Args:
      seeds_by_set: name of a data set or of a config -> the seeds of its runs; none if they were not noted.
    """
    if not seeds_by_set:
        return ""
    chosen = [name for name in seeds_by_set if name.lower().startswith(_CHOSEN_ON)]
    text = _some(chosen, seeds_by_set, "Settings were chosen on", "No settings were chosen on these sets.")
    seeded = {name: seeds for name, seeds in seeds_by_set.items() if seeds}
    if not seeded:
        return text
    tuned = [name for name, seeds in seeded.items() if min(seeds) < _FIRST_OTHER_SEED]
    seeds = f"Tuning seeds (below {_FIRST_OTHER_SEED}) were used on"
    return f"{text} {_some(tuned, seeded, seeds, f'No tuning seed (below {_FIRST_OTHER_SEED}) was used.')}"


def _some(some: list[str], of: Collection[str], begin: str, none: str) -> str:
    """A sentence on some of the sets, and one on the others."""
    others = [name for name in of if name not in some]
    if not some:
        return none
    if not others:
        return f"{begin} all these sets."
    return f"{begin} {_listed(some)}, not on {_listed(others) if len(others) <= _MANY else 'the others'}."


def _listed(names: list[str]) -> str:
    return (", " if all("," not in name for name in names) else "; ").join(names)


def seeds_in(part: Any) -> set[int]:
    """The seeds in a part of a record."""
    if isinstance(part, dict):
        own = {part["seed"]} if isinstance(part.get("seed"), int) else set()
        return own.union(*map(seeds_in, part.values()))
    return set().union(*map(seeds_in, part)) if isinstance(part, list) else set()


def _by_config(kind: str) -> Callable[[], dict[str, set[int]]]:
    """The configs of the records of a kind."""
    return lambda: {
        path.stem.removeprefix(f"{kind}_"): seeds_in(records.read(path))
        for path in sorted(records.RESULTS.glob(f"{kind}_*.json"))
    }


def _selected() -> dict[str, set[int]]:
    """The configs that have enough seeds to choose from."""
    chosen = records.read(records.RESULTS / "selection.json") or {}
    return {name: seeds for name, seeds in _by_config("seeds")().items() if name in chosen}


def _by_key(name: str) -> Callable[[], dict[str, set[int]]]:
    """The keys of a record, which are data sets."""

    def sets() -> dict[str, set[int]]:
        record = records.read(records.RESULTS / f"{name}.json") or {}
        return {key: seeds_in(part) for key, part in record.items() if key not in ("commit", "code", "versions")}

    return sets


def _compared() -> dict[str, set[int]]:
    """The data sets of the paper's comparison."""
    return {name: seeds_in([*runs.values()]) for name in rivals.CONFIGS if (runs := table.methods_of(name))}


def _with_gaps() -> dict[str, set[int]]:
    record = records.read(records.RESULTS / "gaps.json")
    return {"pendigits": seeds_in(record)} if record else {}


def _with_batches() -> dict[str, set[int]]:
    record = records.read(records.RESULTS / "covariates.json") or {}
    names = {key.partition(",")[0] for key in record}
    return {name: seeds_in([part for key, part in record.items() if key.startswith(name)]) for name in names}


# Name of a table of scores -> function that returns its data sets and their seeds.
SETS: dict[str, Callable[[], dict[str, set[int]]]] = {
    "results": _by_config("seeds"),
    "selection": _selected,
    **{name: _by_config(name) for name in ("ablation", "criteria", "likelihood")},
    **{name: _by_key(name) for name in ("calibration", "draws", "files", "judges", "mixed", "outliers", "unequal")},
    **{name: _compared for name in ("overview", "comparison", "cells")},
    "gaps": _with_gaps,
    "covariates": _with_batches,
}
