"""Part 6: the first minute: how long it takes until a lesson is open, and where that time goes."""

import itertools
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import nbformat

from udplab.__main__ import NOTEBOOKS

from ..labs import Server, running_lab
from .lessons import CACHED, imports_of, timed
from .rounds import alone, interleaved, lasted
from .workers import TOP

TITLE = "The first minute"
LESSON = "2-1-loopback.ipynb"  # that opens first
STEPS = (
    "of it, until JupyterLab listens",
    "of it, the lesson's page",
    "of it, until the lesson's kernel has run an empty cell",
    "of it, the lesson's first cell, which imports",
)
INSTALLS = 3  # each loads all packages from the network: so there are no more of them
REPORT = re.compile("(Resolved|Prepared|Installed|Bytecode compiled) .* in (.*)")  # of uv, on stderr


def measure():
    yield from second_start()
    yield from installation()


def second_start():
    """Yield lines about a start of what is installed, compiled, and was started before."""
    with tempfile.TemporaryDirectory() as home:
        lab = "import jupyterlab.labapp"
        contenders = {"steps": lambda: started(home), f"`{lab}` alone": lambda: timed(sys.executable, "-c", lab)}
        if shutil.which("uv"):
            contenders["`uv run` of a Python that does nothing"] = lambda: timed("uv", "run", "-q", "python", "-c", "")
        results = interleaved(contenders)
    rounds = results.pop("steps")
    yield alone("`python -m udplab`, until the lesson's first cell has run", [sum(steps) for steps in rounds])
    yield from itertools.starmap(alone, zip(STEPS, zip(*rounds, strict=True), strict=True))
    yield from itertools.starmap(alone, results.items())
    yield "What a browser needs to show the page is not in these figures."


def started(home):
    """Start `udplab` and work up to the end of the first cell; return the seconds of each of the `STEPS`."""
    imports = imports_of(nbformat.read(NOTEBOOKS / LESSON, as_version=4)).cells[-1].source
    times = [time.perf_counter()]
    with running_lab(["--no-browser", "--lessons", f"{home}/lessons"], CACHED | {"HOME": home}) as (address, _):
        server = Server.at(address)
        times.append(time.perf_counter())
        urllib.request.urlopen(address).close()
        times.append(time.perf_counter())
        for cell in ("pass", imports):
            server.run(LESSON, cell)
            times.append(time.perf_counter())
    return [end - begin for begin, end in itertools.pairwise(times)]


def installation():
    """Yield lines about the README's first command, on a machine that has Python and nothing else."""
    try:
        rounds = [installed() for _ in range(INSTALLS)]
    except subprocess.CalledProcessError:
        yield "pip or uv found no packages to install from: the installation is left out."
        return
    for what in rounds[0]:
        yield alone(f"{what} ({INSTALLS} rounds)", [steps[what] for steps in rounds])


def installed():
    """Install uv, and with it a copy of the project, from an empty cache; return {step: seconds}."""
    with tempfile.TemporaryDirectory() as folder:
        project, python = Path(folder, "udplab"), Path(folder, "python")
        shutil.copytree(TOP, project, ignore=shutil.ignore_patterns(".*", "__pycache__", "uv.lock", "my-lessons"))
        subprocess.run([sys.executable, "-m", "venv", python], check=True)
        steps = {"`pip install uv`": timed(python / "bin/pip", "install", "-qq", "--no-cache-dir", "uv")}
        begin = time.perf_counter()
        sync = subprocess.run(
            [python / "bin/uv", "sync"],
            cwd=project,
            env=CACHED | {"UV_CACHE_DIR": f"{folder}/cache"},
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        )
        steps["`uv sync`"] = time.perf_counter() - begin
    return steps | {f"of it, as uv says: {what.lower()}": lasted(text) for what, text in REPORT.findall(sync.stderr)}
