"""Ctrl-C put off for a moment."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Put Ctrl-C off until the block has ended, which must not wait for long.

    For what would be lost or stuck for ever if it were cut in two. Python runs the handlers of signals in the main
    thread alone, between two steps of whatever runs there.
    """
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield
        return
    late = []
    try:
        signal.signal(signal.SIGINT, lambda *arrived: late.append(arrived))
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if late:
            usual(*late[0])
