"""What the tests that go through all lessons need to know of lesson 2-1."""

import math

import numpy as np

from udplab.kit.sockets import LARGEST
from udplab.loopback import panel, plots
from udplab.loopback.experiments import Burst

NOTEBOOK = "2-1-loopback.ipynb"
NEEDS_LAN = True
SPREAD, FEW, LOST = [16e-6, 20e-6, 300e-6], [20e-6], math.nan


def bursts(**options):
    sizes = (1, 256), (1000, 92), (65_507, 1)
    return [Burst(size, 2000, kept, 2000 - kept, **options) for size, kept in sizes]


PLOTS = {
    "over time": lambda ax: plots.over_time(ax, SPREAD * 300),
    "over time, lost": lambda ax: plots.over_time(ax, [LOST] * 20_000),
    "over time, wide": lambda ax: plots.over_time(ax, [1e-6, 1.0, LOST] * 6000),
    "over time, slow in the end": lambda ax: plots.over_time(ax, [LOST, *np.geomspace(1e-5, 1e-3, 3000)]),
    "over time, one": lambda ax: plots.over_time(ax, FEW),
    "cumulative": lambda ax: plots.cumulative(ax, SPREAD * 300),
    "cumulative, wide": lambda ax: plots.cumulative(ax, [1e-6, 1.0], you=50),
    "cumulative, lost": lambda ax: plots.cumulative(ax, [LOST]),
    "by size": lambda ax: plots.by_size(ax, {1: SPREAD, 1000: SPREAD, 65_507: SPREAD}),
    "by size, slow": lambda ax: plots.by_size(ax, {1: FEW, 65_507: [1.0, 2.0]}),
    "by size, lost": lambda ax: plots.by_size(ax, {1: [LOST], 65_507: [LOST]}),
    "kept": lambda ax: plots.kept(ax, bursts()),
    "queue": lambda ax: plots.queue(ax, bursts()[0]),
    "queue, and before": lambda ax: plots.queue(ax, *bursts()[1:]),
    "over time, and before": lambda ax: plots.over_time(ax, SPREAD * 300, [1e-5, 1e-3] * 200),
    "over time, before and lost": lambda ax: plots.over_time(ax, [*SPREAD, LOST] * 300, [1e-5, 1.0] * 600),
    "kept, foretold": lambda ax: plots.kept(ax, bursts(refused=3), you=2000),
    "kept, foretold nothing": lambda ax: plots.kept(ax, bursts(), you=0),
    "kept, foretold too much": lambda ax: plots.kept(ax, bursts(), you=10**6),
}

PLAYGROUNDS = {
    "2-1, first settings": (panel.round_trips, {}),
    "2-1, least": (panel.round_trips, {"size": 0, "count": 100}),
    "2-1, most": (panel.round_trips, {"size": LARGEST, "count": 20_000}),
    "2-1, burst": (panel.bursts, {}),
    "2-1, burst, least": (panel.bursts, {"size": 0, "queue": 2048, "count": 10}),
    "2-1, burst, most": (panel.bursts, {"size": LARGEST, "queue": 212_992, "count": 5000}),
}

PROGRAMS = {"server": ["server"], "client": ["client"]}


def size_counts(number):
    """Return a question of a size of its own, and its answer."""
    return bytes(number), b"Your data was %d bytes long" % number


FLOODED = {"listing": ("from udplab.loopback.listing import respond\nserver = Server(respond)", size_counts)}

BROWSER = {
    "control": "datagrams (10 to 5,000)",
    "moved": "sent 1000",
    "guess": ("guess-kept", "1500", "burst-sizes", "1,500"),
    "exercise": ("exercise-count", "7", "7 is too small", "11"),
    "picture": ("playground.png", "JupyterLab Light"),
}
