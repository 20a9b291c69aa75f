"""What a frame is: Ethernet's header, then ARP, IPv4 or IPv6, then UDP, ICMP, IGMP. Pure functions on bytes.

Only what the lessons tell is read. scapy knows far more, but its import takes 0.25 s and its packets 0.1 ms each.
"""

import dataclasses
import socket
import struct

from udplab.kit.header import total

UDP, ICMP, IGMP, ICMPV6, FRAGMENT = 17, 1, 2, 58, 44  # protocol numbers (IANA; RFC 8200 section 4)
ETHERNET = 14  # bytes of Ethernet's header: target, source, type
MLD, NDP = (130, 131, 132, 143), (133, 134, 135, 136, 137)  # ICMPv6 types (RFC 3810, RFC 4861)

# What an ICMP error says, by (IP version, type, code): RFC 792, RFC 4443.
ERRORS = {
    (4, 3, 0): "network unreachable",
    (4, 3, 1): "host unreachable",
    (4, 3, 2): "protocol unreachable",
    (4, 3, 3): "port unreachable",
    (4, 3, 4): "too big, and must not be cut",
    (4, 3, 13): "forbidden by a filter",
    (4, 11, 0): "its time to live is over",
    (4, 11, 1): "pieces missing after the time for reassembly",
    (6, 1, 0): "network unreachable",
    (6, 1, 3): "host unreachable",
    (6, 1, 4): "port unreachable",
    (6, 2, 0): "too big",
    (6, 3, 0): "its time to live is over",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Packet:
    """What stands in a frame.

    kind: "UDP", "fragment", "ICMP", "ARP", "IGMP", "MLD", "NDP" or "other"
    size: bytes of the packet, its IP header included, Ethernet's 14 bytes not
    to: the MAC address it is for, 6 bytes
    version: 4, 6, or 0 where it is not IP
    source, target: IP addresses as text (of ARP: who asks, who is asked for)
    protocol: the number of what it carries; key: what all fragments of one datagram have in common
    offset: where in the datagram its body starts, in bytes; more: whether further fragments follow
    whole: whether no router may cut it
    body: what follows the IP header
    intact: whether its IP header is of the version that the frame names, and the checksum in it fits (RFC 791; IPv6 has
        none)
    """

    kind: str
    size: int
    to: bytes
    version: int = 0
    source: str = ""
    target: str = ""
    protocol: int = -1
    id: int = 0
    offset: int = 0
    more: bool = False
    whole: bool = False
    body: bytes = b""
    intact: bool = True

    @property
    def key(self) -> tuple[str, str, int, int]:
        return self.source, self.target, self.protocol, self.id

    @property
    def in_pieces(self) -> bool:
        """Whether it is a fragment of a larger packet."""
        return self.more or self.offset > 0

    @property
    def ports(self) -> tuple[int, int] | None:
        """(source port, target port) of UDP, or None where they do not stand in this packet."""
        started = self.protocol == UDP and self.offset == 0 and len(self.body) >= 8
        return struct.unpack_from("!HH", self.body) if started else None

    @property
    def error(self) -> tuple[int, int, int] | None:
        """(type, code, named MTU) of an ICMP error (RFC 792, RFC 1191, RFC 4443), else None."""
        if self.kind != "ICMP" or len(self.body) < 8 or (self.version, *self.body[:2]) not in ERRORS:
            return None
        at = "!4xI" if self.version == 6 else "!6xH"
        return self.body[0], self.body[1], struct.unpack_from(at, self.body)[0]

    @property
    def too_big(self) -> bool:
        """Whether it is an ICMP error that names the MTU of the next link."""
        return bool(self.error) and (self.version, *self.error[:2]) in ((4, 3, 4), (6, 2, 0))

    @property
    def quoted(self) -> "Packet | None":
        """The start of the packet that an ICMP error is about, as a Packet, else None."""
        return parse_ip(self.body[8:], self.to) if self.error else None


def parse(frame: bytes) -> Packet:
    """Return the Packet in an Ethernet frame (bytes). What cannot be read is of the kind "other"."""
    to, kind = frame[:6], frame[12:14]
    if kind == b"\x08\x06" and len(frame) >= ETHERNET + 28:  # ARP (RFC 826)
        asker, asked = socket.inet_ntoa(frame[28:32]), socket.inet_ntoa(frame[38:42])
        return Packet("ARP", 28, to, 0, asker, asked, body=frame[ETHERNET : ETHERNET + 28])
    version = {b"\x08\x00": 4, b"\x86\xdd": 6}.get(kind)
    packet = parse_ip(frame[ETHERNET:], to) if version else None
    if packet and packet.version == version:
        return packet
    return Packet("other", max(len(frame) - ETHERNET, 0), to, body=frame[ETHERNET:], intact=not version)


def parse_ip(data: bytes, to: bytes = b"") -> Packet | None:
    """Return the Packet that starts with an IPv4 or IPv6 header, or None where there is no such header."""
    version = data[0] >> 4 if data else 0
    if version == 4 and len(data) >= 20:
        return _parse_ipv4(data, to)
    return _parse_ipv6(data, to) if version == 6 and len(data) >= 40 else None


def _parse_ipv4(data, to):
    """RFC 791, section 3.1."""
    length, number, fragment, protocol = struct.unpack_from("!xxHHHxB", data)
    header, more, offset = (data[0] & 15) * 4, bool(fragment & 0x2000), (fragment & 0x1FFF) * 8
    kind = {UDP: "UDP", ICMP: "ICMP", IGMP: "IGMP"}.get(protocol, "other")
    return Packet(
        "fragment" if more or offset else kind,
        length,
        to,
        4,
        socket.inet_ntoa(data[12:16]),
        socket.inet_ntoa(data[16:20]),
        protocol,
        number,
        offset,
        more,
        bool(fragment & 0x4000),
        data[header:length],
        total(data[:header]) == 0xFFFF,
    )


def _parse_ipv6(data, to):
    """RFC 8200, sections 3 and 4. No router cuts an IPv6 packet."""
    [length] = struct.unpack_from("!H", data, 4)
    following, at, end, number, offset, more = data[6], 40, 40 + length, 0, 0, False
    if following == 0 and end >= 48 <= len(data):  # hop-by-hop options, as MLD has them
        following, at = data[at], at + 8 + data[at + 1] * 8
    if following == FRAGMENT and len(data) >= at + 8:
        following, place, number = struct.unpack_from("!BxHI", data, at)
        at, offset, more = at + 8, place & 0xFFF8, bool(place & 1)
    body, kind = data[at:end], {UDP: "UDP", ICMPV6: "ICMP"}.get(following, "other")
    if kind == "ICMP" and body:
        kind = "MLD" if body[0] in MLD else "NDP" if body[0] in NDP else kind
    source, target = (socket.inet_ntop(socket.AF_INET6, data[i : i + 16]) for i in (8, 24))
    kind = "fragment" if more or offset else kind
    return Packet(kind, end, to, 6, source, target, following, number, offset, more, True, body)


def words(packet: Packet) -> str:
    """Return what a frame is, in a few words."""
    if packet.kind == "ARP":
        asks = packet.body[6:8] == b"\0\1"
        return f"ARP: who has {packet.target}?" if asks else f"ARP: {packet.source} is here"
    if packet.kind == "fragment":
        return f"fragment, bytes {packet.offset} to {packet.offset + len(packet.body) - 1} of the datagram"
    if packet.kind == "UDP" and packet.ports:
        size = len(packet.body) - 8
        return f"UDP, {size} byte{'s' * (size != 1)} for port {packet.ports[1]}"
    if error := packet.error:
        named = f", MTU {error[2]}" if packet.too_big else ""
        return f"ICMP: {ERRORS[packet.version, error[0], error[1]]}{named}"
    return {"IGMP": "IGMP: who is in which group", "MLD": "MLD: who is in which group", "NDP": "NDP: who has it?",
            "ICMP": "ICMP"}.get(packet.kind, "another frame")  # fmt: skip
