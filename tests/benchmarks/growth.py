"""Part 7: how the cost grows with the work. The "ratio" here is the exponent b of cost = a * work**b: 1 is linear."""

import contextlib
import re
import tempfile
import time

import nbformat
from jupyter_client import KernelManager

from udplab import lan
from udplab.__main__ import NOTEBOOKS
from udplab.kit.film import film_of
from udplab.kit.film.scene import scene
from udplab.kit.server import KEPT, Server
from udplab.kit.sockets import udp_socket
from udplab.loopback import experiments as loopback_experiments
from udplab.loopback import listing as loopback
from udplab.retry import experiments as retry_experiments
from udplab.retry import policies

from .captures import PATH, captured
from .lessons import CACHED, imports_of
from .rounds import ROUNDS, Line, exponent, interleaved, megabytes, quartiles, ratios, seconds
from .servers import SIZE
from .workers import compiled_reference, core, output, python, worker

TITLE = "Growth"
LINEAR = ("at most", 1.1)
FLAT = ("at most", 1.05)
FLIGHTS = [10**power for power in range(1, 6)]
REST = 1.0  # seconds: the kernel removes the network before later, by itself
KERNELS, LESSON = [1, 5, 30], "2-1-loopback"


def measure():
    with core(0):
        with Server(loopback.respond) as server:
            yield grown("round trips", round_trips(server), [10**power for power in range(2, 7)])
        yield grown("records of the log, to read them", reading(), [10, 100, KEPT])
        yield grown("requests with retries, half of them lost", requests, [100, 1000, 10_000])
        seen = {count: captured(count) for count in FLIGHTS}
        yield grown("flights, to make a film of captures", lambda count: film_of(PATH, *seen[count]), FLIGHTS)
        films = {count: film_of(PATH, *captures) for count, captures in seen.items()}
        yield grown("flights, to lay out the film's scene", lambda count: scene(films[count]), FLIGHTS)
    if reason := lan.unavailable():
        yield f"This machine has no LAN: {reason}."
    else:
        yield grown("hosts on a switch", switch, [2, 22, 253], REST)
        yield grown("links of a chain", chain, [1, 8, 64], REST)
        lan.stop()
    memory = zip(*(kernels() for _ in range(ROUNDS)), strict=True)
    what = f"memory of kernels with the imports of `{LESSON}`"
    yield fitted(what, dict(zip(KERNELS, memory, strict=True)), megabytes)
    yield from flat()


def grown(what, work, sizes, rest=0.0):
    """Do the work in all sizes, each after a rest in seconds; return a `Line` about the time."""
    return fitted(what, interleaved({size: lambda size=size: timed(work, size, rest) for size in sizes}))


def fitted(what, results, unit=seconds):
    """Return a `Line` with the exponent of each round. results: {size: [cost in each round]}, the smallest first."""
    sizes = list(results)
    ends = [f"{unit(quartiles(results[size])[1])} for {size:,}" for size in (sizes[-1], sizes[0])]
    exponents = [exponent(sizes, costs) for costs in zip(*results.values(), strict=True)]
    return Line(what, *ends, exponents, LINEAR)


def timed(work, size, rest):
    """Return the seconds that the work takes in this size."""
    time.sleep(rest)
    begin = time.perf_counter()
    work(size)
    return time.perf_counter() - begin


def round_trips(server):
    return lambda count: sum(len(batch) for batch in loopback_experiments.round_trips(server.address, SIZE, count))


def reading():
    """Return a function that reads a log of a number of records, as often as makes it last a moment."""
    logs = {}

    def read(count):
        if count not in logs:
            logs[count] = Server(loopback.respond).start()
            with udp_socket() as sock:
                for _ in range(count):
                    loopback_experiments.ask(sock, logs[count].address, b"hello")
            logs[count].stop()
        for _ in range(100):
            assert len(logs[count].log) == count

    return read


def requests(count):
    for _ in retry_experiments.ask_often(count, lambda rng: policies.exponential()):
        pass


def switch(hosts):
    with lan.switch(*(f"host{number}" for number in range(hosts))):
        pass


def chain(links):
    with lan.path([1500] * links):
        pass


def kernels():
    """Start kernels and run the imports of a lesson in each; return the bytes of memory of as many as in `KERNELS`."""
    imports = imports_of(nbformat.read(NOTEBOOKS / f"{LESSON}.ipynb", as_version=4)).cells[-1].source
    running, used = [], []
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        for number in KERNELS:
            new = [stack.enter_context(kernel(f"{folder}/{place}")) for place in range(len(running), number)]
            for _, client in new:
                client.wait_for_ready(timeout=120)
                client.execute(imports)  # they do it side by side
            for _, client in new:
                if client.execute("", reply=True, timeout=120)["content"]["status"] != "ok":
                    raise RuntimeError("the imports failed in a kernel")
            running += new
            used.append(sum(resident(manager.provisioner.pid) for manager, _ in running))
    return used


@contextlib.contextmanager
def kernel(place):
    """Yield (manager, client) of a kernel that is about to start. place: a path for its sockets, as udplab has them."""
    manager = KernelManager(transport="ipc", ip=place)
    manager.start_kernel(cwd=NOTEBOOKS, env=CACHED)
    client = manager.blocking_client()
    client.start_channels()
    try:
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def flat():
    """Yield a line for the memory of a server's process after few and after many answers."""
    with compiled_reference() as reference:
        if reference is None:
            yield "No C compiler was found: the memory of a server is left out."
            return
        few, many = [], []
        for _ in range(ROUNDS):
            with worker(*python("servers", "udplab")) as ask:
                port = ask()
                output(reference, "trips", port, str(2 * KEPT))  # fills the log
                few.append(resident(ask.pid))
                output(reference, "answers", port, "16", "3")
                many.append(resident(ask.pid))
    middle = [megabytes(quartiles(values)[1]) for values in (many, few)]
    yield Line("memory of a server after 3 s of flood, and before (its ratio)", *middle, ratios(many, few), FLAT)


def resident(pid):
    """Return the bytes of memory that a process has in use: proc(5), smaps_rollup."""
    with open(f"/proc/{pid}/smaps_rollup") as rollup:
        return 1024 * int(re.search(r"Pss:\s+(\d+)", rollup.read())[1])
