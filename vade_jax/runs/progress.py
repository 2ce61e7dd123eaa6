"""How far a run has trained, as a checkpoint stores it."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

# Epochs: a fifth of the stage's, but at least six. Guide and align often have as many before the learning rate falls.
_PATIENCE, _LEAST_PATIENCE = 5, 6


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
      held_out_losses: the mean loss of the held-out rows after each epoch of the stage, nats; [] if none is computed.
      held_out_error: the standard error of the lowest one.
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
    held_out_losses: Sequence[float] = ()
    held_out_error: float = 0.0

    @property
    def lowest_held_out_loss(self) -> float:
        """The lowest loss of the held-out rows in this stage; infinite if there is none yet."""
        return min(filter(math.isfinite, self.held_out_losses), default=math.inf)

    def is_over(self, num_epochs: int) -> bool:
        """Whether the stage has done num_epochs, or has fallen behind its best epoch for a fifth of them, or six."""
        last = self.held_out_losses[-max(_LEAST_PATIENCE, num_epochs // _PATIENCE) :]
        enough = len(self.held_out_losses) > len(last)
        return self.epoch >= num_epochs or (enough and all(map(self._is_behind, last)))

    @property
    def is_behind_best(self) -> bool:
        """Whether the held-out loss is above the stage's lowest by more than a standard error, after the last epoch."""
        return bool(self.held_out_losses) and self._is_behind(self.held_out_losses[-1])

    def _is_behind(self, loss: float) -> bool:
        lowest = self.lowest_held_out_loss
        return lowest < math.inf and not loss <= lowest + self.held_out_error

    def next_stage(self, name: str) -> "Progress":
        """Returns the progress at the beginning of a stage."""
        return self.leave_out(name)._replace(stage=name, epoch=0, losses=[], held_out_losses=[], held_out_error=0.0)

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


BEGINNING = Progress("", 0, 0, {}, [], [], [], held_out_losses=[])
