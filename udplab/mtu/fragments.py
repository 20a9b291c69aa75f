"""Fragments: the rule by which links cut up datagrams. No socket is needed."""

from dataclasses import dataclass

from udplab.kit.sockets import IP_HEADER, UDP_HEADER


@dataclass(frozen=True)
class Fragment:
    """A piece of a datagram, of which the UDP header is a part."""

    offset: int  # where in the datagram it starts, in bytes
    size: int  # in bytes


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
