r"""A data set of your own by name, here scikit-learn's wines: python examples/own_data_source.py.

Use this for rows that are not in a file that vade-jax reads: a database, an archive, a generator. The same function on
the command line, without `register_data_source`:

  PYTHONPATH=examples python main.py --config=configs/table.py --config.data.name=own_data_source:load_wines \
    --config.model.num_clusters=3 --workdir=/tmp/run

The other modes of main.py import it from that workdir only with --allow_import.
"""

import tempfile
from pathlib import Path
from typing import Any

from sklearn.datasets import load_wine

from vade_jax import ReadOptions, Source, make_dataset, register_data_source
from vade_jax.commands.train import train
from vade_jax.settings.defaults import get_config


def load_wines(path: str, data_dir: str, cache_dir: Path | None, options: ReadOptions) -> Source:
    """Returns 178 wines as one split, with the names of the columns and with labels, which are only scored.

    The arguments are the settings `data.path` and `data.dir`, a folder for decoded images, and how to read a file. This
    data set needs none of them.
    """
    wines = load_wine()
    return Source({"train": make_dataset(wines.data, wines.target, "the wines", tuple(wines.feature_names))})


register_data_source("wines", load_wines)

FAST = {"optimizer.min_steps": 200, "init.method": "gmm"}  # to be done in seconds; leave it out for better clusters


def main(**settings: Any) -> float:
    """Clusters them as main.py does, and returns the adjusted Rand index."""
    config = get_config()
    config.data.update(name="wines", scaling="auto")
    config.model.update(num_clusters=3, hidden=(64,), likelihood="auto")
    config.update_from_flattened_dict({**FAST, **settings})
    with tempfile.TemporaryDirectory() as workdir:
        results = train(config, Path(workdir))
    print(f"adjusted Rand index {results['ari']:.3f}")
    return float(results["ari"])


if __name__ == "__main__":
    main()
