"""Waits on paper: select, poll, selectors and sleep, for a function that gets a socket on paper."""

import contextlib
import select
import selectors
import threading
import time
from collections.abc import Callable, Iterable, Iterator

from udplab.kit.paper import Clock, Paper


class _Poll:
    """A poll object for one socket on paper."""

    def __init__(self, sock):
        self._sock, self._mask = sock, 0

    def register(self, file, mask=1):  # POLLIN is 1 (poll.h)
        """Note what to wait for."""
        self._mask = mask

    modify = register

    def unregister(self, file):
        """Wait for nothing any more."""
        self._mask = 0

    def poll(self, milliseconds=None):
        """Return [(number, event)] when something is there, [] when the time is over."""
        forever = milliseconds is None or milliseconds < 0
        ready = self._sock.comes(None if forever else milliseconds / 1000)
        return [(self._sock.fileno(), self._mask & 1)] if ready and self._mask & 1 else []


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

    pairs = [(real_select, fake_select), (selectors.DefaultSelector, Selector), (selectors.SelectSelector, Selector)]
    if hasattr(select, "poll"):
        pairs += [(select.poll, lambda: _Poll(sock)), (selectors.PollSelector, Selector)]
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
