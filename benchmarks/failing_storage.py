"""Runs main.py while calls of the file system fail: a process that is asked by lines of JSON; see `serve`.

The functions of `os` that reach files, and `open`, are replaced before vade_jax is imported. A call that concerns a
watched folder is counted, and may raise an OSError, as a full, damaged or unmounted disk does. What libraries in C and
C++ do with files themselves is not seen: TensorStore's writes of the arrays of checkpoints, memory-mapped pages, and
pyarrow's reads. Each run is a fork of the process, which imports the libraries once and starts no device.
"""

import _pyio  # type: ignore[import-not-found]
import builtins
import errno
import io
import json
import os
import runpy
import shutil  # noqa: F401  (looks at the functions of os when it is imported, which must be the system's)
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

_ROOT = Path(__file__).parent.parent

_WRITES = ("ENOSPC", "EIO", "EACCES", "EROFS", "ESTALE")
# kind of call -> the errors that it can meet.
ERRORS: dict[str, tuple[str, ...]] = {
    "open to write": (*_WRITES, "EMFILE"),
    "open to read": ("EIO", "EACCES", "ESTALE", "EMFILE"),
    "list": ("EIO", "EACCES", "ESTALE", "EMFILE"),
    "read": ("EIO", "ESTALE"),
    "write": ("ENOSPC", "EIO", "ESTALE"),
    "sync": ("ENOSPC", "EIO", "ESTALE"),
    "rename": _WRITES,
    "make folder": _WRITES,
    "delete": ("EIO", "EACCES", "EROFS", "ESTALE"),
}
# function of os -> the kind of its calls. Its first argument is a path or the number of an open file.
_KINDS = {
    **{"listdir": "list", "scandir": "list", "read": "read", "write": "write", "posix_fallocate": "write"},
    **{"fsync": "sync", "rename": "rename", "replace": "rename", "mkdir": "make folder"},
    **{"unlink": "delete", "remove": "delete", "rmdir": "delete"},
}


class Fault(NamedTuple):
    """An error that calls meet.

    Attributes:
      first: the number of the call from which on it is met, from 1; 0 for no fault.
      error: its name, such as 'ENOSPC'. Calls whose kind cannot meet it pass.
      forever: whether all later calls meet it too.
    """

    first: int = 0
    error: str = "EIO"
    forever: bool = False


NO_FAULT = Fault()


class FailingStorage:
    """Counts the calls that concern a folder, and makes some of them fail.

    Attributes:
      calls: kind and path of each call so far.
    """

    def __init__(self) -> None:
        """Watches nothing."""
        self.calls: list[tuple[str, str]] = []
        self._folder = ""
        self._fault = NO_FAULT
        self._met = False
        self._lock = threading.Lock()

    def watch(self, folder: Path, fault: Fault) -> None:
        """Starts to count the calls in a folder and below it; they meet the fault."""
        self.calls, self._met = [], False
        self._folder, self._fault = os.path.abspath(folder), fault

    def install(self) -> None:
        """Replaces `open` and the functions of `os` in this process."""
        for name, kind in _KINDS.items():
            setattr(os, name, self._guarded(getattr(os, name), kind))
        open_descriptor, open_file = os.open, io.open

        def new_os_open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            self._meet("open to write" if writes else "open to read", path, dir_fd)
            return open_descriptor(path, flags, mode, dir_fd=dir_fd)

        def new_open(file: Any, *args: Any, **kwargs: Any) -> Any:
            # Python's own files in Python call os.open, os.read and os.write; those in C would not be seen.
            return (_pyio.open if self._watched(file, None) else open_file)(file, *args, **kwargs)

        os.open = new_os_open
        builtins.open = io.open = new_open

    def _guarded(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def guarded(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            target = args[0] if kind == "rename" else path
            self._meet(kind, path if self._watched(path, kwargs.get("dir_fd")) else target, kwargs.get("dir_fd"))
            return function(path, *args, **kwargs)

        return guarded

    def _watched(self, path: Any, dir_fd: int | None) -> str:
        """The absolute path of a path or an open file, if it is in the watched folder; else ''."""
        if not self._folder or not isinstance(path, int | str | bytes | os.PathLike):
            return ""
        try:
            folder = os.getcwd() if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
            name = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else os.fsdecode(path)
        except OSError:  # the file is closed
            return ""
        whole = os.path.normpath(os.path.join(folder, name))
        return whole if whole == self._folder or whole.startswith(self._folder + os.sep) else ""

    def _meet(self, kind: str, path: Any, dir_fd: int | None) -> None:
        """Counts a call, and raises the OSError that it meets."""
        if not (watched := self._watched(path, dir_fd)):
            return
        with self._lock:
            self.calls.append((kind, watched))
            fault = self._fault
            is_due = 0 < fault.first <= len(self.calls) and (fault.forever or not self._met)
            fails = is_due and fault.error in ERRORS[kind]
            self._met |= fails
        if fails:
            number = getattr(errno, fault.error)
            raise OSError(number, os.strerror(number), *([] if isinstance(path, int) else [watched]))


def serve(storage: FailingStorage) -> None:
    """Answers each line of the standard input, a JSON object, by a line of JSON.

    Asked are 'arguments' of main.py, 'folder' to watch, 'fault' as the fields of `Fault`, and 'seconds' after which the
    run is ended. The answer has 'status' (None if it was ended), 'stderr' and 'calls': [kind, path] of each.
    """
    for line in sys.stdin:
        asked = json.loads(line)
        with tempfile.TemporaryFile() as stderr, tempfile.TemporaryFile() as calls:
            child = os.fork()
            if not child:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(stderr.fileno(), 2)
                _run_main(storage, asked, calls)
            status = _wait(child, asked["seconds"])
            for file in (stderr, calls):
                file.seek(0)
            answer = {
                "status": status,
                "stderr": stderr.read().decode(errors="replace"),
                "calls": [json.loads(call) for call in calls],
            }
        print(json.dumps(answer), flush=True)


def _run_main(storage: FailingStorage, asked: dict[str, Any], calls: Any) -> None:
    """Runs main.py in this process and ends it; writes the calls to a file, a line each."""
    sys.argv = [str(_ROOT / "main.py"), *asked["arguments"]]
    storage.watch(Path(asked["folder"]), Fault(*asked["fault"]))
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        calls.writelines(json.dumps(call).encode() + b"\n" for call in storage.calls)
        calls.flush()


def _wait(child: int, seconds: float) -> int | None:
    """The exit status of a child process; None if it had to be killed after this time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def main() -> None:
    """Replaces the functions, imports the program, and serves."""
    storage = FailingStorage()
    storage.install()
    import sklearn.mixture  # noqa: F401
    import tensorboardX  # noqa: F401
    import umap  # noqa: F401

    from vade_jax.command_line import program  # noqa: F401
    from vade_jax.commands import evaluate, generate, predict, select_k, train  # noqa: F401

    serve(storage)


if __name__ == "__main__":
    main()
