"""The playground of lesson 2-3: one datagram on a path of three links that the reader sets."""

from udplab.kit.playground import Playground, number, tick
from udplab.kit.sockets import LARGEST
from udplab.mtu import journeys as hop_by_hop
from udplab.mtu import plots_of_fragments

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
        yield [hop_by_hop.travel((link1, link2, link3), **settings)]

    room_for_a_reason = {"left": 0.02, "top": 0.7, "bottom": 0.03}
    return Playground(controls, measure, draw, margins=room_for_a_reason)


def draw(ax, measured, _values, _before):
    """Draw the datagram's fate on each link; return the words."""
    return plots_of_fragments.journey(ax, measured[0])
