"""Playgrounds: controls, an experiment and its picture, joined by ipywidgets. Each lesson's own is in its `panel`.

A picture answers while a control moves: there is no form to send. An experiment is a generator of batches (lists of
measurements). The panel draws between two of them, never during one, and sees there that a control has moved on.
"""

import asyncio
import base64
import html
import time
import traceback
from collections.abc import Callable, Generator, Iterable
from pathlib import Path

import anywidget
import ipywidgets as widgets
import matplotlib
from IPython.display import display
from traitlets import Unicode

from udplab.kit import picture
from udplab.kit.slider import Slider

FRAME = 0.08  # seconds from one frame to the next, while batches are short: a little over 10 frames a second
SHORT, LONG = 0.15, 1.0  # seconds: a run that is shorter ends also when a control moves; a longer one says that it runs
MARGINS = {"left": 0.1, "right": 0.98, "top": 0.88, "bottom": 0.17, "wspace": 0.3}  # shares of the picture


LABELS = "12em"  # the width of the words before a menu or a box


def number(words: str, value: float, low: float, high: float, unit: str = "", step: float = 1) -> Slider:
    """Return a slider for a number from `low` to `high`, to be dragged or typed into. See `kit.slider.Slider`."""
    return Slider(words, value, low, high, unit, step)


def choice(words: str, options: Iterable, label: str = LABELS) -> widgets.Dropdown:
    """Return a menu of the options, the first one chosen; `label` is the width of the words before it."""
    return widgets.Dropdown(options=options, description=words, **look(label))


def tick(words: str, value: bool = False, label: str = LABELS) -> widgets.Checkbox:
    """Return a box to tick; `label` is the width of the room before it, where other controls have their words."""
    return widgets.Checkbox(value, description=words, **look(label))


def told(words: str, before: str = "") -> str:
    """Return HTML that tells `words`, and in grey how it was before the last change.

    JupyterLab breaks the lines of such text anywhere: here they break between words.
    """
    line = f'\n<span class="udplab-before">Before: {html.escape(before)}</span>' if before else ""
    return f'<pre style="word-break: normal">{html.escape(words)}{line}</pre>'


class Gone(anywidget.AnyWidget):
    """The line that says beforehand what to do after a restart, of which a page need not know.

    It also keeps JupyterLab's shortcuts from the controls of its playground, a VBox.
    """

    _esm = Path(__file__).with_name("gone.js")
    words = Unicode("Nothing moves? Then its kernel has gone: run this cell again.").tag(sync=True)


def look(label: str) -> dict[str, dict[str, str]]:
    """Return how a control looks: as wide as its column, its words in the width of `label`."""
    return {"layout": {"width": "auto"}, "style": {"description_width": label}}


class Picture(widgets.Image):
    """An image that can have a tooltip: ipywidgets 8.1 gives it only to a widget that has a description."""

    description = Unicode("").tag(sync=True)


