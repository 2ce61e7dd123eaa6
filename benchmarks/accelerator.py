"""Evidence from a machine with one GPU, in one command: python -m benchmarks.accelerator --data=mnist.npz.

It needs no network and at most --budget minutes. --data is an .npz of images with `x` (or `x_train` and `x_test`) and
labels `y`; without it the rows are scikit-learn's digits. The record is written after every measurement, so a command
that is cut off leaves what was done. What failed, or did not fit into the budget, says so.

Parts:
  correctness: every bound and one training epoch on the device, in float32 and in TF32, beside a CPU in float32.
  speed: a training step beside PyTorch's, eager and compiled, and 16 runs in one program, with the device's memory.
  seeds: runs of --config on all rows, side by side: accuracy, minutes, the share of each stage.
  sixteen: 16 whole runs in one program, which start from k-means.

All parts need jax, flax, optax, scikit-learn and scipy. The times of PyTorch need torch. The parts seeds and sixteen
also need orbax-checkpoint, ml-collections, filelock, jinja2, matplotlib, scikit-network and tqdm, and with
init.method=manifold umap-learn. A part that lacks one of them says which. Wheels of these can be carried:
python -m pip install --no-index --no-deps wheels/*.whl.
"""

import argparse
import functools
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import accelerator_tables, contenders, process_usage, provenance, records, text_tables

_NEEDED_BY_RUNS = ("filelock", "jinja2", "matplotlib", "ml_collections", "orbax", "sknetwork", "tqdm")
_TOO_LATE_S = 2  # nothing is started with less time than this
_SPEED = ("vade_jax", "torch", "torch_compile", "runs_side_by_side", "jax_steps", "product_jax")
_FROM_KMEANS = (
    "--config.init.method=kmeans",
    "--config.init.num_restarts=1",
    "--config.init.soft_neighbors=0",
    "--config.guide.num_rounds=0",
    "--config.align.num_epochs=0",
)
_SMALL_RUN = (
    *_FROM_KMEANS,
    "--config.model.hidden=(16,)",
    "--config.optimizer.min_steps=0",
    "--config.pretrain.num_epochs=1",
    "--config.train.num_epochs=1",
    "--config.evaluate.bound_samples=2",
)

Save = Callable[[dict[str, Any]], None]  # writes a part to the record; called after each of its measurements


def main() -> None:
    """Measures the parts and writes the record after each measurement."""
    options = _parse(sys.argv[1:])
    options.deadline = time.monotonic() + 60 * options.budget
    record: dict[str, Any] = {
        **provenance.stamp(__file__),
        "cpus": os.cpu_count(),
        "processor": records.processor(),
        "data": options.data.name if options.data else "digits",
        "small": options.small,
        "device": None,
        "versions": {},
        "parts": {},
    }

    def save(name: str, found: dict[str, Any]) -> None:
        record["parts"][name] = found
        record["device"] = record["device"] or found.get("device")
        record["versions"] |= found.get("versions", {})
        records.write(options.out, record)

    for name in options.parts:
        print(f"{name}: {max(0, options.deadline - time.monotonic()):.0f} s left", file=sys.stderr)
        PARTS[name](options, functools.partial(save, name))
    print(text_tables.aligned(accelerator_tables.rows([record])))
    print(f"wrote {options.out}")


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="an .npz of images and labels; scikit-learn's digits by default")
    parser.add_argument("--parts", type=lambda text: text.split(","), default=list(PARTS), help="separated by commas")
    parser.add_argument("--budget", type=float, default=9.5, help="minutes; nothing is started or goes on after them")
    parser.add_argument("--config", help="of the seeds: configs/mnist_fast.py by default, or configs/digits.py")
    parser.add_argument("--num_seeds", type=int, default=3, help="number of seeds side by side, from 100 on")
    parser.add_argument("--small", action="store_true", help="a try-out on a CPU, in about a minute")
    parser.add_argument("--out", type=Path, default=records.RESULTS / "accelerator_gpu.json", help="the record")
    parser.add_argument("flags", nargs="*", help="further flags of main.py for the runs, after --")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts) - PARTS.keys():
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}. Choose from {', '.join(PARTS)}")
    options.data = options.data and options.data.resolve()
    options.config = options.config or ("configs/mnist_fast.py" if options.data else "configs/digits.py")
    return options


def correctness(options: argparse.Namespace, save: Save) -> None:
    """Differences of the device's bounds and of its training epoch from those of a CPU."""
    found: dict[str, Any] = {}
    own = ["--small"] if options.small else []
    own += [f"--data={options.data}"] if options.data else []
    with tempfile.TemporaryDirectory() as folder:
        expected, answered = Path(folder) / "cpu.npz", Path(folder) / "device.npz"
        on_cpu = _child(options, ["answers", f"--out={expected}", *own], {"JAX_PLATFORMS": "cpu"})
        found["cpu"] = on_cpu
        for precision in ("float32", "tensorfloat32") if "failure" not in on_cpu else ():
            answer = _child(options, ["answers", f"--out={answered}", f"--precision={precision}", *own])
            if "failure" not in answer:
                answer |= differences(dict(np.load(answered)), dict(np.load(expected)))
                found |= {"device": answer["device"], "versions": answer["versions"]}
            found[precision] = answer
            save(found)
    save(found)


