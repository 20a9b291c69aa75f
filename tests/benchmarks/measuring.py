"""Part 2: what it costs to measure with `round_trips`, and with a playground that draws meanwhile."""

import asyncio
import statistics

from udplab.kit.server import Server
from udplab.kit.sockets import HOST
from udplab.loopback import experiments as loopback_experiments
from udplab.loopback import listing as loopback
from udplab.loopback import panel as loopback_panel

from .rounds import compare, interleaved, seconds
from .servers import SIZE, by_hand
from .workers import core, python, worker

TITLE = "The cost of measuring"
TRIPS = 10_000


def measure():
    with core(0):
        yield from compared()


def compared():
    with worker(*python("servers", "bare recvfrom loop")) as ask:
        address = HOST, int(ask())
        contenders = {
            "udplab": lambda: statistics.median(
                time for batch in loopback_experiments.round_trips(address, SIZE, TRIPS) for time in batch
            ),
            "loop": lambda: statistics.median(by_hand(address, TRIPS)),
        }
        results = interleaved(contenders)
        yield from compare(
            results, "udplab", seconds, {"loop": ("at most", 1.03)}, "`round_trips` against a {} written by hand"
        )

    results = interleaved({"panel": lambda: asyncio.run(drawn()), "no panel": undrawn})
    yield from compare(
        results, "panel", seconds, {"no panel": ("at most", 1.05)}, "a playground that draws, against {}"
    )


async def drawn():
    """Run the playground of lesson 2-1; return the median of what it measured, in seconds."""
    playground = loopback_panel.round_trips()
    playground.controls["count"].value = TRIPS
    seen, draw = [], playground.draw

    def keep(ax, measured, values, before):
        seen[:] = measured
        return draw(ax, measured, values, before)

    playground.draw = keep
    playground.run()
    await playground.task
    if len(seen) != TRIPS or playground.frames < 2:
        raise RuntimeError(f"the playground measured {len(seen)} round trips in {playground.frames} frames")
    return statistics.median(seen)


def undrawn():
    """Return the median of the same round trips without a playground, in seconds."""
    with Server(loopback.respond) as server:
        return statistics.median(
            time for batch in loopback_experiments.round_trips(server.address, SIZE, TRIPS) for time in batch
        )
