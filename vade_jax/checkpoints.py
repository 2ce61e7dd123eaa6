"""Save and restore a run's state and how far it is. The only file that knows Orbax."""

from pathlib import Path
from typing import NamedTuple

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
    """

    stage: str
    epoch: int
    total_epochs: int
    seconds: dict[str, float]

    def next_stage(self, name: str, seconds: float) -> "Progress":
        """The progress at the first epoch of a stage whose preparation took so many seconds."""
        spent = self.seconds.get("initialize", 0.0) + seconds
        return Progress(name, 0, self.total_epochs, {**self.seconds, "initialize": spent})

    def next_epoch(self, seconds: float) -> "Progress":
        """The progress after one more epoch of the stage, which took so many seconds."""
        spent = self.seconds.get(self.stage, 0.0) + seconds
        return Progress(self.stage, self.epoch + 1, self.total_epochs + 1, {**self.seconds, self.stage: spent})


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
