"""What a kernel is told and asks about sizes: don't fragment, too big, and the MTU in which it believes."""

import collections
import errno
import socket
import sys

SIZES = (  # that one meets: bytes, of a packet or of its payload, what they are, where that is written
    (68, "packet", "IPv4: every link carries it", "RFC 791, section 3.2"),
    (508, "payload", "every IPv4 host can take it: 576 - 60 (largest IP header) - 8", "RFC 791, section 3.1"),
    (512, "payload", "classic DNS sends no more", "RFC 1035, section 4.2.1"),
    (576, "packet", "IPv4: every host can put it together again", "RFC 791, section 3.1"),
    (
        1200,
        "payload",
        "QUIC needs it; a search by size starts near it",
        "RFC 9000, section 14; RFC 8899, section 5.1.2",
    ),
    (1232, "payload", "fits every link of IPv6: 1280 - 40 - 8; what DNS sends today", "DNS flag day 2020"),
    (1280, "packet", "IPv6: every link carries it", "RFC 8200, section 5"),
    (
        1420,
        "packet",
        "what a WireGuard tunnel leaves of 1500: less 40 for IPv6, 8 for UDP, 32 of its own",
        "wireguard.com/protocol; WireGuard mailing list, 2017-12-11",
    ),
    (1492, "packet", "what PPPoE, on many home lines, leaves of 1500: less 8 for its header", "RFC 2516, section 7"),
    (1500, "packet", "Ethernet, and so most links", "RFC 894"),
    (9000, "packet", '"jumbo", inside data centres', "a custom, in no RFC"),
    (65507, "payload", "the largest over IPv4, whatever the links", "RFC 791 and RFC 768"),
)

# --- What this platform calls "don't fragment" ---


class Options(collections.namedtuple("Options", "name option forbid probe allow mtu source")):
    """How a platform sets IPv4's don't-fragment bit: a row of `PLATFORMS`.

    name: the platform, for readers
    option: the socket option, at the level IPPROTO_IP
    forbid: its value for "never fragment", as the listing wants it
    probe: its value for "never fragment, and let no ICMP message stop me from trying"
    allow: its value for "fragment where needed, set no don't-fragment bit"
    mtu: the option that reads the kernel's belief, or None where there is none
    source: where the numbers come from
    """


# Python has none of these names, up to 3.13 at least, and module IN, which had them on some systems, left with
# Python 3.6. The numbers differ: Linux's 10 would set the multicast TTL on Windows. So no platform gets a guess.
PLATFORMS = {
    "linux": Options("Linux", 10, 2, 3, 0, 14, "linux/in.h, ip(7): IP_MTU_DISCOVER, IP_MTU"),
    "win32": Options("Windows", 71, 1, 3, 2, 73, "ws2ipdef.h: IP_MTU_DISCOVER, IP_MTU"),
    "darwin": Options("macOS", 28, 1, 1, 0, None, "netinet/in.h: IP_DONTFRAG, since macOS 11"),
    "freebsd": Options("FreeBSD", 67, 1, 1, 0, None, "netinet/in.h, ip(4): IP_DONTFRAG"),
}


def options(platform=None):
    """Return the row of `PLATFORMS` for `platform` (a sys.platform, by default this one's), or None."""
    platform = platform or sys.platform
    for name, row in PLATFORMS.items():
        if platform.startswith(name):  # FreeBSD's has its version at the end
            return row
    return None


def set_fragmentation(sock, choice):
    """Set what may happen to datagrams of `sock` that are too big. choice: "forbid", "probe" or "allow".

    Raises OSError, in words, where the platform has no such option: nothing is guessed.
    """
    known = options()
    if known is None:
        raise OSError(f"Cannot forbid fragmentation: no socket option for it is known on {sys.platform}.")
    try:
        sock.setsockopt(socket.IPPROTO_IP, known.option, getattr(known, choice))
    except OSError as error:
        raise OSError(
            f"Cannot forbid fragmentation: this {known.name} refuses the option of {known.source} ({error.strerror})."
        ) from error


def belief(sock):
    """Return the MTU in bytes in which the kernel believes on the way of a connected `sock`; None if it does not tell.

    It is the first link's MTU until an ICMP message of a router has named a smaller one (RFC 1191). Linux keeps
    that for ten minutes (sysctl net.ipv4.route.mtu_expires).
    """
    known = options()
    if known is None or known.mtu is None:
        return None
    try:
        return sock.getsockopt(socket.IPPROTO_IP, known.mtu)
    except OSError:  # not every system has all that its name promises (gVisor, old kernels)
        return None


def after_icmp(believed, named):
    """Return what Linux believes (bytes) after an ICMP message that names an MTU, if it believed `believed` before.

    It never believes more than before, nor a number under 552 (sysctl net.ipv4.route.min_pmtu): a forged message
    could otherwise make a sender cut everything into crumbs.
    """
    return min(believed, max(named, 552))


def attempt(sock, size):
    """Send `size` bytes; return True if the system took them, False if it says "too big".

    Only EMSGSIZE means that. Every other error is raised: a missing route says nothing about size.
    """
    try:
        sock.send(b"#" * size)
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        return False
    return True
