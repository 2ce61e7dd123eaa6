"""How far a run has trained, as a checkpoint stores it."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Progress(NamedTuple):
    """How far a run has trained.

    Attributes:
      stage: the name of the stage it is in.
      epoch: number of epochs done in that stage.
      total_epochs: number of epochs done in all stages.
      seconds: name -> wall-clock seconds spent.
      losses: the loss of each epoch of the stage, nats.
      treatments: one record for each diagnosis, with 'stage', 'epoch', 'diagnosis', 'detail' and 'cure'.
      stages: the names of the stages that it has begun or left out, in their order; () in older checkpoints.
      stopped: whether a callback has ended training. The stages that follow then begin, but train no epochs.
    """

    stage: str
    epoch: int
    total_epochs: int
    seconds: dict[str, float]
    losses: list[float]
    treatments: list[dict[str, Any]]
    stages: Sequence[str] = ()
    stopped: bool = False

    def next_stage(self, name: str) -> "Progress":
        """Returns the progress at the beginning of a stage."""
        return self.leave_out(name)._replace(stage=name, epoch=0, losses=[])

    def leave_out(self, name: str) -> "Progress":
        """Returns the progress after a stage that is not trained."""
        return self._replace(stages=[*self.stages, name])

    def next_epoch(self, loss: float, seconds: float) -> "Progress":
        """Returns the progress after one more epoch of the stage, with its loss and the seconds it took."""
        return self.add_seconds(self.stage, seconds)._replace(
            epoch=self.epoch + 1, total_epochs=self.total_epochs + 1, losses=[*self.losses, loss]
        )

    def add_treatment(self, diagnosis: str, detail: str, cure: str) -> "Progress":
        """Returns the progress with one more treatment, at this epoch."""
        treatment = {"stage": self.stage, "epoch": self.epoch, "diagnosis": diagnosis, "detail": detail, "cure": cure}
        return self._replace(treatments=[*self.treatments, treatment])

    def add_seconds(self, name: str, seconds: float) -> "Progress":
        """Returns the progress with more seconds added under a name."""
        return self._replace(seconds={**self.seconds, name: self.seconds.get(name, 0.0) + seconds})


BEGINNING = Progress("", 0, 0, {}, [], [], [])
