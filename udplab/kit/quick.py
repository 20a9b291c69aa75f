"""Waiting in vain, skipped: 1,000 requests with retries take a moment, and a busy machine changes no result."""

import socket
from collections.abc import Callable


class FastForward:
    """A connected socket and its clock: where nothing is on its way, the clock jumps to the end of the wait.

    The datagrams are real. Only, nobody sits out a wait for what was lost.

    serve: called after each send, it does the part of network and server in the same thread, and returns how many
        answers are on their way. (Two threads would have to wake each other for each datagram: that takes longer, and
        far longer on a busy machine.)
    patience: real seconds to wait for an answer that is on its way
    """

    def __init__(self, sock: socket.socket, serve: Callable[[], int], patience: float = 10.0) -> None:
        self._sock, self._serve, self._patience = sock, serve, patience
        self._wait, self._now, self._coming = 0.0, 0.0, 0

    def __getattr__(self, name):
        return getattr(self._sock, name)

    def clock(self) -> float:
        """Return the time in seconds, with the waits that were skipped."""
        return self._now

    def settimeout(self, seconds: float) -> None:
        """Set how long the next wait may be, in seconds on this clock."""
        self._wait = seconds

    def send(self, data: bytes) -> int:
        """Send, and let the server do its part."""
        sent = self._sock.send(data)
        self._coming += self._serve()
        return sent

    def recv(self, size: int) -> bytes:
        """Return the next datagram; raise TimeoutError, and skip the wait, where none is on its way."""
        self._sock.settimeout(self._patience if self._coming else 0.0)
        try:
            data = self._sock.recv(size)
        except BlockingIOError:
            self._now += self._wait
            raise TimeoutError("nothing is on its way") from None
        self._coming -= bool(self._coming)
        return data

    def recvfrom(self, size: int) -> tuple[bytes, tuple[str, int]]:
        """Return the next datagram and its sender, the partner."""
        return self.recv(size), self._sock.getpeername()
