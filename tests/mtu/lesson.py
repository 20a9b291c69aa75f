"""Lesson 2-3, as the tests know it that go through all lessons."""

from udplab.kit.compared import Compared
from udplab.mtu import experiments, fragments, journeys, plots, plots_of_fragments, probing

NO_LAN = "this Linux does not let you make a user namespace (Operation not permitted), so there is no LAN here"
NOTEBOOK = "2-3-mtu.ipynb"
NEEDS_LAN = True


def both(found):
    """Return a measurement that is as predicted."""
    return Compared(found, found)


def alone(found):
    """Return a prediction without a measurement."""
    return Compared(found, None, NO_LAN)


def sends(mtus, sizes, how=both):
    return lambda ax: plots.send_by_send(ax, mtus, how(experiments.predict_sends(mtus, sizes)))


def search(mtus, black_hole, how=both):
    return lambda ax: plots.search(ax, how(probing.predict(mtus, black_hole)))


def claims(cases, how=both):
    return lambda ax: plots.claims(ax, how([experiments.predict_claims(*case) for case in cases]))


def journey(*settings, how=both):
    return lambda ax: plots_of_fragments.journey(ax, how(journeys.predict_journey(*settings)))


def counts(mtus, how=both):
    sizes = [100, 1372, 1373, 1473, 3000, 65_507]
    found = how([fragments.fragments(size, mtus) for size in sizes])
    return lambda ax: plots_of_fragments.counts(ax, mtus, sizes, found)


def cut_up(size, mtus, how=both):
    return lambda ax: plots_of_fragments.cut_up(ax, size, mtus, how(fragments.fragments(size, mtus)))


def survival(sizes, arrived, you=None):
    found = Compared([journeys.odds(size, 0.05, 100) for size in sizes], arrived, "" if arrived else NO_LAN)
    return lambda ax: plots_of_fragments.survival(ax, sizes, 0.05, 100, found, you)


PATHS = [((1500,), False), ((1500, 1400), False), ((1500, 1400, 1280), False), ((9000, 1500, 9000), False),
         ((1500, 576), False), ((1500, 1400), True)]  # fmt: skip
PLOTS = {
    "path": lambda ax: plots.hops(ax, (1500, 1400)),
    "path, long": lambda ax: plots.hops(ax, (9000, 1500, 1280, 9000)),
    "sends": sends((1500, 1400), [1472, 1472, 1372, 1372]),
    "sends, far apart": sends((9000, 576), [8972, 100, 548, 8972], alone),
    "search": search((1500, 1400), True),
    "search, at once": search((1500,), False),
    "search, jumbo": search((9000, 1500, 9000), True, alone),
    "which MTU": claims(PATHS),
    "which MTU, predicted": claims(PATHS, alone),
    "which MTU, one": claims(PATHS[:1]),
    "journey": journey((1500, 1400), 3000, False),
    "journey, told": journey((1500, 1400, 1280), 1400, True),
    "journey, lost": journey((1500, 1400), 1472, True, True, how=alone),
    "journey, refused": journey((1500, 1400), 3000, True),
    "counts": counts((1500, 1400)),
    "counts, predicted": counts((1500, 1400, 1280), alone),
    "survival": survival([100, 2800, 7000, 14_000, 29_000], [96, 88, 70, 61, 36], you=50),
    "survival, predicted": survival([100, 29_000], None),
    "cut up": cut_up(3000, (1500, 1400)),
    "cut up, many": cut_up(65_507, (1500, 576), alone),
    "cut up, one": cut_up(0, (1500,)),
}
PLAYGROUNDS = {}  # it is played on the stage
PROGRAMS = {
    "server": ["127.0.0.1", "--answer"],
    "client": ["127.0.0.1", "--probe"],
    "hosts": [["--probe"], ["--answer"]],
}
FLOODED = {}
BROWSER = {
    "control": "payload (0 to 65,507 bytes)",
    "moved": "bytes over links of",
    "guess": ("guess-steps", "9", "hole-probe", "9 steps"),
    "exercise": ("exercise-largest", "1420", "1420 is too large", "1392"),
    "picture": None,
}
