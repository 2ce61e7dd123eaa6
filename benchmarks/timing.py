"""Times a function, and the sizes that the contenders of `benchmarks.speed` share."""

import time
from collections.abc import Callable
from importlib import metadata
from typing import Any, Protocol

import numpy as np

NUM_FEATURES, HIDDEN, LATENT_DIM, NUM_CLUSTERS = 784, (500, 500, 2000), 10, 10


class Contender(Protocol):
    """A function that `benchmarks.speed` times."""

    def __call__(self, batch_size: int, num_rows: int, seconds: float) -> dict[str, Any]:
        """Times it for about `seconds`; returns what `training_record` or `rate_record` returns."""


def repeat(call: Callable[[], Any], seconds: float) -> tuple[float, list[float]]:
    """Seconds of the first call, which compiles, and of each later call.

    Calls are repeated, at least once, until the later ones have taken `seconds` together.
    """
    durations: list[float] = []
    while len(durations) < 2 or sum(durations[1:]) < seconds:
        started = time.perf_counter()
        call()
        durations.append(time.perf_counter() - started)
    return durations[0], durations[1:]


def training_record(
    epoch: Callable[[], Any], num_steps: int, seconds: float, library: str, device: str
) -> dict[str, Any]:
    """Times a function that trains for an epoch of `num_steps` steps, for about `seconds` after its first call."""
    first, later = repeat(epoch, seconds)
    return {
        "seconds_per_step": float(np.median(later)) / num_steps,
        "epochs": len(later),
        "steps": num_steps,
        "first_epoch_seconds": first,
        "peak_device_mib": peak_device_mib(library),
        "version": f"{library} {metadata.version(library)}",
        "device": device,
    }


def peak_device_mib(library: str) -> int | None:
    """The most memory of an accelerator that this process has held through jax or torch, MiB; None on a CPU."""
    peak = None
    if library == "jax":
        import jax

        peak = (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")
    elif library == "torch":
        import torch

        peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    return None if peak is None else round(peak / 2**20)


def rate_record(call: Callable[[], Any], amount: float, seconds: float, library: str) -> dict[str, Any]:
    """Times a function that does `amount` operations or moves `amount` bytes: the best rate per second."""
    _, later = repeat(call, seconds)
    return {"rate": amount / min(later), "version": f"{library} {metadata.version(library)}"}
