"""Waits on paper: select, poll, selectors and sleep, for a function that gets a socket on paper."""

import contextlib
import functools
import select
import selectors
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from udplab.kit.paper import Clock, NotOnPaper, Paper

IN, OUT, PRI = 1, 4, 2  # poll.h, sys/epoll.h


class _Poll:
    """A poll object for one socket on paper."""

    unit = 1e-3  # seconds in which the timeout is given

    def __init__(self, sock):
        self._sock, self._mask = sock, 0

    def register(self, file, mask=IN | OUT | PRI):
        """Note what to wait for."""
        self._mask = mask

    modify = register

    def unregister(self, file):
        """Wait for nothing any more."""
        self._mask = 0

    def poll(self, timeout=None, maxevents=-1):
        """Return [(number, events)] when the socket is ready, [] when the time is over."""
        forever = timeout is None or timeout < 0
        wait = 0 if self._mask & OUT else None if forever else timeout * self.unit
        events = (self._sock.comes(wait) and self._mask & IN) | self._mask & OUT
        return [(self._sock.fileno(), events)] if events else []


class _Epoll(_Poll):
    """The same as an epoll object."""

    unit = 1

    def __init__(self, sock, sizehint=-1, flags=0):
        super().__init__(sock)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Nothing is open: this is paper."""


def _no_kqueue(sock):
    raise NotOnPaper("The socket of this exercise is on paper, and does not know kqueue(): select() it knows")


def on_paper(function: Callable, sock: Paper, clocks: bool = False) -> Callable:
    """Return a function like `function`, during which select, poll and selectors know the socket on paper.

    clocks: whether the clocks of `time` show the time on paper too. With a `Clock`, sleep() waits on it anyway.
    """

    def wrapped(*arguments):
        with swapped(replacements(sock, clocks), getattr(function, "__globals__", {})):
            return function(*arguments)

    return wrapped


def replacements(sock: Paper, clocks: bool) -> list[tuple[object, object]]:
    """Return (real thing, its stand-in on paper) pairs."""
    real_select = select.select

    def fake_select(readers, writers, others, timeout=None):
        def ours(files):
            return [file for file in files if file is sock or file == sock.fileno()]

        if not ours([*readers, *writers, *others]):
            return real_select(readers, writers, others, timeout)
        if timeout is not None and timeout < 0:
            raise ValueError("timeout must be non-negative")
        ready = sock.comes(0 if ours(writers) else timeout)
        return ours(readers) if ready else [], ours(writers), []

    class Selector(selectors.SelectSelector):
        _select = staticmethod(fake_select)

    pairs = [(real_select, fake_select)]
    for name in ("DefaultSelector", "SelectSelector", "PollSelector", "EpollSelector", "KqueueSelector"):
        pairs += [(getattr(selectors, name), Selector)] if hasattr(selectors, name) else []
    for name, stand_in in (("poll", _Poll), ("epoll", _Epoll), ("kqueue", _no_kqueue)):
        if hasattr(select, name):  # each system has its own
            pairs.append((getattr(select, name), functools.partial(stand_in, sock)))
    if isinstance(sock.clock, Clock):
        pairs.append((time.sleep, _here_only(sock.clock.sleep, time.sleep)))
    if clocks:
        real = time.monotonic, time.perf_counter, time.time
        pairs += [(clock, _here_only(sock.clock.read, clock)) for clock in real]
    return pairs


def _here_only(stand_in, real):
    """Return a function that is the stand-in in this thread, and the real one in all others: for who watches."""
    me = threading.get_ident()
    return lambda *arguments: (stand_in if threading.get_ident() == me else real)(*arguments)


@contextlib.contextmanager
def swapped(pairs: Iterable[tuple[object, object]], names: dict[str, object]) -> Iterator[None]:
    """For the block, put stand-ins in place of real things in their modules and in `names`, a learner's globals."""
    stand_ins = {id(real): stand_in for real, stand_in in pairs}
    homes = [vars(select), vars(selectors), vars(time), names]
    found = [(home, name, value) for home in homes for name, value in list(home.items()) if id(value) in stand_ins]
    try:
        for home, name, value in found:
            home[name] = stand_ins[id(value)]
        yield
    finally:
        for home, name, value in found:
            home[name] = value
