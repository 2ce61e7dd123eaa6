"""User files with the default settings, compared with common methods: python -m benchmarks.files --workdir=/tmp/files.

Each data set is stored as a user would have it: as a table, a sparse matrix or an .h5ad file. It is clustered with
configs/table.py; only its path, its label column and its number of clusters are set. KMeans and GaussianMixture, with
ten starts each, cluster the first ten principal components of the same rows, scaled as for the model. The record goes
to benchmarks/results/files.json.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from benchmarks import arguments, records, seeds
from vade_jax.data import sources
from vade_jax.data.dataset import ReadOptions
from vade_jax.data.scaling import SCALINGS
from vade_jax.data.single_cells import log_normalized
from vade_jax.reports import label_scores

_COMPONENTS = 10
_STARTS = 10
_GENES = 2000


def main() -> None:
    """Runs what is not finished and writes the record of all files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--shared", type=Path, default=records.ROOT.parent / "shared" / "data", help="folder of the data sets"
    )
    parser.add_argument("--workdir", type=Path, required=True, help="folder for the files and the runs")
    parser.add_argument("--names", type=lambda text: text.split(","), default=list(FILES), help="separated by commas")
    parser.add_argument("--seeds", type=arguments.integers, default="0", help="separated by commas")
    options = parser.parse_args()
    path = records.RESULTS / "files.json"
    for name in options.names:
        file, flags = FILES[name](options.shared, options.workdir)
        flags = [f"--config.data.path={file}", *flags]
        runs = list(seeds.measure("configs/table.py", options.seeds, options.workdir / name, flags))
        record = records.make_record("configs/table.py", [flag for flag in flags if ".path=" not in flag], runs)
        ended = records.finished(record["runs"])
        if not ended:
            continue
        settings = record["settings"]
        rows = sources.load("file", str(file), options=ReadOptions(settings["data.label_column"])).splits["train"]
        assert rows.labels is not None, name
        entry = {
            **record,
            "settings": {
                field: value for field, value in settings.items() if field != "data.path"
            },  # the path differs between machines
            "rows": len(rows.x),
            "columns": rows.x.shape[1],
            "scores": {
                "VaDE": {score: statistics.median(run[score] for run in ended) for score in ("accuracy", "ari")},
                **rivals(rows.x, rows.labels, settings["model.num_clusters"], settings["data.scaling"]),
            },
        }
        records.write(path, {**(records.read(path) or {}), name: entry})
        print(f"{name}: {entry['scores']}")


def rivals(x: np.ndarray, labels: np.ndarray, num_clusters: int, scaling: str) -> dict[str, Any]:
    """Accuracy and ARI of each other method on the principal components of rows [N, D], scaled as for the model."""
    shift, scale = SCALINGS[scaling](x)
    components = PCA(min(_COMPONENTS, x.shape[1]), random_state=0).fit_transform((x - shift) * scale)
    fitted = {
        "KMeans": KMeans(num_clusters, n_init=_STARTS, random_state=0).fit_predict(components),
        "GaussianMixture": GaussianMixture(num_clusters, n_init=_STARTS, random_state=0).fit_predict(components),
    }
    scored = {name: label_scores.scores(labels, clusters) for name, clusters in fitted.items()}
    return {name: {score: scores[score] for score in ("accuracy", "ari")} for name, scores in scored.items()}


def _worm_neurons(shared: Path, folder: Path) -> tuple[Path, list[str]]:
    """Counts in an .h5ad file; the genes with the highest variance are marked, as scanpy does."""
    import anndata
    import pandas

    counts, labels = _sparse(shared / "sc_worm_neuron.npz")
    variance = log_normalized(counts.toarray()).var(axis=0)
    marked = np.zeros(len(variance), bool)
    marked[np.argsort(-variance)[:_GENES]] = True
    file = folder / "worm_neurons.h5ad"
    file.parent.mkdir(parents=True, exist_ok=True)
    obs = pandas.DataFrame({"type": labels.astype(str)}, index=[f"cell {number}" for number in range(len(labels))])
    var = pandas.DataFrame({"highly_variable": marked}, index=[f"gene {number}" for number in range(len(marked))])
    anndata.AnnData(counts, obs=obs, var=var).write_h5ad(file)
    return file, ["--config.data.label_column=type", "--config.model.num_clusters=10"]


def _pendigits(shared: Path, folder: Path) -> tuple[Path, list[str]]:
    """Pen coordinates of ten digits in a .csv file."""
    import pandas

    with np.load(shared / "pendigits.npz") as arrays:
        x = np.concatenate([arrays["x_train"], arrays["x_test"]])
        labels = np.concatenate([arrays["y_train"], arrays["y_test"]])
    table = pandas.DataFrame(x, columns=[f"{axis}{number}" for number in range(x.shape[1] // 2) for axis in "xy"])
    file = folder / "pendigits.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    table.assign(digit=labels).to_csv(file, index=False)
    return file, ["--config.data.label_column=digit", "--config.model.num_clusters=10"]


def _newsgroups(shared: Path, folder: Path) -> tuple[Path, list[str]]:
    """The tf-idf features of 20 newsgroups in a sparse .npz file."""
    return shared / "newsgroups20.npz", ["--config.model.num_clusters=20"]


def _sparse(path: Path) -> tuple[csr_matrix, np.ndarray]:
    with np.load(path) as parts:
        matrix = csr_matrix((parts["data"].astype(np.float32), parts["indices"], parts["indptr"]), shape=parts["shape"])
        return matrix, parts["y"]


# name -> function (folder of the data sets, folder to write to) that returns the file and the flags of main.py.
FILES: dict[str, Callable[[Path, Path], tuple[Path, list[str]]]] = {
    "worm_neurons": _worm_neurons,
    "pendigits": _pendigits,
    "newsgroups": _newsgroups,
}


if __name__ == "__main__":
    main()
