"""A UDP socket and a clock on paper: what arrives is set beforehand, and nobody has to wait for it.

    clock = Clock()
    sock = Paper([(0.1, b"junk"), (0.3, b"answer")], clock=clock)
    outcome(on_paper(ask, sock), sock, clock.read, within=2.0)
    sock.sent, clock.now

The socket knows what a learner may call; what it does not know it says in words. `on_paper` is in `paper_waits`.
"""

import errno
import itertools
import os
import socket
import time
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

from udplab.kit.sockets import HEADERS, LARGEST

CALL, READING = 1e-4, 1e-6  # seconds that a call without a wait takes on paper, and a look at the clock
IP_MTU_DISCOVER, IP_MTU = 10, 14  # linux/in.h
OPTIONS = {
    (socket.SOL_SOCKET, socket.SO_BROADCAST),
    (socket.SOL_SOCKET, socket.SO_RCVBUF),
    (socket.SOL_SOCKET, socket.SO_SNDBUF),
    (socket.SOL_SOCKET, socket.SO_REUSEADDR),
    (socket.IPPROTO_IP, IP_MTU_DISCOVER),
}
DONTWAIT, PEEK, TRUNC = (getattr(socket, name, 0) for name in ("MSG_DONTWAIT", "MSG_PEEK", "MSG_TRUNC"))

_numbers = itertools.count(1_000_000)  # no file has such a number: the real select() and poll() refuse it


class Enough(BaseException):
    """Somebody waited for too long on paper. No Exception: a loop that catches those would go on."""


class NotOnPaper(AttributeError):
    """A socket on paper was asked for something that it does not know."""


class Clock:
    """A clock on paper: time passes only where somebody waits, and a little with each call.

    now: seconds; most: where it ends, with Enough
    """

    def __init__(self, most: float = 10.0) -> None:
        self.now, self.most = 0.0, most

    def read(self) -> float:
        """Return the time in seconds."""
        self.now += READING
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")
        self.now += max(seconds, READING)
        if self.now > self.most:
            raise Enough


