"""Captures made up: what a film is made of, without a network."""

import dataclasses

from udplab.kit import header
from udplab.kit.film import Read, Socket
from udplab.lan.plan import plan_path

PATH = plan_path([1500, 1500])
FROM, TO = ("10.0.1.1", 4000), ("10.0.2.2", 1060)
APART, FLYING = 100e-6, 10e-6  # seconds from one datagram to the next, and from end to end of a link


@dataclasses.dataclass(frozen=True)
class Seen:
    """A frame at an interface, as `udplab.lan.capture` notes it."""

    time: float
    data: bytes
    outgoing: bool


def captured(count):
    """Return (frames at each interface, sockets, reads) of `count` flights, for `film_of(PATH, ...)`.

    They are datagrams from the client by way of the router to the server, two flights each; a program there reads them.
    """
    client, router, server = PATH
    links = (client, router, 64), (router, server, 63)  # a router takes one of the TTL
    seen, reads = {}, []
    for number in range(count // 2):
        payload, now = b"%d" % number, number * APART
        for near, far, ttl in links:
            source, target = near.interfaces[-1], far.interfaces[0]
            data = frame(source, target, ttl, payload)
            seen.setdefault((near.name, source.name), []).append(Seen(now, data, True))
            seen.setdefault((far.name, target.name), []).append(Seen(now + FLYING, data, False))
            now += 2 * FLYING
        reads.append(Read(now, server.name, payload, len(payload), TO[1]))
    return seen, [Socket(server.name, "", TO[1])], reads


def frame(source, target, ttl, payload):
    """Return the frame that takes a datagram from interface to interface, its IP header's checksum filled in."""
    packet = bytearray(header.packet(FROM, TO, header.datagram(FROM, TO, payload)))
    packet[8] = ttl
    packet[10:12] = (0xFFFF - header.total(packet[:20])).to_bytes(2)
    macs = (bytes.fromhex(end.mac.replace(":", "")) for end in (target, source))
    return b"".join(macs) + b"\x08\x00" + packet
