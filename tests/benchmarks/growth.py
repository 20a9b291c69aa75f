"""Part 5: how the cost grows with the work. The "ratio" here is the exponent b of cost = a * work**b: 1 is linear."""

import re
import time

from udplab import lan
from udplab.kit.server import KEPT, Server
from udplab.kit.sockets import udp_socket
from udplab.loopback import experiments as loopback_experiments
from udplab.loopback import listing as loopback
from udplab.retry import experiments as retry_experiments
from udplab.retry import policies

from .rounds import ROUNDS, Line, exponent, interleaved, megabytes, quartiles, ratios, seconds
from .servers import SIZE
from .workers import compiled_reference, core, output, python, worker

TITLE = "Growth"
LINEAR = ("at most", 1.1)
FLAT = ("at most", 1.05)


def measure():
    with core(0):
        with Server(loopback.respond) as server:
            yield grown("round trips", round_trips(server), [10**power for power in range(2, 7)])
        yield grown("records of the log, to read them", reading(), [10, 100, KEPT])
        yield grown("requests with retries, half of them lost", requests, [100, 1000, 10_000])
    if reason := lan.unavailable():
        yield f"This machine has no LAN: {reason}."
    else:
        yield grown("hosts on a switch", switch, [10, 30, 100])
        lan.stop()
    yield from flat()


def grown(what, work, sizes):
    """Do the work in all sizes; return a `Line` with the exponent of each round."""
    results = interleaved({size: lambda size=size: timed(work, size) for size in sizes})
    ends = [f"{seconds(quartiles(results[size])[1])} for {size:,}" for size in (sizes[-1], sizes[0])]
    exponents = [exponent(sizes, costs) for costs in zip(*results.values(), strict=True)]
    return Line(what, *ends, exponents, LINEAR)


def timed(work, size):
    """Return the seconds that the work takes in this size."""
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
