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
            url=urls[0],
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


def stop(hub):
    """Stop the hub, and wait until all that it has started has ended: it does not wait for what its servers end."""
    left = descendants(hub.process.pid) - {Path(f"/proc/{hub.process.pid}")}
    hub.process.send_signal(signal.SIGINT)
    hub.process.wait(PATIENCE)
    until(lambda: not any(path.exists() for path in left), types.SimpleNamespace(poll=lambda: None))


@pytest.mark.long
@pytest.mark.heavy
@pytest.mark.timeout(3000)
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_class_of_thirty(hub, measured):
    """It grows from 1 over 10 to 30 learners: each time all run 2-1 at once, and at last 10 of them 2-3 and 2-4 too."""
    names, empty = [f"learner{i}" for i in range(1, CLASS + 1)], memory(hub)
    with concurrent.futures.ThreadPoolExecutor(CLASS + 2 * WITH_LAN) as pool:
        for before, size in ((0, 1), (1, WITH_LAN), (WITH_LAN, CLASS)):
            begin, new = time.monotonic(), names[before:size]
            list(pool.map(lambda name: start(hub, name), new))
            measured(f"hub, {size:2} learners: {len(new)} servers start in {time.monotonic() - begin:.1f} s")
            tasks = [(name, "2-1") for name in names[:size]]
            if size == CLASS:
                tasks += [(name, lesson) for name in names[:WITH_LAN] for lesson in ("2-3", "2-4")]
            used = processor_time(hub)
            times = dict(zip(tasks, pool.map(lambda task: work(hub, *task), tasks), strict=True))
            used = processor_time(hub) - used
            for lesson in sorted({lesson for _, lesson in tasks}):
                firsts, ends = zip(*[times[task] for task in tasks if task[1] == lesson], strict=True)
                words = f"first cell after {max(firsts):.1f} s at most, all cells after {max(ends):.1f} s"
                measured(f"hub, {size:2} learners: {len(ends)} run {lesson} at once, {words}")
            words = (
                f"{used / len(tasks):.1f} s of processor per lesson, {(memory(hub) - empty) / size:.0f} MB per learner"
            )
            measured(f"hub, {size:2} learners: {words}")
    stop(hub)


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


IDLE = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


@pytest.mark.long
@pytest.mark.heavy
def test_a_learner_logs_in_and_works(hub, page, tmp_path):
    """From the hub's own page to a picture of lesson 2-1, as learners come to it. Leaves screenshots."""
    page.set_default_timeout(PATIENCE * 1000)  # ms
    page.goto(hub.url)
    page.locator("#username_input").fill("learner1")
    page.locator("#password_input").fill("any")
    page.screenshot(path=tmp_path / "login.png")
    page.locator("#login_submit").click()
    page.wait_for_url("**/lab/workspaces/udplab/tree/2-1-loopback.ipynb*")
    page.wait_for_function(IDLE)
    page.locator(".jp-Notebook-cell").first.click()
    page.keyboard.press("Escape")
    picture = page.locator(".jp-OutputArea img").first
    while not picture.count():
        page.keyboard.press("Shift+Enter")
        page.wait_for_function(IDLE)
    picture.scroll_into_view_if_needed()
    page.screenshot(path=tmp_path / "lesson.png")
    assert picture.get_attribute("alt").startswith("Picture: ")


FULL = """
try:
    with open("much", "wb") as file:
        while True:
            file.write(bytes(1 << 20))
except OSError as error:
    print(error.strerror)
"""
ENDLESS = "import os\nwhile not os.path.exists({0!r}): pass"
NETWORKS = """
from udplab import lan
kept = []
try:
    while len(kept) < 100:
        kept.append(lan.switch("alice", "bob"))
except OSError as error:
    print(error)
print(len(kept))
"""


@pytest.mark.long
@pytest.mark.heavy
@pytest.mark.timeout(1200)
def test_one_who_takes_all_harms_nobody(hub, measured):
    """An endless loop, a hundred networks and a full home, and beside them another learner's two lessons."""
    if not hub.users:
        pytest.skip("other users cannot read this environment, so all learners are one user here")
    greedy, home, end = "learner51", Path(hub.place, "learner51"), Path(hub.place, "end")
    home.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", home], check=True)  # a partition of its own
    try:
        for name in (greedy, "learner52"):
            start(hub, name)
        alone = [work(hub, "learner52", lesson)[1] for lesson in ("2-1", "2-4")]
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            *_, made = hub.server(greedy).run("2-4-broadcast.ipynb", NETWORKS, timeout=PATIENCE)[0].splitlines()
            loop = pool.submit(hub.server(greedy).run, "2-2-retry.ipynb", ENDLESS.format(str(end)), timeout=PATIENCE)
            full = hub.server(greedy).run("2-3-mtu.ipynb", FULL, timeout=PATIENCE)
            beside = [work(hub, "learner52", lesson)[1] for lesson in ("2-1", "2-4")]
            assert not loop.done()
            end.touch()
        assert full == ["No space left on device\n"] and int(made) == 100
        measured(
            f"hub: lessons 2-1 and 2-4 take {alone[0]:.1f} and {alone[1]:.1f} s; {beside[0]:.1f} and {beside[1]:.1f} s "
            "beside a learner with an endless loop, 100 networks and a full home"
        )
    finally:
        stop(hub)
        subprocess.run(["umount", home], check=True)
