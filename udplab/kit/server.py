"""A UDP server in a background thread.

The rules:

- The server's job is one function, `respond(data) -> bytes | None`. It sees no socket, so it can be tried
  without one.
- One thread owns the socket: it waits in `recvfrom`, answers, and closes the socket when it ends.
- Nothing that arrives ends the thread, nothing that respond raises, and no setting of the process. Each datagram is
  counted exactly once: answered, dropped, bad (their mistake) or errors (ours).
- Whoever holds an answer finds it in the log and in the counts. Neither makes anybody wait for long.
- Nothing is printed here. A full pipe or a busy notebook never holds up an answer.
- Ctrl-C may come at any moment. Events and `is_alive` are Python code that it can cut in two: an Event's lock then
  stays taken, a living thread counts as ended (CPython up to 3.12). So news goes through a SimpleQueue, which is C,
  and the thread runs as long as its socket is open. Thread.start() has an Event inside: there Ctrl-C is put off.
"""

import contextlib
import errno
import os
import queue
import socket
import sys
import threading
from collections import deque, namedtuple
from collections.abc import Callable, Iterator
from time import monotonic, perf_counter, sleep  # by name: a learner may put something else in their place in `time`

from udplab.kit.answers import as_bytes, from_an_earlier_answer, unanswerable
from udplab.kit.calm import uninterrupted
from udplab.kit.sockets import MAX_BYTES, ipv4_address
from udplab.kit.words import SHOWN, failure

KEPT = 1000  # records that the log keeps


class Record(namedtuple("Record", "number time peer data size done answer sent why")):
    """What became of one datagram.

    number: 1, 2, 3 ... in order of arrival
    time: when it was received, in seconds on the server's clock
    peer: the sender's address and port
    data: its first 200 bytes
    size: its length in bytes
    done: "answered", "dropped", "bad" or "errors"
    answer: the first 200 bytes of the answer, or None
    sent: when the answer was handed to the kernel, in seconds on the same clock, or None
    why: words for a datagram that was not answered, otherwise ""
    """

    __slots__ = ()


