"""The experiments of lesson 2-1, in the order of its sections."""

import errno
import math
import socket
import time
from dataclasses import dataclass

from udplab.kit.answers import is_itself
from udplab.kit.compared import compared
from udplab.kit.film.composed import Read, Sent, loopback
from udplab.kit.sockets import (
    HOST,
    LARGEST,
    MAX_BYTES,
    answer_from,
    arrivals,
    connect,
    ipv4_address,
    kernel_drops,
    own_address,
    udp_socket,
)
from udplab.loopback import listing

IN_A_ROW = 20  # round trips that are lost one after another before `round_trips` gives up
DAY = 86_400  # seconds: the longest wait that anybody can mean


@dataclass(frozen=True)
class Exchange:
    """A question and its answer.

    sent, received: when the question left and the answer was there, in seconds on the client's clock
    question, answer: bytes
    """

    sent: float
    received: float
    question: bytes
    answer: bytes


def ask(sock, address, question, timeout=1.0, clock=time.perf_counter):
    """Send one question to `address` and wait for its answer; return the `Exchange`.

    address: a (host, port) pair; timeout: seconds
    Errors: see `ipv4_address` and `answer_from`; ValueError, before anything is sent, for a timeout that is none.
    """
    check(timeout=timeout)
    address = ipv4_address(address[0]), address[1]
    sent = clock()
    sock.sendto(question, address)
    if is_itself(own_address(sock), address):  # it has a port by now (see section 4)
        raise TimeoutError(f"{address[0]}, port {address[1]} is the address of this socket itself: nobody else answers")
    answer = answer_from(sock, address, timeout, clock)
    return Exchange(sent, clock(), question, answer)


def ask_once(address, question, timeout=1.0):
    """Ask with a socket of its own, which is closed then; return the `Exchange`. See `ask`."""
    with udp_socket() as sock:
        return ask(sock, address, question, timeout)


def filmed(exchange, record):
    """Return a Film of an exchange, from what the client (`Exchange`) and the server (`kit.server.Record`) noted."""
    question, answer = exchange.question, exchange.answer
    return loopback(
        [
            Sent(exchange.sent, "client", "server", question),
            Sent(record.sent, "server", "client", answer),
        ],
        [
            Read(record.time, "server", question, len(question)),
            Read(exchange.received, "client", answer, len(answer)),
        ],
    )


def over_ipv6(question):
    """Ask at ::1, which is to IPv6 what 127.0.0.1 is to IPv4; return the answer as `Compared`."""
    return compared(listing.respond(question), _ask_over_ipv6, question)


def _ask_over_ipv6(question):
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client,
    ):
        server.bind(("::1", 0))
        server.settimeout(1.0)
        client.settimeout(1.0)
        client.sendto(question, server.getsockname())
        data, peer = server.recvfrom(MAX_BYTES)
        server.sendto(listing.respond(data), peer)
        return client.recv(MAX_BYTES)


def tcp_beside_udp():
    """Return whether a TCP socket gets the address and port that a UDP socket has."""
    for _ in range(20):  # another program's TCP socket may have that very port
        with udp_socket() as udp, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            udp.bind((HOST, 0))
            try:
                tcp.bind(udp.getsockname())
            except OSError:
                continue
            return tcp.getsockname() == udp.getsockname()
    return False


def round_trips(
    address, size=32, count=1000, batch=50, pause=0.0, timeout=1.0, clock=time.perf_counter, sleep=time.sleep
):
    """Measure `count` round trips to a server, one after another; yield them in lists of up to `batch`.

    size: bytes of payload; pause: seconds between two datagrams; timeout: seconds to wait for an answer.
    A time is in seconds. It is nan where no answer came: then a new socket takes over, so that a late answer
    cannot be taken for the answer to the next datagram.
    Raises ValueError, before anything is sent, for what cannot be measured; TimeoutError, in words, when 20 in a row
    were lost: the others would be lost as well. Those for which the system has no room (ENOBUFS: over an MTU of 68,
    65,507 bytes are more than 1,000 pieces) do not count: they cost no time, and other sizes can be measured.
    """
    check(size=size, count=count, batch=batch, timeout=timeout, pause=pause)
    payload, sock, in_a_row = bytes(size), None, 0
    try:
        for first in range(0, count, batch):
            times = []
            for _ in range(min(batch, count - first)):
                if pause:
                    sleep(pause)
                if sock is None:
                    sock = connect(*address)
                    sock.settimeout(timeout)
                sent = clock()
                try:
                    sock.send(payload)
                    sock.recv(MAX_BYTES)
                    times.append(clock() - sent)
                    in_a_row = 0
                except OSError as error:  # silence, a refusal, a firewall: this one is lost, and the next is tried
                    times.append(math.nan)
                    sock.close()
                    sock, in_a_row = None, in_a_row + (error.errno != errno.ENOBUFS)
                    if in_a_row == IN_A_ROW:
                        yield times
                        raise TimeoutError(in_vain(address, error)) from None
            yield times
    finally:
        if sock is not None:
            sock.close()


