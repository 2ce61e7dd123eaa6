"""A run whose last stage goes on from a trained model, on other rows."""

import jax
import numpy as np

from vade_jax.inference.answers import posterior
from vade_jax.inference.calibration import calibrated
from vade_jax.initialization.modularity import mean_modularity
from vade_jax.runs import starting_clusters
from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.runs.filled_inputs import write_filled_rows
from vade_jax.runs.input_graphs import clustered_row_indices, load_input_graphs, write_representatives
from vade_jax.runs.progress import Progress
from vade_jax.runs.run import KeyUse, Run
from vade_jax.runs.saved_model import LAST_STAGE
from vade_jax.runs.stages import make_stages
from vade_jax.runs.starting_clusters import StartingClusters
from vade_jax.runs.workdir import CHECKPOINTS
from vade_jax.system.devices import replicate
from vade_jax.training.train_state import TrainState, start_stage

# Settings of a run that has only the last stage before it. A cluster that the rows lack keeps its place, so there are
# no cures: a refill would give it rows of others.
ONLY_LAST_STAGE = {
    "pretrain.workdir": "",
    "guide.num_rounds": 0,
    "align.num_epochs": 0,
    "train.kl_warmup_epochs": 0,
    "optimizer.min_steps": 0,
    "doctor.max_cures": 0,
    "report": False,
}


def begin_last_stage(run: Run, state: TrainState, progress: Progress, temperature: float, x: np.ndarray) -> None:
    """Writes what `train_run` resumes the last stage from. The starting clusters are the model's calibrated ones.

    By these the run is calibrated later. The autoencoder's embedding, which could tell more, is not kept with a model,
    and the clusters have influenced the model's own.

    Args:
      run: with the settings ONLY_LAST_STAGE and a new folder.
      state: trained on other rows.
      progress: of the run that it is from.
      temperature: of its calibrated probabilities.
      x: [N, D + S], the rows to go on with, as stored.
    """
    write_representatives(run, x)
    sample = x[clustered_row_indices(run)]
    write_filled_rows(run, sample, state)
    scoring, key = run.config.evaluate, run.key(KeyUse.EVALUATION)
    own = posterior(run.model, state, sample, key, estimator=scoring.estimator, batch_size=scoring.batch_size)
    memberships = calibrated(own.responsibilities, temperature)
    graphs = load_input_graphs(run, state.scaling, x)
    modularity = np.array(mean_modularity(graphs, memberships.argmax(axis=1)))
    found = StartingClusters(memberships, modularity[None], modularity, modularity, unchanged=np.array(False))
    starting_clusters.write(run, LAST_STAGE, found)
    *earlier, last = make_stages(run)
    key = jax.random.fold_in(run.key(KeyUse.STAGES), len(earlier))
    begun = replicate(start_stage(state, last.tx, key, run.config.optimizer.rate_factor))
    progress = progress._replace(stages=[stage.name for stage in earlier], stopped=False)
    with Checkpoints(run.folder / CHECKPOINTS, keep=1, exclusive=True) as checkpoints:
        checkpoints.save(begun, progress.next_stage(LAST_STAGE))
