"""Which criterion finds the right clusters without labels: python -m benchmarks.criteria --config=configs/digits.py.

An autoencoder is trained with the config. Its embedding is laid out with several numbers of neighbours. Mixtures on
each layout give the candidates that the initialization would choose from: mixtures with one component for each
cluster, and mixtures with two, which are merged. Each candidate is scored by its accuracy and by criteria that read no
labels. Their rank correlations go to benchmarks/results/criteria_<config>.json. Flags for main.py follow `--`.
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

from benchmarks import arguments, provenance, records, seeds
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
    """Trains the missing autoencoders, scores the candidates and writes the record."""
    parser = seeds.make_parser(__doc__, default_seeds="0")
    parser.add_argument(
        "--neighbors", type=arguments.integers, default="10,15,30", help="of the layouts, separated by commas"
    )
    options = parser.parse_args()
    flags = [*options.flags, *_AUTOENCODER]
    deadline = time.monotonic() + 60 * options.budget
    runs = list(seeds.measure(options.config, options.seeds, options.workdir, flags, deadline))
    answers = []
    for run in records.finished(runs):
        found = candidates(options.workdir / f"seed{run['seed']}", options.neighbors)
        answers.append(
            {
                "seed": run["seed"],
                **provenance.stamp_of_run(run, __file__),
                **compare_criteria(found),
                "candidates": found,
            }
        )
    record = {
        **records.make_record(options.config, flags, runs),
        "neighbors": options.neighbors,
        "runs": answers,
    }
    path = records.record_path("criteria", options.name, options.config)
    records.write(path, record)
    print({answer["seed"]: answer["criteria"] for answer in answers})
    print(f"wrote {path}")


def candidates(folder: Path, neighbors: Sequence[int]) -> list[dict[str, Any]]:
    """The clusters found on layouts of a trained run's embedding, each with its accuracy and its criteria.

    Args:
      folder: the workdir of a run on labelled data.
      neighbors: numbers of neighbours, one layout for each.

    Returns:
      For each candidate 'neighbors', 'components' (for each cluster), 'accuracy', and the CRITERIA. Modularity is
      measured on the neighbour graph of the embedding or of the inputs, with the run's number of neighbours. The
      likelihood is that of the mixture on its layout, nats per row.
    """
    run, state, _ = saved_model.restore(folder)
    config = run.config
    source = sources.load(config.data.name, config.data.path, config.data.dir, folder / "data")
    rows = splits.select_split(source, config.data.train_split, "config.data.train_split")
    assert rows.labels is not None
    embeddings, _ = make_embed(run.model, config.evaluate.batch_size)(state, rows.x)
    row_indices, num_clusters = np.arange(len(embeddings)), config.model.num_clusters
    num_neighbors = neighbor_graphs.num_neighbors(len(embeddings), num_clusters, config.init.neighbor_share)
    spaces = {"embedding": embeddings, "inputs": np.asarray(state.scaling(jnp.asarray(rows.x)))}
    nearest = {
        name: neighbor_graphs.nearest_neighbors_without_hubs(points, max(num_neighbors, *neighbors))
        for name, points in spaces.items()
    }
    graphs = {
        name: neighbor_graphs.neighbor_graph(row_indices, indices[:, :num_neighbors], len(indices))
        for name, (_, indices) in nearest.items()
    }
    seed_sequence = np.random.SeedSequence(config.seed)
    found = []
    for number in neighbors:
        lists = [(distances[:, :number], indices[:, :number]) for distances, indices in nearest.values()]
        distances, indices = neighbor_graphs.merge_neighbor_lists(*lists)
        graph = neighbor_graphs.neighbor_graph(row_indices, indices, len(indices))
        layout = umap_layout(embeddings, distances, indices, config.seed)
        for components, seed in itertools.product(COMPONENTS, seed_sequence.generate_state(config.init.num_restarts)):
            num_components = components * num_clusters
            mixture = fit_mixture(layout, "full", num_components, int(seed))
            component_of_row = mixture.predict(layout)
            clusters = merge_to_num_clusters(graph, component_of_row, num_components, num_clusters)[component_of_row]
            found.append(
                {
                    "neighbors": number,
                    "components": components,
                    "accuracy": label_scores.clustering_accuracy(rows.labels, clusters),
                    **{
                        f"modularity_of_{name}": modularity.modularity(judging_graph, clusters)
                        for name, judging_graph in graphs.items()
                    },
                    "log_likelihood": float(mixture.score(layout)),
                    "occupancy_entropy": float(entropy(np.bincount(clusters))),
                }
            )
    return found


def compare_criteria(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How well each criterion ranks the candidates of a layout, averaged over layouts.

    Args:
      found: as `candidates` returns them.

    Returns:
      'best' accuracy of a layout's candidates, 'medians' for each number of COMPONENTS, and 'criteria': name ->
      'spearman', the rank correlation with accuracy, and 'accuracy' of the candidate it selects. All are means over
      layouts.
    """
    layouts = [
        [candidate for candidate in found if candidate["neighbors"] == number]
        for number in sorted({candidate["neighbors"] for candidate in found})
    ]
    return {
        "best": statistics.mean(max(_values(layout, "accuracy")) for layout in layouts),
        "medians": [
            statistics.mean(_median_accuracy(layout, components) for layout in layouts) for components in COMPONENTS
        ],
        "criteria": {
            name: {
                "spearman": statistics.mean(_spearman(layout, name) for layout in layouts),
                "accuracy": statistics.mean(_picked(layout, name)["accuracy"] for layout in layouts),
            }
            for name in CRITERIA
        },
    }


def _median_accuracy(layout: Sequence[dict[str, Any]], components: int) -> float:
    """The median over the candidates that have this number of components for each cluster."""
    same = [candidate for candidate in layout if candidate["components"] == components]
    return statistics.median(_values(same, "accuracy"))


def _values(layout: Sequence[dict[str, Any]], name: str) -> list[float]:
    return [candidate[name] for candidate in layout]


def _picked(layout: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    return max(layout, key=lambda candidate: candidate[name])


def _spearman(layout: Sequence[dict[str, Any]], name: str) -> float:
    """The rank correlation of a criterion with accuracy; 0 if either is constant."""
    return spearman(_values(layout, name), _values(layout, "accuracy")) or 0.0


if __name__ == "__main__":
    main()