class RealClock:
    """The same with real time, for functions that choose a clock of their own."""

    read = staticmethod(time.monotonic)

    def sleep(self, seconds: float) -> None:
        """Wait, in pieces: between them a check can end."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.02))


class Paper:
    """A UDP socket on paper.

    arrivals: (seconds from now, what) or (seconds, what, peer), in order, also without an end. `what` is bytes, or an
        OSError, which the next call on the socket raises instead of what it should do: an old error (man 7 udp).
    peer: to whom the socket is connected; None: to nobody
    limit: bytes of payload; a send of more raises EMSGSIZE
    needs_permission: hosts, such as "10.0.0.255", to whom only a socket with SO_BROADCAST may send
    sent: a list of (data, address), what was sent so far
    patience: the longest wait that was asked for, in seconds
    """

    family, type, proto = socket.AF_INET, socket.SOCK_DGRAM, 0

    sent: list[tuple[bytes, tuple[str, int]]]
    _arrivals: Iterator[tuple]
    _head: Any  # the next arrival, (seconds, what, peer), or None
    _peer: tuple | None
    _timeout: float | None
    _options: dict[tuple[int, int], int]

    def __init__(
        self,
        arrivals: Iterable[tuple] = (),
        *,
        clock: Clock | RealClock,
        peer: tuple[str, int] | None = None,
        limit: int = LARGEST,
        needs_permission: Container[str] = (),
    ) -> None:
        self._arrivals, self._head, self._start = iter(arrivals), None, clock.read()
        self._peer, self._since, self._limit, self._needs_permission = peer, 0.0, limit, needs_permission
        self._timeout, self._options, self._number, self._closed = None, {}, next(_numbers), False
        self.clock = clock
        self.sent, self.patience = [], 0.0

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotOnPaper(f"The socket of this exercise is on paper, and does not know {name}()")

    # --- Its state ---

    def settimeout(self, seconds: float | None) -> None:
        """Set how long a wait may be, in seconds; None: for ever; 0: no wait."""
        if seconds is not None and seconds < 0:
            raise ValueError("Timeout value out of range")
        self._timeout = seconds

    def gettimeout(self) -> float | None:
        """Return how long a wait may be."""
        return self._timeout

    timeout = property(gettimeout)

    def setblocking(self, flag: bool) -> None:
        """Let it wait for ever, or not at all."""
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        """Return whether it waits at all."""
        return self._timeout != 0

    def connect(self, address: tuple[str, int]) -> None:
        """Take one partner: what arrives from others from now on is lost, what waits already stays."""
        self._open()
        self._peer, self._since = tuple(address), self._elapsed()

    def connect_ex(self, address: tuple[str, int]) -> int:
        """The same, with an error's number as its result."""
        self.connect(address)
        return 0

    def getsockname(self) -> tuple[str, int]:
        """Return an address, since a socket has one."""
        return "10.0.0.1", 50_000

    def getpeername(self) -> tuple[str, int]:
        """Return the partner."""
        if self._peer is None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))
        return self._peer

    def setsockopt(self, level: int, option: int, value: int) -> None:
        """Note an option."""
        if (level, option) not in OPTIONS:
            raise NotOnPaper(
                f"The socket of this exercise is on paper, and does not know the option ({level}, {option})"
            )
        self._options[level, option] = value

    def getsockopt(self, level: int, option: int, size: int = 0) -> int:
        """Return an option; of IP_MTU what the kernel believes."""
        return self._limit + HEADERS if option == IP_MTU else int(self._options.get((level, option), 0))

    def fileno(self) -> int:
        """Return a number that only the select() and poll() of `on_paper` know."""
        return -1 if self._closed else self._number

    def close(self) -> None:
        """Close it."""
        self._closed = True

    def __enter__(self) -> "Paper":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _open(self):
        if self._closed:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))

    def _elapsed(self):
        return self.clock.read() - self._start

    # --- Sending ---

    def send(self, data: bytes, flags: int = 0) -> int:
        """Send to the partner."""
        return self.sendto(data, self.getpeername())

    def sendall(self, data: bytes, flags: int = 0) -> None:
        """Send to the partner."""
        self.send(data)

    def sendto(self, data: bytes, *flags_and_address: Any) -> int:
        """Send; raise what the kernel would."""
        self._open()
        data, (host, port) = bytes(memoryview(data)), flags_and_address[-1]
        self.clock.sleep(CALL)
        if self._next() and isinstance(self._head[1], OSError) and self._head[0] <= self._elapsed():
            self._take()
        if len(data) > self._limit:
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        host = "255.255.255.255" if host == "<broadcast>" else host
        if host in self._needs_permission and not self._options.get((socket.SOL_SOCKET, socket.SO_BROADCAST)):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        self.sent.append((data, (host, port)))
        return len(data)

    def sendmsg(
        self, buffers: Iterable[bytes], ancillary: Sequence = (), flags: int = 0, address: tuple | None = None
    ) -> int:
        """Send what several buffers hold as one datagram."""
        return self.sendto(b"".join(buffers), address or self.getpeername())

    # --- Receiving ---

    def recvmsg(self, size: int, ancillary: int = 0, flags: int = 0) -> tuple[bytes, list, int, tuple[str, int]]:
        """Return (data, [], flags, sender) of the next datagram; MSG_TRUNC in the flags if it was cut."""
        data, peer = self._receive(flags)
        return data[:size], [], TRUNC if len(data) > size else 0, peer

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, tuple[str, int]]:
        """Return the next datagram and its sender."""
        if size < 0:
            raise ValueError("negative buffersize in recvfrom")
        data, peer = self._receive(flags)
        return data[:size], peer

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return the next datagram."""
        return self.recvfrom(size, flags)[0]

    def recvfrom_into(self, buffer: bytearray | memoryview, size: int = 0, flags: int = 0) -> tuple[int, tuple]:
        """Put the next datagram into a buffer; return its length and its sender."""
        data, peer = self.recvfrom(size or len(buffer), flags)
        memoryview(buffer).cast("B")[: len(data)] = data
        return len(data), peer

    def recv_into(self, buffer: bytearray | memoryview, size: int = 0, flags: int = 0) -> int:
        """Put the next datagram into a buffer; return its length."""
        return self.recvfrom_into(buffer, size, flags)[0]

    def _receive(self, flags):
        self._open()
        wait = 0 if flags & DONTWAIT else self._timeout
        if not self.comes(wait):
            if wait:
                raise TimeoutError("timed out")
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return self._take(keep=flags & PEEK)

    def comes(self, seconds: float | None) -> bool:
        """Wait until something is there, for so many seconds at most (None: for ever); return whether it is."""
        self._open()
        self.patience = max(self.patience, seconds or 0.0)
        until = self._next()[0] - self._elapsed() if self._next() else None
        if until is not None and until <= 0:
            self.clock.sleep(READING)
            return True
        if seconds is None and until is None:
            raise Enough  # nobody would ever end this wait
        if until is None or (seconds is not None and until > seconds):
            self.clock.sleep(max(seconds, CALL))
            return False
        self.clock.sleep(until)
        return True

    def _next(self):
        """Return the next arrival as (seconds, what, peer), or None."""
        while self._head is None and (arrival := next(self._arrivals, None)):
            when, what, *peer = arrival
            peer = peer[0] if peer else self._peer
            if self._peer in (None, peer) or when <= self._since:
                self._head = when, what, peer
        return self._head

    def _take(self, keep=False):
        _, what, peer = self._head
        self._head = self._head if keep else None
        if isinstance(what, OSError):
            raise what
        return what, peer
