"""What routers tell by ICMP: the message, when it reaches a program, and who else could have written it.

The conventions are those of `experiments`.
"""

import select
import socket
import struct
import time

from udplab.kit import header
from udplab.kit.compared import compared
from udplab.kit.sockets import HEADERS
from udplab.mtu import kernel
from udplab.mtu.experiments import OLD_NEWS, SENT, believed, on_path, receiver, sender
from udplab.mtu.packets import Message, message_in

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
        captured = message_in(seen)
    _, _, kind, code, _, named, _, router = struct.unpack_from("IBBBBII4x4s", entry)
    return {"error queue": Message(kind, code, named, socket.inet_ntoa(router)), "on the link": captured}


# --- Three messages on their way ---

CROWDED = "the router's messages did not come back one at a time"


def in_flight(links, large=1472, small=1372, delay=0.3):
    """Send three large datagrams over a slow link, then a small one each time when news has come, and once more.

    delay: of the client's link, in seconds each way. The large ones leave at two thirds of it from one another, so all
        are gone before the first message is back. Where a machine is too busy for that, or lets two messages come as
        one, it is done once more, with four times the delay.
    Returns a `Compared` of lists of (size, outcome).
    """
    predicted = [(large, SENT)] * 3 + [(small, OLD_NEWS)] * 3 + [(small, SENT)]
    for seconds in (delay, 4 * delay):
        found = on_path(links, predicted, measure_in_flight, large, small, seconds)
        if found.reason != CROWDED:
            break
    return found


def refused(outcomes):
    """Return how many of the (size, outcome) were refused as old news."""
    return [outcome for _, outcome in outcomes].count(OLD_NEWS)


def measure_in_flight(net, large, small, delay):
    """Return what happens on a path, as a list of (size, outcome)."""
    net.wire("client", delay=delay)
    with receiver(net), sender(net, "forbid") as sock:
        sock.send(b"first")  # so that ARP has its answers
        net["client"].settle()
        sock.send(bytes(large))
        for _ in range(2):
            time.sleep(delay * 2 / 3)  # this is the schedule: nothing is waited for
            if not kernel.attempt(sock, large):
                raise OSError(CROWDED)
        outcomes = [(large, SENT)] * 3
        news = select.poll()
        news.register(sock, 0)  # an error at the socket is always told of
        for _ in range(3):
            if not news.poll(1000 * (2 * delay + 5)):
                raise OSError(CROWDED)
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
    large = header.packet(victim, partner, header.datagram(victim, partner, bytes(1472), checked=False))
    message = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + large[:HEADERS]
    checksum = 0xFFFF - header.total(message)
    with stranger.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.sendto(message[:2] + struct.pack("!H", checksum) + message[4:], (victim[0], 0))
    stranger.settle()
