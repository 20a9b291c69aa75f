"""What becomes of datagrams on a path of several links: predicted by pure functions, measured on `udplab.lan`.

A path is a list of MTUs in bytes, one for each link, from the client to the server. An experiment returns a `Compared`.
Its `predict_...` opens no socket. Its `measure_...` takes `net`, a `lan.path(*mtus)`, and returns a record of the same
shape.
"""

import contextlib
import errno
import select
import socket
import struct
import time
import types
from dataclasses import dataclass

from udplab.kit.compared import compared
from udplab.kit.quick import FastForward
from udplab.kit.sockets import HEADERS, MAX_BYTES, PORT, queued
from udplab.loopback.listing import respond
from udplab.mtu import kernel, probing
from udplab.mtu.fragments import fragments
from udplab.mtu.packets import Message, icmp_in, udp_in


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


# --- The message ---


def icmp_message(links, size):
    """Send `size` bytes with don't-fragment; return a `Compared` of what the router's `Message` says.

    Each is a dict: the message as the socket's error queue has it, and as it was captured on the client's link.
    """
    message = predict_message(links, size)
    return on_path(links, {"error queue": message, "on the link": message}, measure_message, size)


def predict_message(mtus, size):
    """Return the router's `Message`, or None where no router has a reason to complain."""
    for link, limit in enumerate(mtus):
        if size + HEADERS > limit:
            return Message(3, 4, limit, f"10.0.{link}.2") if link else None
    return None


def measure_message(net, size):
    """Return the `Message` from the error queue and the one on the link.

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
    return {"error queue": Message(kind, code, named, socket.inet_ntoa(router)), "on the link": captured}


# --- Three messages on their way ---


def in_flight(links, large=1472, small=1372, delay=0.1):
    """Send three large datagrams over a slow link, then a small one each time when news has come, and once more.

    delay: of the client's link, in seconds each way. The large ones leave at half of it from one another, so all are
    gone before the first message is back.
    Returns a `Compared` of lists of (size, outcome).
    """
    predicted = [(large, SENT)] * 3 + [(small, OLD_NEWS)] * 3 + [(small, SENT)]
    return on_path(links, predicted, measure_in_flight, large, small, delay)


def measure_in_flight(net, large, small, delay):
    """Return what happens on a path, as a list of (size, outcome)."""
    net.wire("client", delay=delay)
    with receiver(net), sender(net, "forbid") as sock:
        sock.send(b"first")  # so that ARP has its answers
        net["client"].settle()
        outcomes = []
        for _ in range(3):
            sock.send(bytes(large))
            outcomes.append((large, SENT))
            time.sleep(delay / 2)  # this is the schedule: nothing is waited for
        news = select.poll()
        news.register(sock, 0)  # an error at the socket is always told of
        for _ in range(3):
            if not news.poll(1000 * (2 * delay + 5)):
                raise OSError("an ICMP message has not come back")
            outcomes.append((small, SENT if kernel.attempt(sock, small) else OLD_NEWS))
        net["client"].settle()
        outcomes.append((small, SENT if kernel.attempt(sock, small) else OLD_NEWS))
        return outcomes


# --- A message that anybody could have written ---


def forged(named):
    """Let a stranger write "fragmentation needed", with each of these MTUs (bytes), to a host beside it.

    Returns a `Compared` of lists: what that host's kernel believes on the way to its server before, and after each.
    """
    return compared(predict_forged(named), measure_forged, named)


def predict_forged(named):
    """Return what Linux believes before, and after each message."""
    beliefs = [1500]
    for mtu in named:
        beliefs.append(kernel.after_icmp(beliefs[-1], mtu))
    return beliefs


def measure_forged(named):
    """Build a LAN of client, server and stranger; return the client's beliefs."""
    from udplab import lan

    with lan.switch("client", "server", "stranger") as net, sender(net) as victim:
        beliefs = [believed(net)]
        for mtu in named:
            forge(net["stranger"], victim.getsockname(), victim.getpeername(), mtu)
            beliefs.append(believed(net))
        return beliefs


def forge(stranger, victim, partner, mtu):
    """Send the victim a forged message about a datagram from it to its partner, both (address, port).

    A message quotes the head of the packet that it is about: IP header and 8 bytes (RFC 792). By these the kernel
    finds the socket, so a forger has to know, or guess, addresses and ports.
    """
    ends = socket.inet_aton(victim[0]) + socket.inet_aton(partner[0])
    quoted = struct.pack("!BBHHHBBH8s", 0x45, 0, 1500, 0, 0x4000, 64, socket.IPPROTO_UDP, 0, ends)
    quoted += struct.pack("!HHHH", victim[1], partner[1], 1480, 0)
    message = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quoted
    words = sum(struct.unpack(f"!{len(message) // 2}H", message))
    checksum = ~(words % 0xFFFF) & 0xFFFF  # the sum in one's complement, RFC 1071
    with stranger.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.sendto(message[:2] + struct.pack("!H", checksum) + message[4:], (victim[0], 0))
    stranger.settle()


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


def claims(cases):
    """Ask on several paths, (links, black_hole) each, in all three ways; return a `Compared` of lists of `Claims`."""
    return compared([predict_claims(*case) for case in cases], measure_claims, cases)


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
