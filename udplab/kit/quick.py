"""Waiting in vain, skipped."""

LOST = b"\0lost"  # what a network with `tell` sends to a client instead of what it lost; see FastForward


class FastForward:
    """A connected socket whose waits in vain are skipped, and the clock that goes with it.

    The datagrams are real. Only, where the network says that one was lost (`Network(tell=True)`), nobody sits the
    wait out: the clock jumps to its end. So 1,000 requests take a moment, and a busy machine changes no result.

    serve: called after each send, it does the server's part in the same thread. Two threads would have to wake each
        other for each datagram: that takes longer, and far longer on a busy machine.
    patience: real seconds to wait for a server that is gone
    """

    def __init__(self, sock, serve=lambda: None, patience=10.0):
        self._sock = sock
        self._serve = serve
        self._wait = 0.0
        self._now = 0.0
        sock.settimeout(patience)

    def clock(self):
        """Return the time in seconds, with the waits that were skipped."""
        return self._now

    def settimeout(self, seconds):
        """Set how long the next wait may be, in seconds on this clock."""
        self._wait = seconds

    def send(self, data):
        """Send, and let the server do its part."""
        sent = self._sock.send(data)
        self._serve()
        return sent

    def recv(self, size):
        """Return the next datagram; raise TimeoutError, and skip the wait, for one that was lost."""
        data = self._sock.recv(size)
        if data != LOST:
            return data
        self._now += self._wait
        raise TimeoutError("skipped")

    def close(self):
        """Close the socket."""
        self._sock.close()
