"""Times one contender of `benchmarks.speed` in a separate process: python -m benchmarks.contenders vade_jax 256.

Every contender trains on the same number of random rows of 784 grey values. All of them maximize the ELBO with the
paper's networks (784-500-500-2000-10 and its mirror), ten clusters, Adam and one draw of z. The values of the rows do
not affect the times.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.matrix_products import RATES, STEP_PRODUCTS
from benchmarks.timing import HIDDEN, LATENT_DIM, NUM_CLUSTERS, NUM_FEATURES, Contender, training_record

_LEARNING_RATE = 1e-3
_NUM_RUNS, _NUM_RUNS_GPU = 4, 16  # runs in one program


def main() -> None:
    """Times the contender and prints its record as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("batch_size", type=int)
    parser.add_argument("--num_rows", type=int, default=25_600)
    parser.add_argument("--seconds", type=float, default=5.0, help="time to measure for, at least one epoch")
    options = parser.parse_args()
    print(json.dumps(CONTENDERS[options.name](options.batch_size, options.num_rows, options.seconds)))


def run_in_process(
    name: str,
    batch_size: int,
    num_rows: int,
    seconds: float,
    limit_s: float,
    environment: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Times a contender in a process of its own.

    Args:
      name: a key of CONTENDERS.
      batch_size: B.
      num_rows: number of random rows.
      seconds: time to measure for.
      limit_s: the process is killed after this many seconds.
      environment: further variables of the process.

    Returns:
      The record that the contender printed, or its 'failure'.
    """
    arguments = [name, str(batch_size), f"--num_rows={num_rows}", f"--seconds={seconds}"]
    command = with_environment([sys.executable, "-m", "benchmarks.contenders", *arguments], environment or {})
    folder = Path(__file__).parent.parent
    try:
        answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return {"failure": f"timed out after {limit_s:.0f} s"}
    if answer.returncode:
        return {"failure": (answer.stderr.strip() or f"exit status {answer.returncode}").splitlines()[-1]}
    return last_line(answer.stdout)


def with_environment(command: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The command with further environment variables."""
    return ["env", *(f"{name}={value}" for name, value in environment.items()), *command] if environment else [*command]


def last_line(output: str) -> dict[str, Any]:
    """The JSON in the last line that a process printed."""
    return json.loads(output.splitlines()[-1])


def made_rows(num_rows: int, num_features: int = NUM_FEATURES) -> np.ndarray:
    """Random grey values [N, D], uint8."""
    return np.random.default_rng(0).integers(256, size=(num_rows, num_features), dtype=np.uint8)


def _vade_jax(batch_size: int, num_rows: int, seconds: float) -> dict[str, Any]:
    """This project's epoch: one device call on rows that are stored as bytes on the device."""
    import jax

    from vade_jax.system.devices import replicate
    from vade_jax.training.epoch import make_epoch

    objective, tx, state = jax_parts()
    data = {"x": replicate(made_rows(num_rows))}
    run = make_epoch(objective, tx, batch_size)
    state = replicate(state)

    def epoch() -> None:
        nonlocal state
        state, metrics = run(state, data)
        jax.block_until_ready((state, metrics))

    return training_record(epoch, num_rows // batch_size, seconds, "jax", jax.local_devices()[0].device_kind)


def _jax_steps(batch_size: int, num_rows: int, seconds: float) -> dict[str, Any]:
    """The same step called for each batch with rows from the host, as in a typical JAX program."""
    import jax
    import jax.numpy as jnp

    from vade_jax.training.epoch import train_step

    objective, tx, state = jax_parts()
    rows = made_rows(num_rows)

    @jax.jit
    def step(state: Any, x: jax.Array) -> Any:
        options = {"objective": objective, "tx": tx, "batch_size": batch_size, "sum_over_devices": lambda tree: tree}
        return train_step(state, {"x": x}, jnp.arange(batch_size), **options)

    generator = np.random.default_rng(0)

    def epoch() -> None:
        nonlocal state
        order = generator.permutation(num_rows)
        for start in range(0, num_rows - batch_size + 1, batch_size):
            x = jnp.asarray(rows[order[start : start + batch_size]])
            state, metrics = step(state, x)
        jax.block_until_ready((state, metrics))

    return training_record(epoch, num_rows // batch_size, seconds, "jax", jax.local_devices()[0].device_kind)


def jax_parts(
    num_features: int = NUM_FEATURES, latent_dim: int = LATENT_DIM, num_clusters: int = NUM_CLUSTERS
) -> tuple[Any, Any, Any]:
    """The objective, the optimizer and the initial state of the training that is timed."""
    import jax
    import jax.numpy as jnp
    import optax

    from vade_jax.data.scaling import Scaling
    from vade_jax.networks.model import init_params, make_model
    from vade_jax.training.objectives import negative_elbo
    from vade_jax.training.optimizer import make_tx
    from vade_jax.training.train_state import TrainState, start_stage

    model = make_model(
        network="mlp",
        likelihood="bernoulli",
        num_features=num_features,
        image_shape=None,
        latent_dim=latent_dim,
        hidden=HIDDEN,
        min_log_var=-6.0,
    )
    rate = optax.constant_schedule(_LEARNING_RATE)
    tx = make_tx(rate, adam_epsilon=1e-8, max_grad_norm=0.0)
    params = init_params(jax.random.key(0), model, num_features, num_clusters, latent_dim)
    scaling = Scaling(jnp.zeros((1, num_features)), jnp.full((1, num_features), 1 / 255))
    state = TrainState.create(params, jax.random.key(1), scaling)
    return negative_elbo(model, "sample", 1), tx, start_stage(state, tx, state.key)


def _torch(batch_size: int, num_rows: int, seconds: float) -> dict[str, Any]:
    """PyTorch in eager mode."""
    return _torch_training(batch_size, num_rows, seconds, compiled=False)


def _torch_compile(batch_size: int, num_rows: int, seconds: float) -> dict[str, Any]:
    """PyTorch with torch.compile."""
    return _torch_training(batch_size, num_rows, seconds, compiled=True)


def _torch_training(batch_size: int, num_rows: int, seconds: float, compiled: bool) -> dict[str, Any]:
    """A plain PyTorch epoch on float32 rows on the device; on a GPU it uses TF32 products, as JAX does."""
    import torch

    from benchmarks import torch_vade

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(0)
    model: Any = torch_vade.VaDE(NUM_FEATURES, HIDDEN, LATENT_DIM, NUM_CLUSTERS).to(device)
    optimizer = torch.optim.Adam(model.parameters(), _LEARNING_RATE)
    x = torch.from_numpy(made_rows(num_rows)).to(device).float() / 255
    step = torch.compile(model) if compiled else model
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return training_record(
        lambda: torch_vade.train_epoch(step, optimizer, x, batch_size), num_rows // batch_size, seconds, "torch", name
    )


def _runs_side_by_side(batch_size: int, num_rows: int, seconds: float) -> dict[str, Any]:
    """Several runs of this project in one program; the recorded time is that of one step of one run."""
    import jax

    from vade_jax.system.devices import replicate
    from vade_jax.training.epoch import make_epoch_of_runs

    objective, tx, state = jax_parts()
    num_runs = _NUM_RUNS if jax.default_backend() == "cpu" else _NUM_RUNS_GPU
    x = replicate(made_rows(num_rows))
    states: Any = [replicate(state) for _ in range(num_runs)]
    run = make_epoch_of_runs(objective, tx, batch_size, num_runs)

    def epoch() -> None:
        nonlocal states
        states, metrics = zip(*run(states, x, [{}] * num_runs), strict=True)
        jax.block_until_ready((states, metrics))

    num_steps = num_runs * (num_rows // batch_size)
    return training_record(epoch, num_steps, seconds, "jax", jax.local_devices()[0].device_kind)


# Each trains and times an epoch.
TRAINING: dict[str, Contender] = {
    "vade_jax": _vade_jax,
    "jax_steps": _jax_steps,
    "torch": _torch,
    "torch_compile": _torch_compile,
    "runs_side_by_side": _runs_side_by_side,
    **STEP_PRODUCTS,
}
CONTENDERS = TRAINING | RATES

if __name__ == "__main__":
    main()
