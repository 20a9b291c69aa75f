"""A learner's function, run in a thread that can be ended."""

import contextlib
import ctypes
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from udplab.kit.calm import uninterrupted

MOST_LOST = 0.9  # of the time: threads that were kept waiting at once count twice, and a wait must have an end


class WaitedOn(Exception):
    """A learner's function waited for longer than it may."""


class Endless(Exception):
    """A learner's function did not end."""


def outcome(function: Callable, *arguments: object, within: float, rescue: Callable[[], object] | None = None) -> Any:
    """Run a learner's function in a thread; return its result, or raise what it raised.

    within: seconds that it may take, without those in which it was ready to run and a busy machine did not let it; at
        most ten times as many
    rescue: called after that, if given; it should end the waiting of a function that waits. Then WaitedOn is raised.

    A function that goes on all the same is ended, and Endless is raised.
    """
    call = _Call(function, arguments)
    try:
        call.start()
        late = not call.wait(within)
        if late and rescue:
            rescue()
            call.wait(within)
        endless = not call.over
    except BaseException:  # Ctrl-C, or this check is itself the function of an outcome() that ends it
        if rescue:
            rescue()
        raise
    finally:
        ended = call.end()
    if endless:
        rest = "so it was stopped" if ended else "and it still runs: choose Kernel, Restart Kernel, and begin anew"
        raise Endless(f"Your function did not come to its end, {rest}. Is there a loop or a wait that never ends?")
    if late:
        raise WaitedOn(f"Your function waited on for more than {within:g} s.")
    if call.errors:
        raise call.errors[0]
    return call.results[0]


class Running:
    """A learner's function that should not end by itself, such as a server: it runs while the `with` block does.

    wake: called to end a wait of the function inside the system, such as recvfrom
    over: a list that is empty until the function has ended; errors: what it raised, if anything
    ended: after the block, whether it could be ended. A bare `except:` holds even what ends a program.
    """

    ended: bool | None

    def __init__(self, function: Callable, *arguments: object, wake: Callable[[], object]) -> None:
        self._call, self._wake, self.ended = _Call(function, arguments), wake, None
        self.over, self.errors = self._call.over, self._call.errors

    def __enter__(self) -> "Running":
        self._call.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.ended = self._call.end(patience=1.0, wake=self._wake)


_here = threading.local()  # its .call: the call which the thread at hand makes


def kept_waiting(thread):
    """Return for how many seconds, since it began, a thread was ready to run and the system let others run instead.

    Only Linux tells: by the second number of a thread's schedstat (Documentation/scheduler/sched-stats.rst of Linux).
    Elsewhere, and for a thread that has ended, it is 0.
    """
    try:
        with open(f"/proc/self/task/{thread.native_id}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except OSError:
        return 0.0


class _Call:
    """A function in a thread of its own, which can be ended while the function runs, and only then.

    The same exception would leave the thread in the lists of `threading` for ever if it came before or after, or
    while this thread starts another: so who sends it, and who must not get it, holds the gate.
    Its end is told by C code: Ctrl-C in Thread.join() marks a living thread as ended (CPython up to 3.12).
    """

    def __init__(self, function, arguments):
        self._function, self._arguments = function, arguments
        self.results, self.errors, self.over = [], [], []
        self._outer, self._inner = getattr(_here, "call", None), []  # who watches this call; those that it watches
        self._kept_waiting = 0.0  # seconds: of inner calls that are over
        self._gate, self._inside, self._news = threading.Lock(), [], queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="udplab exercise", daemon=True)

    def start(self):
        with uninterrupted(), self._outer._gate if self._outer else contextlib.nullcontext():
            if self._outer:
                self._outer._inner.append(self)
            self._thread.start()

    def _run(self):
        with contextlib.suppress(SystemExit):  # it comes here if the function has just ended
            try:
                _here.call = self
                self._inside.append(True)
                self.results.append(self._function(*self._arguments))
            except BaseException as error:  # such as exit()
                self.errors.append(error)
            finally:
                with self._gate:
                    if self._outer:
                        self._outer._kept_waiting += self.kept_waiting()
                        self._outer._inner.remove(self)
                    self.over.append(True)
                    self._news.put(None)

    def kept_waiting(self):
        """Return for how many seconds the function, and those that it watches, were ready to run and others ran."""
        return self._kept_waiting + kept_waiting(self._thread) + sum(call.kept_waiting() for call in [*self._inner])

    def wait(self, seconds):
        """Wait for the end, and return whether it has come. In pieces: between them, who waits can be ended too.

        seconds: without those in which a busy machine kept the function waiting, or this thread, which wants Python's
            lock (the GIL) from it each time
        """

        def lost():
            return self.kept_waiting() + kept_waiting(threading.current_thread())

        begin, before = time.monotonic(), lost()
        while not self.over:
            gone = time.monotonic() - begin
            left = seconds - gone
            if left <= 0 and (left := left + min(lost() - before, MOST_LOST * gone)) < 0.001:
                break
            with contextlib.suppress(queue.Empty):
                self._news.get(timeout=min(left, 0.05))
        if self.over:
            self._thread.join()
        return bool(self.over)

    def end(self, patience=2.0, wake=None):
        """End the function, if it still runs, by an exception in its Python code; return whether it has ended.

        patience: seconds; wake: called after each try, if given

        SystemExit ends a thread without a word, and no `except Exception` holds it. A function that waits inside the
        system gets it when that wait is over. Source: Python's C API, PyThreadState_SetAsyncExc.
        """
        if self._thread.ident is None:  # it could not be started
            return True
        for _ in range(20):
            with self._gate:
                if self._inside and not self.over:
                    thread = ctypes.c_ulong(self._thread.ident)
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(SystemExit))
            if wake and not self.over:
                wake()
            if self.wait(patience / 20):
                return True
        return False
