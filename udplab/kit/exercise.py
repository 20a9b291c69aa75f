"""Exercises that check themselves. Each lesson's own are in the module of its name.

A learner puts an answer (a value or a function) where the dots are and calls check(answer), or asks hint() or
solution(). check() always prints a sentence: what was expected and what came.
"""

import contextlib
import ctypes
import numbers
import queue
import threading
import time
import traceback

from udplab.kit.calm import uninterrupted

PATIENCE = 10.0  # seconds that a check may take; one that waits for silence takes three


class WaitedOn(Exception):
    """A learner's function waited for longer than it may."""


class Endless(Exception):
    """A learner's function did not end."""


class Exercise:
    """One exercise.

    test: a function of the learner's answer. It returns None where the answer is right, otherwise a sentence that
        says what was expected and what came.
    praise: what a right answer has shown
    hint, solution: texts
    function: whether the answer is a function
    """

    def __init__(self, test, praise, hint, solution, function=False):
        self.test, self.praise, self.clue, self.answer, self.function = test, praise, hint, solution, function

    def verdict(self, answer):
        """Return the sentence that check() prints."""
        if unattempted(answer):
            what = ", or your function does nothing" if callable(answer) else ""
            return f"Not tried yet{what}. Put your answer where the three dots are, then run the cell again."
        if self.function and not callable(answer):
            return f"Not yet. Give check the function itself: its name, without brackets. It got {answer!r}."
        try:
            problem = outcome(self.test, answer, within=PATIENCE) if self.function else self.test(answer)
        except (Endless, WaitedOn) as error:
            return f"Not yet. {error}"
        except (Exception, SystemExit) as error:
            return f"Not yet. Your code stopped with {type(error).__name__}: {error}{where(error, answer)}."
        return f"Right. {self.praise}" if problem is None else f"Not yet. {problem}"

    def check(self, answer):
        """Try the answer and print what is wrong with it, or that it is right."""
        print(self.verdict(answer))

    def hint(self):
        """Print something that helps, but not all."""
        print(self.clue)

    def solution(self):
        """Print an answer that passes, and why."""
        print(self.answer)


def _dots(): ...


def _described_dots():
    """Nothing."""
    ...


def unattempted(answer):
    """Return whether an answer is or holds the three dots still, or is a function with nothing else in it."""
    parts = list(answer.values()) if isinstance(answer, dict) else [answer]
    if any(part is ... or (isinstance(part, list) and any(each is ... for each in part)) for part in parts):
        return True
    code = getattr(answer, "__code__", None)
    if code is None or code.co_code not in (_dots.__code__.co_code, _described_dots.__code__.co_code):
        return False
    return set(code.co_consts) <= {None, answer.__doc__}  # in some Pythons `return "x"` differs only there


def where(error, answer):
    """Return ", in line N of your function" for an error that was raised there, or ""."""
    code = getattr(answer, "__code__", None)
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code is code:
            return f", in line {line - code.co_firstlineno + 1} of your function"
    return ""


def expect(expected, got):
    """Return None if the two are equal and of one type, or the sentence that says they are not."""
    if type(got) is type(expected) and got == expected:
        return None
    return f"Expected {expected!r}, but got {got!r}.{printed(got)}"


def printed(got):
    """Return a sentence for a function that gave None, perhaps since it printed its result, or ""."""
    return " Does your function return its result? To print it is not enough." if got is None else ""


def number(expected, got, what):
    """Return None if `got` is the whole number `expected`, or a sentence that says in which direction it is off."""
    if not isinstance(got, numbers.Integral) or isinstance(got, bool):
        return f"Expected {what}: a whole number, without a comma or quotes. You gave {got!r}."
    if got == expected:
        return None
    return f"Expected {what}. {got} is too {'small' if got < expected else 'large'}."


def outcome(function, *arguments, within, rescue=None):
    """Run a learner's function in a thread; return its result, or raise what it raised.

    within: seconds that it may take
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


_here = threading.local()  # its .gate: that of the call which the thread at hand makes


class _Call:
    """A function in a thread of its own, which can be ended while the function runs, and only then.

    The same exception would leave the thread in the lists of `threading` for ever if it came before or after, or
    while this thread starts another: so who sends it, and who must not get it, holds the gate.
    Its end is told by C code: Ctrl-C in Thread.join() marks a living thread as ended (CPython up to 3.12).
    """

    def __init__(self, function, arguments):
        self._function, self._arguments = function, arguments
        self.results, self.errors, self.over = [], [], []
        self._gate, self._inside, self._news = threading.Lock(), [], queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="udplab exercise", daemon=True)

    def start(self):
        with uninterrupted(), getattr(_here, "gate", contextlib.nullcontext()):
            self._thread.start()

    def _run(self):
        with contextlib.suppress(SystemExit):  # it comes here if the function has just ended
            try:
                _here.gate = self._gate
                self._inside.append(True)
                self.results.append(self._function(*self._arguments))
            except BaseException as error:  # such as exit()
                self.errors.append(error)
            finally:
                with self._gate:
                    self.over.append(True)
                    self._news.put(None)

    def wait(self, seconds):
        """Wait for the end, and return whether it has come. In pieces: between them, who waits can be ended too."""
        deadline = time.monotonic() + seconds
        while not self.over and (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                self._news.get(timeout=min(left, 0.05))
        if self.over:
            self._thread.join()
        return bool(self.over)

    def end(self, patience=2.0):
        """End the function, if it still runs, by an exception in its Python code; return whether it has ended.

        patience: seconds. SystemExit ends a thread without a word, and no `except Exception` holds it. A function
        that waits inside the system gets it when that wait is over. Source: Python's C API, PyThreadState_SetAsyncExc.
        """
        if self._thread.ident is None:  # it could not be started
            return True
        for _ in range(20):
            with self._gate:
                if self._inside and not self.over:
                    thread = ctypes.c_ulong(self._thread.ident)
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(SystemExit))
            if self.wait(patience / 20):
                return True
        return False
