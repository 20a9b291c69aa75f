"""Exercises that check themselves. Each lesson's own are in its `exercises`, their solutions in its `solutions`.

A learner puts an answer (a value or a function) where the dots are and calls check(answer), or asks hint() or
solution(). check() always prints a sentence: what was expected and what came.
"""

import decimal
import dis
import inspect
import itertools
import math
import numbers
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from udplab.kit.paper import NotOnPaper
from udplab.kit.watched import Endless, WaitedOn, outcome
from udplab.kit.words import brief

PATIENCE = 6.5  # seconds that a check may take before it is ended; one that waits for silence takes two
LONGEST, WIDTH = 900, 88  # characters of a verdict, and of a line of it: longer ones are cut anywhere in the page


class Verdict(int):
    """What check() found: it counts as True or False, and shows nothing of itself as the last line of a cell.

    words: the sentence that check() prints
    tried: whether there was an answer at all
    """

    words: str
    tried: bool

    def __new__(cls, right: bool, words: str, tried: bool = True) -> "Verdict":
        self = super().__new__(cls, right)
        self.words, self.tried = shortened(words, LONGEST), tried
        return self

    def __repr__(self) -> str:
        return repr(bool(self))

    def _ipython_display_(self):
        """Show nothing: the words are printed already."""


class Exercise:
    """One exercise.

    test: a function of the learner's answer, named like the exercise. It returns None where the answer is right,
        otherwise a sentence that says what was expected and what came.
    praise: what a right answer has shown
    hints: texts, the first one vague
    solution: a function: the answer itself, or one that works it out; why: a sentence about it
    function: whether the answer is a function
    """

    def __init__(
        self, test: Callable, praise: str, hints: Sequence[str], solution: Callable, why: str, function: bool = False
    ) -> None:
        self.test, self.praise, self.hints, self.function = test, praise, hints, function
        self.answer, self.why, self._asked = solution, why, 0
        self.name = f"{test.__module__.split('.')[-2:][0]}.{test.__name__.lstrip('_')}"

    def verdict(self, answer: object) -> Verdict:
        """Return the `Verdict` on an answer, whatever it is and does."""
        if unattempted(answer):
            what = ", or your function does nothing" if callable(answer) else ""
            rest = "Put your answer where the three dots are, then run the cell again."
            return Verdict(False, f"Not tried yet{what}. {rest}", tried=False)
        try:
            problem = outcome(self._problem, answer, within=PATIENCE)
        except Endless as error:
            problem = str(error)
        return Verdict(problem is None, f"Right. {self.praise}" if problem is None else f"Not yet. {problem}")

    def _problem(self, answer):
        """Return what the test says. All that a learner's code may raise stays in this thread."""
        if self.function and not callable(answer):
            return f"Give check the function itself: its name, without brackets. It got {brief(answer)}."
        if self.function and inspect.iscoroutinefunction(answer):
            return "Write `def`, not `async def`: check calls the function and takes what it returns."
        try:
            return self.test(answer)
        except (Endless, WaitedOn) as error:
            return str(error)
        except NotOnPaper as error:
            return f"{error}{where(error, answer)}."
        except BaseException as error:  # CancelledError and exit() are no Exception
            return f"Your code stopped with {said(error)}{where(error, answer)}.{missing(error)}"

    def check(self, answer: object) -> Verdict:
        """Try the answer, print what is wrong with it or that it is right, and return the `Verdict`: True or False.

        `udplab grade` puts a function of its own in the place of this one (`jupyter.attempt`).
        """
        verdict = self.verdict(answer)
        print(wrapped(verdict.words))
        return verdict

    def hint(self, number: int | None = None) -> None:
        """Print something that helps, but not all: the first time hint 1, then the next one, or the one asked for."""
        self._asked = min(number or self._asked + 1, len(self.hints))
        print(wrapped(f"Hint {self._asked} of {len(self.hints)}: {self.hints[self._asked - 1]}"))

    def solution(self) -> None:
        """Print an answer that passes, and why."""
        print(inspect.getsource(self.answer))
        result = "" if self.function else f"That is {brief(self.answer())}. "
        print(wrapped(result + self.why))


# --- Whether there is an answer ---


def _dots(): ...


def _described_dots():
    """Nothing."""
    ...


