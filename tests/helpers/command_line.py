"""Runs main.py, or another program, several times in forks of one process, which imports the libraries once.

It reads a line of JSON from its standard input, {"program", "commands", "folder", "environments"}, and runs the program
with each of the commands' arguments at the same time. It answers with a line of JSON: a list with {"returncode",
"stdout", "stderr"} of each.
"""

import contextlib
import gc
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

    def __call__(self, *flags, folder=ROOT, environment=None, program=MAIN):
        """Returns the exit status and the output of `python main.py FLAGS`, or of another program, in the folder."""
        return self.together([flags], folder, [environment or {}], program)[0]

    def together(self, commands, folder=ROOT, environments=None, program=MAIN):
        """Returns the same of several commands, each a list of flags, that run at the same time.

        Each can have its own variables of the environment, in place of this process's.
        """
        environments = environments or [{}] * len(commands)
        commands = [[str(flag) for flag in flags] for flags in commands]
        question = {"program": str(program), "commands": commands, "folder": str(folder), "environments": environments}
        print(json.dumps(question), file=self._process.stdin, flush=True)
        return [SimpleNamespace(**answer) for answer in json.loads(self._process.stdout.readline())]

    def close(self):
        self._process.communicate()


def start(program, flags, folder, environment, stdout, stderr):
    """The id of a fork that runs the program."""
    child = os.fork()
    if child:
        return child
    os.dup2(stdout.fileno(), 1)
    os.dup2(stderr.fileno(), 2)
    os.chdir(folder)
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = [program, *flags]
    runpy.run_path(program, run_name="__main__")
    sys.exit(0)


def answer(program, commands, folder, environments):
    with contextlib.ExitStack() as files:
        started = []
        for flags, environment in zip(commands, environments, strict=True):
            streams = [files.enter_context(tempfile.TemporaryFile()) for _ in range(2)]
            started.append((start(program, flags, folder, environment, *streams), streams))
        answers = []
        for child, streams in started:
            returncode = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            for stream in streams:
                stream.seek(0)
            stdout, stderr = (stream.read().decode() for stream in streams)
            answers.append({"returncode": returncode, "stdout": stdout, "stderr": stderr})
    return answers


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from vade_jax.command_line import program  # noqa: F401
    from vade_jax.commands import evaluate, generate, predict, select_k, train  # noqa: F401

    gc.freeze()  # else each fork would copy all objects, when they are collected at its end
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)
