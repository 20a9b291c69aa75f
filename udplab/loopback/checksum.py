"""The exercise on the checksum of lesson 2-1: what it is made of (RFC 768, RFC 1071), and what a kernel made of it."""

import ipaddress
import struct

from udplab.kit.exercise import expect
from udplab.kit.sockets import PORT
from udplab.kit.words import brief, shown

PORTS = 5000, PORT


def kernel_datagrams(payloads):
    """Send each payload over a network of its own; return for each what is summed up, and the checksum on the wire.

    What is summed up (RFC 768): both addresses, 0, the protocol, the length; then the datagram with checksum 0.
    Raises LanError where this machine has no LAN.
    """
    from udplab import lan

    with lan.path(1500) as net, net["client"].socket() as sock, net["client"].capture() as seen:
        sock.bind((net["client"].address, PORTS[0]))
        for payload in payloads:
            sock.sendto(payload, (net["server"].address, PORTS[1]))
        net["client"].settle()
        packets = [frame.data[14:] for frame in seen.frames if frame.outgoing and frame.data[12:14] == b"\x08\x00"]
    return [summed(packet) for packet in packets if packet[9] == 17 and packet[20:22] == struct.pack("!H", PORTS[0])]


def payloads():
    """Return the payloads to try: nothing, odd, even, long, one whose checksum is 0, one that carries twice."""
    zero = ~_folded(_words(summed(packet(bytes(2)))[0])) & 0xFFFF
    ones = b"\xff\xff" * 700
    twice = 0xFFFE - (_words(summed(packet(ones + bytes(2)))[0]) & 0xFFFF)
    return b"", b"odd", b"hello", "Grüße ☕".encode(), ones, zero.to_bytes(2, "big"), ones + twice.to_bytes(2, "big")


def summed(packet):
    """Return what the checksum of the UDP datagram in an IPv4 packet is made of, and the checksum. See RFC 768."""
    addresses, datagram = packet[12:20], packet[20:]
    pseudo_header = addresses + struct.pack("!BBH", 0, 17, len(datagram))
    return pseudo_header + datagram[:6] + b"\0\0" + datagram[8:], int.from_bytes(datagram[6:8], "big")


def packet(payload):
    """Return the IPv4 packet that carries a payload from client to server on that network, without checksums."""
    header = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0)
    addresses = ipaddress.IPv4Address("10.0.1.1").packed + ipaddress.IPv4Address("10.0.1.2").packed
    return header + addresses + struct.pack("!HHHH", *PORTS, 8 + len(payload), 0) + payload


def verdict(function, datagrams, solution):
    """Return what is wrong with a learner's checksum, or None.

    datagrams: (what is summed up, the kernel's checksum) pairs; solution: a function that does it right
    """
    rest = (b"", b"\0", b"\xff", b"\xff\xff", b"\x01\x02\x03", b"\xff" * 1000, b"\xff\xff" * 3 + b"\0\x03", bytes(9))
    tries = [(data, sum_, function(data)) for data, sum_ in [*datagrams, *((data, solution(data)) for data in rest)]]
    for number, (data, expected, got) in enumerate(tries):
        if isinstance(got, int) and not isinstance(got, bool) and got == expected:
            continue
        if not isinstance(got, int) or isinstance(got, bool):
            return f"Expected a whole number from 0 to 65535. {expect(expected, got, function)}"
        who = "the kernel put" if number < len(datagrams) else "expected"
        slips = [words for wrong, words in SLIPS if all(wrong(data) in (got, 0) for data, _, got in tries)]
        words = f"For the {len(data)} bytes {shown(data, 60)}: {who} {expected:#06x}, but got {brief(got, 30)}"
        return f"{words} ({got:#06x}). {slips[0] if slips else ''}".rstrip() if 0 <= got < 1 << 32 else f"{words}."
    return None


def _words(data, order="big"):
    return sum(int.from_bytes(data[place : place + 2], order) for place in range(0, len(data), 2))


def _folded(total):
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _padded(data):
    return data + b"\0" * (len(data) % 2)


SLIPS = [
    (
        lambda data: _folded(_words(_padded(data))),
        "That is the sum: the checksum is its complement, all bits inverted.",
    ),
    (
        lambda data: ~_words(_padded(data)) & 0xFFFF,
        "What is carried over the 16th bit is added again at the right end.",
    ),
    (
        lambda data: ~((lambda t: (t & 0xFFFF) + (t >> 16))(_words(_padded(data)))) & 0xFFFF,
        "Adding the carry can carry once more: go on until nothing is left of it.",
    ),
    (lambda data: ~_folded(_words(_padded(data), "little")) & 0xFFFF, "The first byte of a pair is the higher one."),
    (lambda data: ~_folded(_words(data)) & 0xFFFF, "An odd byte at the end gets a zero byte after it, not before it."),
    (lambda data: ~_folded(_words(data[: len(data) // 2 * 2])) & 0xFFFF, "The odd byte at the end counts too."),
    (
        lambda data: ~_folded(_words(_padded(data))) & 0xFFFF,
        "UDP sends all ones, 0xffff, in place of 0: a 0 in a datagram means that it has no checksum (RFC 768).",
    ),
    (lambda data: ~_folded(sum(data)) & 0xFFFF, "It adds up pairs of bytes, numbers of 16 bits, not single bytes."),
]
