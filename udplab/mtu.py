"""Listing 2-3: send a big datagram that must not be cut up, and ask the kernel which MTU it believes in.

    python -m udplab.mtu HOST [-p PORT] [--size BYTES]      as the listing
    python -m udplab.mtu HOST [-p PORT] --probe             find by trying which sizes arrive (`udplab.probing`)
    python -m udplab.mtu HOST [-p PORT] --answer            the other end of --probe; HOST "" is every address

The MTU of a link is the largest IP packet, in bytes, that it carries. The smallest on a path is the path MTU.
What becomes of datagrams on a whole path is in `udplab.path` and `udplab.fragments`.
"""

import argparse
import collections
import errno
import socket
import sys

from udplab import loopback, terminal
from udplab.loopback import connect
from udplab.serving import Server

IP_HEADER, UDP_HEADER = 20, 8  # bytes: RFC 791 (without options), RFC 768
HEADERS = IP_HEADER + UDP_HEADER
LARGEST = 65535 - HEADERS  # bytes of payload: the limit of IPv4's length field, whatever the MTU

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
    (1280, "packet", "IPv6: every link carries it", "RFC 8200, section 5"),
    (1500, "packet", "Ethernet, and so most links", "RFC 894"),
    (9000, "packet", '"jumbo", inside data centres', "a custom, in no RFC"),
    (65507, "payload", "the largest over IPv4, whatever the links", "RFC 791 and RFC 768"),
)

# --- What this platform calls "don't fragment" ---

Options = collections.namedtuple("Options", "name option forbid probe allow mtu source")
Options.__doc__ = """How a platform sets IPv4's don't-fragment bit: a row of `PLATFORMS`.

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


def set_fragmentation(sock, choice, platform=None):
    """Set what may happen to datagrams of `sock` that are too big. choice: "forbid", "probe" or "allow".

    platform: a sys.platform, by default this one's.
    Raises OSError, in words, where the platform has no such option: nothing is guessed.
    """
    known = options(platform)
    if known is None:
        raise OSError(
            f"Cannot forbid fragmentation: no socket option for it is known on {platform or sys.platform}. "
            "Probing by size (--probe) works here too."
        )
    try:
        sock.setsockopt(socket.IPPROTO_IP, known.option, getattr(known, choice))
    except OSError as error:
        raise OSError(
            f"Cannot forbid fragmentation: this {known.name} refuses the option of {known.source} "
            f"({error.strerror}). Probing by size (--probe) works here too."
        ) from error


def belief(sock):
    """Return the MTU in bytes in which the kernel believes on the way of a connected `sock`; None if it does not tell.

    It is the first link's MTU until an ICMP message of a router has named a smaller one (RFC 1191). Linux keeps
    that for ten minutes (sysctl net.ipv4.route.mtu_expires).
    """
    known = options()
    if known is None or known.mtu is None:
        return None
    return sock.getsockopt(socket.IPPROTO_IP, known.mtu)


def after_icmp(believed, named):
    """Return what Linux believes (bytes) after an ICMP message that names an MTU, if it believed `believed` before.

    It never believes more than before, nor a number under 552 (sysctl net.ipv4.route.min_pmtu): a forged message
    could otherwise make a sender cut everything into crumbs.
    """
    return min(believed, max(named, 552))


# --- The listing ---


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


def send_big_datagram(host, port, size=65000):
    """Forbid fragmentation, send one big datagram, and print whether it went and what the kernel believes."""
    with connect(host, port) as sock:
        set_fragmentation(sock, "forbid")
        if attempt(sock, size):
            print(f"The big datagram was sent: {size} bytes. Whether it arrives, nobody tells.")
            return
        print(f"The big datagram did not make it: {size} bytes are too big.")
        believed = belief(sock)
        if size > LARGEST:
            print(f"No datagram of IPv4 has more than {LARGEST} bytes of payload, whatever the MTU is.")
        elif believed is None:
            print(f"{options().name} does not tell which MTU its kernel believes in. Try --probe.")
        else:
            print(f"The kernel believes in an MTU of {believed} bytes: room for {believed - HEADERS} of payload.")
            print("That is its first link, unless a router has told it of a smaller one.")


def answer(host, port):
    """Answer each datagram with its size, until Ctrl-C: the other end of --probe."""
    terminal.show(Server(loopback.respond, host, port), loopback.in_words)


def probe(host, port):
    """Find by size which datagrams arrive, and print that beside what the kernel believes."""
    from udplab import probing  # here, since the listing does without it

    with connect(host, port) as sock:
        try:
            set_fragmentation(sock, "probe")
        except OSError:
            print(f"{sys.platform} cannot forbid fragmentation: what arrives may have travelled in pieces.")
        steps = []
        for step in probing.search(sock):
            print(probing.in_words(step), flush=True)
            steps.append(step)
        print(probing.verdict(probing.Search(steps, belief(sock))))


def size(text):
    """Return the number of bytes that `text` names; argparse reports anything else."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= 1_000_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: give a whole number of bytes, 1 to 1000000")
    return int(text)


def main(argv=None):
    """Run the listing from the command line."""
    parser = terminal.parser(
        "mtu", "Send a big UDP datagram that must not be cut up, and show which MTU the kernel believes."
    )
    parser.add_argument("host", metavar="HOST", help="the host to send to")
    role = parser.add_mutually_exclusive_group()
    role.add_argument("--size", type=size, default=65000, metavar="BYTES", help="payload to send (default 65000)")
    role.add_argument("--probe", action="store_true", help="find by trying which sizes arrive; HOST must run --answer")
    role.add_argument(
        "--answer", action="store_true", help="answer probes that arrive at HOST, an address of this machine"
    )
    arguments = parser.parse_args(argv)
    if arguments.port == 0 and not arguments.answer:
        parser.error("argument -p: a sender needs the server's port, 1 to 65535")
    if arguments.answer:
        terminal.run(answer, arguments.host, arguments.port)
    elif arguments.probe:
        terminal.run(probe, arguments.host, arguments.port)
    else:
        terminal.run(send_big_datagram, arguments.host, arguments.port, arguments.size)


if __name__ == "__main__":
    main()
