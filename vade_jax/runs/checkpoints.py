"""Saves and restores a run's state and progress. The only file that imports Orbax."""

import contextlib
import dataclasses
import gc
import hashlib
import json
import math
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from vade_jax.runs.orbax_messages import no_late_answers, no_log_lines, silent_coroutines
from vade_jax.runs.progress import Progress
from vade_jax.system.atomic_files import read_files
from vade_jax.system.console import print_line
from vade_jax.system.devices import to_global, to_local
from vade_jax.system.errors import DamagedError, StorageError, check_readable, first_line, storage_errors
from vade_jax.system.process_wide import (
    SharedContext,
    undone_import_effects,
    undone_log_handler,
)
from vade_jax.training.train_state import TrainState

with undone_import_effects():
    import orbax.checkpoint as ocp

_FIELDS = tuple(field.name for field in dataclasses.fields(TrainState))
_OF_TRAINING = "opt_state", "best"  # the parts that predictions do not need

_NOT_OF_PROGRESS = "due", "digest"
_saving = threading.Lock()  # Orbax numbers the saves of a process, and takes the number of a later one for its own
_no_log_handler = SharedContext()
_open: "weakref.WeakSet[Checkpoints]" = weakref.WeakSet()


class Checkpoints:
    """The checkpoints in a folder, numbered in the order in which they were saved.

    They are written in the background. The folder keeps the last scheduled ones, the latest one, and the best one: the
    one with the lowest loss in the latest stage.
    """

    def __init__(self, folder: Path, keep: int, exclusive: bool = False):
        """Opens the folder, and creates it if it does not exist.

        Args:
          folder: of the checkpoints.
          keep: how many of the last scheduled checkpoints are kept; unscheduled checkpoints do not count.
          exclusive: whether no other process writes there. Then unfinished checkpoints of a killed process are deleted,
            in the background but before the next save, and also checkpoints that `restore` finds damaged.

        Raises:
          StorageError: the folder cannot be created or written, or a checkpoint cannot be read now.
        """
        self._exclusive = exclusive
        self._policy = _KeepPolicy(keep)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=self._policy,
            enable_async_checkpointing=True,
            cleanup_tmp_directories=exclusive,
            # Without a prefix, processes could confuse the barriers of two folders.
            multiprocessing_options=ocp.options.MultiprocessingOptions(barrier_sync_key_prefix=folder.name),
        )
        with storage_errors(folder), contextlib.ExitStack() as resources:
            resources.enter_context(_no_log_handler.entered(undone_log_handler))
            resources.enter_context(no_log_lines())
            resources.enter_context(no_late_answers())
            self._manager = ocp.CheckpointManager(folder.resolve(), options=options, item_names=("state", "progress"))
            _open.add(self)
            resources.callback(_open.discard, self)  # after the closing, which waits for the last save
            resources.callback(self._manager.close)
            self._note_saved()
            self._resources = resources.pop_all()  # closed by __exit__

    def _note_saved(self) -> None:
        """Tells the policy about the checkpoints in the folder."""
        for number in self.steps():
            try:
                self._policy.note(number, self._read_progress(number))
            except Exception as error:  # a damaged checkpoint is reported when it is restored
                self._check_is_readable(number, error)

    def save(self, state: TrainState, progress: Progress, scheduled: bool = True) -> None:
        """Starts writing a checkpoint in the background. It is written completely or not at all.

        The first checkpoint is complete when this returns.

        Args:
          state: of the run; it may be donated afterwards.
          progress: of the run.
          scheduled: False for a checkpoint that an uninterrupted run would not have made.

        Raises:
          StorageError: this checkpoint, or the one before, cannot be written.
        """
        number = (self._manager.latest_step() or 0) + 1
        content = {**progress._asdict(), "due": scheduled}
        content["digest"] = _digest(state, content)
        self._policy.note(number, content)
        with _saving, storage_errors(self._manager.directory):
            self._wait_for_others()
            self._manager.save(
                number,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(_parts(to_global(state))), progress=ocp.args.JsonSave(content)
                ),
            )
            if number == 1:
                self._manager.wait_until_finished()

    def save_and_read_back(self, state: TrainState, progress: Progress) -> None:
        """Writes a checkpoint that no earlier one can replace, and checks that it can be read.

        Orbax does not report every error of its own files, such as of those that list the arrays.

        Args:
          state: of the run.
          progress: of the run.

        Raises:
          StorageError: the checkpoint cannot be written, or not be read. In the second case it is deleted.
        """
        self.save(state, progress)
        with storage_errors(self._manager.directory):
            self._manager.wait_until_finished()
        number = self.steps()[-1]
        restored, reason = self._attempt(state, number, without_optimizer=False)
        if restored is None:
            self._manager.delete(number)
            raise StorageError(
                f"{self._manager.directory} cannot be written: what was written cannot be read ({reason}). Check this "
                "place, then run the same command again; training resumes from its last checkpoint."
            )

    def _wait_for_others(self) -> None:
        """Waits until no other folder's checkpoint is being written in this process."""
        for other in _open - {self}:
            while other._manager.is_saving_in_progress():
                time.sleep(0.005)

    def steps(self, scheduled: bool = False) -> list[int]:
        """Returns the numbers of the checkpoints, ascending; of the scheduled ones only if asked."""
        return sorted(
            number for number in self._manager.all_steps() if not scheduled or self._policy.is_scheduled(number)
        )

    def restore(
        self,
        template: TrainState,
        number: int | None = None,
        scheduled: bool = False,
        without_optimizer: bool = False,
    ) -> tuple[TrainState, Progress] | None:
        """Returns a checkpoint's state and progress; None if there is no checkpoint.

        If a checkpoint is damaged, the one before it is read instead. One that cannot be read for another reason, such
        as missing permissions, may be sound: then nothing is read or deleted.

        Args:
          template: a state with the shapes, types and devices to restore to.
          number: the checkpoint's; None for the latest one that can be read.
          scheduled: whether unscheduled checkpoints are ignored.
          without_optimizer: whether the optimizer's state is not read, for a template that has none. The digest covers
            the optimizer's state, so it is not checked then.

        Raises:
          DamagedError: there are checkpoints, but all of them are damaged.
          StorageError: a checkpoint cannot be read now.
        """
        with storage_errors(self._manager.directory):
            self._manager.wait_until_finished()
        damaged = []
        for candidate in [number] if number is not None else reversed(self.steps(scheduled)):
            restored, reason = self._attempt(template, candidate, without_optimizer)
            if restored is None:
                print_line(f"checkpoint {candidate} in {self._manager.directory} cannot be read: {reason}")
                damaged.append(candidate)
                continue
            for skipped in damaged if self._exclusive else ():
                self._manager.delete(skipped)
            return restored
        if damaged:
            raise DamagedError(
                f"{self._manager.directory} has no readable checkpoint: they are damaged, or were made with other "
                "settings. Restore the folder from a backup, or start again in another workdir."
            )
        return None

    def _attempt(
        self, template: TrainState, number: int, without_optimizer: bool
    ) -> tuple[tuple[TrainState, Progress] | None, str]:
        """Returns a checkpoint and '', or None and the reason why it is damaged."""
        with silent_coroutines():
            try:
                return self._read(template, number, without_optimizer), ""
            except Exception as error:  # libraries raise errors of many types for a damaged file
                self._check_is_readable(number, error)
                reason = first_line(error)
            gc.collect()  # ends the coroutines now, while what Python says about them is hidden
            return None, reason

    def _check_is_readable(self, number: int, error: Exception) -> None:
        """Raises a StorageError if the error of a checkpoint does not prove that its contents are damaged."""
        folder = Path(self._manager.directory) / str(number)
        check_readable(folder, error)
        try:
            read_files(folder)  # libraries take a file without permission for a missing one
        except Exception as cause:
            check_readable(folder, cause)

    def _read(self, template: TrainState, number: int, without_optimizer: bool) -> tuple[TrainState, Progress]:
        """Returns the state and the progress that were saved; raises if they differ from what was saved."""
        content = self._read_progress(number)
        saved = {name: value for name, value in content.items() if name not in _NOT_OF_PROGRESS}
        in_training = template.opt_state is not None
        has_best = in_training and Progress(**saved).lowest_held_out_loss < math.inf
        template = template.replace(best=template.params if has_best else None)
        parts = _parts(jax.tree.map(ocp.utils.to_shape_dtype_struct, to_global(template)))
        if without_optimizer:
            parts = {name: part for name, part in parts.items() if name not in _OF_TRAINING}
            args = ocp.args.PyTreeRestore(
                parts, restore_args=ocp.checkpoint_utils.construct_restore_args(parts), partial_restore=True
            )
        else:
            args = ocp.args.StandardRestore(parts)
        restored = self._manager.restore(number, args=ocp.args.Composite(state=args))["state"]
        state = to_local(template.replace(**restored))
        digest = content.pop("digest", None)  # older checkpoints have no digest
        if without_optimizer:
            digest = None
        same_types = jax.tree.map(lambda expected, read: expected.dtype == read.dtype, template, state)
        if not jax.tree.all(same_types) or (digest and digest != _digest(state, content)):
            raise ValueError("what was read is not what was written")
        return state, Progress(**saved)

    def _read_progress(self, number: int) -> dict[str, Any]:
        """Returns the saved fields of the progress, with 'due' and 'digest'."""
        return self._manager.restore(number, args=ocp.args.Composite(progress=ocp.args.JsonRestore()))["progress"]

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: object) -> None:
        with storage_errors(self._manager.directory):
            self._resources.close()


