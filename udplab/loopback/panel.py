"""The playground of lesson 2-1: round trips with the payload, the number and the pause that the reader sets."""

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
        words = plots.over_time(ax, times)
        ax.set_xlim(0, values["count"])
        return words

    return Playground(controls, measure, draw, margins={"left": 0.11, "right": 0.95})
