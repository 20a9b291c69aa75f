"""A slider that can be dragged and typed into: a native range input and a field for the number, both with a name.

The handle of ipywidgets' slider has no name that a screen reader could say, and no slider of a few hundred pixels can
be set to one of 65,508 sizes: hence both.
"""

import math
from pathlib import Path

import anywidget
import traitlets

HERE = Path(__file__).parent


class Slider(anywidget.AnyWidget):
    """A number from `low` to `high` that the reader drags, or types. `value` is the number; `observe(f, "value")`.

    words: its name; unit: in words, "" for none; step: a whole number keeps the value whole
    """

    _esm = HERE / "slider.js"
    _css = HERE / "slider.css"
    words = traitlets.Unicode().tag(sync=True)
    value = traitlets.Union([traitlets.Int(), traitlets.Float()]).tag(sync=True)
    low = traitlets.Union([traitlets.Int(), traitlets.Float()]).tag(sync=True)
    high = traitlets.Union([traitlets.Int(), traitlets.Float()]).tag(sync=True)
    unit = traitlets.Unicode().tag(sync=True)
    step = traitlets.Union([traitlets.Int(), traitlets.Float()]).tag(sync=True)

    def __init__(self, words: str, value: float, low: float, high: float, unit: str = "", step: float = 1) -> None:
        super().__init__(words=words, value=value, low=low, high=high, unit=unit, step=step)

    @traitlets.validate("value")
    def _within(self, proposal):
        """Keep the value between both ends, and of the kind that `step` is, whatever the page sends."""
        kept = min(max(proposal["value"], self.low), self.high)
        if math.isnan(kept):
            raise traitlets.TraitError(f"{self.words}: a number from {self.low} to {self.high}")
        return round(kept) if isinstance(self.step, int) else kept
