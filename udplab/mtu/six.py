"""IPv6 beside IPv4: who cuts up what is too big. The conventions are those of `experiments`."""

import contextlib
import socket
from dataclasses import dataclass

from udplab.kit.sockets import PORT, UDP_HEADER
from udplab.lan.plan import on_link6
from udplab.mtu import kernel
from udplab.mtu.experiments import on_path
from udplab.mtu.journeys import predict_journey
from udplab.mtu.packets import Message, message_in, udp_in

HEADER, FRAGMENT_HEADER = 40, 8  # bytes: RFC 8200, sections 3 and 4.5
SENDS = 2


@dataclass(frozen=True)
class Cutting:
    """What became of the same datagram, sent twice by a socket that is not connected."""

    links: tuple  # for each send a tuple: how many packets of it were on each link
    message: Message | None  # the first in which a router said "too big"


def cutting(links, size):
    """Send `size` bytes twice by IPv4, which may be cut up, and twice by IPv6.

    Returns a `Compared` of dicts from "IPv4" and "IPv6" to `Cutting`.
    """
    predicted = {"IPv4": predict_cutting4(links, size), "IPv6": predict_cutting6(links, size)}
    return on_path(links, predicted, measure_cutting, size)


def predict_cutting4(mtus, size):
    """Return the `Cutting` of IPv4: routers do it."""
    return Cutting((tuple(map(len, predict_journey(mtus, size, False).links)),) * SENDS, None)


def predict_cutting6(mtus, size):
    """Return the `Cutting` of IPv6: only the sender does it, and only when it knows (RFC 8200, section 4.5)."""
    sends, message, believed = [], None, mtus[0]
    for _ in range(SENDS):
        packets, counts = cut6(size, believed), []
        for link, limit in enumerate(mtus):
            if max(packets, default=0) > limit:
                believed, message = limit, message or Message(2, 0, limit, on_link6(link, 2))
            packets = [packet for packet in packets if packet <= limit]
            counts.append(len(packets))
        sends.append(tuple(counts))
    return Cutting(tuple(sends), message)


def cut6(size, limit):
    """Return the sizes of the packets, in bytes, that an IPv6 sender makes of `size` bytes of payload."""
    whole = size + UDP_HEADER
    if whole + HEADER <= limit:
        return [whole + HEADER]
    room = (limit - HEADER - FRAGMENT_HEADER) // 8 * 8
    pieces = [min(room, whole - at) for at in range(0, whole, room)]
    return [piece + HEADER + FRAGMENT_HEADER for piece in pieces]


def measure_cutting(net, size):
    """Return the two `Cutting`s on a path."""
    client, server = net["client"], net["server"]
    if server.address6 is None:
        raise OSError("there is no IPv6 on this path")
    results = {}
    ways = (4, socket.AF_INET, server.address), (6, socket.AF_INET6, server.address6)
    for version, family, address in ways:
        with contextlib.ExitStack() as stack:
            receiver, sock = (stack.enter_context(host.socket(family)) for host in (server, client))
            receiver.bind(("", PORT))
            if version == 4:
                kernel.set_fragmentation(sock, "allow")
            watched = [stack.enter_context(host.capture()) for host in list(net)[1:]]
            before, counts = [0] * len(watched), []
            for _ in range(SENDS):
                sock.sendto(bytes(size), (address, PORT))
                client.settle()
                now = [len(udp_in(seen, version)) for seen in watched]
                counts.append(tuple(after - earlier for after, earlier in zip(now, before, strict=True)))
                before = now
            results[f"IPv{version}"] = Cutting(tuple(counts), message_in(watched[0]))
    return results


def cutter(found):
    """Return who cuts in IPv6, by a dict of `Cutting`: "client" or "router"."""
    return "client" if found["IPv6"].links[-1][0] > 1 else "router"


def in_words(found):
    """Return lines that tell of a dict of `Cutting`."""
    lines = []
    for family, cutting in found.items():
        for number, counts in enumerate(cutting.links, start=1):
            on_links = ", ".join(f"{count} on link {link}" for link, count in enumerate(counts, start=1))
            lines.append(f"{family}, send {number}, packets: {on_links}")
        if cutting.message:
            lines.append(f"{family}: {cutting.message}")
    return "\n".join(lines)
