"""Programs that run beside the benchmark and answer questions on a pipe, a line each."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent


@contextlib.contextmanager
def worker(*command):
    """Run a program; yields a function ask(line="") that returns its next line, after sending it one if given."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=TOP)

    def ask(line=""):
        if line:
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
        if not (answer := process.stdout.readline()):
            raise ChildProcessError(f"{' '.join(map(str, command))} has ended")
        return answer.strip()

    ask.pid = process.pid
    with process:
        try:
            yield ask
        finally:
            process.terminate()


@contextlib.contextmanager
def core(number):
    """Have what is started meanwhile run on one core (sched_setaffinity(2)), where the system can do that.

    number: 0 is the first that this process may use, -1 the last. Where client and server happen to run makes a
    round trip several times as long; so it has to be the same for all.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(before)[number]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def python(module, *arguments):
    """Return the command that runs a module of this folder."""
    return sys.executable, "-m", f"{__package__}.{module}", *arguments


@contextlib.contextmanager
def compiled_reference():
    """Compile reference.c; yields the path of the program, or None where there is no C compiler."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "reference")
        subprocess.run([compiler, "-O2", "-o", program, HERE / "reference.c"], check=True)
        yield program


def output(*command):
    """Run a program; return what it prints."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