class Playground:
    """A panel: controls, a picture that follows them, its words, and a button that measures once more.

    controls: a dict from a parameter's name to the widget that sets it (it has `.value` and `.observe`)
    measure: called with the controls' values; returns a generator that yields lists of measurements, which is closed
        before the next one begins. A ValueError or OSError that it raises is shown in words, any other error with its
        traceback.
    draw: called with (ax, measurements so far, values, before); draws, and returns the words. before: None, or the
        (measurements, values) of the last run with other settings, to be drawn in grey, so that a change can be seen.
    size: of the picture, in inches; margins: of the Axes in it, as shares. They stay, so that nothing jumps.
    """

    def __init__(
        self,
        controls: dict[str, widgets.DOMWidget],
        measure: Callable[..., Generator[list]],
        draw: Callable[..., str],
        size: tuple[float, float] = (8.0, 3.6),
        margins: dict[str, float] | None = None,
    ) -> None:
        self.controls, self.measure, self.draw = controls, measure, draw
        self.size, self.margins = size, MARGINS | (margins or {})
        self.picture = Picture(
            format="png",
            tooltip="Picture of the measurements. The words below it say the same.",  # its name, for who cannot see it
            layout={"max_width": "880px", "display": "none"},
        )
        self.text, self.words, self.status = widgets.HTML(), "", widgets.HTML()
        # One button, which is never disabled: a disabled one loses the focus, and who uses the keyboard the place.
        self.again = widgets.Button(description="Measure again", icon="refresh")
        self.again.on_click(self.run)
        for control in controls.values():
            control.observe(self.run, "value")
        self.task: asyncio.Task | None = None
        self.frames, self.said = 0, ""
        self._wanted, self._last, self._before = False, None, None
        # As many columns as there is room for, so that the picture can be seen together with the controls.
        fields = widgets.GridBox(
            list(controls.values()), layout={"grid_template_columns": "repeat(auto-fill, minmax(27em, 1fr))"}
        )
        buttons = widgets.HBox([self.again, self.status, Gone()], layout={"flex_flow": "row wrap"})
        self.widget = widgets.VBox([fields, buttons, self.picture, self.text], layout={"max_width": "900px"})

    def _repr_mimebundle_(self, **options):
        self.run()
        return self.widget._repr_mimebundle_(**options)

    async def still(self) -> None:
        """Run once with the controls as they are; show the picture and its words, for a page without a kernel."""
        await self._once(self._values())
        source = base64.b64encode(self.picture.value).decode("ascii")
        alt = "Picture of the playground. The words below say the same."
        display({"text/html": f'<img alt="{alt}" src="data:image/png;base64,{source}">', "text/plain": alt}, raw=True)
        print("One run with the first settings:")
        print(self.words)

    def say(self, words: str) -> None:
        """Show the panel's state; a screen reader tells it too."""
        self.said = words
        self.status.value = f'<span role="status">{html.escape(words)}</span>'

    def run(self, _change: object = None) -> None:
        """Measure with the controls' values as they are now, in place of what is being measured; return at once."""
        self._wanted = True
        if self.task is None or self.task.done():
            self.task = asyncio.get_running_loop().create_task(self._work())

    def _values(self):
        return {name: control.value for name, control in self.controls.items()}

    async def _work(self):
        """Run until no control has moved meanwhile."""
        self._wanted = True
        while self._wanted:
            self._wanted = False
            try:
                await self._once(self._values())
            except (OSError, ValueError) as error:
                self.say(f"That did not work: {error}")
            except Exception as error:  # a mistake of ours: told as well, and not silence for ever
                self.say(f"That broke off: {error!r}")
                self.text.value = told(traceback.format_exc())

    async def _once(self, values):
        """Measure once, and draw: while it lasts from time to time, and at the end."""
        if self._last and self._last[1] != values:
            self._before = self._last
        measured, begin = [], time.monotonic()
        due, batches = begin + FRAME, self.measure(**values)
        try:
            for batch in batches:
                measured.extend(batch)
                if (now := time.monotonic()) >= due:
                    self._show(measured, values)
                    drawn = time.monotonic()
                    due = drawn + max(FRAME, drawn - now)  # at most half of the time goes into drawing
                    if now - begin > LONG:
                        self.say("Measuring ...")
                await asyncio.sleep(0.001)  # lets the kernel read the messages of the controls
                if self._wanted and now - begin > SHORT:
                    return
        finally:
            batches.close()
        self._show(measured, values)
        self._last = measured, values
        self.say("Measured.")

    def _show(self, measured, values):
        """Draw one frame."""
        figure = picture.figure(*self.size, layout="none")
        figure.subplots_adjust(**self.margins)
        with picture.style(), matplotlib.rc_context({"axes.titley": 1.0}):  # not sought anew at each draw
            self.words = self.draw(figure.subplots(), measured, values, self._before)
        self.picture.value = picture.png(figure)
        self.picture.layout.display = ""
        self.text.value = told(self.words)
        self.frames += 1
