"""IP packets in a capture of `udplab.lan`, read by hand. (scapy could do it, but its import takes 0.25 s.)"""

import socket
import struct
from dataclasses import dataclass

from udplab.mtu.fragments import Fragment


@dataclass(frozen=True)
class Packet:
    """An IP packet (RFC 791, section 3.1; RFC 8200, sections 3 and 4.5)."""

    protocol: int  # its number: 17 is UDP, 1 is ICMP
    source: str  # its sender's address
    id: int  # the number that all fragments of a datagram share
    offset: int  # where in the datagram it starts, in bytes
    body: bytes  # what follows the headers of IP

    @property
    def piece(self):
        """The `Fragment` that it carries."""
        return Fragment(self.offset, len(self.body))


@dataclass(frozen=True)
class Message:
    """An ICMP message "fragmentation needed" (RFC 792), or of ICMPv6 "packet too big" (RFC 4443, section 3.2)."""

    type: int  # 3: destination unreachable; ICMPv6: 2
    code: int  # 4: fragmentation needed, but don't-fragment is set; ICMPv6: 0
    mtu: int  # of the next link, in bytes (RFC 1191, section 4)
    router: str  # the address that sent it


def ip_packets(seen):
    """Return the IPv4 packets among the frames of a capture."""
    packets = []
    for frame in seen.frames:
        kind, first, length, number, fragment, protocol, source = struct.unpack_from("!12xHBxHHHxBxx4s", frame.data)
        if kind == 0x0800:
            body = frame.data[14 + first % 16 * 4 : 14 + length]
            packets.append(Packet(protocol, socket.inet_ntoa(source), number, fragment % 0x2000 * 8, body))
    return packets


def udp_in(seen):
    """Return the captured packets that carry UDP or a piece of it."""
    return [packet for packet in ip_packets(seen) if packet.protocol == socket.IPPROTO_UDP]


def icmp_in(seen):
    """Return the first "fragmentation needed" among the captured packets as a `Message`, or None."""
    for packet in ip_packets(seen):
        if packet.protocol == socket.IPPROTO_ICMP and packet.body[:2] == bytes([3, 4]):
            [named] = struct.unpack_from("!H", packet.body, 6)
            return Message(3, 4, named, packet.source)
    return None


def ipv6_packets(seen):
    """Return the IPv6 packets among the frames of a capture; of extension headers only the fragment header is read."""
    packets = []
    for frame in seen.frames:
        kind, length, protocol, source = struct.unpack_from("!12xH4xHBx16s", frame.data.ljust(54, b"\0"))
        if kind == 0x86DD:
            body, number, offset = frame.data[54 : 54 + length], 0, 0
            if protocol == socket.IPPROTO_FRAGMENT:
                protocol, offset, number = struct.unpack_from("!BxHI", body)
                body = body[8:]
            source = socket.inet_ntop(socket.AF_INET6, source)
            packets.append(Packet(protocol, source, number, offset & 0xFFF8, body))
    return packets


def too_big_in(seen):
    """Return the first "packet too big" of ICMPv6 in a capture as a `Message`, or None."""
    for packet in ipv6_packets(seen):
        if packet.protocol == socket.IPPROTO_ICMPV6 and packet.body[:2] == bytes([2, 0]):
            [named] = struct.unpack_from("!I", packet.body, 4)
            return Message(2, 0, named, packet.source)
    return None
