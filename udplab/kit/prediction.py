"""A learner's own predictions: kept beside what the model said and what came, and shown at the end of a lesson.

In a lesson, a cell `guess_kept = ...` waits for an answer. The next one measures and calls

    foretold("datagrams kept, of 2,000", guess_kept, came=burst.kept)

With the three dots nothing happens: nothing is said and nothing nags.
"""

import math
import numbers
from dataclasses import dataclass
from typing import Any

from udplab.kit.words import brief

NEAR = 0.1  # a share: what was measured differs from run to run, and a guess as near as that is right


@dataclass(frozen=True)
class Guess:
    """One prediction: a number, a choice (a text or True or False), or a set of names.

    question: what was asked, short
    guess: what the learner said; came: what was measured; model: what the model said, or None where there is none
    by: who says what came, mostly the kernel
    """

    question: str
    guess: Any
    came: Any
    model: Any = None
    by: str = "kernel"

    @property
    def off(self) -> float:
        """How far the guess is off, to compare guesses of all kinds: 0 is right.

        Who says what the model says is right, also where chance made something else of it.
        """
        if self.guess == self.model:
            return 0.0
        if isinstance(self.came, frozenset):
            return float(len(self.guess ^ self.came))
        if isinstance(self.came, (str, bool)):
            return float(self.guess != self.came)
        exact = isinstance(self.came, numbers.Integral)
        if self.guess == self.came or (not exact and abs(self.guess - self.came) <= NEAR * abs(self.came)):
            return 0.0
        low, high = sorted([abs(self.guess), abs(self.came)])
        return abs(math.log10((high + 1) / (low + 1))) or 0.01

    @property
    def words(self) -> str:
        """In two lines: the three side by side, and how far off the learner was."""
        sides = {"you": self.guess, "model": self.model, self.by: self.came}
        given = [f"{side}: {in_words(value)}" for side, value in sides.items() if value is not None]
        return f"{self.question}: {', '.join(given)}.\n{self.how_far}"

    @property
    def how_far(self) -> str:
        """A sentence: right, or how far off and in which direction."""
        if self.off == 0 and self.guess != self.came:
            return (
                "You were right, as the model is: the rest is chance." if self.guess == self.model else "Near enough."
            )
        if self.off == 0:
            return "You were right."
        if isinstance(self.came, frozenset):
            parts = [("too many", self.guess - self.came), ("missing", self.came - self.guess)]
            return f"Not quite: {', '.join(f'{what} {in_words(names)}' for what, names in parts if names)}."
        if isinstance(self.came, (str, bool)):
            return "Not what came: worth a second look."
        low, high = sorted([self.guess, self.came])
        times = f", {high / low:.3g} times" if low > 0 else ""
        return f"You were off by {in_words(high - low)}{times}: too {'high' if high == self.guess else 'low'}."


_guesses: dict[str, Guess] = {}  # question -> Guess: a cell that is run again replaces its own


def foretold(question: str, guess: Any, came: Any, model: Any = None, by: str = "kernel") -> Any:
    """Keep a learner's guess beside what came, print both, and return the guess, cleaned, for a picture; None for dots.

    guess: `...` (nothing happens), a number, a text, True or False, or a set, list or tuple of names, as `came` is one
    came: what was measured, or what the model says where this machine cannot measure
    model: what the model said, where there is one; by: who says what came, mostly the kernel

    A guess of another kind is told so in a line, and not kept.
    """
    if guess is ...:
        _guesses.pop(question, None)
        return None
    came, model = (frozenset(value) if isinstance(value, (set, list, tuple)) else value for value in (came, model))
    try:
        clean = cleaned(guess, came)
    except ValueError as problem:
        print(f"Your prediction was not kept: {problem}")
        return None
    _guesses[question] = Guess(question, clean, came, model, by)
    print(_guesses[question].words)
    return clean


def cleaned(guess: Any, came: Any) -> Any:
    """Return a guess in the shape of `came`. Raises ValueError, in words, for a guess of another kind."""
    if isinstance(came, frozenset):
        if isinstance(guess, str):
            guess = [name for name in guess.replace(",", " ").split() if name != "nobody"]
        if not isinstance(guess, (set, frozenset, list, tuple)) or not all(isinstance(name, str) for name in guess):
            raise ValueError(f'names were wanted, such as ["bob", "carol"], or [] for nobody, not {brief(guess, 60)}.')
        return frozenset(name.strip().lower() for name in guess)
    if isinstance(came, bool):
        if isinstance(guess, str) and guess.strip().lower() in ("yes", "true", "no", "false"):
            guess = guess.strip().lower() in ("yes", "true")
        if not isinstance(guess, bool):
            raise ValueError(f"True or False was wanted, not {brief(guess, 60)}.")
        return guess
    if isinstance(came, str):
        if not isinstance(guess, str):
            raise ValueError(f'a text in quotes was wanted, such as "{came.split()[0]}", not {brief(guess, 60)}.')
        return " ".join(guess.lower().split())
    if isinstance(guess, bool) or not isinstance(guess, numbers.Real) or not math.isfinite(guess):
        raise ValueError(f"a number was wanted, such as 100 or 0.5, not {brief(guess, 60)}.")
    return guess


def in_words(value: Any) -> str:
    """Return a number, a choice or a set of names as text."""
    if isinstance(value, frozenset):
        return " and ".join(sorted(value)) or "nobody"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, numbers.Integral) else f"{float(value):.3g}"


def guesses() -> list[Guess]:
    """Return the list of all `Guess`es so far, in the order in which they were first made."""
    return list(_guesses.values())


def summary() -> str:
    """Return a table of what was predicted and what came, and which of it was farthest off."""
    if not (made := guesses()):
        return "No predictions were made. Put yours where the three dots are: it costs a second, and one learns more."
    rows = [("", "you", "model", "came")]
    for each in made:
        sides = each.guess, each.model, each.came
        rows.append((each.question, *("" if side is None else in_words(side) for side in sides)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    right = sum(each.off == 0 for each in made)
    lines.append(f"{right} of {len(made)} right.")
    if right < len(made):
        lines.append(f"Farthest off: {max(made, key=lambda each: each.off).question}. Why?")
    return "\n".join(lines)
