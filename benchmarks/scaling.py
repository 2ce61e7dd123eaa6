"""Time and memory against the sizes of data, model and batch: python -m benchmarks.scaling.

Each point is a process of its own, or several that train together, each with one device. Along an axis one size of
`BASE` changes, and an epoch of training on made rows is timed; along 'num_rows' whole runs are streamed from a file,
from pretraining to the clusters of every row, and along 'predicted' a trained run is asked for the clusters of so many
rows in a file. The record goes to benchmarks/results/scaling_<name>.json, with a figure beside it. Absolute times hold
for an idle machine alone.
"""

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks import contenders, seeds, speed
from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.system.processes import initialize_distributed

BASE = {
    "num_features": 784,
    "num_clusters": 10,
    "latent_dim": 10,
    "batch_size": 256,
    "num_devices": 1,
    "num_processes": 1,
}
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
_STREAMED_FEATURES = 64
_MIB = 2**20


def main() -> None:
    """Measures every point and writes the record and its figure; measures one of them where that is asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--axes", type=lambda text: text.split(","), default=[*AXES, "num_rows", "predicted", "streaming"]
    )
    parser.add_argument("--num_rows", type=seeds.integers, default=list(NUM_ROWS), help="of streamed runs")
    parser.add_argument("--seconds", type=float, default=3.0, help="that each point is timed for")
    parser.add_argument("--name", default="cpu", help="of the record")
    parser.add_argument("--point", type=json.loads, help="one point, as JSON: its answer is printed as JSON")
    options = parser.parse_args()
    if options.point:
        print(json.dumps(measure(options.point, options.seconds)))
        return
    path = seeds.RESULTS / f"scaling_{options.name}.json"
    record = seeds.read(path) or {"axes": {}, "commits": {}}
    record |= {"cpus": os.cpu_count(), "processor": speed.processor(), "base": BASE}
    for axis in options.axes:
        record["axes"][axis] = [_in_processes(point, options.seconds) for point in points(axis, options.num_rows)]
        record["commits"][axis] = seeds.commit()
        seeds.write(path, record)
    print(seeds.aligned(rows(record)))
    save_figure(path.with_suffix(".png"), record)
    print(f"wrote {path}")


def points(axis: str, num_rows: list[int]) -> list[dict[str, Any]]:
    """The points of an axis: of each the axis, and what differs from `BASE`."""
    if axis == "num_rows":
        return [{"axis": axis, "num_rows": count} for count in num_rows]
    if axis == "predicted":
        return [{"axis": axis, axis: count} for count in PREDICTED]
    if axis == "streaming":
        return [{"axis": axis, "streaming": streaming} for streaming in (False, True)]
    return [{"axis": axis, axis: value} for value in AXES[axis]]


def _in_processes(point, seconds):
    """The point and what processes of its own found at it: the time of the first, the memory of the largest."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} {_DEVICES_FLAG}={point.get('num_devices', 1)}"
    command = [sys.executable, "-m", "benchmarks.scaling", f"--seconds={seconds}"]
    environment = {**os.environ, "XLA_FLAGS": flags.strip()}
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [
        subprocess.Popen([*command, f"--point={json.dumps(one)}"], cwd=seeds.ROOT, env=environment, **pipes)
        for one in _parts(point)
    ]
    said = [process.communicate() for process in processes]
    failures = [err[-500:] for process, (_, err) in zip(processes, said, strict=True) if process.returncode]
    answers = [{"failure": failures[0]}] if failures else [json.loads(out.splitlines()[-1]) for out, _ in said]
    found = answers[0] | {name: max(one[name] for one in answers) for name in answers[0] if name.startswith("peak")}
    print(point, found, file=sys.stderr)
    return {**point, **found}


def _parts(point):
    """The point as each of its processes is given it: one alone knows of no others."""
    count = point.get("num_processes", 1)
    if count == 1:
        return [point]
    address = free_address()
    return [{**point, "coordinator": address, "process_id": number} for number in range(count)]


