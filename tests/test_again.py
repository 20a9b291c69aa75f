"""The lessons under a restless reader: run twice, each cell twice, interrupted in each cell. Heavy loads too."""

import ast
import concurrent.futures
import copy
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbval.kernel import start_new_kernel
from scripted import have_ended, helpers

pytestmark = pytest.mark.heavy
TOP = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((TOP / "notebooks").glob("*.ipynb"))


def lesson(name, arrange=list):
    """Return a lesson as a notebook, its code cells arranged by a function of their list."""
    notebook = nbformat.read(TOP / "notebooks" / f"{name}.ipynb", as_version=4)
    notebook.cells = copied(arrange([cell for cell in notebook.cells if cell.cell_type == "code"]))
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell{number}"
    return notebook


def copied(cells):
    return [copy.deepcopy(cell) for cell in cells]


PLAYED = """
import asyncio
for task in asyncio.all_tasks():  # a playground goes on between the cells until it has measured
    if "Playground" in repr(task.get_coro()):
        await task
"""
LOOK = (
    PLAYED
    + """
import gc, os, re, socket, threading
from zmq.utils.garbage import gc as collector
if not collector.is_alive():
    collector.start()  # a thread that pyzmq starts, and keeps, at the first big message
def look():
    gc.collect()
    files = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    kinds = sorted(re.sub("[0-9]+", "", file) for file in files)
    children = [open(f"/proc/self/task/{task}/children").read() for task in os.listdir("/proc/self/task")]
    threads = sorted(thread.name for thread in threading.enumerate())
    return kinds, threads, sorted(children), socket.if_nameindex()
seen = look()
"""
)
# What a cell has closed may still be open for a moment: pyzmq's own thread closes the socket by which a thread printed.
COMPARE = (
    PLAYED
    + """
import time
from collections import Counter
def more():
    return [Counter(new) - Counter(old) for old, new in zip(seen, look())]
end = time.monotonic() + 5
while any(more()) and time.monotonic() < end:
    time.sleep(0.05)
print(f"more files, threads, child processes or interfaces: {more()}" if any(more()) else "no more than before")
"""
)


def cell(source, output=""):
    """Return an executed cell that has printed `output`."""
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=output)] if output else []
    return nbformat.v4.new_code_cell(source, execution_count=1, outputs=outputs)


def from_the_top_twice(cells):
    """After the second time, there are no more files, threads, child processes and interfaces than after the first."""
    if sys.platform != "linux":
        return cells * 2
    return [*cells, cell(LOOK), *cells, cell(COMPARE, "no more than before\n")]


def each_cell_twice(cells):
    """What tells of the past, a server's log or which servers were stopped, has more or less to tell at once."""
    twice = copied([cell for cell in cells for _ in range(2)])
    for cell in twice:
        if "server.log" in cell.source or "stop_all()" in cell.source:
            cell.metadata["tags"] = ["nbval-ignore-output"]
    return twice


def backwards(cells):
    """From the top, and then each cell again from the last to the first, but the last, which stops everything."""
    return again(cells, list(reversed(cells[:-1])))


def shuffled(cells):
    """From the top, and then all cells again in random order."""
    return again(cells, random.Random(len(cells)).sample(cells[:-1], len(cells) - 1))


def again(cells, more):
    """Add cells that are run once more. What they print may tell of the past; that none fails is what counts here."""
    more = copied(more)
    for each in more:
        each.metadata["tags"] = [*each.metadata.get("tags", []), "nbval-ignore-output"]
    return [*cells[:-1], *more, cells[-1]]


def printed_the_same(tmp_path, *arrangements):
    """Have nbval check all notebooks, arranged in these ways, as it checks the notebooks themselves: in strict mode."""
    for arrange in arrangements:
        for path in NOTEBOOKS:
            nbformat.write(lesson(path.stem, arrange), tmp_path / f"{path.stem}-{arrange.__name__}.ipynb")
    settings = ["-p", "conftest", "-c", TOP / "pyproject.toml", "--rootdir", TOP]
    command = [sys.executable, "-m", "pytest", "-q", *settings, tmp_path]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-10_000:]


def test_a_notebook_run_twice_in_one_kernel_prints_the_same(tmp_path):
    printed_the_same(tmp_path, from_the_top_twice, each_cell_twice)


@pytest.mark.long
def test_cells_can_be_run_again_in_any_order(tmp_path):
    printed_the_same(tmp_path, backwards, shuffled)