def differences(answers: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> dict[str, Any]:
    """How far answers are from the expected ones.

    Args:
      answers: 'bound/NAME' -> nats [B]; 'epoch/loss' -> []; 'params/start' and 'params/end' -> [P], all parameters.
      expected: the same from the reference.

    Returns:
      'bounds': name -> the largest relative difference; 'epoch_loss': the relative difference; 'epoch_params': the
      distance of the parameters after the epoch, as a share of the distance that the reference moved them.
    """

    def relative(name: str) -> float:
        distance = np.abs(answers[name] - expected[name]) / np.maximum(1, np.abs(expected[name]))
        return float(distance.max()) if np.isfinite(answers[name]).all() else math.inf

    moved = np.linalg.norm(expected["params/end"] - expected["params/start"])
    apart = np.linalg.norm(answers["params/end"] - expected["params/end"])
    return {
        "bounds": {name.partition("/")[2]: relative(name) for name in expected if name.startswith("bound/")},
        "epoch_loss": relative("epoch/loss"),
        "epoch_params": float(apart / moved),
    }


def speed(options: argparse.Namespace, save: Save) -> None:
    """The time of a training step and the device's peak memory, of each contender in its own process."""
    num_rows, seconds = (512, 0.0) if options.small else (25_600, 3.0)
    found: dict[str, Any] = {"batch_size": 256, "contenders": {}}
    environments: dict[str, dict[str, str]] = {name: {} for name in _SPEED[: 4 if options.small else None]}
    environments[accelerator_tables.FLOAT32] = {"JAX_DEFAULT_MATMUL_PRECISION": "float32"}
    for name, environment in environments.items():
        left = options.deadline - time.monotonic()
        contender = "vade_jax" if name == accelerator_tables.FLOAT32 else name
        found["contenders"][name] = (
            contenders.run_in_process(contender, 256, num_rows, seconds, left, environment)
            if left > _TOO_LATE_S
            else _too_late()
        )
        save(found)


def seeds(options: argparse.Namespace, save: Save) -> None:
    """Whole runs of the config with several seeds, side by side on a GPU."""
    number = 2 if options.small else options.num_seeds
    _runs(options, save, number, _SMALL_RUN if options.small else ())


def sixteen(options: argparse.Namespace, save: Save) -> None:
    """16 whole runs in one program. They start from k-means, so the time is that of training."""
    number = 3 if options.small else 16
    _runs(options, save, number, _SMALL_RUN if options.small else _FROM_KMEANS)


def _runs(options: argparse.Namespace, save: Save, number: int, flags: Sequence[str]) -> None:
    data = ["--config.data.name=file", f"--config.data.path={options.data}"] if options.data else []
    several = [f"--config.num_runs={number}", "--config.seed=100", "--config.report=false"]
    flags = [*data, *several, *flags, *options.flags]
    found: dict[str, Any] = {"config": options.config, "flags": flags}
    missing = [name for name in _NEEDED_BY_RUNS if not _is_installed(name)]
    if missing:
        save(found | {"failure": f"not installed: {', '.join(missing)}"})
        return
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder) / "runs"
        found |= _child(options, [f"--config={options.config}", f"--out={workdir}", "--", "train", *flags])
        save(found | {"runs": [_run_so_far(path) for path in sorted(workdir.glob("seed*"))]})


def _run_so_far(folder: Path) -> dict[str, Any]:
    """The scores of a run; of one that did not end, how far it came."""
    from vade_jax.runs.metrics_log import read_metrics

    if results := records.read(folder / "results.json"):
        return {name: results[name] for name in ("accuracy", "nmi", "elbo", "seconds")}
    logged = read_metrics(folder / "metrics.jsonl")
    return {name: logged[-1][name] for name in ("stage", "epoch", "samples_per_second")} if logged else {}


def _child(
    options: argparse.Namespace, arguments: Sequence[str], environment: dict[str, str] | None = None
) -> dict[str, Any]:
    """What a process of `benchmarks.accelerator_parts` printed, with its usage; 'failure' if it did not end well."""
    left = options.deadline - time.monotonic()
    if left < _TOO_LATE_S:
        return _too_late()
    command = [sys.executable, "-m", "benchmarks.accelerator_parts", *arguments]
    usage, output = process_usage.run(contenders.with_environment(command, environment or {}), records.ROOT, left)
    return usage if "failure" in usage else contenders.last_line(output) | usage


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _too_late() -> dict[str, Any]:
    return {"failure": "the time budget was used up"}


PARTS: dict[str, Callable[[argparse.Namespace, Save], None]] = {
    "correctness": correctness,
    "speed": speed,
    "seeds": seeds,
    "sixteen": sixteen,
}

if __name__ == "__main__":
    main()