class Server:
    """Answer datagrams with `respond` in a background thread, until stopped.

    respond: a function of the datagram's bytes. It returns the answer's bytes, or None to stay silent. It
        raises ValueError (UnicodeDecodeError is one) for a request that makes no sense.
    host: the address to listen on; "" is every address of this machine.
    port: 0 lets the system pick a free one.
    clock: a function that gives seconds.
    make_socket: a function like socket.socket; a host of `udplab.lan` has one.

    Use it in a `with` block, or call start() and stop(); it can be started again.
    """

    def __init__(
        self, respond: Callable[[bytes], bytes | None], host: str = "127.0.0.1", port: int = 0, *,
        clock: Callable[[], float] = perf_counter, make_socket: Callable[..., socket.socket] = socket.socket,
    ) -> None:  # fmt: skip
        if not callable(respond):
            raise TypeError(f"a Server wants the function itself, its name without brackets, not {respond!r}")
        self.respond, self.host, self.port = respond, host, port
        self._clock, self._make_socket = clock, make_socket
        self._log: deque[tuple] = deque(maxlen=KEPT)
        self._counts = {"answered": 0, "dropped": 0, "bad": 0, "errors": 0}
        self._news: queue.SimpleQueue | None = None
        self._thread: threading.Thread | None = None
        self._sock: socket.socket | None = None
        self._owner: int | None = None
        self._stopping = self._answering = False
        self.address: tuple[str, int] | None = None

    def start(self) -> "Server":
        """Bind the socket and start the thread; return the server.

        Raises OSError where the address cannot be had (in use, not ours, unknown).
        """
        if self.running:
            raise RuntimeError(f"this server is already running at {self.address}")
        sock = None
        try:
            # No SO_REUSEADDR: on Linux it would let a second server take every datagram of the first.
            sock = self._make_socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.settimeout(None)  # whatever socket.setdefaulttimeout() says: this thread waits for ever
            sock.bind((self.host, self.port))
            self.address = sock.getsockname()
            name = "udplab server at {}:{}".format(*self.address)
            thread = threading.Thread(target=self._serve, args=(sock,), name=name, daemon=True)
            self._stopping = False
            self._thread, self._sock, self._owner = thread, sock, os.getpid()
            with uninterrupted():
                thread.start()
            return self
        except BaseException as error:  # Ctrl-C too: nobody could stop a server that was never handed out
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                taken = f"Port {self.port} is in use. Stop what has it, or take port 0: any free one."
                error.add_note(taken if self.port else "No port of this machine is free just now.")
            if sock is not None and sock is not self._sock:
                sock.close()
            self.stop()
            raise

    def stop(self, patience: float = 5.0) -> None:
        """Stop the thread and wait for its end; a server that is not running stays so.

        Raises TimeoutError if the thread has not ended after `patience` seconds, since `respond` has not come back.
        The thread then ends, and closes its socket, as soon as `respond` returns.
        """
        thread, sock = self._thread, self._sock
        if thread is None or sock is None:  # another thread may have stopped it
            return
        if os.getpid() != self._owner:
            sock.close()  # the thread is the parent's, and what would wake it goes to the parent's server
        self._stopping = True
        deadline = monotonic() + patience
        with contextlib.suppress(RuntimeError):  # the thread could not be started, and cannot be joined
            while sock.fileno() != -1:
                self._wake(sock)
                thread.join(0.02)
                if sock.fileno() != -1 and monotonic() > deadline:
                    raise TimeoutError(
                        f"the server at {self.address} has not stopped in {patience:g} s: {self._busy()}"
                    )
            thread.join(max(0.0, deadline - monotonic()))  # its very end, unless somebody else closed its socket
        sock.close()
        if self._sock is sock:  # another thread may have started it again
            self._sock = self._thread = None
        if self._news is not None:
            self._news.put(None)

    def __enter__(self) -> "Server":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def running(self) -> bool:
        """True from start() until the thread has closed the socket, its last act; never in a forked child."""
        sock = self._sock
        return sock is not None and sock.fileno() != -1 and self._owner == os.getpid()

    @property
    def log(self) -> list[Record]:
        """The last 1,000 datagrams as a list of `Record`, the oldest first."""
        self._settle()
        return [Record._make(entry) for entry in self._log.copy()]

    @property
    def counts(self) -> dict[str, int]:
        """A dict: received == answered + dropped + bad + errors, at any moment and from any thread."""
        self._settle()
        done = self._counts.copy()
        return {"received": sum(done.values())} | done

    def follow(self, patience: float | None = None) -> Iterator[tuple[int, list[Record]]]:
        """Yield `(missed, records)` whenever there is news, until the server stops; for one follower at a time.

        missed: how many datagrams came and left the log since the last look
        patience: seconds without news after which it ends as well; None waits on
        """
        self._news = news = queue.SimpleQueue()
        last, waited = 0, False
        while True:
            running = self.running
            while not news.empty():
                news.get()
            records = [record for record in self.log if record.number > last]
            if records:
                yield records[0].number - last - 1, records
                last, waited = records[-1].number, False
            elif not running or (waited and patience is not None):
                return
            else:
                # Ctrl-C that comes just before a wait is seen when it ends; on Windows, any that comes during one.
                with contextlib.suppress(queue.Empty):
                    news.get(timeout=1.0 if patience is None else patience)
                waited = True

    def _settle(self):
        """Wait for the microseconds in which an answer has left and is not yet noted, and for no longer than a moment.

        A send can wait for a slow link, and in a forked child the thread is not there at all.
        """
        until, pause = monotonic() + 0.5, 0.0  # on a busy machine the thread may get no turn for 0.1 s
        while self._answering and self.running and monotonic() < until:
            sleep(pause)  # let the thread run; a lock here would cost every round trip 3 %
            pause = min(pause + 1e-5, 0.002)

    def _serve(self, sock):
        """Receive, answer and note: the body of the thread. Names are local because this is the fast path."""
        respond, clock, counts = self.respond, self._clock, self._counts
        recvfrom, sendto, note, copied = sock.recvfrom, sock.sendto, self._log.append, b"".join
        number, ports = sum(counts.values()), (0, self.address[1])
        with sock:
            while True:
                try:
                    data, peer = recvfrom(MAX_BYTES)
                except OSError as error:
                    if self._over(sock, error):
                        return
                    continue
                if self._stopping or peer is None:  # None: a shutdown
                    return
                received = answer = sent = None
                done, why = "dropped", ""
                try:
                    received = clock()
                    if peer[1] in ports:
                        why = unanswerable(peer, self.address)
                    if not why and (answer := respond(data)) is not None:
                        if type(answer) is not bytes:
                            answer = as_bytes(answer)
                        self._answering = True
                        sent = clock()
                        sendto(answer, peer)
                        done = "answered"
                except BaseException as error:  # whatever respond raises: GeneratorExit and KeyboardInterrupt too
                    answer, sent, (done, why) = None, None, failure(error)
                number += 1
                # A copy, since a short datagram keeps its place among the 64 kB buffers, and 1,000 would keep 4 MB.
                start = copied((data[:SHOWN], b""))
                note((number, received, peer, start, len(data), done, answer and answer[:SHOWN], sent, why))
                counts[done] += 1
                if self._news is not None and self._news.empty():
                    self._news.put(None)
                self._answering = False

    def _over(self, sock, error):
        """Return whether the thread ends at this error of recvfrom; raise one that nobody expects."""
        if self._stopping or sock.fileno() == -1:
            return True
        if not from_an_earlier_answer(error):
            raise error
        return False

    def _busy(self):
        """Return in words what keeps the thread, as far as one can see."""
        frame = sys._current_frames().get(self._thread.ident)
        if frame is None or frame.f_code is Server._serve.__code__:
            return "nothing wakes its thread, perhaps since a firewall holds up what this machine sends to itself"
        return "respond() has not come back"

    def _wake(self, sock):
        """Have the thread see that it shall stop. Closing the socket does not wake one that waits in recvfrom.

        Linux ends the wait at a shutdown, although it calls the socket "not connected": this needs no network. Other
        systems do not; there the server is sent an empty datagram.
        """
        # An OSError: not connected, or the thread has closed the socket already, or its queue is full and it is awake.
        with contextlib.suppress(OSError):
            if sys.platform == "linux":
                sock.shutdown(socket.SHUT_RDWR)
            else:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)  # for 127.255.255.255
                sock.sendto(b"", (ipv4_address(self.address[0]), self.address[1]))


_held: dict[str, Server] = {}


def hold(name: str, server: Server) -> Server:
    """Start `server` under a name, after stopping the one that had the name before; return it.

    A notebook cell that calls this can be run again and again.
    """
    if not isinstance(server, Server):
        raise TypeError(f"hold() wants a Server, such as Server(respond), not {server!r}")
    if name in _held:
        _held[name].stop()
        del _held[name]
    _held[name] = server  # before it runs, so that an interrupt leaves none of which stop_all() does not know
    return server.start()


def stop_all() -> list[str]:
    """Stop every server that `hold` started; return their names.

    Raises TimeoutError for one that is stuck (see `Server.stop`), when all others have been stopped.
    """
    names, stuck = list(_held), None
    for name in names:
        try:
            _held[name].stop()
            del _held[name]
        except TimeoutError as error:
            stuck = error
    if stuck:
        raise stuck
    return names
