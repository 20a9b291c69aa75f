"""Part 1: `udplab.kit.server.Server` against other servers."""

import contextlib
import importlib.util
import re
import shutil

from udplab.retry import experiments as retry_experiments

from .rounds import compare, interleaved, per_second, seconds
from .servers import SERVERS, SIZE
from .workers import compiled_reference, core, output, python, worker

TITLE = "A server: round trip and answers per second"
TRIPS = 2000  # round trips in a round; their median counts
WINDOW, TIME = 16, 0.5  # questions under way, and for how many seconds
LIBRARIES = {"uvloop", "trio"}


def measure():
    missing = {name for name in LIBRARIES if importlib.util.find_spec(name) is None}
    yield from (f"{name} is not installed: left out." for name in sorted(missing))
    with contextlib.ExitStack() as stack:
        with core(0):
            servers = {
                name: stack.enter_context(worker(*python("servers", name))) for name in SERVERS if name not in missing
            }
            ports = {name: ask() for name, ask in servers.items()}

            trips = interleaved({name: lambda ask=ask: float(ask(TRIPS)) for name, ask in servers.items()})
            goals = {"bare recvfrom loop": ("at most", 1.05)}
            yield from compare(trips, "udplab", seconds, goals, "round trip, client in the same process: {}")

            if (reference := stack.enter_context(compiled_reference())) is None:
                yield "No C compiler was found: the client in another process, which is in C, is left out."
                return
            ports["the same in C"] = stack.enter_context(worker(reference, "server"))()
            clients = clients_in_c(reference, ports, "trips", str(TRIPS))
            if shutil.which("sockperf"):
                clients["sockperf with its own client"] = stack.enter_context(sockperf())
            else:
                yield "sockperf is not installed: left out."
            goals["the same in C"] = ("at most", 1.25)
            yield from compare(interleaved(clients), "udplab", seconds, goals, "round trip, client in C: {}")

        with core(-1):
            rates = interleaved(clients_in_c(reference, ports, "answers", str(WINDOW), str(TIME)))
        goals = {"uvloop": ("at least", 1), "asyncio": ("at least", 3)}
        yield from compare(rates, "udplab", per_second, goals, f"answers, {WINDOW} questions under way: {{}}")


def clients_in_c(reference, ports, what, *arguments):
    """Return {name: a function that measures that server with the client in C}."""
    return {name: lambda port=port: float(output(reference, what, port, *arguments)) for name, port in ports.items()}


@contextlib.contextmanager
def sockperf():
    """Run sockperf's server; yields a function that returns the median round trip its client measures, in seconds."""
    port = str(retry_experiments.dead_port())
    where = ("--ip", "127.0.0.1", "--port", port)
    with worker("sockperf", "server", *where) as ask:
        while "to block on socket" not in ask():  # its last words before it answers
            pass
        command = ("sockperf", "ping-pong", *where, "--msg-size", str(SIZE), "--full-rtt", "--time", "1")
        yield lambda: float(re.search(r"percentile 50\.000 =\s*([\d.]+)", output(*command))[1]) / 1e6
