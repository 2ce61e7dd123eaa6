"""Save and restore a run's state and how far it is. The only file that knows Orbax."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp

from vade_jax.train_state import TrainState


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
      stage: the name of the stage it is in.
      epoch: epochs done in that stage.
      total_epochs: epochs done in all stages.
      seconds: name -> wall-clock seconds spent.
      losses: of the stage's epochs, nats.
      treatments: what went wrong and what was done: 'stage', 'epoch', 'diagnosis', 'detail' and 'cure' each.
    """

    stage: str
    epoch: int
    total_epochs: int
    seconds: dict[str, float]
    losses: list[float]
    treatments: list[dict[str, Any]]

    def next_stage(self, name: str) -> "Progress":
        """The progress at the beginning of a stage."""
        return self._replace(stage=name, epoch=0, losses=[])

    def next_epoch(self, loss: float, seconds: float) -> "Progress":
        """The progress after one more epoch of the stage, with its loss and the seconds it took."""
        return self.spent(self.stage, seconds)._replace(
            epoch=self.epoch + 1, total_epochs=self.total_epochs + 1, losses=[*self.losses, loss]
        )

    def treated(self, diagnosis: str, detail: str, cure: str) -> "Progress":
        """The progress with one more treatment, at this epoch."""
        treatment = {"stage": self.stage, "epoch": self.epoch, "diagnosis": diagnosis, "detail": detail, "cure": cure}
        return self._replace(treatments=[*self.treatments, treatment])

    def spent(self, name: str, seconds: float) -> "Progress":
        """The progress with so many more seconds under a name."""
        return self._replace(seconds={**self.seconds, name: self.seconds.get(name, 0.0) + seconds})


BEGINNING = Progress("", 0, 0, {}, [], [])


class Checkpoints:
    """The checkpoints in a folder, numbered as they were saved."""

    def __init__(self, folder: Path, keep: int):
        """Opens the folder and makes it if need be; the last `keep` checkpoints stay."""
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, enable_async_checkpointing=False)
        self._manager = ocp.CheckpointManager(folder.resolve(), options=options, item_names=("state", "progress"))

    def save(self, state: TrainState, progress: Progress) -> None:
        """Writes a checkpoint, whole or not at all."""
        self._manager.save(
            (self._manager.latest_step() or 0) + 1,
            args=ocp.args.Composite(state=ocp.args.StandardSave(state), progress=ocp.args.JsonSave(progress._asdict())),
        )

    def restore(self, template: TrainState) -> tuple[TrainState, Progress] | None:
        """The latest checkpoint, on the devices and of the shapes of template; None where there is none."""
        latest = self._manager.latest_step()
        if latest is None:
            return None
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        restored = self._manager.restore(
            latest,
            args=ocp.args.Composite(state=ocp.args.StandardRestore(shapes), progress=ocp.args.JsonRestore()),
        )
        return restored["state"], Progress(**restored["progress"])

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        self._manager.close()
