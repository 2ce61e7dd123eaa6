"""What belongs to the whole process, and so to every thread: one thread at a time changes it, and puts it back."""

import ctypes
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Literal

# Held while warning filters, the number of BLAS's threads or matplotlib's style are changed, by us or by a library: two
# threads that change them at once would put back each other's changes. A thread may hold it several times.
PROCESS_WIDE = threading.RLock()


@contextmanager
def filtered_warnings(
    action: Literal["ignore", "error"], category: type[Warning] = Warning, pattern: str = ""
) -> Iterator[None]:
    """A context in which some warnings are not shown, or are raised. One thread at a time is in such a context.

    Args:
      action: what is done with the warnings.
      category: of the warnings.
      pattern: a regular expression that matches the beginning of their text.
    """
    with PROCESS_WIDE, warnings.catch_warnings():
        warnings.filterwarnings(action, pattern, category)
        yield


@contextmanager
def undone_log_handler() -> Iterator[None]:
    """A context for libraries that log by absl, which adds a handler to a root logger that has none.

    The handler is removed after it. The user's own later `logging.basicConfig` would else do nothing.
    """
    had_handlers = bool(logging.root.handlers)
    try:
        yield
    finally:
        for handler in [*logging.root.handlers] if not had_handlers else ():
            if type(handler) is logging.StreamHandler:
                logging.root.removeHandler(handler)


@contextmanager
def undone_import_effects() -> Iterator[None]:
    """A context to import libraries in that add a log handler and environment variables. They are removed after it."""
    names = {*os.environ}
    with undone_log_handler():
        try:
            yield
        finally:
            for name in os.environ.keys() - names:
                del os.environ[name]


@contextmanager
def fresh_c_rand() -> Iterator[None]:
    """A context in which C's rand() starts as in a new process; for libraries that draw from it and cannot seed it.

    One thread at a time is in such a context. C cannot put back the state that rand() had before.
    """
    with PROCESS_WIDE:
        ctypes.CDLL("ucrtbase" if sys.platform == "win32" else None).srand(1)  # 1: the C standard's seed without a call
        yield


class SharedContext:
    """A context that changes the whole process: the first thread that enters it changes it, the last puts it back.

    Example:
      >>> import contextlib
      >>> @contextlib.contextmanager
      ... def changed():
      ...     print("changed")
      ...     yield
      ...     print("as before")
      >>> shared = SharedContext()
      >>> with shared.entered(changed), shared.entered(changed):
      ...     print("in both")
      changed
      in both
      as before
    """

    def __init__(self) -> None:
        """Starts without users."""
        self._lock = threading.Lock()
        self._num_users = 0
        self._changed = ExitStack()

    @contextmanager
    def entered(self, make: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
        """A context for one thread. The first thread's function makes what changes the process."""
        with self._lock:
            if not self._num_users:
                self._changed.enter_context(make())
            self._num_users += 1
        try:
            yield
        finally:
            with self._lock:
                self._num_users -= 1
                if not self._num_users:
                    self._changed.close()
