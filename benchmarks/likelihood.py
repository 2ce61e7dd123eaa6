"""log p(x) of test rows under a VAE and under VaDE: python -m benchmarks.likelihood --workdir=/tmp/bounds.

Both train on the split 'train' with the same networks. The VAE trains for as many epochs as all of VaDE's stages
together. The importance-weighted bound of the 'test' rows rises towards log p(x) with the number L of draws (Burda et
al. 2016, arXiv:1509.00519). Grey values are used as probabilities, as in the paper. Published numbers for binarized
digits are therefore not comparable. The record goes to benchmarks/results/likelihood_<config>.json, with a figure.
"""

import argparse
import math
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from benchmarks import arguments, provenance, records, seeds, text_tables
from vade_jax.commands.load_rows import reload_rows
from vade_jax.core import mixture_prior
from vade_jax.data.dataset import sample_row_indices
from vade_jax.inference.answers import log_likelihood
from vade_jax.runs import saved_model
from vade_jax.settings.field_names import STAGES

_COLUMNS = ("model", "seed", "L", "log p(x), lower bound", "standard error", "rows")


def main() -> None:
    """Runs the missing trainings and writes the record of every bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/mnist.py")
    parser.add_argument("--workdir", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--seeds", type=arguments.integers, default="0", help="separated by commas")
    parser.add_argument("--draws", type=arguments.integers, default="1,10,100,1000,5000", help="L, separated by commas")
    parser.add_argument(
        "--rows", type=int, default=1000, help="size of the random sample of the split 'test'; 0 for all rows"
    )
    parser.add_argument("--budget", type=float, default=math.inf, help="no run is started after this many minutes")
    parser.add_argument("flags", nargs="*", help="further flags of main.py, after --")
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.budget
    split = ["--config.data.train_split=train", "--config.data.test_split=test", "--config.report=false"]
    flags = [*split, *options.flags]
    models = {"VaDE": [], "VAE": vae_flags(options.config, flags)}
    path = records.record_path("likelihood", None, options.config)
    for name, own in models.items():
        folder = options.workdir / name
        for run in seeds.measure(options.config, options.seeds, folder, [*flags, *own], deadline):
            if "failure" in run:
                print(f"{name}, seed {run['seed']}: {run['failure']}")
                continue
            answer = bounds(folder / f"seed{run['seed']}", name == "VAE", options.draws, options.rows)
            entry = {**provenance.stamp_of_run(run, __file__), "accuracy": run["accuracy"], **answer}
            origin = records.make_record(options.config, flags, [run])
            record = with_bounds(records.read(path), origin, name, run["seed"], entry)
            records.write(path, record)
            save_figure(path.with_suffix(".png"), record)
            print(text_tables.aligned(rows(record)))
    print(f"wrote {path}")


def vae_flags(config: str, flags: list[str]) -> list[str]:
    """The flags that turn a config into a VAE, trained for as many epochs as all of its stages together."""
    settings = records.read_config(config, flags)
    times = {"guide": settings.guide.num_rounds}
    total = sum(times.get(stage, 1) * settings[stage].num_epochs for stage in STAGES)
    changes = {
        "model.num_clusters": 1,
        "pretrain.objective": "vae",
        "pretrain.num_epochs": total,
        "init.method": "gmm",
        "guide.num_rounds": 0,
        "align.num_epochs": 0,
        "train.num_epochs": 0,
    }
    return [f"--config.{field}={value}" for field, value in changes.items()]


def bounds(folder: Path, standard: bool, draws: list[int], num_rows: int) -> dict[str, Any]:
    """The importance-weighted bound of a trained run's test rows for every L.

    Args:
      folder: the run's workdir.
      standard: whether the prior is the standard normal that a VAE trains with.
      draws: L, each at least 1.
      num_rows: size of the random sample of rows; 0 for all.

    Returns:
      'rows', their number, and 'bounds': L -> 'mean' and 'standard_error', nats.

    Raises:
      ValueError: the run has no test rows.
    """
    run, state, _ = saved_model.restore(folder)
    _, test = reload_rows(run)
    if standard:
        shape = state.params["prior"].means.shape
        prior = mixture_prior.GMMPrior(jnp.zeros(shape[0]), jnp.zeros(shape), jnp.zeros(shape))
        state = state.replace(params={**state.params, "prior": prior})
    if test is None:
        raise ValueError(f"the run in {folder} has no data.test_split")
    x = test.x[sample_row_indices(len(test.x), jax.random.key(0), num_rows)]
    found = {}
    for count in draws:
        values = log_likelihood(run.model, state, x, jax.random.key(1), num_samples=count, batch_size=100)
        values = values.astype(np.float64)
        found[str(count)] = {"mean": float(values.mean()), "standard_error": float(values.std() / math.sqrt(len(x)))}
    return {"rows": len(x), "bounds": found}


def with_bounds(
    earlier: dict[str, Any] | None, origin: dict[str, Any], name: str, seed: int, entry: dict[str, Any]
) -> dict[str, Any]:
    """Adds the bounds of a run to a record.

    Args:
      earlier: the record so far, or None.
      origin: the run's record, as `records.make_record` returns it.
      name: name of the model.
      seed: seed of the run.
      entry: as `bounds` returns it.

    Returns:
      'config', 'flags', 'device', 'versions' and 'models': name -> seed -> entry. Earlier entries are kept if config,
      flags and device are the same.
    """
    kept = ("config", "flags", "device", "versions")
    record = {key: origin[key] for key in kept}
    alike = earlier is not None and all(earlier[key] == record[key] for key in kept[:3])
    models = earlier["models"] if earlier and alike else {}
    return {**record, "models": {**models, name: {**models.get(name, {}), str(seed): entry}}}


def rows(record: dict[str, Any]) -> list[list[str]]:
    """The bounds as a text table; the first row has the column names."""
    table = [list(_COLUMNS)]
    for name, runs in record["models"].items():
        for seed, entry in runs.items():
            for count, bound in entry["bounds"].items():
                mean, error = (text_tables.number(bound[key], 2) for key in ("mean", "standard_error"))
                table.append([name, seed, count, mean, error, str(entry["rows"])])
    return table


def save_figure(path: Path, record: dict[str, Any]) -> None:
    """Draws the bound against L, one line for each run."""
    figure = Figure(figsize=(6, 3.6), dpi=120, layout="constrained")
    axes = figure.subplots()
    for name, runs in record["models"].items():
        for seed, entry in runs.items():
            counts = [int(count) for count in entry["bounds"]]
            means, errors = ([bound[key] for bound in entry["bounds"].values()] for key in ("mean", "standard_error"))
            axes.errorbar(counts, means, errors, marker="o", markersize=3, linewidth=1, label=f"{name}, seed {seed}")
    axes.set_xscale("log")
    axes.set_xlabel("L, draws")
    axes.set_ylabel("log p(x), lower bound (nats)")
    axes.set_title(f"{record['config']}: rows of the test split", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    main()
