"""The playground of lesson 2-4: who hears a datagram, with the destination and the sockets that the reader sets."""

from udplab import lan
from udplab.broadcast import experiments, hearing, plots
from udplab.kit.playground import Playground, choice, tick
from udplab.kit.sockets import PORT

DESTINATIONS = {
    "bob, 10.0.0.2": "10.0.0.2",
    "dave, 10.0.1.1": "10.0.1.1",
    "own subnet, 10.0.0.255": "10.0.0.255",
    '"<broadcast>", 255.255.255.255': "<broadcast>",
    "the other subnet, 10.0.1.255": "10.0.1.255",
}
KINDS = {
    '"" (every address)': hearing.EVERY,
    "its own address": hearing.OWN,
    "its subnet's broadcast address": hearing.SUBNET,
    '"" and another port': hearing.OTHER,
    "not listening": "",
}
HOSTS = *hearing.NAMES, *hearing.BEYOND
LABELS = "10em"


def who_hears():
    """Return a `Playground`: alice sends, and the picture shows who hears it."""
    controls = {"destination": choice("alice sends to", DESTINATIONS, LABELS)}
    controls |= {name: choice(f"{name} binds", KINDS, LABELS) for name in HOSTS}
    controls |= {
        "permission": tick("alice sets SO_BROADCAST", True, LABELS),
        "port": choice("port she sends to", [PORT, PORT + 1], LABELS),
    }
    controls["destination"].value = "10.0.0.255"

    def measure(destination, permission, port, **kinds):
        binds = {name: kind for name, kind in kinds.items() if kind}
        yield [experiments.hears("alice", [destination], binds, permission, port=port).map(lambda heard: heard[0])]

    def draw(ax, heard, values, before):
        return plots.network(ax, hearing.PLAN, "alice", heard[-1])

    margins = {"left": 0.01, "right": 0.99, "bottom": 0.02, "top": 0.72 if lan.unavailable() else 0.9}
    return Playground(controls, measure, draw, margins=margins)
