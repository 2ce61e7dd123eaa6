"""Time and memory against the sizes of data, model and batch: python -m benchmarks.scaling.

Each point is measured in a separate process, or in several that train together with one device each. Most axes change
one size of `BASE` and time an epoch of training on random rows. The axis 'num_rows' times complete runs that stream
their rows from a file. The axis 'predicted' times the prediction of clusters from file to file. The record goes to
benchmarks/results/scaling_<name>.json, with a figure. Absolute times are valid only for an idle machine.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks import arguments, provenance, records, text_tables
from benchmarks.scaling_point import BASE, measure

AXES = {
    "num_features": (64, 256, 784, 3072),
    "num_clusters": (10, 30, 100, 300, 1000),
    "latent_dim": (2, 10, 50, 200),
    "batch_size": (32, 100, 256, 1024, 4096),
    "num_devices": (1, 2, 4),
    "num_processes": (1, 2, 4),
}
NUM_ROWS = (100_000, 1_000_000, 10_000_000)
PREDICTED = (100_000, 1_000_000)
_DEVICES_FLAG = "--xla_force_host_platform_device_count"


def main() -> None:
    """Measures every point and writes the record and its figure; with --point measures only that point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--axes", type=lambda text: text.split(","), default=[*AXES, "num_rows", "predicted", "streaming"]
    )
    parser.add_argument(
        "--num_rows", type=arguments.integers, default=list(NUM_ROWS), help="of streamed runs, separated by commas"
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="time to measure each point for")
    parser.add_argument("--name", default="cpu", help="name of the record")
    parser.add_argument(
        "--point", type=json.loads, help="measure only this point, given as JSON, and print the result as JSON"
    )
    options = parser.parse_args()
    if options.point:
        print(json.dumps(measure(options.point, options.seconds)))
        return
    path = records.RESULTS / f"scaling_{options.name}.json"
    record = records.read(path) or {"axes": {}, "commits": {}}
    record |= {"cpus": os.cpu_count(), "processor": records.processor(), "base": BASE}
    for axis in options.axes:
        record["axes"][axis] = [_in_processes(point, options.seconds) for point in points(axis, options.num_rows)]
        record["commits"][axis] = records.commit()
        record.setdefault("codes", {})[axis] = provenance.code(__file__)
        records.write(path, record)
    print(text_tables.aligned(rows(record)))
    save_figure(path.with_suffix(".png"), record)
    print(f"wrote {path}")


def points(axis: str, num_rows: list[int]) -> list[dict[str, Any]]:
    """The points of an axis; each has 'axis' and the size that differs from `BASE`."""
    if axis == "num_rows":
        return [{"axis": axis, "num_rows": count} for count in num_rows]
    if axis == "predicted":
        return [{"axis": axis, axis: count} for count in PREDICTED]
    if axis == "streaming":
        return [{"axis": axis, "streaming": streaming} for streaming in (False, True)]
    return [{"axis": axis, axis: value} for value in AXES[axis]]


def _in_processes(point: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Measures a point in separate processes: the time of the first process and the most memory of any."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} {_DEVICES_FLAG}={point.get('num_devices', 1)}"
    command = [sys.executable, "-m", "benchmarks.scaling", f"--seconds={seconds}"]
    environment = {**os.environ, "XLA_FLAGS": flags.strip()}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [
        subprocess.Popen([*command, f"--point={json.dumps(one)}"], cwd=records.ROOT, env=environment, **pipes)
        for one in _parts(point)
    ]
    outputs = [process.communicate() for process in processes]
    failures = [err[-500:] for process, (_, err) in zip(processes, outputs, strict=True) if process.returncode]
    answers = [{"failure": failures[0]}] if failures else [json.loads(out.splitlines()[-1]) for out, _ in outputs]
    found = answers[0] | {name: max(one[name] for one in answers) for name in answers[0] if name.startswith("peak")}
    print(point, found, file=sys.stderr)
    return {**point, **found}


def _parts(point: dict[str, Any]) -> list[dict[str, Any]]:
    """The point for each of its processes; a single process gets no coordinator."""
    count = point.get("num_processes", 1)
    if count == 1:
        return [point]
    address = free_address()
    return [{**point, "coordinator": address, "process_id": number} for number in range(count)]


def free_address() -> str:
    """HOST:PORT of a free port on this machine."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


def rows(record: dict[str, Any]) -> list[list[str]]:
    """The record as a text table; the first row has the column names."""
    table = [["axis", "value", "ms a step", "samples a second", "peak MiB", "of its own"]]
    for axis, found in record["axes"].items():
        for point in found:
            value = f"{point[axis]:,}" if axis != "streaming" else "streamed" if point[axis] else "resident"
            if "failure" in point:
                table.append([axis, value, point["failure"].splitlines()[-1]])
                continue
            rates = point.get("samples_per_second", {})
            table.append(
                [
                    axis,
                    value,
                    text_tables.number(1e3 * point["seconds_per_step"] if "seconds_per_step" in point else None, 2),
                    ", ".join(f"{name} {rate:,}" for name, rate in rates.items()) or "-",
                    f"{point['peak_mib']:,}",
                    f"{point['peak_own_mib']:,}",
                ]
            )
    return table


def save_figure(path: Path, record: dict[str, Any]) -> None:
    """Draws time and memory along each axis.

    Args:
      path: the PNG to write.
      record: as `main` writes it.
    """
    axes_of = {name: found for name, found in record["axes"].items() if name != "streaming"}
    figure = Figure(figsize=(3 * len(axes_of), 5.2), dpi=110, layout="constrained")
    grid = figure.subplots(2, len(axes_of), squeeze=False, sharex="col")
    for (time_axes, memory_axes), (name, found) in zip(grid.T, axes_of.items(), strict=True):
        ended = [point for point in found if "failure" not in point]
        values = [point[name] for point in ended]
        if name in ("num_rows", "predicted"):
            for stage in ended[0]["samples_per_second"] if ended else ():
                rates = [point["samples_per_second"][stage] for point in ended]
                time_axes.plot(values, rates, marker="o", markersize=3, linewidth=1, label=stage)
            time_axes.legend(fontsize="x-small")
            time_axes.set_ylabel("rows a second")
        else:
            times = [1e3 * point["seconds_per_step"] for point in ended]
            time_axes.plot(values, times, marker="o", markersize=3, linewidth=1)
            time_axes.set_ylabel("ms a step")
        for key, label in (("peak_mib", "with mapped files"), ("peak_own_mib", "own")):
            memory_axes.plot(
                values, [point[key] for point in ended], marker="o", markersize=3, linewidth=1, label=label
            )
        memory_axes.set_ylabel("peak memory, MiB")
        memory_axes.set_xlabel(name)
        for axes in (time_axes, memory_axes):
            axes.set_xscale("log")
            axes.set_ylim(bottom=0)
            axes.grid(alpha=0.3)
        memory_axes.legend(fontsize="x-small")
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    main()
