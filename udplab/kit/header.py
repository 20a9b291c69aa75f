"""Headers put together, and their checksum: rules without a socket. `frames` takes them apart.

An end of a datagram is a (host, port) pair of IPv4.
"""

import socket
import struct

FIELDS = struct.Struct("!HHHH")  # of UDP's header: four numbers of 16 bits, the high byte first (RFC 768)


def added(data: bytes) -> int:
    """Return the plain sum of all 16-bit words of `data`; an odd byte gets a zero byte after it."""
    return sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))


def folded(number: int) -> int:
    """Return a sum with each carry over the 16th bit added at the other end (RFC 1071, section 1)."""
    while number > 0xFFFF:
        number = (number & 0xFFFF) + (number >> 16)
    return number


def total(data: bytes) -> int:
    """Return the sum of `data` that the Internet checksum is the complement of (RFC 1071)."""
    return folded(added(data))


def pseudo_header(source: str, target: str, size: int) -> bytes:
    """Return what UDP's checksum covers before the `size` bytes of the datagram: both addresses, protocol and length.

    So a datagram that was led astray is found out (RFC 768). IPv6 has more zeros (RFC 8200, section 8.1): the same sum.
    """
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    ends = socket.inet_pton(family, source) + socket.inet_pton(family, target)
    return ends + struct.pack("!BBH", 0, socket.IPPROTO_UDP, size & 0xFFFF)


def checksum(source: tuple[str, int], destination: tuple[str, int], udp: bytes) -> int:
    """Return the checksum of a UDP datagram whose checksum field is 0: never 0, which means that there is none."""
    return 0xFFFF - total(pseudo_header(source[0], destination[0], len(udp)) + udp) or 0xFFFF


def datagram(source: tuple[str, int], destination: tuple[str, int], data: bytes, checked: bool = True) -> bytes:
    """Return a UDP datagram as bytes, its header included; its checksum is 0 ("none") where it is not `checked`."""
    udp = FIELDS.pack(source[1], destination[1], FIELDS.size + len(data), 0) + data
    return udp[:6] + struct.pack("!H", checksum(source, destination, udp)) + data if checked else udp


def packet(source: tuple[str, int], destination: tuple[str, int], udp: bytes) -> bytes:
    """Return the IPv4 packet with a UDP datagram in it, as Linux sends it: no router may cut it (RFC 791, section 3.1).

    Its own checksum is left out: a kernel that gets it by a raw socket fills it in (raw(7)).
    """
    ends = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, socket.IPPROTO_UDP, 0) + ends + udp


def fits(source: str, target: str, udp: bytes) -> bool:
    """Return whether the checksum of a datagram between two addresses fits. 0 means that it has none, but in IPv6."""
    unchecked = udp[6:8] == b"\0\0" and ":" not in source
    return unchecked or total(pseudo_header(source, target, len(udp)) + udp) == 0xFFFF


def accepted(source: tuple[str, int], destination: tuple[str, int], udp: bytes) -> bytes | None:
    """Return the payload that a receiver takes from a datagram, or None where the checksum does not fit.

    It is dropped without a word to anybody (RFC 1122, section 4.1.3.4).
    """
    return udp[8:] if fits(source[0], destination[0], udp) else None
