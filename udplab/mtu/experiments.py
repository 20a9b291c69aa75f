"""What becomes of datagrams on a path of several links: predicted by pure functions, measured on `udplab.lan`.

A path is a list of MTUs in bytes, one for each link, from the client to the server. Functions named `predict_...`
open no socket. The others take `net`, a `lan.path(*mtus)`, and return a record of the same shape, so that the two
can be compared. `on_lan` builds the path for them.
"""

import collections
import contextlib
import errno
import socket
import struct

from udplab.kit.quick import FastForward
from udplab.kit.sockets import HEADERS, MAX_BYTES, PORT
from udplab.loopback.listing import respond
from udplab.mtu import kernel, probing


def on_lan(mtus, experiment, *arguments, **options):
    """Build a path, run `experiment(net, *arguments, **options)` on it and return (its result, "").

    Where this machine has no LAN, or one that cannot do this, return (None, the reason in words).
    """
    from udplab import lan  # here, since the listing starts faster without it

    try:
        with lan.path(*mtus) as net:
            return experiment(net, *arguments, **options), ""
    except lan.LanError as reason:
        return None, str(reason)


def sender(net, choice):
    """Return a socket on the client, connected to the server; choice: see `kernel.set_fragmentation`."""
    sock = net["client"].socket()
    kernel.set_fragmentation(sock, choice)
    sock.connect((net["server"].address, PORT))
    return sock


def receiver(net):
    """Return a socket on the server that does not wait."""
    sock = net["server"].socket()
    sock.bind(("", PORT))
    sock.setblocking(False)
    return sock


def received(sock):
    """Return whether a datagram has arrived at `sock`, and take it out of the queue."""
    try:
        sock.recv(MAX_BYTES)
    except BlockingIOError:
        return False
    return True


# --- Sending what must not be cut up ---

SENT, TOO_BIG, OLD_NEWS = "sent", "error: over the belief", "error: old news"

Send = collections.namedtuple("Send", "size outcome arrived believed")
Send.__doc__ = """A datagram that must not be cut up.

size: bytes of payload
outcome: SENT, TOO_BIG (the kernel refuses what is over its belief), or OLD_NEWS (the socket reports what became
    of an earlier datagram, and this one is not sent)
arrived: whether the server got it
believed: the MTU in bytes in which the kernel believes when all is over
"""


def sends(net, sizes, black_hole=False):
    """Send a datagram of each size, one after another, with don't-fragment; return a list of `Send`.

    Each one has arrived or been lost, and the ICMP message about it has come back, before the next is sent.
    """
    results = []
    silence(net, black_hole)
    with receiver(net) as server, sender(net, "forbid") as sock:
        for size in sizes:
            believed = kernel.belief(sock)
            refused = TOO_BIG if size + HEADERS > believed else OLD_NEWS
            outcome = SENT if kernel.attempt(sock, size) else refused
            net["client"].settle()
            results.append(Send(size, outcome, received(server), kernel.belief(sock)))
    return results


def predict_sends(mtus, sizes, black_hole=False):
    """Return the list that `sends` returns on Linux."""
    believed, news, results = mtus[0], False, []
    for size in sizes:
        packet = size + HEADERS
        arrived = False
        if packet > believed:
            outcome = TOO_BIG
        elif news:
            outcome, news = OLD_NEWS, False
        else:
            outcome = SENT
            limit = next((limit for limit in mtus if packet > limit), None)
            arrived = limit is None
            if limit is not None and not black_hole:
                believed, news = kernel.after_icmp(believed, limit), True
        results.append(Send(size, outcome, arrived, believed))
    return results


def silence(net, black_hole):
    """Let no router send ICMP messages, if it shall be a black hole."""
    if black_hole:
        for router in list(net)[1:-1]:
            router.send_icmp(False)


Message = collections.namedtuple("Message", "type code mtu router")
Message.__doc__ = """An ICMP message "fragmentation needed": type 3, code 4 (RFC 792), the MTU that it names
(RFC 1191), and the address of the router that sent it."""


