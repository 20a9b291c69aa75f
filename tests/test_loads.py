"""The heavy loads: floods, bad networks, many kernels at once, interrupts. Run them with: uv run pytest -m heavy -n 0

What was measured is printed at the end of the run, for the README's section "What it survives".
"""

import asyncio
import collections
import concurrent.futures
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import jupyter_client
import nbclient
import nbformat
import pytest
from lessons import LESSONS, gathered
from machines import needs_lan
from scripted import have_ended, helpers

from udplab.kit.server import Server
from udplab.kit.sockets import HOST, LARGEST, arrivals, connect, queued, udp_socket
from udplab.retry import experiments as retry_experiments
from udplab.retry import lossy, policies

pytestmark = pytest.mark.heavy
TOP = Path(__file__).resolve().parent.parent


# --- A flood of anything at each server ---

FLOODED = """
import json, sys, time
from udplab.kit.server import Server
from udplab.kit.sockets import kernel_drops

def resident():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024

network = None
{code}
with server:
    print(json.dumps(server.address), flush=True)
    for _ in sys.stdin:
        told = server.counts | {{"log": len(server.log), "resident": resident()}}
        told["lost"] = kernel_drops(server._sock) + (network.lost if network else 0)
        print(json.dumps(told), flush=True)
    spans, server.port = [], server.address[1]
    for _ in range(3):
        begin = time.perf_counter()
        server.stop()
        spans.append(time.perf_counter() - begin)
        server.start()
    print(sorted(spans)[1], flush=True)
"""
SERVERS = gathered("FLOODED")
STARTS = b"", b"Your data was ", b"id=0123456789abcdef: ", b"find time ", b"here time "
SIZES = 0, 1, 512, 1472, 1473, LARGEST


def datagrams(rng):
    """Yield random datagrams for ever: a quarter have one of `SIZES`, one in 20 any size, the others up to 2,000 bytes.

    One in ten begins like an answer, a request ID or a question.
    """
    pool = rng.randbytes(1 << 20)
    while True:
        lot = rng.random()
        size = rng.choice(SIZES) if lot < 0.25 else rng.randint(0, LARGEST if lot < 0.3 else 2000)
        start = rng.choice(STARTS) if rng.random() < 0.1 else b""
        at = rng.randrange(len(pool) - size)
        yield (start + pool[at : at + size])[: max(size, len(start))][:LARGEST]


def tries(sock, question, answer):
    """Send a question until its own answer comes; return how often it was sent: the flood may have filled the queue."""
    for number, wait in enumerate(policies.fixed(0.003, 3000), 1):
        sock.send(question)
        deadline = time.perf_counter() + wait
        while answer and (left := deadline - time.perf_counter()) > 0:
            if answer in (data for data, _ in arrivals(sock, left)):
                return number
        if not answer:
            return number
    raise TimeoutError(f"no answer to {question[:50]}")


