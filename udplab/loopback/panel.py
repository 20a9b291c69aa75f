"""The playgrounds of lesson 2-1: round trips, and a burst to a queue, with the numbers that the reader sets."""

from udplab.kit.playground import Playground, number
from udplab.kit.server import Server
from udplab.kit.sockets import LARGEST
from udplab.loopback import experiments, listing, plots

BATCH = 0.02  # seconds: about how long one batch of round trips may take


def round_trips():
    """Return a `Playground` that measures round trips to a server of its own, which runs as long as the experiment."""
    controls = {
        "size": number("payload", 32, 0, LARGEST, "bytes"),
        "count": number("datagrams", 2000, 100, 20_000, step=100),
        "pause": number("pause", 0, 0, 20, "ms", step=0.5),
    }

    def measure(size, count, pause):
        batch = max(1, min(500, int(BATCH / (pause / 1000 + 50e-6))))
        with Server(listing.respond) as server:
            yield from experiments.round_trips(server.address, size, count, batch, pause / 1000, timeout=0.2)

    def draw(ax, times, values, before):
        words = plots.over_time(ax, times, before[0] if before else ())
        ax.set_xlim(0, values["count"])
        return words

    return Playground(controls, measure, draw, margins={"left": 0.15, "right": 0.95})


def bursts():
    """Return a `Playground` that sends a burst to a socket that does not read, and shows what its queue has kept."""
    controls = {
        "size": number("payload", 1, 0, LARGEST, "bytes"),
        "queue": number("queue", 106_496, 2_048, 212_992, "bytes", step=1024),
        "count": number("datagrams", 1000, 10, 5000, step=10),
    }

    def measure(size, queue, count):
        yield [experiments.burst(size, count, queue)]

    def draw(ax, measured, values, before):
        return plots.queue(ax, measured[-1], before[0][-1] if before else None)

    return Playground(
        controls, measure, draw, size=(8.0, 2.6), margins={"left": 0.13, "right": 0.94, "top": 0.84, "bottom": 0.24}
    )
