"""A class of thirty on a JupyterHub of this machine.

    npm install -g configurable-http-proxy
    uv run --with 'jupyterhub>=5,<7' pytest -m heavy -n 0 tests/jupyter/test_hub.py

Where other users can read this environment, each learner is a user of his own; else all are who runs the test.
"""

import concurrent.futures
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from labs import Server

from udplab.jupyter import launch

pytest.importorskip("jupyterhub", reason="no jupyterhub: see this file's first lines")
FIRST_USER, CLASS, WITH_LAN = 50_000, 30, 10
PATIENCE = 600.0  # seconds, on a machine that has much else to do


@pytest.fixture
def hub(tmp_path_factory):
    """Run a hub on loopback; yields an object with its `api` and `server(learner)`, and whether there are `users`."""
    if not shutil.which("configurable-http-proxy"):
        pytest.skip("no configurable-http-proxy: npm install -g configurable-http-proxy")
    with contextlib.ExitStack() as stack:
        locks = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        urls = [f"http://127.0.0.1:{lock.getsockname()[1]}" for lock in locks]
    token, place = secrets.token_hex(16), tempfile.mkdtemp(prefix="udplab-hub-")
    os.chmod(place, 0o755)  # users come through it to their homes
    users = others_can_run_it()
    environment = os.environ | {
        "CLASS_CONFIG": str(launch.HERE / "jupyterhub_config.py"),
        "CLASS_FIRST_USER": str(FIRST_USER * users),
        "CLASS_HOMES": place,
        "CLASS_URLS": " ".join(urls),
        "CLASS_TOKEN": token,
    }
    command = [sys.executable, "-m", "jupyterhub", "-f", str(Path(__file__).with_name("hub_config.py"))]
    with (tmp_path_factory.mktemp("hub") / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=place, stdout=log, stderr=log, start_new_session=True)
    api = Server(f"{urls[0]}/hub", token)
    try:
        until(lambda: answers(api), process)
        yield types.SimpleNamespace(
            process=process,
            users=users,
            api=api,
            place=place,
            server=lambda name: Server(f"{urls[0]}/user/{name}", token),
        )
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(120)
        shutil.rmtree(place)


def others_can_run_it():
    """Return whether another user of this system can run this Python with udplab."""
    if os.geteuid() != 0:
        return False
    command = [sys.executable, "-c", "import udplab.jupyter.launch"]
    try:
        other = {"user": FIRST_USER, "group": FIRST_USER, "extra_groups": []}
        return subprocess.run(command, cwd="/", stderr=subprocess.DEVNULL, **other).returncode == 0
    except PermissionError:
        return False


def answers(api):
    with contextlib.suppress(urllib.error.URLError):
        return api.ask("")
    return None


def until(ready, process):
    """Ask until `ready()` is true: neither a hub nor its servers tell by themselves."""
    begin = time.monotonic()
    while not ready():
        assert process.poll() is None, "the hub ended"
        assert time.monotonic() < begin + PATIENCE
        time.sleep(0.2)


def start(hub, name):
    """Start a learner's server; return the seconds until it is ready."""
    begin = time.monotonic()
    hub.api.ask(f"users/{name}", {})
    hub.api.ask(f"users/{name}/server", {})
    until(lambda: hub.api.ask(f"users/{name}")["servers"].get("", {}).get("ready"), hub.process)
    return time.monotonic() - begin


def work(hub, name, lesson):
    """Run all cells of a learner's copy of a lesson; return (seconds until the first has answered, until all have)."""
    server, begin = hub.server(name), time.monotonic()
    notebook = next(entry["name"] for entry in server.ask("contents")["content"] if entry["name"].startswith(lesson))
    cells = [cell["source"] for cell in server.ask(f"contents/{notebook}")["content"]["cells"]
             if cell["cell_type"] == "code" and "raises-exception" not in cell["metadata"].get("tags", [])]  # fmt: skip
    server.run(notebook, cells[0], timeout=PATIENCE)
    first = time.monotonic() - begin
    server.run(notebook, *cells[1:], timeout=PATIENCE)
    return first, time.monotonic() - begin


