"""Journeys: a datagram hop by hop, and what becomes of its pieces. The conventions are those of `experiments`."""

import contextlib
from dataclasses import dataclass

from udplab.kit.sockets import HEADERS, UDP_HEADER, queued
from udplab.mtu import kernel
from udplab.mtu.experiments import on_path, receiver, sender, silence
from udplab.mtu.fragments import Fragment, cut, fragments
from udplab.mtu.packets import icmp_in, udp_in


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
        links = tuple(tuple(packet.piece for packet in udp_in(seen)) for seen in watched)
        told = message.mtu if (message := icmp_in(watched[0])) else None
        return Journey(tuple(mtus), size, dont_fragment, black_hole, links, told, queued(server) != [])


def arriving(links, sizes):
    """Send a datagram of each size, which may be cut up; return a `Compared` of the server's fragments for each."""
    return on_path(links, [fragments(size, links) for size in sizes], measure_arriving, sizes)


def measure_arriving(net, sizes):
    """Return a list of the fragments that reach the server, for each size."""
    with receiver(net) as server, sender(net, "allow") as sock, net["server"].capture(room=64 << 20) as seen:
        for size in sizes:
            sock.send(bytes(size))
            seen.settle()
            queued(server)
    found = {}  # all fragments of a datagram have one identification
    for packet in udp_in(seen):
        found.setdefault(packet.id, []).append(packet.piece)
    return list(found.values())


def survivors(links, sizes, count, every):
    """Send `count` datagrams of each size through a router that loses every n-th fragment.

    Returns a `Compared` of how many arrive of each size.
    """
    return on_path(links, predict_survivors(links, sizes, count, every), measure_survivors, sizes, count, every)


def predict_survivors(mtus, sizes, count, every):
    """Return how many arrive: those of which no fragment is lost."""
    results = []
    for size in sizes:
        pieces = len(fragments(size, mtus[:2]))
        results.append(sum((number + 1) * pieces // every == number * pieces // every for number in range(count)))
    return results


def measure_survivors(net, sizes, count, every):
    """Return how many arrive of each size. Raises lan.LanError where the kernel cannot lose packets on purpose."""
    results = []
    with receiver(net) as server, sender(net, "allow") as sock:
        for size in sizes:
            net["router1"].lose(every, "eth1")  # it counts from 1 again
            results.append(0)
            for _ in range(count):
                sock.send(bytes(size))
                net["client"].settle()
                results[-1] += queued(server) != []
    return results
