"""What tells right clusters from wrong ones without labels: python -m benchmarks.criteria --config=configs/digits.py.

An autoencoder is trained as the config has it. On layouts of its embedding with several numbers of neighbours, every
start that the initialization would choose from is scored by its accuracy and by criteria that read no label: mixtures
of a component for each cluster, and of two, which are joined. Their rank correlations over all these candidates go to
benchmarks/results/criteria_<config>.json. Flags for main.py follow `--`.
"""

import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.stats import entropy

from benchmarks import seeds
from benchmarks.selection import spearman
from vade_jax.data import sources, splits
from vade_jax.inference.answers import make_embed
from vade_jax.initialization import modularity, neighbor_graphs
from vade_jax.initialization.gaussian_mixtures import fit_mixture
from vade_jax.initialization.modularity import merge_to_num_clusters
from vade_jax.initialization.umap_layouts import umap_layout
from vade_jax.reports import label_scores
from vade_jax.runs import saved_model

_AUTOENCODER = (
    "--config.init.method=kmeans",
    "--config.guide.num_rounds=0",
    "--config.align.num_epochs=0",
    "--config.train.num_epochs=0",
)
COMPONENTS = (1, 2)  # for each cluster
CRITERIA = ("modularity_of_embedding", "modularity_of_inputs", "log_likelihood", "occupancy_entropy")


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
    """The clusters on layouts of a trained run's embedding, each with its accuracy and its criteria.

    Args:
      folder: of a run on labelled data.
      neighbors: of the layouts' graphs.

    Returns:
      'neighbors', 'components' for each cluster, 'accuracy', and what CRITERIA names, for each. Modularity is that on
      the graph of the embedding's neighbours or of the inputs', as many as the run's; the likelihood that of a mixture
      in its layout, nats per row.
    """
    run, state, _ = saved_model.restore(folder)
    config = run.config
    source = sources.load(config.data.name, config.data.path, config.data.dir, folder / "data")
    rows = splits.select_split(source, config.data.train_split, "config.data.train_split")
    assert rows.labels is not None
    embeddings, _ = make_embed(run.model, min(config.evaluate.batch_size, len(rows.x)))(state, rows.x)
    numbers, num_clusters = np.arange(len(embeddings)), config.model.num_clusters
    own = neighbor_graphs.num_neighbors(len(embeddings), num_clusters, config.init.neighbor_share)
    spaces = {"embedding": embeddings, "inputs": np.asarray(state.scaling(jnp.asarray(rows.x)))}
    nearest = {
        name: neighbor_graphs.nearest_neighbors_without_hubs(points, max(own, *neighbors))
        for name, points in spaces.items()
    }
    judges = {
        name: neighbor_graphs.neighbor_graph(numbers, which[:, :own], len(which))
        for name, (_, which) in nearest.items()
    }
    start = np.random.SeedSequence(config.seed)
    found = []
    for number in neighbors:
        first = [(distances[:, :number], which[:, :number]) for distances, which in nearest.values()]
        distances, which = neighbor_graphs.merge_neighbor_lists(*first)
        graph = neighbor_graphs.neighbor_graph(numbers, which, len(which))
        layout = umap_layout(embeddings, distances, which, config.seed)
        for components, seed in itertools.product(COMPONENTS, start.generate_state(config.init.num_restarts)):
            num_parts = components * num_clusters
            mixture = fit_mixture(layout, "full", num_parts, int(seed))
            parts = mixture.predict(layout)
            clusters = merge_to_num_clusters(graph, parts, num_parts, num_clusters)[parts]
            found.append(
                {
                    "neighbors": number,
                    "components": components,
                    "accuracy": label_scores.clustering_accuracy(rows.labels, clusters),
                    **{
                        f"modularity_of_{name}": modularity.modularity(judge, clusters)
                        for name, judge in judges.items()
                    },
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
      'best' accuracy of a layout's candidates, 'medians' for each number of COMPONENTS, and 'criteria': name ->
      'spearman', the rank correlation with accuracy, and 'accuracy' of the candidate it picks; all means over layouts.
    """
    layouts = [
        [candidate for candidate in found if candidate["neighbors"] == number]
        for number in sorted({candidate["neighbors"] for candidate in found})
    ]
    return {
        "best": statistics.mean(max(_values(layout, "accuracy")) for layout in layouts),
        "medians": [
            statistics.mean(statistics.median(_values(_of(layout, components), "accuracy")) for layout in layouts)
            for components in COMPONENTS
        ],
        "criteria": {
            name: {
                "spearman": statistics.mean(_spearman(layout, name) for layout in layouts),
                "accuracy": statistics.mean(_picked(layout, name)["accuracy"] for layout in layouts),
            }
            for name in CRITERIA
        },
    }


def _of(layout, components):
    return [candidate for candidate in layout if candidate["components"] == components]


def _values(layout, name):
    return [candidate[name] for candidate in layout]


def _picked(layout, name):
    return max(layout, key=lambda candidate: candidate[name])


def _spearman(layout, name):
    """0 where all candidates are the same: nothing is to be ordered."""
    return spearman(_values(layout, name), _values(layout, "accuracy")) or 0.0


if __name__ == "__main__":
    main()