def unattempted(answer: Any) -> bool:
    """Return whether an answer is or holds the three dots still, or is a function with nothing else in it."""
    parts = list(answer.values()) if type(answer) is dict else [answer]
    if any(part is ... or (type(part) is list and any(each is ... for each in part)) for part in parts):
        return True
    code = getattr(answer, "__code__", None)
    if not inspect.iscode(code) or code.co_code not in (_dots.__code__.co_code, _described_dots.__code__.co_code):
        return False
    return set(code.co_consts) <= {None, answer.__doc__}  # in some Pythons `return "x"` differs only there


# --- What came, in words ---


def shortened(text: str, limit: int) -> str:
    """Return a text of at most `limit` characters."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def wrapped(text: str) -> str:
    """Return a text in lines that a page shows whole; a word longer than a line stays in one piece."""
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def said(error: BaseException) -> str:
    """Return "TypeError: words" for an error, on one line, whatever its words do."""
    try:
        text = str(error)
    except BaseException:
        text = "(its words cannot be made)"
    text = text if text.isprintable() else ascii(text)[1:-1]
    return shortened(f"{type(error).__name__}: {text}".removesuffix(": "), 300)


def where(error: BaseException, answer: object) -> str:
    """Return ", in line N of your function" for an error that was raised there, or ""."""
    code = getattr(answer, "__code__", None)
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code is code:
            return f", in line {line - code.co_firstlineno + 1} of your function"
    return ""


def missing(error: BaseException) -> str:
    """Return what to import for a NameError about a module of Python's own, or ""."""
    name = getattr(error, "name", None) if isinstance(error, NameError) else None
    return f" Begin the cell with `import {name}`." if name in sys.stdlib_module_names else ""


def expect(expected: object, got: object, function: Callable | None = None) -> str | None:
    """Return None if the two are equal and of one type, or the sentence that says they are not."""
    if type(got) is type(expected) and got == expected:
        return None
    return f"Expected {brief(expected)}, but got {brief(got)}.{printed(got, function)}"


def printed(got: object, function: Callable | None) -> str:
    """Return a sentence for a function that gave None because it never returns anything, or ""."""
    only_prints = getattr(function, "__name__", "") == "<lambda>" and "print" in function.__code__.co_names
    if got is not None or (returns(function) and not only_prints):
        return ""
    return " Does your function return its result? To print it is not enough."


def returns(function: Callable | None) -> bool:
    """Return whether a function has a `return` with a value anywhere. (No code to look at: it may.)"""
    code = getattr(function, "__code__", None)
    if not inspect.iscode(code):
        return True
    steps = list(dis.get_instructions(code))
    if any(step.opname == "RETURN_CONST" and step.argval is not None for step in steps):
        return True
    ends = [(before, step) for before, step in itertools.pairwise(steps) if step.opname == "RETURN_VALUE"]
    return any(step.is_jump_target or (before.opname, before.argval) != ("LOAD_CONST", None) for before, step in ends)


# --- Numbers ---


def as_words(value: object) -> list:
    """Return what a learner gave as a list of words, also one text with commas; [] for what is no list."""
    try:
        return list(value.split(",") if isinstance(value, str) else value)
    except TypeError:
        return []


def meant(word: object, kinds: dict[str, str]) -> str | None:
    """Return what a learner's word stands for, None for nothing. kinds: from how such a word begins to its meaning."""
    word = str(word).strip().lower()
    return next((kind for start, kind in kinds.items() if word.startswith(start)), None)


def as_number(value: object) -> int | float | None:
    """Return a number of any kind (int, float, Fraction, Decimal, NumPy's) as int or float; None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, (numbers.Real, decimal.Decimal)) and math.isfinite(value):
        return float(value)
    return None


def number(
    expected: float, got: object, what: str, slips: Iterable[tuple[float, str]] = (), tolerance: float = 0
) -> str | None:
    """Return None if `got` is the number `expected`, or a sentence that says in which direction it is off, and why.

    slips: (wrong number, the misconception that leads to it) pairs
    tolerance: how far `got` may be off
    """
    value = as_number(got)
    if value is None:
        return (
            f"Expected {what}: a number, without quotes, a unit or a comma between its digits. You gave {brief(got)}."
        )
    if abs(value - expected) <= tolerance:
        return None
    why = next((f": {words}" for wrong, words in slips if abs(value - wrong) <= tolerance), ".")
    size = "small" if value < expected else "large"
    return f"Expected {what}. {short(value)} is too {size}{why}"


def short(value: float) -> str:
    """Return a number with few digits, as text."""
    return brief(value, 30) if isinstance(value, int) else f"{value:.4g}"
