"""How far a run is."""

from typing import Any, NamedTuple


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
