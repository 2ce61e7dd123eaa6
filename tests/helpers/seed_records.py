"""Records of runs of several seeds, as the benchmarks write them."""

from benchmarks import records

CPU = {"platform": "cpu", "kind": "cpu", "count": 1}


GPU = {"platform": "gpu", "kind": "NVIDIA H100", "count": 1}


FAILURE = {"failure": "no more", "treatments": [{"cure": "none"}], "commit": "c0", "stage_starts": {}}


def make_run(seed, accuracy=0.8, **changes):
    run = {
        "seed": seed,
        "commit": "c0",
        "settings": {"model.latent_dim": 10},
        "stage_starts": {"pretrain": 0, "guide1": 2},
        "accuracy": accuracy,
        "balanced_accuracy": 0.78,
        "nmi": 0.7,
        "ari": 0.6,
        "elbo": -20.0,
        "log_likelihood": -19.0,
        "occupancy": [50, 50, 0],
        "initialization": {"method": "manifold", "accuracy": 0.75},
        "input_modularity": 0.6,
        "rounds": [
            {"accuracy": 0.75, "restart_scores": [0.9]},
            {"accuracy": 0.77, "restart_scores": [0.4, 0.6, 0.5]},
        ],
        "accuracy_by_epoch": [None, None, 0.712345, accuracy],
        "treatments": [],
        "seconds": {"cluster": 59.96, "total": 90.04},
        "versions": {"jax": "1"},
        "device": CPU,
    }
    return {**run, **changes}


def make_record(*runs, flags=()):
    return records.make_record("configs/digits.py", flags, runs)


def seeds_of(record):
    return [run["seed"] for run in record["runs"]]
