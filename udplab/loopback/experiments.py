"""The experiments of lesson 2-1, in the order of its sections."""

import collections
import math
import socket
import time

from udplab.kit.sockets import HOST, LARGEST, MAX_BYTES, answer_from, connect, ipv4_address, kernel_drops, udp_socket

# --- The experiments of the lesson ---

Exchange = collections.namedtuple("Exchange", "sent received question answer")
Exchange.__doc__ = "A question and its answer (bytes), with the client's times in seconds."


def ask(sock, address, question, timeout=1.0, clock=time.perf_counter):
    """Send one question to `address` and wait for its answer; return the `Exchange`.

    address: a (host, port) pair. Errors: see `ipv4_address` and `answer_from`.
    """
    address = ipv4_address(address[0]), address[1]
    sent = clock()
    sock.sendto(question, address)
    answer = answer_from(sock, address, timeout, clock)
    return Exchange(sent, clock(), question, answer)


def round_trips(
    address, size=32, count=1000, batch=50, pause=0.0, timeout=1.0, clock=time.perf_counter, sleep=time.sleep
):
    """Measure `count` round trips to a server, one after another; yield them in lists of up to `batch`.

    size: bytes of payload; pause: seconds between two datagrams; timeout: seconds to wait for an answer.
    A time is in seconds. It is nan where no answer came: then a new socket takes over, so that a late answer
    cannot be taken for the answer to the next datagram.
    Raises ValueError, before anything is sent, for what cannot be measured.
    """
    if not 0 <= size <= LARGEST:
        raise ValueError(f"a datagram of IPv4 has 0 to {LARGEST} bytes of payload, not {size}")
    if batch < 1 or not timeout > 0:
        raise ValueError(f"a batch has 1 datagram at least, and a timeout is more than 0 s: not {batch} and {timeout}")
    payload = bytes(size)
    sock = None
    try:
        for first in range(0, count, batch):
            times = []
            for _ in range(min(batch, count - first)):
                if pause:
                    sleep(pause)
                try:
                    if sock is None:
                        sock = connect(*address)
                        sock.settimeout(timeout)
                    sent = clock()
                    sock.send(payload)
                    sock.recv(MAX_BYTES)
                    times.append(clock() - sent)
                except (TimeoutError, ConnectionRefusedError, ConnectionResetError):
                    times.append(math.nan)
                    if sock is not None:
                        sock.close()
                    sock = None
            yield times
    finally:
        if sock is not None:
            sock.close()


Burst = collections.namedtuple("Burst", "size sent kept dropped")
Burst.__doc__ = """What became of a burst to a receiver that does not read.

size: bytes of payload in each datagram
sent, kept: numbers of datagrams
dropped: the kernel's own count of those it threw away, or None where the system does not tell
"""


def burst(size, count=2000, queue_bytes=106_496):
    """Send `count` datagrams of `size` bytes to a socket that does not read, then read what is left: a `Burst`.

    queue_bytes: the receive buffer asked for (SO_RCVBUF). Linux doubles it, to make room for its bookkeeping
    (man 7 socket).
    """
    with udp_socket() as receiver, udp_socket() as sender:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, queue_bytes)
        receiver.bind((HOST, 0))
        receiver.settimeout(0.2)
        sender.connect(receiver.getsockname())
        payload = bytes(size)
        for _ in range(count):
            sender.send(payload)
        kept = 0
        # The kernel's count says when everything is accounted for; without it, a silence does.
        while kept + (kernel_drops(receiver) or 0) < count:
            try:
                receiver.recv(MAX_BYTES)
            except TimeoutError:
                break
            kept += 1
        return Burst(size, count, kept, kernel_drops(receiver))
