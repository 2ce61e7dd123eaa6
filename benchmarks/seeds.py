"""A config over seeds: python -m benchmarks.seeds --config=configs/digits.py --seeds=0,1,2,3,4 --workdir=/tmp/digits.

Each seed is one run of main.py in its own folder below the workdir; a finished one is not trained again. The scores go
to benchmarks/results/, and `python -m benchmarks.readme` writes the README's table from there. Flags for main.py follow
`--`.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
_SCORES = ("seed", "commit", "accuracy", "nmi", "ari", "elbo", "log_likelihood", "occupancy")


def main() -> None:
    """Runs the seeds that are not done and writes the record of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="such as configs/digits.py")
    parser.add_argument("--seeds", default="0,1,2,3,4", help="joined by commas")
    parser.add_argument("--workdir", type=Path, required=True, help="a folder for the runs")
    parser.add_argument("flags", nargs="*", help="further flags of main.py, after --")
    options = parser.parse_args()
    runs = [
        _run(options.config, int(seed), options.workdir / f"seed{seed}", options.flags)
        for seed in options.seeds.split(",")
    ]
    record = {
        "config": options.config,
        "flags": options.flags,
        "device": {**runs[0]["device"], "cpus": os.cpu_count()},
        "versions": runs[0]["versions"],
        "runs": [_scores(run) for run in runs],
    }
    path = RESULTS / f"seeds_{Path(options.config).stem}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"wrote {path}")


def _run(config: str, seed: int, workdir: Path, flags: list[str]) -> dict[str, Any]:
    command = [sys.executable, "main.py", f"--config={config}", f"--workdir={workdir}", f"--config.seed={seed}", *flags]
    if not (workdir / "results.json").exists():
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / "commit.txt").write_text(_commit())
        subprocess.run(command, cwd=ROOT, check=True)
    return {**json.loads((workdir / "results.json").read_text()), "commit": (workdir / "commit.txt").read_text()}


def _scores(run: dict[str, Any]) -> dict[str, Any]:
    seconds = {name: round(value, 1) for name, value in run["seconds"].items()}
    initial = run["initialization"]["accuracy"]
    return {**{name: run[name] for name in _SCORES}, "initial_accuracy": initial, "seconds": seconds}


def _commit() -> str:
    """The commit that was measured; 'dirty' where the code differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "vade_jax", "configs", "main.py")
    return git("rev-parse", "HEAD") + (" dirty" if changed else "")


if __name__ == "__main__":
    main()
