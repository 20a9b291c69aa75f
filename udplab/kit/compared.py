"""A prediction beside what was measured: one shape, one title, one verdict for all lessons."""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from udplab.kit.words import told


@dataclass(frozen=True)
class Compared:
    """What the model says and what the kernel did: two results of one shape, compared by `==`.

    predicted: what a pure function says
    measured: what was measured; None where this machine cannot
    reason: why it cannot, in words; "" where it can
    """

    predicted: Any
    measured: Any = None
    reason: str = ""

    @property
    def alone(self) -> bool:
        """Whether the prediction stands alone: nothing was measured."""
        return self.measured is None

    @property
    def result(self) -> Any:
        """What was measured; the prediction where that stands alone."""
        return self.predicted if self.alone else self.measured

    @property
    def how(self) -> str:
        """Where the result comes from: "measured" or "predicted"."""
        return "predicted" if self.alone else "measured"

    def title(self, text: str) -> str:
        """Return the title of a picture. Where the prediction stands alone, it says so, and why."""
        if not self.alone:
            return text
        return "\n".join([f"Predicted: {text}", *textwrap.wrap(f"No measurement: {self.reason}", 54)])

    @property
    def verdict(self) -> str:
        """The last line of a picture's words: whether the kernel did what was predicted."""
        if self.alone:
            return f"only predicted: {self.reason}"
        return "as predicted" if self.measured == self.predicted else "NOT as predicted"

    def map(self, function: Callable[[Any], Any]) -> "Compared":
        """Return a `Compared` of what `function` makes of each of the two."""
        measured = None if self.alone else function(self.measured)
        return Compared(function(self.predicted), measured, self.reason)


def compared(predicted: Any, measure: Callable, *arguments: object, **options: object) -> Compared:
    """Return the prediction beside what `measure(*arguments, **options)` returns, if that can be measured."""
    return measured_or(
        lambda reason: Compared(predicted, None, reason), lambda: Compared(predicted, measure(*arguments, **options))
    )


def measured_or(predict: Callable[[str], Any], measure: Callable, *arguments: object) -> Any:
    """Return what `measure(*arguments)` returns; where it raises OSError, such as a LanError, `predict(its words)`."""
    try:
        return measure(*arguments)
    except OSError as error:
        return predict(told(error))