class _KeepPolicy:
    """Orbax's preservation policy: keeps the last scheduled checkpoints, the latest, and the best."""

    def __init__(self, keep: int):
        self._keep = keep
        self._scheduled: dict[int, bool] = {}
        self._merit: dict[int, tuple[int, float]] = {}

    def note(self, number: int, content: dict[str, Any]) -> None:
        """Stores whether a checkpoint is scheduled, and its stage and loss."""
        self._scheduled[number] = content.get("due", True)
        if content["losses"]:
            self._merit[number] = (content["total_epochs"] - content["epoch"], -content["losses"][-1])

    def is_scheduled(self, number: int) -> bool:
        """Returns whether a checkpoint was scheduled; False if that is unknown."""
        return self._scheduled.get(number, False)

    def should_preserve(self, checkpoints: Sequence[Any], *, context: object) -> list[bool]:
        """Returns for each checkpoint, which has a `step`, whether it is kept. Orbax calls this."""
        numbers = [checkpoint.step for checkpoint in checkpoints]
        best = max(self._merit.keys() & set(numbers), key=self._merit.__getitem__, default=None)
        kept = {*[number for number in numbers if self.is_scheduled(number)][-self._keep :], *numbers[-1:], best}
        return [number in kept for number in numbers]


def _parts(state: TrainState) -> dict[str, Any]:
    """Returns the fields of a state by name, without best parameters if there are none, as in older checkpoints."""
    return {name: getattr(state, name) for name in _FIELDS if name != "best" or state.best is not None}


def _digest(state: TrainState, content: dict[str, Any]) -> str:
    """Returns the SHA-256 of every array of the state and of the progress, to detect a single changed bit."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for leaf in jax.tree.leaves(state):
        is_key = jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        digest.update(np.asarray(jax.random.key_data(leaf) if is_key else leaf).tobytes())
    return digest.hexdigest()