def in_vain(address, error):
    """Return the line that says why `round_trips` has given up; error: the last one."""
    host, port = address
    return (
        f"{IN_A_ROW} datagrams in a row to {host}, port {port} got no answer (the last one: {error}). "
        "Is a server running there? Start it, and run this again."
    )


@dataclass(frozen=True)
class Burst:
    """What became of a burst to a receiver that does not read.

    size: bytes of payload in each datagram
    sent, kept: numbers of datagrams
    dropped: the kernel's own count of those it threw away, or None where the system does not tell
    refused: how many sends raised an error, so that these datagrams were not even sent (as on macOS: ENOBUFS)
    """

    size: int
    sent: int
    kept: int
    dropped: int | None
    refused: int = 0


def burst(size, count=2000, queue_bytes=106_496):
    """Send `count` datagrams of `size` bytes to a socket that does not read, then read what is left: a `Burst`.

    queue_bytes: the receive buffer asked for (SO_RCVBUF). Linux doubles it, to make room for its bookkeeping
    (man 7 socket).
    Raises ValueError, before anything is sent, for numbers that cannot be.
    """
    check(size=size, count=count, queue_bytes=queue_bytes)
    with udp_socket() as receiver, udp_socket() as sender:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, queue_bytes)
        receiver.bind((HOST, 0))
        sender.connect(receiver.getsockname())
        payload, sent = bytes(size), 0
        for _ in range(count):
            try:
                sender.send(payload)
                sent += 1
            except OSError:  # counted as refused
                continue
        # The kernel's count says when everything is accounted for; without it, the end of the wait does.
        kept, coming = 0, arrivals(receiver, 0.3 if kernel_drops(receiver) is None else 5.0)
        while kept + (kernel_drops(receiver) or 0) < sent and next(coming, None):
            kept += 1
        return Burst(size, sent, kept, kernel_drops(receiver), count - sent)


def overflow(count=16, size=100, queue_bytes=4096, clock=time.perf_counter):
    """Send a few datagrams to a socket that does not read, then read what is left; return the Film of it.

    Numbers as for `burst`, but size: 2 bytes at least, in which each datagram has its number.
    """
    check(size=size, count=count, queue_bytes=queue_bytes)
    if not size >= 2 or count > 65_536:
        raise ValueError(f"size and count: 2 bytes at least, for numbers up to 65,535, not {size} and {count}")
    with udp_socket() as receiver, udp_socket() as sender:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, queue_bytes)
        receiver.bind((HOST, 0))
        sender.connect(receiver.getsockname())
        sends = []
        for number in range(count):
            data = number.to_bytes(2, "big") + bytes(size - 2)
            begin = clock()
            sender.send(data)
            sends.append(Sent(begin, "sender", "receiver", data, clock()))
        reads = [Read(clock(), "receiver", data, len(data)) for data, _ in arrivals(receiver, 0.1)]
    return loopback(sends, reads)


LIMITS = {  # from what to what, and of what kind
    "size": (0, LARGEST, "bytes of payload in a datagram of IPv4"),
    "count": (1, 10_000_000, "datagrams"),
    "batch": (1, 10_000_000, "datagrams in a batch"),
    "queue_bytes": (1, 2**30, "bytes of a queue"),
    "pause": (0, DAY, "seconds of a pause"),
    "timeout": (0, DAY, "seconds of a timeout, more than 0"),
}


def check(**numbers):
    """Raise ValueError, in words, for a number out of its limits; None, nan and inf are out of all."""
    for name, value in numbers.items():
        low, high, what = LIMITS[name]
        whole = name not in ("pause", "timeout")
        try:
            good = low <= value <= high and (value == int(value) if whole else value > 0 or name == "pause")
        except TypeError:
            good = False
        if not good:
            raise ValueError(f"{name} is a {'whole ' * whole}number from {low} to {high:,} ({what}), not {value!r}")
