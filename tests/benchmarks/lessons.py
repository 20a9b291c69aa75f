"""Part 5: how long the lessons, their validation and their programs take."""

import copy
import importlib.util
import os
import resource
import subprocess
import sys
import time

import nbclient
import nbformat

from udplab.__main__ import NOTEBOOKS

from .rounds import compare, interleaved, seconds
from .workers import TOP

TITLE = "The lessons"
PROGRAMS = ("loopback", "retry", "mtu", "broadcast")
LISTING = "import argparse, socket"  # what the original listings import: bare Python for such a program
STARTS = 5  # of a program, for one measurement
CACHED = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measure():
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        contenders = {
            "notebook": lambda notebook=notebook: run(notebook),
            "its imports alone": lambda notebook=notebook: run(imports_of(notebook)),
        }
        results, goals = interleaved(contenders), {"its imports alone": ("at most", 3)}
        work = {name: [used for _, used in rounds] for name, rounds in results.items()}
        yield from compare(work, "notebook", seconds, goals, f"`{path.stem}`, all cells, processor: {{}}")
        lasting = {name: [took for took, _ in rounds] for name, rounds in results.items()}
        yield from compare(lasting, "notebook", seconds, {}, f"`{path.stem}`, all cells, with their waiting: {{}}")

    if importlib.util.find_spec("xdist"):
        contenders = {"in parallel": validate, "one after another": lambda: validate("-n", "0")}
        try:
            yield from compare(interleaved(contenders), "in parallel", seconds, {}, "validation of all notebooks: {}")
        except subprocess.CalledProcessError as failure:  # the other figures are worth having all the same
            yield f"The validation of the notebooks failed, and is left out: `{failure.stdout.splitlines()[-1]}`"
    else:
        yield "pytest-xdist is not installed: the validation in parallel is left out."

    for program in PROGRAMS:
        module = f"udplab.{program}"
        contenders = {
            module: lambda module=module: start("-m", module, "--help"),
            f"`{LISTING}`": lambda: start("-c", LISTING),
            "Python that does nothing": lambda: start("-c", ""),
        }
        goals = {f"`{LISTING}`": ("at most", 1.5)}
        yield from compare(interleaved(contenders), module, seconds, goals, f"start of `{module} --help`: {{}}")


def imports_of(notebook):
    """Return the notebook up to its first code cell, which imports what the others need."""
    first = next(number for number, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    short = copy.copy(notebook)
    short.cells = notebook.cells[: first + 1]
    return short


def run(notebook):
    """Run the notebook's cells in a new kernel; return (how many seconds that took, how many of a processor it used).

    Both with the kernel's start and end, and what it has started.
    """
    client = nbclient.NotebookClient(
        copy.deepcopy(notebook), timeout=60, resources={"metadata": {"path": str(NOTEBOOKS)}}
    )
    begin, used = time.perf_counter(), ended()
    client.execute(stderr=subprocess.DEVNULL, env=CACHED)
    return time.perf_counter() - begin, ended() - used


def ended():
    """Return the seconds of processor of all processes that this one has started and that have ended (getrusage(2))."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def validate(*options):
    """Validate all notebooks; return the seconds."""
    return timed(sys.executable, "-m", "pytest", "-q", *options, "notebooks")


def start(*arguments):
    """Return the seconds that Python takes with these arguments, its bytecode cached."""
    return sum(timed(sys.executable, *arguments) for _ in range(STARTS)) / STARTS


def timed(*command):
    begin = time.perf_counter()
    subprocess.run(command, cwd=TOP, env=CACHED, stdout=subprocess.PIPE, text=True, check=True)
    return time.perf_counter() - begin
