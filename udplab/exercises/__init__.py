"""Exercises that check themselves. Each lesson's own are in the module of its name.

A learner puts an answer (a value or a function) where the dots are and calls check(answer), or asks hint() or
solution(). check() always prints a sentence: what was expected and what came.
"""

import ctypes
import numbers
import threading
import traceback

from udplab.serving import uninterrupted

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
    results, errors = [], []

    def call():
        try:
            results.append(function(*arguments))
        except BaseException as error:  # such as exit()
            errors.append(error)

    thread = threading.Thread(target=call, name="udplab exercise", daemon=True)
    try:
        with uninterrupted():
            thread.start()
        thread.join(within)
        late = thread.is_alive()
        if late and rescue:
            rescue()
            thread.join(within)
        endless = thread.is_alive()
    finally:
        ended = end(thread)  # after Ctrl-C, too
    if endless:
        rest = "so it was stopped" if ended else "and it still runs: choose Kernel, Restart Kernel, and begin anew"
        raise Endless(f"Your function did not come to its end, {rest}. Is there a loop or a wait that never ends?")
    if late:
        raise WaitedOn(f"Your function waited on for more than {within:g} s.")
    if errors:
        raise errors[0]
    return results[0]


def end(thread, patience=2.0):
    """End a thread, if it is alive, by an exception in its Python code; return whether it has ended.

    patience: seconds. SystemExit ends a thread without a word, and no `except Exception` holds it. One that waits
    inside the system gets it when that wait is over. Source: Python's C API, PyThreadState_SetAsyncExc.
    """
    for _ in range(20):
        if not thread.is_alive():
            return True
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))
        thread.join(patience / 20)
    return not thread.is_alive()