def free_address() -> str:
    """HOST:PORT on this machine where nobody listens yet: of processes that train together."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


def measure(point: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Time and memory at a point, in this process.

    Args:
      point: one of `points`; with 'coordinator' and 'process_id' for one of several processes.
      seconds: that it is timed for; several processes, which have to do alike, time one epoch.

    Returns:
      'seconds_per_step', or for rows in files 'samples_per_second' by stage or task; 'peak_mib': the most memory that
      the process had, files that it had mapped included, and 'peak_own_mib': without these, which the system may take
      back at any time.
    """
    if "coordinator" in point:
        initialize_distributed(point["coordinator"], point["num_processes"], point["process_id"])
        seconds = 0
    with _OwnMemory() as memory:
        if point["axis"] == "num_rows":
            found = _streamed_run(point["num_rows"])
        elif point["axis"] == "predicted":
            found = _prediction(point["predicted"], seconds)
        elif point["axis"] == "streaming":
            found = _epochs(BASE, seconds, streaming=point["streaming"])
        else:
            found = _epochs({**BASE, point["axis"]: point[point["axis"]]}, seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {**found, "peak_mib": round(peak), "peak_own_mib": round(memory.peak / 1024)}


class _OwnMemory:
    """Samples how many KiB the process has of its own, where Linux tells it."""

    def __enter__(self):
        self.peak, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _sample(self):
        status = Path("/proc/self/status")
        while status.exists() and not self._stop.wait(0.05):
            own = next(line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
            self.peak = max(self.peak, int(own.split()[1]))


def _epochs(sizes, seconds, streaming=None):
    """The seconds of a step, in epochs of training on rows in memory, or streamed."""
    import jax

    from vade_jax.system.devices import replicate
    from vade_jax.training.data_feed import Feed
    from vade_jax.training.epoch import make_epoch

    batch_size = sizes["batch_size"]
    num_rows = 25_600 if streaming is None else 256_000
    num_rows -= num_rows % batch_size
    objective, tx, state = contenders.jax_parts(sizes["num_features"], sizes["latent_dim"], sizes["num_clusters"])
    run, state = make_epoch(objective, tx, batch_size), replicate(state)
    feed = Feed(contenders.made_rows(num_rows, sizes["num_features"]), 0 if streaming else 2**40, 64 * _MIB)

    def epoch():
        nonlocal state
        state, metrics = feed.train(run, state, {}, batch_size)
        jax.block_until_ready((state, metrics))

    _, later = contenders.repeat(epoch, seconds)
    return {"seconds_per_step": float(np.median(later)) * batch_size / num_rows}


def _streamed_run(num_rows):
    """Rows a second in each stage of a whole run on rows in a file, streamed, and the seconds that it took."""
    from vade_jax.runs.metrics_log import read_metrics

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path, workdir = Path(folder) / "x.npy", Path(folder) / "run"
        _write_rows(path, num_rows, _STREAMED_FEATURES)
        results = train(_streamed_config(path), workdir)
        records = read_metrics(workdir / "metrics.jsonl")
    rates = {record["stage"]: round(record["samples_per_second"]) for record in records}
    return {
        "samples_per_second": rates,
        "seconds": {name: round(value, 1) for name, value in results["seconds"].items()},
        "wall_seconds": round(time.perf_counter() - started, 1),
    }


def _prediction(num_rows, seconds):
    """Rows a second from a file of them to a file of their clusters, and through the encoder alone, on the device."""
    import jax

    from vade_jax.runs import saved_model

    with tempfile.TemporaryDirectory() as folder:
        path, workdir = Path(folder) / "x.npy", Path(folder) / "run"
        _write_rows(path, num_rows, BASE["num_features"])
        config = _streamed_config(path)
        config.data.train_split = "train[:5000]"
        config.model.hidden = contenders.HIDDEN
        train(config, workdir)
        started = time.perf_counter()
        predict(workdir, str(path), str(Path(folder) / "out.npz"), with_log_likelihood=False)
        whole = time.perf_counter() - started
        run, state, _ = saved_model.restore(workdir)
    batch_size = run.config.evaluate.batch_size
    x = jax.numpy.ones((batch_size, BASE["num_features"]))
    encode = jax.jit(run.model.encode)
    _, later = contenders.repeat(lambda: jax.block_until_ready(encode(state.params, x)), seconds)
    return {
        "samples_per_second": {
            "predicted": round(num_rows / whole),
            "encoder alone": round(batch_size / float(np.median(later))),
        },
        "wall_seconds": round(whole, 1),
    }


def _write_rows(path, num_rows, num_features):
    """Rows of grey values around ten centres, in parts."""
    rng = np.random.default_rng(0)
    centres = rng.integers(64, 192, (10, num_features))
    rows = np.lib.format.open_memmap(path, "w+", np.uint8, (num_rows, num_features))
    for start in range(0, num_rows, 100_000):
        part = rows[start : start + 100_000]
        noise = rng.integers(-48, 48, part.shape, dtype=np.int16)
        part[:] = centres[rng.integers(10, size=len(part))] + noise
    rows.flush()


def _streamed_config(path):
    """Every stage, two epochs each of a small network: what is measured is the way of the rows."""
    config = seeds.read_config("configs/table.py", [f"--config.data.path={path}"])
    config.data.update(max_resident_mib=0, shard_mib=16)
    config.model.update(num_clusters=10, hidden=(64,), likelihood="bernoulli")
    config.data.scaling = "range"
    config.report = False
    config.optimizer.min_steps = 0
    config.init.update(max_rows=5000, num_layouts=1, num_restarts=1)
    for section in (config.pretrain, config.guide, config.align, config.train):
        section.update(num_epochs=2, batch_size=1024)  # the first one compiles
    return config


def rows(record: dict[str, Any]) -> list[list[str]]:
    """The record as rows of text, the columns' names first."""
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
                    seeds.number(1e3 * point["seconds_per_step"] if "seconds_per_step" in point else None, 2),
                    ", ".join(f"{name} {rate:,}" for name, rate in rates.items()) or "-",
                    f"{point['peak_mib']:,}",
                    f"{point['peak_own_mib']:,}",
                ]
            )
    return table


def save_figure(path: Path, record: dict[str, Any]) -> None:
    """Draws time and memory along each axis.

    Args:
      path: of the PNG.
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