@pytest.mark.skipif(sys.platform != "linux", reason="memory and full queues are read in Linux' way")
@pytest.mark.parametrize("name", SERVERS)
def test_a_flood_of_100_000_random_datagrams(name, measured):
    code, probe = SERVERS[name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-W", "error", "-c", FLOODED.format(code=code)]
    flood = datagrams(random.Random(6))
    with subprocess.Popen(command, **pipes) as process, udp_socket() as flooder:
        address = tuple(json.loads(process.stdout.readline()))

        def told():
            print(file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        with connect(*address) as sock:
            before, probes = told(), []
            for number in range(2000):
                for _ in range(50):
                    flooder.sendto(next(flood), address)
                probes.append(tries(sock, *probe(number)))
        sent, deadline = 100_000 + sum(probes), time.perf_counter() + 5
        while (after := told())["received"] + after["lost"] < sent and time.perf_counter() < deadline:
            pass  # the last ones wait in the server's queue
        assert after["received"] + after["lost"] == sent, "each was counted, or lost before the server"
        assert after["received"] == sum(after[done] for done in ("answered", "dropped", "bad", "errors"))
        assert after["errors"] == 0 and after["log"] == 1000
        grown = after["resident"] - before["resident"]
        assert grown <= 5
        process.stdin.close()
        while not select.select([process.stdout], [], [], 0)[0]:
            flooder.sendto(next(flood), address)
        seconds = float(process.stdout.readline())
        assert seconds < 0.25, "a busy machine may be slow, but not most times"
    fate = "counted" if probe(0)[1] is None else f"answered ({probes.count(1):,} at once)"
    measured(
        f"flood at {name}: {after['received']:,} taken, {after['lost']:,} lost before it, 2,000 probes {fate}, "
        f"memory {grown:+.1f} MB, stopped in {seconds * 1000:.0f} ms"
    )


# --- A bad network ---


def asked(loss):
    """Ask 1,000 questions through a bad network; return the pairs of question and answer, and the seconds."""
    network = lossy.BadNetwork(loss, loss / 2, duplicate=0.3, reorder=0.3, delay=(0, 0.002), seed=loss)
    with Server(retry_experiments.echo, make_socket=network.socket) as server:
        begin = time.perf_counter()
        pairs = retry_experiments.ask_in_turn(server.address, [[0.001] * 5] * 1000, ids=True)
        return pairs, time.perf_counter() - begin


def test_1000_requests_through_each_of_8_bad_networks(measured):
    """Loss each way, duplicates, reordering, delay: each question gets its own answer or none, and an end."""
    losses = 0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1
    with concurrent.futures.ThreadPoolExecutor(len(losses)) as pool:
        for loss, (pairs, seconds) in zip(losses, pool.map(asked, losses), strict=True):
            answered = sum(each.answer is not None for each in pairs)
            assert len(pairs) == 1000 and retry_experiments.wrong(pairs) == 0
            assert (answered == 0) == (loss == 1)
            measured(f"1,000 requests at {loss:4.0%} loss: {answered} answered, 0 wrong, {seconds:.1f} s")


# --- Many readers ---


async def run(notebook, folder):
    """Run a notebook in a kernel of its own, in a new folder, where the kernel's sockets are too; return its errors.

    Not TCP: Jupyter looks for free ports, and with many kernels another may take one before it does.
    """
    folder.mkdir()
    manager = jupyter_client.AsyncKernelManager(transport="ipc", ip=str(folder / "kernel"))
    waits = {"timeout": 300, "startup_timeout": 300}
    client = nbclient.NotebookClient(notebook, km=manager, resources={"metadata": {"path": str(folder)}}, **waits)
    try:
        await client.async_execute()
    finally:
        await manager.shutdown_kernel(now=True)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such sockets")
def test_40_kernels_at_once(tmp_path, measured):
    """30 readers of lesson 2-1 and 10 of lesson 2-3 on one machine: all get to the end, without an error."""
    before = helpers()
    names = ["2-1-loopback"] * 30 + ["2-3-mtu"] * 10
    random.Random(40).shuffle(names)

    async def together():
        lessons = [nbformat.read(TOP / "notebooks" / f"{name}.ipynb", as_version=4) for name in names]
        return await asyncio.gather(*(run(each, tmp_path / f"{number}") for number, each in enumerate(lessons)))

    begin = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        errors = pool.submit(asyncio.run, together()).result()
    seconds = time.perf_counter() - begin
    assert errors == [[]] * 40
    assert have_ended(helpers() - before)
    measured(f"30 kernels with lesson 2-1 and 10 with lesson 2-3 at once: all to the end in {seconds:.0f} s")


# --- Interrupts of programs ---

TALKING = """
from udplab.kit import terminal
from udplab.kit.server import Server
from udplab.kit.sockets import connect
from udplab.loopback import listing as loopback

def talk():
    with Server(loopback.respond) as server, connect(*server.address) as sock:
        print("talking", flush=True)
        while True:
            sock.send(b"hello")
            sock.recv(100)

terminal.run(talk)
"""
FORKED = """
import os, random, signal, time
from udplab.kit import terminal
from udplab.kit.sockets import udp_socket
from udplab.loopback import listing as loopback

def interrupted(seconds):
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.dup2(writing, 1)
        os.close(reading), os.close(writing)
        terminal.run(loopback.server, 0)
    os.close(writing)
    with open(reading) as lines, udp_socket() as sock:
        port = int(lines.readline().split()[-1].rstrip(")\\n"))
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            sock.sendto(b"hello", ("127.0.0.1", port))
        os.kill(child, signal.SIGINT)
        lines.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

rng = random.Random(1000)
print({interrupted(rng.random() * 0.008) for _ in range(1000)})
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the programs are forks, or 1,000 starts would take minutes")
def test_1000_interrupts_of_servers_under_fire(measured):
    """A server that shows what arrives, all the time, so that the interrupt meets all that its two threads share."""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", FORKED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.stderr) == ("{130}\n", "")
    measured("1,000 interrupts of a server under fire: each ended quietly, with status 130")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGINT to one process")
def test_100_interrupts_of_programs_at_random_moments(measured):
    """A server with a client that never pauses, in one program."""
    rng = random.Random(100)
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", TALKING]
    for _ in range(100):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            process.stdout.readline()
            time.sleep(rng.random() * rng.choice([0.001, 0.03]))
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
        assert (process.returncode, errors) == (130, "")
    measured("100 interrupts of a program at random moments: each ended quietly, with status 130")


def programs(server_port, client_port):
    """Return a list of (whether it is a server, command): each program of the lessons once."""
    found = []
    for lesson, module in LESSONS.items():
        server = module.PROGRAMS["server"]
        others = [
            module.PROGRAMS.get("client", server),
            *([*words, HOST] for words in module.PROGRAMS.get("hosts", [])),
        ]
        for words in {frozenset(words): words for words in [server, *others]}.values():
            is_server = set(words) == set(server)
            port = server_port if is_server else client_port
            found.append((is_server, [sys.executable, "-m", f"udplab.{lesson}", *words, "-p", str(port)]))
    return found


def start_of(command, silent):
    """Start a program and interrupt it; return the seconds until its first line, or its question to `silent`."""
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert select.select([process.stdout, silent], [], [], 60)[0]
        seconds = time.perf_counter() - begin
        process.send_signal(signal.SIGINT)
    queued(silent)
    return seconds


# What is raised in this callback of Python's import system ends there, and so Ctrl-C is lost (importlib/_bootstrap.py).
LOST = "Exception ignored in: <function _get_module_lock"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGINT to one process")
@pytest.mark.parametrize("count", [200, pytest.param(1000, marks=pytest.mark.long)])
def test_ctrl_c_from_the_first_moment_on(count, lasting_port, measured):
    """While Python starts, nothing of ours can help; once our first lines have run, there is no traceback.

    All servers have one port: the next one could not start if the one before were still there.
    """
    rng, told = random.Random(200), collections.Counter()
    with udp_socket() as silent:
        silent.bind((HOST, 0))
        some = programs(lasting_port, silent.getsockname()[1])
        longest = [max(start_of(command, silent) for _ in range(3)) for _, command in some]
        for number in range(count):
            is_server, command = some[number % len(some)]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
                time.sleep(rng.random() * longest[number % len(some)])
                process.send_signal(signal.SIGINT)
                try:
                    _, errors = process.communicate(timeout=10)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGINT)
                    _, errors = process.communicate(timeout=60)
                    assert LOST in errors and process.returncode == 130, errors
            queued(silent)
            assert str(TOP / "udplab") not in errors, errors
            if not errors:
                ended = [] if is_server else [0]  # before Ctrl-C came
                assert process.returncode in [130, -signal.SIGINT, *ended]
            elif LOST in errors:
                told["lost by its import system"] += 1
            else:
                assert errors.rstrip().endswith("KeyboardInterrupt") or "Fatal Python error" in errors, errors
                told["of its own start" if "Fatal Python error" in errors else "of runpy, before our first line"] += 1
    spans = f"{min(longest) * 1000:.0f} to {max(longest) * 1000:.0f} ms"
    pythons = ", ".join(f"{times} {what}" for what, times in sorted(told.items()))
    measured(
        f"{count:,} Ctrl-C while one of {len(some)} programs starts ({spans}): none in our code; Python's: {pythons}"
    )


# --- The whole suite, under the hardest conditions ---


STRICT = {"PYTHONWARNINGS": "error"}
PLAIN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def suite(*arguments, **environment):
    """Run pytest; return the last line that it has printed. It must pass."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *arguments],
        cwd=TOP, env=os.environ | environment, capture_output=True, encoding="utf-8", timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, f"{arguments}: {done.stdout[-10_000:]}"
    return done.stdout.splitlines()[-1]


@pytest.mark.long
def test_the_suite_in_dev_mode_in_the_c_locale_in_random_order(measured):
    """Each warning is an error, text is ASCII, no test needs what another has left. All but the browser tests.

    The kernels that tests start have all of it but dev mode.
    """
    order = ["--random-order", f"--random-order-seed={random.randrange(1000)}"]
    end = suite("tests", "--ignore=tests/browser", *order, PYTHONDEVMODE="1", **STRICT, **PLAIN)
    measured(f"the suite with -X dev -W error, in the C locale, in random order: {end}")


@pytest.mark.long
def test_the_notebooks_with_every_warning_an_error_in_the_c_locale(measured):
    """In the kernels too."""
    end = suite("notebooks", **STRICT, **PLAIN)
    measured(f"the notebooks with -W error, in the C locale: {end}")


OTHER_LOOPBACK = """
import fcntl, socket, struct, sys
import pytest
from udplab.lan.helper import enter_namespaces

refused = enter_namespaces()  # so that this machine's own loopback stays as it is
assert refused is None, refused
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:  # netdevice(7): SIOCSIFMTU, SIOCSIFFLAGS
    fcntl.ioctl(any_socket, 0x8922, struct.pack("16si12x", b"lo", int(sys.argv[1])))
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))
sys.exit(pytest.main(["-q", "notebooks"]))
"""


@pytest.mark.long
@needs_lan
@pytest.mark.parametrize("mtu", [1500, 68])
def test_the_notebooks_with_another_loopback(mtu, measured):
    """A machine's own numbers fail no lesson."""
    command = [sys.executable, "-c", OTHER_LOOPBACK, str(mtu)]
    done = subprocess.run(command, cwd=TOP, capture_output=True, encoding="utf-8", timeout=600)
    assert done.returncode == 0, done.stdout[-10_000:] + done.stderr[-2000:]
    measured(f"the notebooks where lo has an MTU of {mtu}: {done.stdout.splitlines()[-1]}")
