"""The header of a UDP datagram and its checksum: rules without a socket (RFC 768)."""

import socket
import struct

FIELDS = struct.Struct("!HHHH")  # four numbers of 16 bits, the high byte first


def checksum(source, destination, udp):
    """Return the checksum of a UDP datagram whose checksum field is 0: never 0, which means that there is none.

    source, destination: (host, port) pairs of IPv4; udp: header and payload as bytes
    It covers both addresses too, so that a datagram that was led astray is found out (RFC 768, RFC 1071).
    """
    return (0xFFFF - total(source, destination, udp)) or 0xFFFF


def total(source, destination, udp):
    """Return the sum of all 16-bit words, each carry added at the other end (RFC 1071, section 1)."""
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(destination[0])
    whole = addresses + struct.pack("!BBH", 0, socket.IPPROTO_UDP, len(udp)) + udp + bytes(len(udp) % 2)
    result = sum(struct.unpack(f"!{len(whole) // 2}H", whole))
    while result > 0xFFFF:
        result = (result & 0xFFFF) + (result >> 16)
    return result


def datagram(source, destination, data, checked=True):
    """Return a UDP datagram as bytes, its header included; its checksum is 0 ("none") where it is not `checked`."""
    udp = FIELDS.pack(source[1], destination[1], FIELDS.size + len(data), 0) + data
    return udp[:6] + struct.pack("!H", checksum(source, destination, udp)) + data if checked else udp


def accepted(source, destination, udp):
    """Return the payload that a receiver takes from a datagram, or None where the checksum does not fit.

    It is dropped without a word to anybody (RFC 1122, section 4.1.3.4).
    """
    if FIELDS.unpack(udp[:8])[3] != 0 and total(source, destination, udp) != 0xFFFF:
        return None
    return udp[8:]