def memory(hub):
    """Return the megabytes of all that a hub has started, each shared page counted once (proc(5), Pss)."""
    total = 0
    for path in descendants(hub.process.pid):
        with contextlib.suppress(OSError):  # it has just ended
            total += sum(int(line.split()[1]) for line in (path / "smaps_rollup").open() if line.startswith("Pss:"))
    return total / 1024


def processor_time(hub):
    """Return the seconds of processor that all which a hub has started has used (proc(5), stat: utime, stime)."""
    total = 0
    for path in descendants(hub.process.pid):
        with contextlib.suppress(OSError):
            total += sum(map(int, (path / "stat").read_text().rpartition(")")[2].split()[11:13]))
    return total / os.sysconf("SC_CLK_TCK")


def descendants(pid):
    """Return the folders in /proc of a process and of what it has started, also by way of others."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[path] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    found, new = set(), {Path(f"/proc/{pid}")}
    while new:
        found |= new
        new = {path for path, parent in parents.items() if Path(f"/proc/{parent}") in new} - found
    return found


@pytest.mark.long
@pytest.mark.heavy
@pytest.mark.timeout(3000)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_class_of_thirty(hub, measured):
    names = [f"learner{i}" for i in range(1, CLASS + 1)]
    empty = memory(hub)
    measured(f"hub: one learner's server is ready after {start(hub, names[0]):.1f} s")
    before = processor_time(hub)
    first, end = work(hub, names[0], "2-1")
    used, one = processor_time(hub) - before, memory(hub) - empty
    measured(f"hub: alone, the first cell of 2-1 answers after {first:.1f} s, the last after {end:.1f} s")
    measured(f"hub: that takes {used:.1f} s of processor, and {one:.0f} MB with the learner's server")
    with concurrent.futures.ThreadPoolExecutor(CLASS + 2 * WITH_LAN) as pool:
        begin = time.monotonic()
        list(pool.map(lambda name: start(hub, name), names[1:]))
        measured(f"hub: {CLASS - 1} more servers are ready after {time.monotonic() - begin:.1f} s")
        tasks = [(name, "2-1") for name in names] + [(n, lesson) for n in names[:WITH_LAN] for lesson in ("2-3", "2-4")]
        times = dict(zip(tasks, pool.map(lambda task: work(hub, *task), tasks), strict=True))
    for lesson in ("2-1", "2-3", "2-4"):
        starts, ends = zip(*[times[task] for task in tasks if task[1] == lesson], strict=True)
        measured(
            f"hub: {len(ends)} run {lesson} at once: first cell {max(starts):.1f} s at most, end {max(ends):.1f} s"
        )
    measured(f"hub: {CLASS} learners take {(memory(hub) - empty) / CLASS:.0f} MB each, with their kernels")
    left = descendants(hub.process.pid) - {Path(f"/proc/{hub.process.pid}")}
    hub.process.send_signal(signal.SIGINT)
    hub.process.wait(PATIENCE)
    until(lambda: not any(path.exists() for path in left), types.SimpleNamespace(poll=lambda: None))


@pytest.mark.long
@pytest.mark.heavy
def test_learners_do_not_see_each_other(hub):
    if not hub.users:
        pytest.skip("other users cannot read this environment, so all learners are one user here")
    for name in ("learner41", "learner42"):
        start(hub, name)
    mine = hub.server("learner41").run("2-1-loopback.ipynb", "import ipykernel; print(ipykernel.get_connection_file())")
    code = f"try:\n    open({mine[0].strip()!r})\nexcept PermissionError:\n    print('refused')"
    assert hub.server("learner42").run("2-1-loopback.ipynb", code) == ["refused\n"]


@pytest.mark.heavy
def test_a_learner_comes_to_the_first_lesson(hub):
    start(hub, "learner1")
    server = hub.server("learner1")
    request = urllib.request.Request(f"{server.base}/", headers=server.header)
    with urllib.request.urlopen(request, timeout=PATIENCE) as page:
        assert page.url == f"{server.base}/lab/workspaces/udplab/tree/2-1-loopback.ipynb"
