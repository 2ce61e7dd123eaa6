"""What a person waits for, beside common methods: python -m benchmarks.waiting.

Each measurement is one fresh process, from its start to its end, imports and the reading of rows included. Contenders
take turns, with the seeds 100, 101, ..., and medians are reported. The parts:

- wine, table: `VaDE.fit` with default settings on scikit-learn's wine, and on 870 rows of four overlapping Gaussians;
  compiled programs come from a folder that one unmeasured fit filled.
- predict: `VaDE.predict` of one row and of 10,000 rows of 784 columns, beside the model's encoder alone.
- digits: the command line with configs/digits.py: without compiled programs, with them, and given again when finished.
- configs, with --large: the command line with each of --configs.
- growth, with --large: `VaDE.fit` on tables of which one size changes at a time. A million rows take hours.

Other methods get their seed too, so umap-learn uses one thread. ClustPy's VaDE (`pip install clustpy`) is measured if
--clustpy_python names the interpreter of an environment that has it. The record and a figure go to
benchmarks/results/waiting_<name>. Parts that an earlier record has of the same code and machine are kept. Absolute
times are valid only for an idle machine.
"""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import arguments, process_usage, provenance, records, waiting_parts, waiting_tables
from benchmarks.waiting_parts import Contender, Part

_FIRST_SEED = 100


def main() -> None:
    """Measures the parts and writes the record and its figure."""
    options = _parse()
    path = records.RESULTS / f"waiting_{options.name}.json"
    with tempfile.TemporaryDirectory() as folder:
        made_of = waiting_parts.Options(Path(folder), options.clustpy_python, options.configs, options.growth_rows)
        for asked in options.parts:
            for name, part in waiting_parts.make_parts(asked, made_of).items():
                found = measure(name, part, options.repeats, 60 * options.limit)
                records.write(path, with_part(records.read(path), name, found))
    if record := records.read(path):
        print(waiting_tables.text(record))
        waiting_tables.save_figure(path.with_suffix(".png"), record)
        print(f"wrote {path}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    small, large = waiting_parts.SMALL, waiting_parts.LARGE
    text = f"separated by commas; by default {','.join(small)}, and with --large also {','.join(large)}"
    parser.add_argument("--parts", type=_names, help=text)
    parser.add_argument("--large", action="store_true", help="allow the parts that take hours")
    parser.add_argument("--repeats", type=int, default=3, help="how often each contender runs")
    parser.add_argument("--name", default="cpu", help="name of the record")
    parser.add_argument("--clustpy_python", default="", help="interpreter of an environment that has ClustPy")
    parser.add_argument("--configs", type=_names, default="configs/mnist.py", help="of the part configs")
    text = "numbers of rows of the part growth, separated by commas; the first is also that of its other sizes"
    parser.add_argument("--growth_rows", type=arguments.integers, default="10000,100000,1000000", help=text)
    parser.add_argument("--limit", type=float, default=720.0, help="a process is killed after this many minutes")
    options = parser.parse_args()
    options.parts = options.parts or [*small, *(large if options.large else ())]
    if unknown := [name for name in options.parts if name not in (*small, *large)]:
        parser.error(f"unknown parts: {', '.join(unknown)}. Choose from {', '.join((*small, *large))}")
    if not options.large and (found := [name for name in options.parts if name in large]):
        parser.error(f"these parts take hours: {', '.join(found)}. Add --large")
    return options


def _names(text: str) -> list[str]:
    return text.split(",")


def measure(name: str, part: Part, repeats: int, limit_s: float) -> dict[str, Any]:
    """Runs the contenders of a part in turn.

    Args:
      name: of the part.
      part: its contenders.
      repeats: how often each contender runs.
      limit_s: a process is killed after this many seconds.

    Returns:
      'sizes' of the part, 'device' and 'versions' of the last runs, and 'contenders': name -> runs. A run has 'seed',
      'wall_s', 'cpu_s', 'peak_mib' and what the contender answers, or 'failure'. A contender that cannot be measured
      here has no runs.
    """
    entry: dict[str, Any] = {"sizes": part.sizes, "device": None, "versions": {"python": platform.python_version()}}
    runs: dict[str, list[dict[str, Any]]] = {contender: [] for contender in part.contenders}
    for command in part.warm_up:
        process_usage.run(command, records.ROOT, limit_s)
    for seed in range(_FIRST_SEED, _FIRST_SEED + repeats):
        for contender, how in part.contenders.items():
            if how:
                run = _run(how, seed, limit_s)
                print(name, contender, run, file=sys.stderr)
                entry["versions"] |= run.pop("versions", {})
                entry["device"] = run.pop("device", None) or entry["device"]
                runs[contender].append(run)
    return {**entry, "contenders": runs}


def _run(contender: Contender, seed: int, limit_s: float) -> dict[str, Any]:
    usage, output = process_usage.run(contender.command(seed), records.ROOT, limit_s)
    found = {} if "failure" in usage else contender.answer(seed, output)
    return {"seed": seed, **found, **usage}


def with_part(earlier: dict[str, Any] | None, name: str, found: dict[str, Any]) -> dict[str, Any]:
    """Adds a part to a record.

    Args:
      earlier: the record so far, or None. Its other parts are kept if code and machine are the same.
      name: of the part.
      found: as `measure` returns it.

    Returns:
      'code', 'cpus', 'processor', 'commit', 'device', 'versions' and 'parts'.
    """
    device, versions = found["device"], found["versions"]
    part = {key: found[key] for key in ("sizes", "contenders")}
    record = {
        "cpus": os.cpu_count(),
        "processor": records.processor(),
        **provenance.stamp(__file__),
    }
    kept: dict[str, Any] = {"device": None, "versions": {}, "parts": {}}
    if earlier:
        if all(earlier[key] == record[key] for key in ("code", "cpus", "processor")):
            kept = earlier
        else:
            print(f"parts of other code or another machine are left out: {', '.join(earlier['parts'])}")
    return {
        **record,
        "device": device or kept["device"],
        "versions": {**kept["versions"], **versions},
        "parts": {**kept["parts"], name: part},
    }


if __name__ == "__main__":
    main()
