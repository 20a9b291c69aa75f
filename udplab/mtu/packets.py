"""What lesson 2-3 looks for in a capture of `udplab.lan`: UDP in pieces, and what a router said of it."""

from dataclasses import dataclass

from udplab.kit import frames
from udplab.mtu.fragments import Fragment


@dataclass(frozen=True)
class Message:
    """An ICMP message "fragmentation needed" (RFC 792), or of ICMPv6 "packet too big" (RFC 4443, section 3.2)."""

    type: int  # 3: destination unreachable; ICMPv6: 2
    code: int  # 4: fragmentation needed, but don't-fragment is set; ICMPv6: 0
    mtu: int  # of the next link, in bytes (RFC 1191, section 4)
    router: str  # the address that sent it


def udp_in(seen, version=4):
    """Return the captured `frames.Packet`s of IPv4 or IPv6 that carry UDP or a piece of it."""
    packets = [frames.parse(frame.data) for frame in seen.frames]
    return [packet for packet in packets if (packet.version, packet.protocol) == (version, frames.UDP)]


def piece(packet):
    """Return the `Fragment` that a packet carries."""
    return Fragment(packet.offset, len(packet.body))


def message_in(seen):
    """Return the first `Message` in a capture, or None."""
    for packet in map(frames.parse, (frame.data for frame in seen.frames)):
        if packet.too_big:
            return Message(*packet.error, packet.source)
    return None
