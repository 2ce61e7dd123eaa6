"""How far a run has trained, as a checkpoint stores it."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

# Epochs without a lower held-out loss: a fifth of the stage's, but at least six. Guide and align often have as many
# before the learning rate falls.
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
      held_out_losses: the loss of the held-out rows after each epoch of the stage, nats; [] without early stopping.
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

    @property
    def lowest_held_out_loss(self) -> float:
        """The lowest loss of the held-out rows in this stage; infinite if there is none yet."""
        return min(filter(math.isfinite, self.held_out_losses), default=math.inf)

    def is_over(self, num_epochs: int) -> bool:
        """Whether the stage has done num_epochs, or its held-out loss has not fallen for a fifth of them, or six."""
        if self.epoch >= num_epochs or self.lowest_held_out_loss == math.inf:
            return self.epoch >= num_epochs
        since_best = len(self.held_out_losses) - 1 - [*self.held_out_losses].index(self.lowest_held_out_loss)
        return since_best >= max(_LEAST_PATIENCE, num_epochs // _PATIENCE)

    def next_stage(self, name: str) -> "Progress":
        """Returns the progress at the beginning of a stage."""
        return self.leave_out(name)._replace(stage=name, epoch=0, losses=[], held_out_losses=[])

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
