"""The exercise on the checksum of lesson 2-1: what it is made of (RFC 768, RFC 1071), and what a kernel made of it."""

from udplab.kit import frames, header
from udplab.kit.exercise import expect
from udplab.kit.header import added, folded, total
from udplab.kit.sockets import PORT
from udplab.kit.words import brief, shown

CLIENT, SERVER = ("10.0.1.1", 5000), ("10.0.1.2", PORT)  # of `lan.path(1500)`


def kernel_datagrams(payloads):
    """Send each payload over a network of its own; return for each what is summed up, and the checksum on the wire.

    What is summed up (RFC 768): both addresses, 0, the protocol, the length; then the datagram with checksum 0.
    Raises LanError where this machine has no LAN.
    """
    from udplab import lan

    with lan.path(1500) as net, net["client"].socket() as sock, net["client"].capture() as seen:
        sock.bind(CLIENT)
        for payload in payloads:
            sock.sendto(payload, SERVER)
        net["client"].settle()
        packets = [frames.parse(frame.data) for frame in seen.frames if frame.outgoing]
    return [summed(packet) for packet in packets if packet.ports and packet.ports[0] == CLIENT[1]]


def payloads():
    """Return the payloads to try: nothing, odd, even, long, one whose checksum is 0, one that carries twice."""
    zero = header.checksum(CLIENT, SERVER, header.datagram(CLIENT, SERVER, bytes(2), checked=False))
    ones = b"\xff\xff" * 700
    twice = 0xFFFE - (added(covered(ones + bytes(2))) & 0xFFFF)
    return b"", b"odd", b"hello", "Grüße ☕".encode(), ones, zero.to_bytes(2, "big"), ones + twice.to_bytes(2, "big")


def summed(packet):
    """Return what the checksum of the UDP datagram in a packet is made of, and the checksum."""
    udp, before = packet.body, header.pseudo_header(packet.source, packet.target, len(packet.body))
    return before + udp[:6] + b"\0\0" + udp[8:], header.FIELDS.unpack_from(udp)[3]


def covered(payload):
    """Return what is summed up where that network carries a payload from client to server."""
    udp = header.datagram(CLIENT, SERVER, payload, checked=False)
    return header.pseudo_header(CLIENT[0], SERVER[0], len(udp)) + udp


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


def _low_end(data):
    return data[:-1] + b"\0" + data[-1:] if len(data) % 2 else data


SLIPS = [
    (total, "That is the sum: the checksum is its complement, all bits inverted."),
    (lambda data: ~added(data) & 0xFFFF, "What is carried over the 16th bit is added again at the right end."),
    (
        lambda data: ~((added(data) & 0xFFFF) + (added(data) >> 16)) & 0xFFFF,
        "Adding the carry can carry once more: go on until nothing is left of it.",
    ),
    (lambda data: ~folded(256 * total(data)) & 0xFFFF, "The first byte of a pair is the higher one."),
    (
        lambda data: ~total(_low_end(data)) & 0xFFFF,
        "An odd byte at the end gets a zero byte after it, not before it.",
    ),
    (lambda data: ~total(data[: len(data) // 2 * 2]) & 0xFFFF, "The odd byte at the end counts too."),
    (
        lambda data: ~total(data) & 0xFFFF,
        "UDP sends all ones, 0xffff, in place of 0: a 0 in a datagram means that it has no checksum (RFC 768).",
    ),
    (lambda data: ~folded(sum(data)) & 0xFFFF, "It adds up pairs of bytes, numbers of 16 bits, not single bytes."),
]
