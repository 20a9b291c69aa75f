"""Journeys: a datagram hop by hop, and what becomes of its pieces. The conventions are those of `experiments`."""

import contextlib
import math
import operator
from dataclasses import dataclass
from statistics import NormalDist

from udplab.kit.sockets import HEADERS, UDP_HEADER, queued
from udplab.mtu import kernel
from udplab.mtu.experiments import on_path, receiver, sender, silence
from udplab.mtu.fragments import Fragment, cut, fragments
from udplab.mtu.packets import message_in, piece, udp_in


@dataclass(frozen=True)
class Journey:
    """One datagram on its way."""

    mtus: tuple  # the path: bytes, for each link
    size: int  # bytes of payload
    dont_fragment: bool  # whether it must stay whole
    black_hole: bool  # whether the routers send no ICMP messages
    links: tuple  # for each link a tuple of the fragments that were on it, () where nothing came
    told: int | None  # the MTU in bytes that an ICMP message named to the client
    arrived: bool  # whether the server's program got it


def travel(links, size, dont_fragment, black_hole=False):
    """Send one datagram and watch every link; return a `Compared` of `Journey`.

    Nothing is measured (ENOBUFS) where it makes more fragments than the send buffer holds: 65507 bytes need an MTU of
    200.
    """
    predicted = predict_journey(links, size, dont_fragment, black_hole)
    return on_path(links, predicted, measure_journey, links, size, dont_fragment, black_hole)


def predict_journey(mtus, size, dont_fragment, black_hole=False):
    """Return the `Journey` that follows from the rules."""
    links, pieces, told = [], [Fragment(0, size + UDP_HEADER)], None
    for number, limit in enumerate(mtus):
        if dont_fragment and size + HEADERS > limit:
            if pieces and number and not black_hole:  # the first router that cannot pass it on says so
                told = limit
            pieces = []
        pieces = [piece for whole in pieces for piece in cut(whole, limit)]
        links.append(tuple(pieces))
    return Journey(tuple(mtus), size, dont_fragment, black_hole, tuple(links), told, bool(pieces))


def measure_journey(net, mtus, size, dont_fragment, black_hole=False):
    """Return the `Journey` that a datagram makes over `net`, a path with these MTUs."""
    silence(net, black_hole)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(receiver(net))
        sock = stack.enter_context(sender(net, "forbid" if dont_fragment else "allow"))
        watched = [stack.enter_context(host.capture()) for host in list(net)[1:]]
        kernel.attempt(sock, size)
        links = tuple(tuple(map(piece, udp_in(seen))) for seen in watched)
        told = message.mtu if (message := message_in(watched[0])) else None
        return Journey(tuple(mtus), size, dont_fragment, black_hole, links, told, queued(server) != [])


def arriving(links, sizes):
    """Send a datagram of each size, which may be cut up; return a `Compared` of the server's fragments for each."""
    return on_path(links, [fragments(size, links) for size in sizes], measure_arriving, sizes)


def pieces(links, size):
    """Return a `Compared` of the fragments that reach the server of one datagram."""
    return arriving(links, [size]).map(operator.itemgetter(0))


def measure_arriving(net, sizes):
    """Return a list of the fragments that reach the server, for each size."""
    with receiver(net) as server, sender(net, "allow") as sock, net["server"].capture(room=64 << 20) as seen:
        for size in sizes:
            sock.send(bytes(size))
            seen.settle()
            queued(server)
    found = {}  # all fragments of a datagram have one identification
    for packet in udp_in(seen):
        found.setdefault(packet.id, []).append(piece(packet))
    return list(found.values())


ROOM = 60_000  # bytes that are sent before the server reads: its queue holds more


@dataclass(frozen=True)
class Odds:
    """How many of some datagrams arrive: on average, and at least and at most in 99 of 100 experiments."""

    mean: float
    low: int
    high: int

    def __contains__(self, number):
        return self.low <= number <= self.high

    def __int__(self):
        return round(self.mean)


def survivors(sizes, loss, count=100, seed=1):
    """Send `count` datagrams of each size over a wire that loses packets by chance (`loss`, 0 to 1).

    Returns a `Compared` of two lists of different shapes: the `Odds` of each size, and how many arrived.
    """
    return on_path((1500,), [odds(size, loss, count) for size in sizes], measure_survivors, sizes, loss, count, seed)


def odds(size, loss, count):
    """Return the `Odds` that all fragments of a datagram get through, on a link of 1500.

    For so many datagrams the binomial distribution is close to a normal one.
    """
    chance = (1 - loss) ** len(fragments(size, [1500]))
    mean, spread = count * chance, (count * chance * (1 - chance)) ** 0.5
    far = NormalDist().inv_cdf(0.995) * spread
    return Odds(mean, max(0, math.floor(mean - far)), min(count, math.ceil(mean + far)))


def measure_survivors(net, sizes, loss, count, seed):
    """Return how many datagrams of each size arrive."""
    net.wire("client", direction="out", loss=loss, seed=seed)
    results = []
    with receiver(net) as server, sender(net, "allow") as sock:
        for size in sizes:
            arrived, waiting = 0, 0
            for number in range(1, count + 1):
                sock.send(bytes(size))
                waiting += size
                if waiting > ROOM or number == count:
                    net["client"].settle()
                    arrived += len(queued(server))
                    waiting = 0
            results.append(arrived)
    return results