# What is interrupted is the cell, and all that IPython does for it. In the microseconds between two messages an
# interrupt ends ipykernel itself. And up to Python 3.12, inside is_alive(), it marks a living thread as ended:
# ipykernel asks before each message whether its output thread lives; told that it does not, it sends from two threads
# at once.
STURDY = """
import signal
kernel = get_ipython().kernel
kernel.iopub_thread.thread.is_alive = lambda: True
kernel.pre_handler_hook = kernel.post_handler_hook = lambda: None  # they would set another handler
def when_a_cell_runs(number, frame):
    while frame and frame.f_code.co_name != "run_cell":
        frame = frame.f_back
    if frame:
        when_a_cell_runs.count += 1
        raise KeyboardInterrupt
when_a_cell_runs.count = 0
signal.signal(signal.SIGINT, when_a_cell_runs)
"""
LEFT = (
    PLAYED
    + """
import contextlib, gc, os, socket, stat, threading
from udplab import lan
gc.collect()
left = [each.name for each in threading.enumerate() if "udplab" in each.name]
def files_of_the_helper():
    lan.switch("alice").close()
    return len(os.listdir(f"/proc/{lan.process.running['process'].pid}/fd"))
if not lan.unavailable():
    files = files_of_the_helper()
    lan.stop()
    left += ["file in the LAN's helper"] * (files - files_of_the_helper())
lan.stop()
# What a lesson keeps on purpose: sockets in variables of its own, and 2-4 the network of its experiments.
for each in list(globals().values()):
    if isinstance(each, socket.socket):
        each.close()
for kept in getattr(globals().get("experiments"), "_kept", []):
    kept.close()
for number in map(int, os.listdir("/dev/fd") if os.name == "posix" else []):
    with contextlib.suppress(OSError):  # the listing's own file is closed
        if stat.S_ISSOCK(os.fstat(number).st_mode):
            with socket.socket(fileno=os.dup(number)) as each:
                if each.type != socket.SOCK_STREAM:  # the kernel's own are streams
                    left.append(repr(each))
"""
)


def interrupted(path, folder):
    """Run a lesson, interrupt each cell at a random moment and run it again to its end, twice.

    The first moment is soon, the second is within the time that the cell takes. What the lesson writes goes to the
    folder. Returns how many moments met a cell that had not ended, and what is left.
    Only the first, which imports, is not interrupted: half an import of numpy is not mended by another. Nor is half a
    load of a magic, which IPython loads when it is first used.
    """
    rng = random.Random(path.name)
    manager, client = start_new_kernel(120, "python3", cwd=str(folder), stderr=subprocess.DEVNULL)
    try:
        first, *cells = lesson(path.stem).cells
        for source in (STURDY, f"%%writefile {os.devnull}\n#", first.source):
            assert client.execute(source, reply=True, timeout=60)["content"]["status"] == "ok"
        for cell in cells:
            length = rng.choice([0.003, 0.03, 0.3])
            for _ in range(2):
                client.execute(cell.source, stop_on_error=False)
                time.sleep(rng.random() * length)
                manager.interrupt_kernel()
                begin = time.perf_counter()
                again = {"reply": True, "timeout": 60, "stop_on_error": False}
                reply = client.execute(cell.source, **again)["content"]
                if reply.get("ename") == "KeyboardInterrupt":  # it came late
                    reply = client.execute(cell.source, **again)["content"]
                assert reply["status"] == "ok", (cell.source, reply)
                length = time.perf_counter() - begin
        # Python remembers the last error and all that its functions held, such as a socket of which an interrupt let
        # nobody else know. Another error takes its place. (Frames that are cleared keep, up to Python 3.12, what
        # IPython read of them to show the error.)
        client.execute("1 / 0", stop_on_error=False)
        asked = {"result": "when_a_cell_runs.count, left"}
        reply = client.execute(LEFT, user_expressions=asked, reply=True, timeout=60)
        return ast.literal_eval(reply["content"]["user_expressions"]["result"]["data"]["text/plain"])
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


@pytest.mark.long
def test_each_cell_interrupted_at_a_random_moment_runs_when_it_is_run_again(tmp_path, measured):
    before = helpers()
    with concurrent.futures.ThreadPoolExecutor(len(NOTEBOOKS)) as pool:
        counts, left = zip(*pool.map(interrupted, NOTEBOOKS, [tmp_path] * len(NOTEBOOKS)), strict=True)
    assert left == ([],) * len(NOTEBOOKS)
    assert have_ended(helpers() - before)
    cells, met = sum(len(lesson(path.stem).cells) - 1 for path in NOTEBOOKS), sum(counts)
    assert met > cells / 5
    measured(
        f"{2 * cells} interrupts in {cells} cells of the lessons, {met} of them before the cell had ended: "
        "each ran when it was run again, nothing left over"
    )
