"""Playgrounds: controls, an experiment and its picture, joined by ipywidgets. Each lesson's panels are in the
module of its name.

An experiment is a generator that yields lists of measurements. The panel draws between two of them, never during
one, and lets the kernel see the Stop button there.
"""

import asyncio
import html
import io
import time
import traceback

import ipywidgets as widgets
from IPython.display import Image, display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from traitlets import Unicode

from udplab.kit import picture

FRAME = 0.08  # seconds from one frame to the next, while batches are short: a little over 10 frames a second


LABELS = "18em"  # the width of the longest label of a number


def number(words, value, low, high, unit="", step=1):
    """Return a field for a number from `low` to `high`; its label says them.

    Not a slider: the handle of ipywidgets' slider has no name that a screen reader could say, and no slider of a few
    hundred pixels can be set to one of 65,508 sizes.
    """
    kind = widgets.BoundedIntText if isinstance(step, int) else widgets.BoundedFloatText
    label = f"{words} ({low:,} to {high:,}{' ' * bool(unit)}{unit})"
    return kind(value, min=low, max=high, step=step, description=label, **look(LABELS))


def choice(words, options, label=LABELS):
    """Return a menu of the options, the first one chosen; `label` is the width of the words before it."""
    return widgets.Dropdown(options=options, description=words, **look(label))


def tick(words, value=False, label=LABELS):
    """Return a box to tick; `label` is the width of the room before it, where other controls have their words."""
    return widgets.Checkbox(value, description=words, **look(label))


def look(label):
    """Return how a control looks: as wide as its column, its words in the width of `label`."""
    return {"layout": {"width": "auto"}, "style": {"description_width": label}}


class Picture(widgets.Image):
    """An image that can have a tooltip: ipywidgets 8.1 gives it only to a widget that has a description."""

    description = Unicode("").tag(sync=True)


class Playground:
    """A panel with controls, Run and Stop, a progress bar, a picture and its text twin.

    controls: a dict from a parameter's name to the widget that sets it
    prepare: called with the controls' values; returns (total, batches), the number of measurements to come and the
        generator that yields lists of them. A ValueError or OSError that they raise is shown in words,
        any other error with its traceback.
    draw: called with (axes, measurements so far, values); draws, and returns the text twin
    """

    SIZE = 8, 3.6  # of the picture, in inches

    def __init__(self, controls, prepare, draw):
        self.controls, self.prepare, self.draw = controls, prepare, draw
        # Neither is ever disabled: a disabled button loses the focus, and with it the place of who uses the keyboard.
        self.run_button = widgets.Button(description="Run", icon="play", button_style="primary")
        self.stop_button = widgets.Button(description="Stop", icon="stop")
        self.progress = widgets.IntProgress(value=0, max=1, layout={"width": "100%"})
        self.status = widgets.HTML()
        self.say("Set the controls, then press Run.")
        self.picture = Picture(
            format="png",
            tooltip="Picture of the measurements. The text below it says the same.",  # its name, for who cannot see it
            layout={"max_width": "880px", "display": "none"},
        )
        self.text, self.twin = widgets.HTML(), ""
        self.task = None
        self.runs = self.frames = 0
        self._stopping = False
        self.run_button.on_click(self.run)
        self.stop_button.on_click(self.stop)
        # As many columns as there is room for, so that the picture can be seen together with the controls.
        fields = widgets.GridBox(
            list(controls.values()), layout={"grid_template_columns": "repeat(auto-fill, minmax(27em, 1fr))"}
        )
        buttons = widgets.HBox([self.run_button, self.stop_button, self.status])
        self.widget = widgets.VBox(
            [fields, buttons, self.progress, self.picture, self.text], layout={"max_width": "900px"}
        )

    def _repr_mimebundle_(self, **options):
        return self.widget._repr_mimebundle_(**options)

    async def still(self):
        """Run once with the controls as they are; show the picture and its text twin, for a page without a kernel."""
        await self._run()
        display(Image(self.picture.value, alt=self.twin))
        print("One run with the first settings:")
        print(self.twin)

    def say(self, words):
        """Show the panel's state; a screen reader tells it too."""
        self.told = words
        self.status.value = f'<span role="status">{html.escape(words)}</span>'

    def run(self, _button=None):
        """Start the experiment with the controls' values, unless it is running already; return at once."""
        if self.task is None or self.task.done():
            self._stopping = False
            self.task = asyncio.get_running_loop().create_task(self._run_and_tell())

    def stop(self, _button=None):
        """Let the experiment end after the batch that it is measuring."""
        self._stopping = True

    async def _run_and_tell(self):
        try:
            await self._run()
        except Exception as error:  # a mistake of ours: told as well, and not "Running." for ever
            self.say(f"That broke off: {error!r}")
            self.text.value = f"<pre>{html.escape(traceback.format_exc())}</pre>"

    async def _run(self):
        values = {name: control.value for name, control in self.controls.items()}
        measured, batches = [], None
        self.runs += 1
        self.say("Running.")
        with picture.style():
            canvas = FigureCanvasAgg(Figure(figsize=self.SIZE))
        try:
            self.progress.value = 0  # first, or the old value would be shown as a part of the new whole
            self.progress.max, batches = self.prepare(**values)
            due = 0.0
            for batch in batches:
                measured.extend(batch)
                self.progress.value = len(measured)
                if (now := time.monotonic()) >= due:
                    self._show(canvas, measured, values)
                    drawn = time.monotonic()
                    due = drawn + max(FRAME, drawn - now)  # at most half of the time goes into drawing
                await asyncio.sleep(0.001)  # lets the kernel read the messages of the Stop button
                if self._stopping:
                    break
            self._show(canvas, measured, values, arrange=True)
            batches.close()
            end = "Stopped" if self._stopping else "Done"
            # Said last, when the next run can begin. The number tells two runs with the same end apart, for people
            # and for screen readers.
            self.say(f"{end}: {len(measured)} of {self.progress.max} (run {self.runs}).")
        except (OSError, ValueError) as error:
            self.say(f"That did not work: {error}")
        finally:
            if batches is not None:
                batches.close()

    def _show(self, canvas, measured, values, arrange=False):
        """Draw one frame. To work out the margins takes as long as to draw: only the first and the last do it."""
        figure, png = canvas.figure, io.BytesIO()
        places = [] if arrange else [axes.get_position() for axes in figure.axes]
        figure.clear()
        with picture.style():
            self.twin = self.draw(figure.subplots(), measured, values)
            figure.set_layout_engine("none" if places else "constrained")
            for axes, place in zip(figure.axes, places, strict=False):
                axes.set_position(place)
            canvas.print_png(png, pil_kwargs={"compress_level": 1})
        self.picture.value = png.getvalue()
        self.picture.layout.display = ""
        self.text.value = f"<pre>{html.escape(self.twin)}</pre>"
        self.frames += 1