def icmp_message(net, size):
    """Send `size` bytes with don't-fragment; return the `Message` twice: from the error queue, and as captured.

    The error queue is Linux's (ip(7), IP_RECVERR). An entry is a struct sock_extended_err (linux/errqueue.h), and
    after it the address of the router.
    """
    ip_recverr, msg_errqueue = 11, 0x2000
    with sender(net, "forbid") as sock, net["client"].capture() as seen:
        sock.setsockopt(socket.IPPROTO_IP, ip_recverr, 1)
        sock.send(bytes(size))
        seen.settle()
        [(_, _, entry)] = sock.recvmsg(2000, 500, msg_errqueue)[1]
        captured = icmp_in(seen)
    _, _, kind, code, _, named, _, router = struct.unpack_from("IBBBBII4x4s", entry)
    return Message(kind, code, named, socket.inet_ntoa(router)), captured


def predict_message(mtus, size):
    """Return the `Message` that `icmp_message` returns twice, or None where no router has a reason to complain."""
    for link, limit in enumerate(mtus):
        if size + HEADERS > limit:
            return Message(3, 4, limit, f"10.0.{link}.2") if link else None
    return None


def icmp_in(seen):
    """Return the first "fragmentation needed" among the captured frames as a `Message`, or None."""
    for packet in ip_packets(seen):
        if packet.protocol == socket.IPPROTO_ICMP and packet.body[:2] == bytes([3, 4]):
            [named] = struct.unpack_from("!H", packet.body, 6)  # RFC 1191, section 4
            return Message(3, 4, named, packet.source)
    return None


Packet = collections.namedtuple("Packet", "protocol source id offset body")
Packet.__doc__ = """An IPv4 packet (RFC 791, section 3.1): its protocol's number, its sender's address, the number
that all fragments of a datagram share, where in the datagram it starts (bytes), and what follows the header."""


def ip_packets(seen):
    """Return the IPv4 packets among the captured frames. (scapy could do it, but its import takes 0.25 s.)"""
    packets = []
    for frame in seen.frames:
        kind, first, length, number, fragment, protocol, source = struct.unpack_from("!12xHBxHHHxBxx4s", frame.data)
        if kind == 0x0800:
            body = frame.data[14 + first % 16 * 4 : 14 + length]
            packets.append(Packet(protocol, socket.inet_ntoa(source), number, fragment % 0x2000 * 8, body))
    return packets


# --- Whom to believe? ---

Answers = collections.namedtuple("Answers", "mtus black_hole listing told probed")
Answers.__doc__ = """What each way to ask says about a path, an MTU in bytes each; the truth is min(mtus).

listing: what listing 2-3 prints; told: the kernel's belief after its ICMP messages; probed: found by size
"""


def ask(net, mtus, black_hole=False):
    """Ask in all three ways for the MTU of `net`, a path with these MTUs; return the `Answers`."""
    silence(net, black_hole)
    with sender(net, "forbid") as sock, receiver(net):
        kernel.attempt(sock, 65000)
        listing = told = kernel.belief(sock)
        while True:  # each round learns of one router (RFC 1191)
            kernel.attempt(sock, told - HEADERS)
            net["client"].settle()
            news = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # reading it clears it
            if news != errno.EMSGSIZE or kernel.belief(sock) == told:
                break
            told = kernel.belief(sock)
    steps = probe(net, black_hole).steps
    return Answers(tuple(mtus), black_hole, listing, told, steps[-1].low + HEADERS)


def predict_answers(mtus, black_hole=False):
    """Return the `Answers` that `ask` returns on Linux."""
    told = mtus[0]
    if not black_hole:
        for limit in mtus:
            told = kernel.after_icmp(told, limit)
    return Answers(tuple(mtus), black_hole, mtus[0], told, min(mtus))


def probe(net, black_hole=False):
    """Search for the largest datagram that arrives; return the `probing.Search`."""
    silence(net, black_hole)
    with receiver(net) as server, sender(net, "probe") as sock:

        def serve():
            """Answer what has arrived when all is through; return how many answers have come back."""
            net["client"].settle()
            answered = 0
            with contextlib.suppress(BlockingIOError):
                while True:
                    data, peer = server.recvfrom(MAX_BYTES)
                    server.sendto(respond(data), peer)
                    answered += 1
            net["client"].settle()
            return answered

        quick = FastForward(sock, serve)
        steps = list(probing.search(quick, clock=quick.clock))
        return probing.Search(steps, kernel.belief(sock))
