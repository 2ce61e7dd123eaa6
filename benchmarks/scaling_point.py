"""Measures time and memory at one point of `benchmarks.scaling`, in this process."""

import resource
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Self

import numpy as np
from ml_collections import ConfigDict

from benchmarks import contenders, records, timing
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
_STREAMED_FEATURES = 64
_MIB = 2**20


def measure(point: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Time and memory at a point, in this process.

    Args:
      point: one of `points`; with 'coordinator' and 'process_id' for one of several processes.
      seconds: time to measure for. Several processes must do the same work, so they time one epoch.

    Returns:
      'seconds_per_step', or for rows in files 'samples_per_second' by stage or task. 'peak_mib' is the peak memory of
      the process with mapped files. 'peak_own_mib' is the peak without mapped files, whose pages the system can free at
      any time.
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
    """Records the peak of the process's memory without mapped files, KiB; 0 if the system is not Linux."""

    def __enter__(self) -> Self:
        self.peak, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        status = Path("/proc/self/status")
        while status.exists() and not self._stop.wait(0.05):
            own = next(line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
            self.peak = max(self.peak, int(own.split()[1]))


def _epochs(sizes: dict[str, int], seconds: float, streaming: bool | None = None) -> dict[str, Any]:
    """The seconds of a training step, on rows in memory or streamed."""
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

    def epoch() -> None:
        nonlocal state
        state, metrics = feed.train(run, state, {}, batch_size)
        jax.block_until_ready((state, metrics))

    _, later = timing.repeat(epoch, seconds)
    return {"seconds_per_step": float(np.median(later)) * batch_size / num_rows}


def _streamed_run(num_rows: int) -> dict[str, Any]:
    """Rows per second in each stage of a complete run that streams its rows, and its seconds."""
    from vade_jax.runs.metrics_log import read_metrics

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path, workdir = Path(folder) / "x.npy", Path(folder) / "run"
        write_rows(path, num_rows, _STREAMED_FEATURES)
        results = train(_streamed_config(path), workdir)
        logged = read_metrics(workdir / "metrics.jsonl")
    rates = {record["stage"]: round(record["samples_per_second"]) for record in logged}
    return {
        "samples_per_second": rates,
        "seconds": {name: round(value, 1) for name, value in results["seconds"].items()},
        "wall_seconds": round(time.perf_counter() - started, 1),
    }


def _prediction(num_rows: int, seconds: float) -> dict[str, Any]:
    """Rows per second from a file of rows to a file of clusters, and of only the encoder on the device."""
    import jax

    from vade_jax.runs import saved_model

    with tempfile.TemporaryDirectory() as folder:
        path, workdir = Path(folder) / "x.npy", Path(folder) / "run"
        write_rows(path, num_rows, BASE["num_features"])
        config = _streamed_config(path)
        config.data.train_split = "train[:5000]"
        config.model.hidden = contenders.HIDDEN
        train(config, workdir)
        started = time.perf_counter()
        predict(workdir, str(path), str(Path(folder) / "out.npz"), with_log_likelihood=False)
        elapsed = time.perf_counter() - started
        run, state, _ = saved_model.restore(workdir)
    batch_size = run.config.evaluate.batch_size
    x = jax.numpy.ones((batch_size, BASE["num_features"]))
    encode = jax.jit(run.model.encode)
    _, later = timing.repeat(lambda: jax.block_until_ready(encode(state.params, x)), seconds)
    return {
        "samples_per_second": {
            "predicted": round(num_rows / elapsed),
            "encoder alone": round(batch_size / float(np.median(later))),
        },
        "wall_seconds": round(elapsed, 1),
    }


def write_rows(path: Path, num_rows: int, num_features: int) -> None:
    """Writes rows of grey values around ten centres, in parts."""
    rng = np.random.default_rng(0)
    centres = rng.integers(64, 192, (10, num_features))
    rows = np.lib.format.open_memmap(path, "w+", np.uint8, (num_rows, num_features))
    for start in range(0, num_rows, 100_000):
        part = rows[start : start + 100_000]
        noise = rng.integers(-48, 48, part.shape, dtype=np.int16)
        part[:] = centres[rng.integers(10, size=len(part))] + noise
    rows.flush()


def _streamed_config(path: Path) -> ConfigDict:
    """Two epochs of every stage with a small network, so that the time is that of reading rows."""
    config = records.read_config("configs/table.py", [f"--config.data.path={path}"])
    config.data.update(max_resident_mib=0, shard_mib=16)
    config.model.update(num_clusters=10, hidden=(64,), likelihood="bernoulli")
    config.data.scaling = "range"
    config.report = False
    config.optimizer.min_steps = 0
    config.init.update(max_rows=5000, num_layouts=1, num_restarts=1)
    for section in (config.pretrain, config.guide, config.align, config.train):
        section.update(num_epochs=2, batch_size=1024)  # the first epoch compiles
    return config
