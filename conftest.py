"""Fixtures that several test files share."""

import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import sys
import tempfile
import types
from pathlib import Path

import hypothesis
import nbval.kernel
import pytest
from jupyter_client.manager import KernelManager
from labs import running_lab, spelt

from udplab import lan

# The same examples at each run, and none fails because the machine is busy.
hypothesis.settings.register_profile("udplab", derandomize=True, deadline=None)
hypothesis.settings.load_profile("udplab")


def pytest_configure(config):
    """Let Ctrl-C end the programs that tests start, also where a shell runs the tests in the background.

    Kernels keep no history: it is the user's, and its thread opens files while a test compares what is open.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    home = tempfile.TemporaryDirectory(prefix="udplab-", ignore_cleanup_errors=True)
    config.add_cleanup(home.cleanup)
    profile = Path(home.name, "profile_default")
    profile.mkdir()
    (profile / "ipython_kernel_config.py").write_text("c.HistoryManager.enabled = False\n")
    os.environ["IPYTHONDIR"] = home.name
    if sys.platform != "win32":
        nbval.kernel.KernelManager = UnixKernelManager


class UnixKernelManager(KernelManager):
    """Talks to its kernel by Unix sockets.

    A kernel's TCP ports are chosen some time before it takes them, and another test process may choose the same: it
    happened each 100th time that four started at once.
    """

    numbers = itertools.count(1)

    def __init__(self, **details):
        super().__init__(transport="ipc", ip=f"{os.environ['IPYTHONDIR']}/{next(self.numbers)}", **details)

    def start_kernel(self, **details):
        """Start a kernel that is not in dev mode: there asyncio tells in a cell's output that ipykernel was slow."""
        return super().start_kernel(env=os.environ | {"PYTHONDEVMODE": ""}, **details)


def pytest_addoption(parser):
    parser.addoption("--pictures", action="store_true", help="take the README's pictures anew in the browser tests")


def lessons_with_a_lan():
    """Return the names of the notebooks that build networks of several hosts."""
    from lessons import LESSONS  # here, since it loads all that the lessons draw with

    return {lesson.NOTEBOOK for lesson in LESSONS.values() if lesson.NEEDS_LAN}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """A notebook's cells stay in order, also where the tests are shuffled.

    Where this machine has no LAN, the lessons on it show predictions: they must run, but print other words. So must all
    lessons on other systems than Linux, which has printed what is stored.
    """
    cells = [item for item in items if item.path.suffix == ".ipynb"]
    for cell in cells:
        cell.add_marker(pytest.mark.random_order(disabled=True))
    if cells and sys.platform == "linux":
        cells = [cell for cell in cells if cell.path.name in lessons_with_a_lan()] if lan.unavailable() else []
    for cell in cells:
        cell.options["check"] = False


@pytest.fixture
def lasting_port():
    """Yield a UDP port of 127.0.0.1 that is for this test alone, also where other tests run beside it.

    It is below the ports that a system gives to whoever asks for any. The TCP port of the same number, which no test
    needs, is held as a lock: tests in other processes go on to another port. The lots are the system's, since tests in
    random order seed `random` alike in each process.
    """
    for port in random.SystemRandom().sample(range(20_000, 30_000), 10_000):
        with socket.socket() as lock:
            try:
                lock.bind(("127.0.0.1", port))
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            yield port
            return
    pytest.fail("no port from 20000 to 29999 is free")


@pytest.fixture
def measured(record_property):
    """Return a function that keeps a line for the end of the run: what a heavy load has measured."""
    return lambda line: record_property("measured", line)


def pytest_terminal_summary(terminalreporter):
    """Print the lines of `measured`, from all workers."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    lines = [line for report in reports for name, line in report.user_properties if name == "measured"]
    if lines:
        terminalreporter.section("measured")
        for line in sorted(set(lines)):
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def browser_type_launch_args():
    """Let pytest-playwright start the system's Chromium; skip where there is none."""
    path = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
    if path is None:
        pytest.skip("no Chromium found: install it (Debian: apt-get install chromium) to run the browser tests")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
    arguments = [*quiet, *(["--no-sandbox"] if root else [])]
    return {"executable_path": path, "args": arguments, "timeout": 120_000}  # ms: a cold start on a busy machine


@pytest.fixture(scope="session")
def browser_context_args():
    """The window of a small laptop."""
    return {"viewport": {"width": 1280, "height": 800}}


@pytest.fixture(scope="session")
def lab(learner):
    """The address of the learner's JupyterLab, with the token."""
    return re.sub(r"/lab/\S*\?", "/lab?", learner.address)


@pytest.fixture(scope="session")
def learner(tmp_path_factory):
    """Run `udplab` for a learner who has settings and kernels of his own, which lead elsewhere.

    Yields an object with the folders `home` and `lessons`, the `address` that the terminal shows, and the list
    `terminal` of its lines, which grows.
    """
    home = tmp_path_factory.mktemp(spelt("Jupyter für alle"))
    files = {
        # Cells out of sight are not in the page: with all of them in it, each key pressed takes twice the CPU.
        "settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings": {"windowingMode": "full"},
        "config/jupyter_server_config.json": {"ServerApp": {"root_dir": str(home)}},
        "config/jupyter_lab_config.json": {"ServerApp": {"root_dir": str(home)}},
        "data/kernels/python3/kernel.json": {"argv": ["false"], "display_name": "Python 3", "language": "python"},
    }
    for name, content in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(json.dumps(content))
    places = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    places |= {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "data/runtime"}
    environment = os.environ | {name: str(home / place) for name, place in places.items()}
    environment["JUPYTER_PREFER_ENV_PATH"] = "0"
    options = ["--no-browser", "--LabApp.expose_app_in_browser=True", "--lessons", str(home / "lessons")]
    with running_lab(options, environment) as (address, terminal):
        yield types.SimpleNamespace(home=home, lessons=home / "lessons", address=address, terminal=terminal)
