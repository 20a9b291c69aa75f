"""What becomes of datagrams on a path of several links: predicted by pure functions, measured on `udplab.lan`.

A path is a list of MTUs in bytes, one for each link, from the client to the server. An experiment returns a `Compared`.
Its `predict_...` opens no socket. Its `measure_...` takes `net`, a `lan.path(*mtus)`, and returns a record of the same
shape.
"""

import contextlib
import errno
import socket
import types
from dataclasses import dataclass

from udplab.kit.compared import compared
from udplab.kit.quick import FastForward
from udplab.kit.sockets import HEADERS, MAX_BYTES, PORT, queued
from udplab.loopback.listing import respond
from udplab.mtu import kernel, probing
from udplab.mtu.fragments import fragments
from udplab.mtu.packets import udp_in


def on_path(mtus, predicted, measure, *arguments):
    """Return a `Compared` of the prediction and of `measure(net, *arguments)` on a new path with these MTUs."""
    return compared(predicted, on_new_path, mtus, measure, *arguments)


def on_new_path(mtus, measure, *arguments):
    """Build a path, measure on it, and take it away again."""
    from udplab import lan  # here, since the exercises need the predictions alone

    with lan.path(*mtus) as net:
        return measure(net, *arguments)


def sender(net, choice="default", connected=True):
    """Return a socket on the client, connected to the server if wanted.

    choice: "default" sets no option; the others are those of `kernel.set_fragmentation`
    """
    sock = net["client"].socket()
    if choice != "default":
        kernel.set_fragmentation(sock, choice)
    if connected:
        sock.connect((net["server"].address, PORT))
    return sock


def receiver(net):
    """Return a socket on the server."""
    sock = net["server"].socket()
    sock.bind(("", PORT))
    return sock


def believed(net):
    """Return in which MTU (bytes) the client's kernel believes on the way to the server.

    The belief belongs to the way, not to a socket; but a connected one hears of a new belief only when it sends.
    Raises OSError, in words, where the kernel does not tell.
    """
    with sender(net) as sock:
        mtu = kernel.belief(sock)
    if mtu is None:
        raise OSError("this kernel does not tell in which MTU it believes")
    return mtu


def silence(net, black_hole):
    """Let no router send ICMP messages, if it shall be a black hole."""
    if black_hole:
        for router in list(net)[1:-1]:
            router.send_icmp(False)


# --- Sending, one after another ---

SENT, TOO_BIG, OLD_NEWS = "sent", "error: over the belief", "error: old news"


@dataclass(frozen=True)
class Send:
    """What became of one datagram."""

    size: int  # bytes of payload
    outcome: str  # SENT; TOO_BIG: over the kernel's belief; OLD_NEWS: about an earlier datagram, this one is not sent
    pieces: int  # packets of it that reached the server
    arrived: bool  # whether the server's program got it
    believed: int  # the MTU in bytes in which the kernel believes when all is over

    @property
    def fate(self):
        """In a word: "arrives", "lost" or "refused"."""
        return "arrives" if self.arrived else "lost" if self.outcome == SENT else "refused"


def fates(sends):
    """Return the list of the fates of a list of `Send`."""
    return [send.fate for send in sends]


def sends(links, sizes, black_hole=False, choice="forbid", connected=True):
    """Send a datagram of each size, one after another; return a `Compared` of lists of `Send`.

    Each one has arrived or been lost, and the ICMP message about it has come back, before the next is sent.
    choice: "forbid" sets don't-fragment, "default" no option at all; connected: whether the socket is
    """
    predicted = predict_sends(links, sizes, black_hole, choice, connected)
    return on_path(links, predicted, measure_sends, sizes, black_hole, choice, connected)


def predict_sends(mtus, sizes, black_hole=False, choice="forbid", connected=True):
    """Return what Linux does, as a list of `Send`."""
    results, believed, news = [], mtus[0], False
    for size in sizes:
        packet, outcome, pieces = size + HEADERS, SENT, 0
        if choice == "forbid" and packet > believed:
            outcome = TOO_BIG
        elif news:
            outcome, news = OLD_NEWS, False
        elif packet > believed:  # what does not fit is cut up at once, and routers may cut it again
            pieces = len(fragments(size, [believed, *mtus]))
        elif packet <= min(mtus):
            pieces = 1
        elif not black_hole:  # what fits has don't-fragment set, by default too
            believed = kernel.after_icmp(believed, next(limit for limit in mtus if packet > limit))
            news = connected
        results.append(Send(size, outcome, pieces, pieces > 0, believed))
    return results


