"""Fragments: how links cut up datagrams, and what becomes of the pieces; predicted, and measured on `udplab.lan`.

The conventions are those of `experiments`: MTUs in bytes, `predict_...` opens no socket, `net` is a
`lan.path(*mtus)`, and prediction and measurement have the same shape.
"""

import collections
import contextlib
import socket

from udplab.kit.sockets import HEADERS, IP_HEADER, UDP_HEADER
from udplab.mtu import kernel
from udplab.mtu.experiments import icmp_in, ip_packets, received, receiver, sender, silence

Fragment = collections.namedtuple("Fragment", "offset size")
Fragment.__doc__ = "A piece of a datagram: where it starts and how long it is, in bytes, UDP header included."


def cut(whole, limit):
    """Return the fragments that a link with an MTU of `limit` bytes makes of a fragment (RFC 791, section 3.2).

    An offset is counted in units of 8 bytes, so every piece but the last has a multiple of 8.
    """
    pieces, at, room = [], 0, limit - IP_HEADER
    while whole.size - at > room:
        pieces.append(Fragment(whole.offset + at, room // 8 * 8))
        at += room // 8 * 8
    return [*pieces, Fragment(whole.offset + at, whole.size - at)]


def fragments(size, mtus):
    """Return the fragments that arrive from a datagram of `size` bytes of payload, after the links `mtus`.

    Each router cuts again what is too big for its next link. Only the receiver puts pieces together.
    Raises ValueError for an MTU that no link of IPv4 has.
    """
    if min(mtus) < 68:
        raise ValueError(f"every link of IPv4 carries packets of 68 bytes (RFC 791), so no MTU is {min(mtus)}")
    pieces = [Fragment(0, size + UDP_HEADER)]
    for limit in mtus:
        pieces = [piece for whole in pieces for piece in cut(whole, limit)]
    return pieces


def arriving(net, sizes):
    """Send a datagram of each size, which may be cut up; return a list of the server's fragments for each."""
    with receiver(net) as server, sender(net, "allow") as sock, net["server"].capture(room=64 << 20) as seen:
        for size in sizes:
            sock.send(bytes(size))
            seen.settle()
            received(server)
    found = {}  # all fragments of a datagram have one identification
    for packet in udp_in(seen):
        found.setdefault(packet.id, []).append(as_fragment(packet))
    return list(found.values())


def udp_in(seen):
    """Return the captured packets (`experiments.Packet`) that carry UDP or a piece of it."""
    return [packet for packet in ip_packets(seen) if packet.protocol == socket.IPPROTO_UDP]


def as_fragment(packet):
    """Return the `Fragment` in a `experiments.Packet`."""
    return Fragment(packet.offset, len(packet.body))


def survivors(net, sizes, count, every):
    """Send `count` datagrams of each size through a router that loses every n-th fragment; return how many arrive.

    Raises lan.LanError where the kernel cannot lose packets on purpose.
    """
    results = []
    with receiver(net) as server, sender(net, "allow") as sock:
        for size in sizes:
            net["router1"].lose(every, "eth1")  # it counts from 1 again
            results.append(0)
            for _ in range(count):
                sock.send(bytes(size))
                net["client"].settle()
                results[-1] += received(server)
    return results


def predict_survivors(mtus, sizes, count, every):
    """Return the list that `survivors` returns: a datagram arrives if none of its fragments is lost."""
    results = []
    for size in sizes:
        pieces = len(fragments(size, mtus[:2]))
        results.append(sum((number + 1) * pieces // every == number * pieces // every for number in range(count)))
    return results


# --- Hop by hop ---

Journey = collections.namedtuple("Journey", "mtus size dont_fragment black_hole links told arrived")
Journey.__doc__ = """One datagram on its way.

mtus: the path, bytes for each link; size: bytes of payload
dont_fragment: whether it must stay whole; black_hole: whether the routers send no ICMP messages
links: for each link a tuple of the fragments that were on it, () where nothing came
told: the MTU in bytes that an ICMP message named to the client, or None
arrived: whether the server's program got it
"""


def travel(net, mtus, size, dont_fragment, black_hole=False):
    """Send one datagram over `net`, a path with these MTUs, watch every link, and return the `Journey`.

    Raises OSError (ENOBUFS) where it makes more fragments than the send buffer holds: 65507 bytes need an MTU of 200.
    """
    silence(net, black_hole)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(receiver(net))
        sock = stack.enter_context(sender(net, "forbid" if dont_fragment else "allow"))
        watched = [stack.enter_context(host.capture()) for host in list(net)[1:]]
        kernel.attempt(sock, size)
        links = tuple(tuple(map(as_fragment, udp_in(seen))) for seen in watched)
        message = icmp_in(watched[0])
        return Journey(tuple(mtus), size, dont_fragment, black_hole, links, message and message.mtu, received(server))


def predict_journey(mtus, size, dont_fragment, black_hole=False):
    """Return the `Journey` that `travel` should return."""
    links, pieces, told = [], [Fragment(0, size + UDP_HEADER)], None
    for number, limit in enumerate(mtus):
        if dont_fragment and size + HEADERS > limit:
            if pieces and number and not black_hole:  # the first router that cannot pass it on says so
                told = limit
            pieces = []
        pieces = [piece for whole in pieces for piece in cut(whole, limit)]
        links.append(tuple(pieces))
    return Journey(tuple(mtus), size, dont_fragment, black_hole, tuple(links), told, bool(pieces))
