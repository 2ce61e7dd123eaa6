"""Save and restore a run's state and how far it is. The only file that knows Orbax."""

import contextlib
import dataclasses
import gc
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from vade_jax.runs.progress import Progress
from vade_jax.system.console import print_line
from vade_jax.system.devices import to_global, to_local
from vade_jax.system.errors import StorageError, first_line, full_disk_errors
from vade_jax.training.train_state import TrainState

_PARTS_WITHOUT_OPTIMIZER = tuple(field.name for field in dataclasses.fields(TrainState) if field.name != "opt_state")


class Checkpoints:
    """The checkpoints in a folder, numbered as they were saved, written while the run goes on.

    The last ones stay and the best: that of the least loss in the latest stage.
    """

    def __init__(self, folder: Path, keep: int, exclusive: bool = False):
        """Opens the folder and makes it if need be.

        Args:
          folder: of the checkpoints.
          keep: so many of the last stay, those made out of turn aside.
          exclusive: whether nobody else writes there. Then unfinished checkpoints of a killed process are deleted, and
            those that `restore` finds damaged.

        Raises:
          StorageError: it cannot be made or written.
        """
        self._exclusive = exclusive
        self._kept = _KeepPolicy(keep)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self._kept,
            enable_async_checkpointing=True,
            cleanup_tmp_directories=exclusive,
            # So that several processes do not mistake the barriers of one folder for those of another.
            multiprocessing_options=ocp.options.MultiprocessingOptions(barrier_sync_key_prefix=folder.name),
        )
        with full_disk_errors(folder):
            self._manager = ocp.CheckpointManager(folder.resolve(), options=options, item_names=("state", "progress"))
        for number in self.steps():
            with contextlib.suppress(Exception):  # one that is damaged: whoever restores it says so
                self._kept.note(number, self._read_progress(number))

    def save(self, state: TrainState, progress: Progress, scheduled: bool = True) -> None:
        """Begins to write a checkpoint, whole or not at all; the first one is there when this returns.

        Args:
          state: of the run; it may be donated afterwards.
          progress: of the run.
          scheduled: False for one made out of turn, which a run that is not interrupted would not have.

        Raises:
          StorageError: this one, or the one before, cannot be written.
        """
        number = (self._manager.latest_step() or 0) + 1
        content = {**progress._asdict(), "due": scheduled}
        content["digest"] = _digest(state, content)
        self._kept.note(number, content)
        with full_disk_errors(self._manager.directory):
            self._manager.save(
                number,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(to_global(state)), progress=ocp.args.JsonSave(content)
                ),
            )
            if number == 1:
                self._manager.wait_until_finished()

    def steps(self, scheduled: bool = False) -> list[int]:
        """Of the checkpoints that are there, ascending; only of those that were made in turn."""
        return sorted(
            number for number in self._manager.all_steps() if not scheduled or self._kept.is_scheduled(number)
        )

    def restore(
        self,
        template: TrainState,
        number: int | None = None,
        scheduled: bool = False,
        without_optimizer: bool = False,
    ) -> tuple[TrainState, Progress] | None:
        """A checkpoint, on the devices and of the shapes of template; None where there is none.

        Where one is damaged, the one before is taken.

        Args:
          template: of the state.
          number: the checkpoint's; None for the latest that is whole.
          scheduled: whether only one that was made in turn will do.
          without_optimizer: whether the optimizer's state is left unread, for a template that has none. The digest
            covers it, so it is not checked then.

        Raises:
          StorageError: there are checkpoints, and none that can be read.
        """
        with full_disk_errors(self._manager.directory):
            self._manager.wait_until_finished()
        damaged = []
        for candidate in [number] if number is not None else reversed(self.steps(scheduled)):
            restored, reason = self._attempt(template, candidate, without_optimizer)
            if restored is None:
                print_line(f"checkpoint {candidate} in {self._manager.directory} cannot be read: {reason}")
                damaged.append(candidate)
                continue
            for past in damaged if self._exclusive else ():
                self._manager.delete(past)
            return restored
        if damaged:
            raise StorageError(
                f"{self._manager.directory} holds no checkpoint that can be read: they are damaged, or those of other "
                "settings. Copy the folder back from where you keep it, or begin anew in another workdir."
            )
        return None

    def _attempt(self, template, number, without_optimizer):
        """A checkpoint, or None and why it cannot be read."""
        with _silence_unraisable():
            try:
                return self._read(template, number, without_optimizer), ""
            except Exception as error:  # libraries raise errors of many kinds at a file that is damaged
                return None, first_line(error)

    def _read(self, template, number, without_optimizer):
        """The state and the progress, as they were when they were saved."""
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, to_global(template))
        if without_optimizer:
            parts = {name: getattr(shapes, name) for name in _PARTS_WITHOUT_OPTIMIZER}
            args = ocp.args.PyTreeRestore(
                parts, restore_args=ocp.checkpoint_utils.construct_restore_args(parts), partial_restore=True
            )
        else:
            args = ocp.args.StandardRestore(shapes)
        restored = self._manager.restore(number, args=ocp.args.Composite(state=args))["state"]
        state = to_local(template.replace(**restored) if without_optimizer else restored)
        content = self._read_progress(number)
        digest = content.pop("digest", None)  # that of a run from before there was one is not checked
        if without_optimizer:
            digest = None
        same_types = jax.tree.map(lambda asked, came: asked.dtype == came.dtype, template, state)
        if not jax.tree.all(same_types) or (digest and digest != _digest(state, content)):
            raise ValueError("what was read is not what was written")
        content.pop("due", None)
        return state, Progress(**content)

    def _read_progress(self, number):
        return self._manager.restore(number, args=ocp.args.Composite(progress=ocp.args.JsonRestore()))["progress"]

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        with full_disk_errors(self._manager.directory):
            self._manager.close()


@contextlib.contextmanager
def _silence_unraisable():
    """A context in which nobody hears of what Orbax leaves undone where it fails: coroutines that complain later."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield
    finally:
        gc.collect()
        sys.unraisablehook = hook


class _KeepPolicy:
    """Orbax's preservation policy: the last ones that were due, the latest, and the best."""

    def __init__(self, keep: int):
        self._keep = keep
        self._scheduled: dict[int, bool] = {}
        self._merit: dict[int, tuple[int, float]] = {}

    def note(self, number: int, content: dict[str, Any]) -> None:
        """Takes what a checkpoint's progress says of it."""
        self._scheduled[number] = content.get("due", True)
        if content["losses"]:
            self._merit[number] = (content["total_epochs"] - content["epoch"], -content["losses"][-1])

    def is_scheduled(self, number: int) -> bool:
        return self._scheduled.get(number, False)

    def should_preserve(self, checkpoints: Sequence[Any], *, context: object) -> list[bool]:
        """Orbax's question: of its checkpoints, each with a `step`, the ones that stay."""
        numbers = [checkpoint.step for checkpoint in checkpoints]
        best = max(self._merit.keys() & set(numbers), key=self._merit.__getitem__, default=None)
        stay = {*[number for number in numbers if self.is_scheduled(number)][-self._keep :], *numbers[-1:], best}
        return [number in stay for number in numbers]


def _digest(state: TrainState, content: dict[str, Any]) -> str:
    """SHA-256 of every array of the state and of the progress: what is restored is what was saved, to the bit."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for leaf in jax.tree.leaves(state):
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        digest.update(np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes())
    return digest.hexdigest()
