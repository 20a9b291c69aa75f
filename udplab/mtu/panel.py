"""The playground of lesson 2-3: one datagram on a path of three links that the reader sets."""

from udplab.kit.playground import Playground, number, tick
from udplab.kit.sockets import LARGEST
from udplab.mtu import fragments, plots
from udplab.mtu.experiments import on_lan

# Of links narrower than this the largest datagram makes so many fragments that Linux's send buffer overflows.
SMALLEST = 200


def journeys():
    """Return a `Playground` that builds a path of three links for each run and follows one datagram over it."""
    controls = {
        f"link{position}": number(f"MTU of link {position}", usual, SMALLEST, 9000, "bytes", step=20)
        for position, usual in enumerate((1500, 1400, 1280), start=1)
    } | {
        "size": number("payload", 3000, 0, LARGEST, "bytes"),
        "dont_fragment": tick("don't fragment"),
        "black_hole": tick("black hole (no ICMP)"),
    }

    def measure(link1, link2, link3, **settings):
        return hop_by_hop((link1, link2, link3), **settings)

    return Playground(controls, measure, draw)


def hop_by_hop(mtus, size, dont_fragment, black_hole):
    """Send one datagram over a new path; yield for each link a list with its (`fragments.Journey`, reason).

    Where there is no LAN the journey is the predicted one, and the reason says why.
    """
    measured, reason = on_lan(mtus, fragments.travel, mtus, size, dont_fragment, black_hole)
    journey = measured or fragments.predict_journey(mtus, size, dont_fragment, black_hole)
    for _ in mtus:
        yield [(journey, reason)]


def draw(ax, hops, _values, before):
    """Draw the datagram's fate on as many links as there are `hops`; return the text twin."""
    journey, reason = hops[0]
    plots.hops(journey.mtus, journey, reason, ax, links=len(hops))
    return plots.describe_journey(journey, reason)
