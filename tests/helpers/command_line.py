"""Runs main.py several times in forks of one process, which imports the libraries once.

It reads a line of JSON for each command from its standard input, {"flags", "folder"}, and answers with a line of JSON,
{"returncode", "stdout", "stderr"}.
"""

import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
MAIN = str(ROOT / "main.py")


class CommandLine:
    """A process that runs commands; close it at the end."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, __file__], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, *flags, folder=ROOT):
        """Returns the exit status and the output of `python main.py FLAGS` in the folder."""
        print(json.dumps({"flags": flags, "folder": str(folder)}), file=self._process.stdin, flush=True)
        return SimpleNamespace(**json.loads(self._process.stdout.readline()))

    def close(self):
        self._process.communicate()


def answer(flags, folder):
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        child = os.fork()
        if not child:
            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            os.chdir(folder)
            sys.argv = [MAIN, *flags]
            runpy.run_path(MAIN, run_name="__main__")
            sys.exit(0)
        returncode = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = {}
        for name, stream in (("stdout", stdout), ("stderr", stderr)):
            stream.seek(0)
            texts[name] = stream.read().decode()
    return {"returncode": returncode, **texts}


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    import main  # noqa: F401
    from vade_jax.reports import results  # noqa: F401
    from vade_jax.settings import rules  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)
