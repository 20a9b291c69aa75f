"""What the tests that go through all lessons know of lesson 2-4 (see tests/lessons.py)."""

import dataclasses
import random

from udplab.broadcast import cost, discovery, hearing, plots, sending
from udplab.kit.compared import Compared

NOTEBOOK = "2-4-broadcast.ipynb"
NEEDS_LAN = True

NO_LAN = "this Linux does not let you make a user namespace (Operation not permitted), so there is no LAN here"
HOSTS = [host.name for host in hearing.PLAN]
PLACES = ["10.0.0.2", "10.0.0.255", "<broadcast>", "10.0.1.255"]


def both(records, alone=False):
    return Compared(records, None, NO_LAN) if alone else Compared(records, records)


def heard(places=PLACES, kind=hearing.EVERY, permission=True):
    return hearing.predict(hearing.PLAN, "alice", places, dict.fromkeys(HOSTS, kind) if kind else {}, permission)


def matrix(alone=False, you=None, places=PLACES):
    return lambda ax: plots.matrix(ax, both(heard(places), alone), title="Who hears what alice sends?", you=you)


def costs(alone, you=None, wanted=2):
    return lambda ax: plots.cost(ax, both(cost.predict_costs(wanted + 6, wanted), alone), you=you)


def timeline(spread, alone=False):
    found = discovery.predict_answers(discovery.delays(40, spread, random.Random(4)), 0.002, 19)
    return lambda ax: plots.timeline(ax, both(found, alone), "The same 40, each after a random delay")


def by_switch(sender, destination, reason=""):
    film, _ = sending.predict_film(hearing.PLAN, sender, destination, dict.fromkeys(HOSTS, hearing.EVERY))
    return lambda ax: plots.by_switch(ax, dataclasses.replace(film, predicted=reason))


PLOTS = {
    "film of a broadcast": by_switch("alice", "10.0.0.255"),
    "film of a broadcast, predicted": by_switch("carol", "10.0.0.255", NO_LAN),
    "film of a unicast": by_switch("alice", "10.0.0.2"),
    "film over the router": by_switch("alice", "10.0.1.1"),
    "matrix": matrix(),
    "matrix, predicted": matrix(alone=True),
    "matrix, with a guess": matrix(you={"10.0.1.255": frozenset(HOSTS), "10.0.0.2": None}),
    "matrix, one row": matrix(places=PLACES[:1]),
    "matrix, one row with a guess": matrix(places=PLACES[:1], you={"10.0.0.2": frozenset({"dave"})}),
    "cost": costs(alone=False),
    "cost, predicted": costs(alone=True, you=0),
    "cost, many": costs(alone=False, you=300, wanted=60),
    "timeline": timeline(0),
    "timeline, predicted": timeline(0.2, alone=True),
}
PLAYGROUNDS = {}  # it is played on the stage
PROGRAMS = {"server": ["server", "127.0.0.1"], "hosts": [["server"], ["client"]]}  # to each, a strange HOST is appended


def silent(number):
    """Listing 2-4's server only listens: that it still does is seen in its counts."""
    return b"probe %d" % number, None


def discovered(number):
    return b"find time %d" % number, b"here time %d flooded" % number


FLOODED = {
    "listing": ("from udplab.broadcast.listing import listen\nserver = Server(listen)", silent),
    "discovery": (
        "from udplab.broadcast.discovery import responder\nserver = Server(responder(b'time', b'flooded'))",
        discovered,
    ),
}

BROWSER = {
    "control": "SO_BROADCAST is set",
    "moved": "heard by: alice, bob, carol, router",
    "keys": ["Space", "Space"],
    "guess": ("guess-subnet", '["bob", "mallory"]', "who-subnet", "hears it"),
    "exercise": ("exercise-spread", "40", "Not yet.", "120"),
    "picture": None,
}
