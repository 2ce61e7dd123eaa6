"""What tells right clusters from wrong ones without labels: python -m benchmarks.criteria --config=configs/digits.py.

An autoencoder is trained as the config has it. On layouts of its embedding with several numbers of neighbours, every
mixture that the initialization would choose from is scored by its accuracy and by criteria that read no label. Their
rank correlations over all these candidates go to benchmarks/results/criteria_<config>.json. Flags for main.py follow
`--`.
"""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import entropy
from sklearn.neighbors import NearestNeighbors

from benchmarks import seeds
from benchmarks.selection import spearman
from vade_jax import data, experiment, graphs, metrics
from vade_jax.evaluation import make_embed
from vade_jax.manifold import lay_out
from vade_jax.mixtures import mixtures_without_outliers

_AUTOENCODER = (
    "--config.init.method=kmeans",
    "--config.guide.num_rounds=0",
    "--config.align.num_epochs=0",
    "--config.train.num_epochs=0",
)
CRITERIA = ("modularity", "log_likelihood", "occupancy_entropy")


def main() -> None:
    """Trains the autoencoders that are not there yet, scores the candidates and writes the record."""
    parser = seeds.make_parser(__doc__, default_seeds="0")
    parser.add_argument("--neighbors", type=seeds.integers, default="10,15,30", help="of the layouts, joined by commas")
    options = parser.parse_args()
    flags = [*options.flags, *_AUTOENCODER]
    deadline = time.monotonic() + 60 * options.budget
    runs = list(seeds.measure(options.config, options.seeds, options.workdir, flags, deadline))
    answers = []
    for run in seeds.finished(runs):
        found = candidates(options.workdir / f"seed{run['seed']}", options.neighbors)
        answers.append({"seed": run["seed"], "commit": run["commit"], **judge(found), "candidates": found})
    record = {
        **seeds.make_record(options.config, flags, runs),
        "neighbors": options.neighbors,
        "runs": answers,
    }
    path = seeds.record_path("criteria", options.name, options.config)
    seeds.write(path, record)
    print({answer["seed"]: answer["criteria"] for answer in answers})
    print(f"wrote {path}")


def candidates(folder: Path, neighbors: Sequence[int]) -> list[dict[str, Any]]:
    """The mixtures on layouts of a trained run's embedding, each with its accuracy and its criteria.

    Args:
      folder: of a run on labelled data.
      neighbors: of the layouts' graphs.

    Returns:
      'neighbors', 'accuracy', and what CRITERIA names, for each. Modularity is that on the run's own neighbour graph,
      the likelihood that of a mixture in its layout, nats per row.
    """
    run, state, _ = experiment.restore(folder)
    config = run.config
    source = data.load(config.data.name, config.data.path, config.data.dir, folder / "data")
    rows = data.select(source, config.data.train_split, "config.data.train_split")
    assert rows.labels is not None
    embeddings, _ = make_embed(run.model, min(config.evaluate.batch_size, len(rows.x)))(state, rows.x)
    own = graphs.num_neighbors(len(embeddings), config.model.num_clusters, config.init.neighbor_share)
    distances, nearest = NearestNeighbors(n_neighbors=max(own, *neighbors)).fit(embeddings).kneighbors()
    graph = graphs.neighbor_graph(np.arange(len(nearest)), nearest[:, :own], len(nearest))
    start = np.random.SeedSequence(config.seed)
    found = []
    for number in neighbors:
        layout = lay_out(embeddings, distances[:, :number], nearest[:, :number], config.seed)
        for seed in start.generate_state(config.init.num_restarts):
            for mixture in mixtures_without_outliers(layout, config.model.num_clusters, int(seed)):
                clusters = mixture.predict(layout)
                found.append(
                    {
                        "neighbors": number,
                        "accuracy": metrics.clustering_accuracy(rows.labels, clusters),
                        "modularity": graphs.modularity(graph, clusters),
                        "log_likelihood": float(mixture.score(layout)),
                        "occupancy_entropy": float(entropy(np.bincount(clusters))),
                    }
                )
    return found


def judge(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How each criterion orders the candidates of one layout, in the mean over layouts.

    Args:
      found: as `candidates` returns them.

    Returns:
      'best' and 'median' accuracy of a layout's candidates, and 'criteria': name -> 'spearman', the rank correlation
      with accuracy, and 'accuracy' of the candidate it picks; all means over layouts.
    """
    layouts = [
        [candidate for candidate in found if candidate["neighbors"] == number]
        for number in sorted({candidate["neighbors"] for candidate in found})
    ]
    return {
        "best": statistics.mean(max(_values(layout, "accuracy")) for layout in layouts),
        "median": statistics.mean(statistics.median(_values(layout, "accuracy")) for layout in layouts),
        "criteria": {
            name: {
                "spearman": statistics.mean(_spearman(layout, name) for layout in layouts),
                "accuracy": statistics.mean(_picked(layout, name)["accuracy"] for layout in layouts),
            }
            for name in CRITERIA
        },
    }


def _values(layout, name):
    return [candidate[name] for candidate in layout]


def _picked(layout, name):
    return max(layout, key=lambda candidate: candidate[name])


def _spearman(layout, name):
    """0 where all candidates are the same: nothing is to be ordered."""
    return spearman(_values(layout, name), _values(layout, "accuracy")) or 0.0


if __name__ == "__main__":
    main()
