"""A server's socket that follows a script, and other things that several tests use."""

import asyncio
import concurrent.futures
import contextlib
import glob
import itertools
import os
import queue
import signal
import sys
import threading
import time


class ScriptedSocket:
    """Stands in for a server's socket: receives what the test feeds it and keeps what is sent.

    Use an instance as `make_socket`. An exception in the feed is raised by recvfrom, one in `refuse` (from peer to
    exception) by sendto.
    """

    def __init__(self, *feed, refuse=None):
        self.feed = queue.SimpleQueue()
        self.sent, self.options = [], []
        self.refuse = refuse or {}
        self.address = ("127.0.0.1", 1060)
        self.idle = threading.Event()
        self.closed = False
        for item in feed:
            self.feed.put(item)

    def __call__(self, family, type):
        return self

    def bind(self, address):
        pass

    def getsockname(self):
        return self.address

    def setsockopt(self, *option):
        self.options.append(option)

    def settimeout(self, seconds):
        assert seconds is None

    def shutdown(self, how):
        self.feed.put((b"", None))

    def recvfrom(self, size):
        if self.feed.empty():
            self.idle.set()
        item = self.feed.get()
        if isinstance(item, Exception):
            raise item
        return item

    def sendto(self, data, peer):
        if peer in self.refuse:
            raise self.refuse[peer]
        if peer == self.address:
            self.feed.put((data, self.address))
        else:
            memoryview(data)  # TypeError for a str, as a real socket has it
            self.sent.append((data, peer))

    def close(self):
        self.closed = True

    def fileno(self):
        return -1 if self.closed else 3

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def run_async(function):
    """Run an async function to its end in a thread of its own: the browser tests keep a loop in the main thread."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, function()).result(60)


@contextlib.contextmanager
def interrupt_at(number, *modules):
    """Have Ctrl-C come just before the `number`-th line of the modules' code that the block runs in this thread."""
    lines, files = itertools.count(1), {module.__file__ for module in modules}

    def trace(frame, event, _):
        if frame.f_code.co_filename not in files:
            return None
        if event == "line" and next(lines) == number:
            signal.raise_signal(signal.SIGINT)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def interruptions(act, *modules):
    """Call `act` again and again, interrupted one line later each time, until it gets through; yield in between."""
    for number in itertools.count(1):
        with contextlib.suppress(KeyboardInterrupt), interrupt_at(number, *modules):
            act()
            return
        yield


def helpers():
    """Return the processes of all LAN helpers of this machine (Linux), empty elsewhere."""
    found = set()
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path) as line:
            if "udplab.lan.helper" in line.read():
                found.add(path)
    return found


def have_ended(some):
    """Return whether these `helpers` end within a minute, as they do when they see that their kernels have."""
    until = time.monotonic() + 60
    while some & helpers() and time.monotonic() < until:
        time.sleep(0.01)
    return not some & helpers()


def held():
    """Return what this process holds: open files, where the system tells how many, and threads."""
    files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    return files, threading.active_count()
