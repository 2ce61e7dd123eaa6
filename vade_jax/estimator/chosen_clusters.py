"""The number of clusters that is recommended for rows, before they are clustered."""

from pathlib import Path

from ml_collections import ConfigDict

from vade_jax.commands.load_rows import load_rows
from vade_jax.commands.select_k import measure
from vade_jax.commands.train import train
from vade_jax.data.dataset import Source
from vade_jax.data.equal_rows import first_equal_rows, is_first
from vade_jax.initialization.number_of_clusters import recommend
from vade_jax.runs.run import read_run
from vade_jax.runs.run import with_settings as with_run_settings
from vade_jax.runs.saved_model import load_autoencoder
from vade_jax.settings.data_dependent import resolve_auto_settings
from vade_jax.settings.field_names import flatten, nested
from vade_jax.system.console import print_line
from vade_jax.system.precision import matmul_precision

# A run that ends with its autoencoder, which is all that is measured on.
_AUTOENCODER_ONLY = {
    "model.num_clusters": 1,
    "init.method": "gmm",
    "init.num_restarts": 1,
    "init.soft_neighbors": 0,
    "guide.num_rounds": 0,
    "align.num_epochs": 0,
    "train.num_epochs": 0,
    "evaluate.bound_samples": 1,
    "evaluate.bound_rows": 1,
    "report": False,
}


def recommended_clusters(config: ConfigDict, source: Source, folder: Path) -> int:
    """Trains an autoencoder on rows, and returns the number of clusters that `--mode=select_k` recommends for them.

    Args:
      config: of the run to come. The section select_k has the numbers to try; none of them is half the number of
        distinct rows or more.
      source: the rows.
      folder: a new folder, for the autoencoder's run.

    Raises:
      InputError: a setting or the rows cannot be used.
      DivergedError: training the autoencoder diverged, and no cure helped.
    """
    fields = flatten(config.to_dict())
    train(ConfigDict(nested(fields | _AUTOENCODER_ONLY)), folder, source)
    rows = load_rows(config, folder, source).train
    x = rows.inputs
    num_distinct = int(is_first(first_equal_rows(x)).sum())
    most = max(config.select_k.min_clusters, min(config.select_k.max_clusters, num_distinct // 2 - 1))
    chosen = {name: value for name, (value, _) in resolve_auto_settings(config.to_dict(), rows).items()}
    asked = {name: value for name, value in (fields | chosen).items() if name.startswith(("init.", "evaluate."))}
    run = with_run_settings(read_run(folder, allow_import=True), asked | {"select_k.max_clusters": most})
    with matmul_precision(run.config.precision):
        measured = measure(run, load_autoencoder(run), x, None)
    recommendation = recommend(measured.scores, measured.mixtures)
    print_line(
        f"n_clusters = {recommendation.num_clusters}: recommended among {config.select_k.min_clusters} to {most}"
    )
    return int(recommendation.num_clusters)
