"""Files of one's own with the default settings, beside common rivals: python -m benchmarks.files --workdir=/tmp/files.

Each data set is written as a person would have it, a table, a sparse matrix or an .h5ad, and goes through
configs/table.py with nothing set but its path and its number of clusters. KMeans and GaussianMixture, ten starts each,
take the first ten principal components of the rows as the reader gives them, with columns standardized where the model
sees them so. The record goes to benchmarks/results/files.json.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from benchmarks import seeds
from vade_jax.data import sources
from vade_jax.data.dataset import ReadOptions
from vade_jax.data.scaling import SCALINGS
from vade_jax.data.single_cells import log_normalized
from vade_jax.reports import label_scores

_COMPONENTS = 10
_STARTS = 10
_GENES = 2000


def main() -> None:
    """Runs what is not done and writes the record of all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=seeds.ROOT.parent / "shared" / "data", help="the data's folder")
    parser.add_argument("--workdir", type=Path, required=True, help="a folder for the files and the runs")
    parser.add_argument("--names", type=lambda text: text.split(","), default=list(FILES), help="joined by commas")
    parser.add_argument("--seeds", type=seeds.integers, default="0", help="joined by commas")
    options = parser.parse_args()
    path = seeds.RESULTS / "files.json"
    for name in options.names:
        file, flags = FILES[name](options.shared, options.workdir)
        flags = [f"--config.data.path={file}", *flags]
        runs = list(seeds.measure("configs/table.py", options.seeds, options.workdir / name, flags))
        record = seeds.make_record("configs/table.py", [flag for flag in flags if ".path=" not in flag], runs)
        ended = seeds.finished(record["runs"])
        if not ended:
            continue
        settings = record["settings"]
        rows = sources.load("file", str(file), options=ReadOptions(settings["data.label_column"])).splits["train"]
        assert rows.labels is not None, name
        entry = {
            **record,
            "settings": {field: value for field, value in settings.items() if field != "data.path"},  # of one machine
            "rows": len(rows.x),
            "columns": rows.x.shape[1],
            "scores": {
                "VaDE": {score: statistics.median(run[score] for run in ended) for score in ("accuracy", "ari")},
                **rivals(rows.x, rows.labels, settings["model.num_clusters"], settings["data.scaling"]),
            },
        }
        seeds.write(path, {**(seeds.read(path) or {}), name: entry})
        print(f"{name}: {entry['scores']}")


def rivals(x: np.ndarray, labels: np.ndarray, num_clusters: int, scaling: str) -> dict[str, Any]:
    """accuracy and ari of each rival on the principal components of rows [N, D], scaled as the model saw them."""
    shift, scale = SCALINGS[scaling](x)
    components = PCA(min(_COMPONENTS, x.shape[1]), random_state=0).fit_transform((x - shift) * scale)
    fitted = {
        "KMeans": KMeans(num_clusters, n_init=_STARTS, random_state=0).fit_predict(components),
        "GaussianMixture": GaussianMixture(num_clusters, n_init=_STARTS, random_state=0).fit_predict(components),
    }
    scored = {name: label_scores.scores(labels, clusters) for name, clusters in fitted.items()}
    return {name: {score: scores[score] for score in ("accuracy", "ari")} for name, scores in scored.items()}


def _worm_neurons(shared, folder):
    """Counts as an .h5ad; of its genes those of the highest variance are marked, as scanpy would."""
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


def _pendigits(shared, folder):
    """Ten digits by the path of a pen, as a .csv."""
    import pandas

    with np.load(shared / "pendigits.npz") as arrays:
        x = np.concatenate([arrays["x_train"], arrays["x_test"]])
        labels = np.concatenate([arrays["y_train"], arrays["y_test"]])
    table = pandas.DataFrame(x, columns=[f"{axis}{number}" for number in range(x.shape[1] // 2) for axis in "xy"])
    file = folder / "pendigits.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    table.assign(digit=labels).to_csv(file, index=False)
    return file, ["--config.data.label_column=digit", "--config.model.num_clusters=10"]


def _newsgroups(shared, folder):
    """Words of 20 newsgroups, tf-idf, a sparse .npz as it is."""
    return shared / "newsgroups20.npz", ["--config.model.num_clusters=20"]


def _sparse(path):
    with np.load(path) as parts:
        matrix = csr_matrix((parts["data"].astype(np.float32), parts["indices"], parts["indptr"]), shape=parts["shape"])
        return matrix, parts["y"]


FILES = {"worm_neurons": _worm_neurons, "pendigits": _pendigits, "newsgroups": _newsgroups}


if __name__ == "__main__":
    main()