def measure_sends(net, sizes, black_hole, choice, connected):
    """Return what happens on a path, as a list of `Send`."""
    results, seen_before = [], 0
    silence(net, black_hole)
    with contextlib.ExitStack() as stack:
        server, sock = map(stack.enter_context, (receiver(net), sender(net, choice, connected)))
        seen = stack.enter_context(net["server"].capture())
        place = net["server"].address, PORT
        way = sock if connected else types.SimpleNamespace(send=lambda data: sock.sendto(data, place))
        for size in sizes:
            over = choice == "forbid" and size + HEADERS > believed(net)
            outcome = SENT if kernel.attempt(way, size) else TOO_BIG if over else OLD_NEWS
            net["client"].settle()
            packets = len(udp_in(seen))
            results.append(Send(size, outcome, packets - seen_before, queued(server) != [], believed(net)))
            seen_before = packets
    return results


# --- Probing ---


def probe(links, black_hole=False):
    """Search for the largest datagram that arrives; return a `Compared` of `probing.Search`."""
    return on_path(links, probing.predict(links, black_hole), measure_probe, black_hole)


def measure_probe(net, black_hole=False):
    """Return the `probing.Search` on a path."""
    silence(net, black_hole)
    with receiver(net) as server, sender(net, "probe") as sock:
        server.setblocking(False)

        def serve():
            """Answer what has arrived when all is through; return 0, as no answer is on its way: all have settled."""
            net["client"].settle()
            with contextlib.suppress(BlockingIOError):
                while True:
                    data, peer = server.recvfrom(MAX_BYTES)
                    server.sendto(respond(data), peer)
            net["client"].settle()
            return 0

        quick = FastForward(sock, serve)
        return probing.Search(list(probing.search(quick, clock=quick.clock)), kernel.belief(sock))


# --- Whom to believe? ---


@dataclass(frozen=True)
class Claims:
    """What each way to ask says about a path, an MTU in bytes each."""

    links: tuple  # their MTUs
    black_hole: bool  # whether no router speaks
    listing: int  # what listing 2-3 prints
    told: int  # the kernel's belief after its ICMP messages
    probed: int  # found by size

    @property
    def true(self):
        """The path MTU, in bytes: we have built the path, so we know it."""
        return min(self.links)


def claims(paths, black_holes=()):
    """Ask on several paths in all three ways; return a `Compared` of lists of `Claims`.

    paths: the MTUs of each; black_holes: more of them, whose routers are silent
    """
    cases = [*((path, False) for path in paths), *((path, True) for path in black_holes)]
    return compared([predict_claims(*case) for case in cases], measure_claims, cases)


def right(claims, way):
    """Return how many of the `Claims` are right in "listing", "told" or "probed"."""
    return sum(getattr(each, way) == each.true for each in claims)


def predict_claims(mtus, black_hole=False):
    """Return the `Claims` that Linux and a search make."""
    told = mtus[0]
    if not black_hole:
        for limit in mtus:
            told = kernel.after_icmp(told, limit)
    return Claims(tuple(mtus), black_hole, mtus[0], told, min(mtus))


def measure_claims(cases):
    """Build each path and ask there; return the list of `Claims`."""
    return [Claims(tuple(mtus), hole, *on_new_path(mtus, ask, hole)) for mtus, hole in cases]


def ask(net, black_hole):
    """Return what the three ways say on a path: listing, told and probed."""
    silence(net, black_hole)
    with sender(net, "forbid") as sock, receiver(net):
        kernel.attempt(sock, 65000)
        listing = told = believed(net)
        while True:  # each round learns of one router (RFC 1191)
            kernel.attempt(sock, told - HEADERS)
            net["client"].settle()
            news = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # reading it clears it
            if news != errno.EMSGSIZE or believed(net) == told:
                break
            told = believed(net)
    return listing, told, measure_probe(net, black_hole).steps[-1].low + HEADERS
