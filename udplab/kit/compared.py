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
    def result(self) -> Any:
        """What was measured; the prediction where nothing was."""
        return self.predicted if self.measured is None else self.measured

    @property
    def how(self) -> str:
        """Where the result comes from: "measured" or "predicted"."""
        return "predicted" if self.measured is None else "measured"

    def title(self, text: str) -> str:
        """Return the title of a picture. Where the prediction stands alone, it says so, and why."""
        if self.measured is not None:
            return text
        return "\n".join([f"Predicted: {text}", *textwrap.wrap(f"No measurement: {self.reason}", 54)])

    @property
    def verdict(self) -> str:
        """The last line of a picture's words: whether the kernel did what was predicted."""
        if self.measured is None:
            return f"only predicted: {self.reason}"
        return "as predicted" if self.measured == self.predicted else "NOT as predicted"

    def map(self, function: Callable[[Any], Any]) -> "Compared":
        """Return a `Compared` of what `function` makes of each of the two."""
        measured = None if self.measured is None else function(self.measured)
        return Compared(function(self.predicted), measured, self.reason)


def compared(predicted: Any, measure: Callable, *arguments: object, **options: object) -> Compared:
    """Return the prediction beside what `measure(*arguments, **options)` returns.

    Where that raises OSError, such as a LanError, the prediction stands alone, and the error's words are the reason.
    """
    try:
        return Compared(predicted, measure(*arguments, **options))
    except OSError as error:
        return Compared(predicted, None, told(error))
