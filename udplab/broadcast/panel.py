"""The playground of lesson 2-4: who hears a datagram, with the destination and the sockets that the reader sets."""

from udplab import lan
from udplab.broadcast import hearing, plots
from udplab.kit.playground import Playground, choice, tick
from udplab.kit.sockets import PORT
from udplab.lan.plan import plan_switch

NAMES, BEYOND = ("alice", "bob", "carol"), ("dave",)
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

LABELS = "10em"


def who_hears():
    """Return a `Playground`: alice sends, and the picture shows who hears it."""
    controls = {"destination": choice("alice sends to", DESTINATIONS, LABELS)}
    controls |= {name: choice(f"{name} binds", KINDS, LABELS) for name in (*NAMES, *BEYOND)}
    controls |= {
        "permission": tick("alice sets SO_BROADCAST", True, LABELS),
        "port": choice("port she sends to", [PORT, PORT + 1], LABELS),
    }
    controls["destination"].value = "10.0.0.255"
    plan, reason = plan_switch(NAMES, BEYOND), lan.unavailable()

    def settings(values):
        binds = {name: values[name] for name in (*NAMES, *BEYOND) if values[name]}
        return "alice", [values["destination"]], binds, values["permission"], "", values["port"]

    def measure(**values):
        if reason:
            yield hearing.predict(plan, *settings(values))
            return
        with lan.switch(*NAMES, beyond=BEYOND) as net:
            yield hearing.measure(net, *settings(values))

    def draw(ax, trials, values, before):
        predicted = hearing.predict(plan, *settings(values))[0]
        measured = None if reason else trials[-1]
        plots.network(plan, "alice", predicted, measured, reason=reason, ax=ax)
        return plots.describe_network("alice", predicted, measured)

    return Playground(controls, measure, draw)
