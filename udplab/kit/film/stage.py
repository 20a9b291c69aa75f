"""The stage: a film in slow motion, in the page, and the place where a lesson's network is played with by hand.

stage = Stage(film)                       # show it as a cell's result
stage.film = another                      # starts to play at once
stage.buttons = {"router1": "Silence router1", "client--router1": "Flip a bit here"}
stage.sliders = [{"link": "client--router1", "name": "MTU", "min": 576, "max": 1500, "step": 4, "value": 1500}]
stage.on(lambda event: ...)               # {"type": "press", "name": "router1"}, or
                                          # {"type": "slide", "name": "MTU", "link": "client--router1", "value": 1400}
stage.follow(control, lambda change: ...) # a control beside it: never at the same time as what `on` has called
"""

import threading
from collections.abc import Callable
from pathlib import Path

import anywidget
import traitlets
from IPython.display import display

from udplab.kit import picture
from udplab.kit.film.flight import Film
from udplab.kit.film.ladder import ladder
from udplab.kit.film.scene import scene

HERE = Path(__file__).parent


class Stage(anywidget.AnyWidget):
    """The moving picture of a film, with Play, a slider through time, steps, speed, and words for each event.

    film: the Film that it shows; a new one starts to play at once, except where the reader's system asks for less
        motion. seconds: how long it lasts at normal speed
    buttons: a dict from the name of a node, or of a link ("client--router1"), that can be pressed, to what pressing
        does, in words; pressed: a list of the names that are pressed at present
    sliders: a list of dicts: link, name, min, max, step, value, and unit in words if there is one
    """

    _esm = "".join((HERE / name).read_text(encoding="utf-8") for name in ("drawing.js", "stage.js"))
    _css = HERE / "stage.css"
    _scene = traitlets.Dict().tag(sync=True)
    film = traitlets.Instance(Film)
    seconds = traitlets.Float(8.0)
    buttons = traitlets.Dict().tag(sync=True)
    pressed = traitlets.List().tag(sync=True)
    sliders = traitlets.List().tag(sync=True)

    def __init__(self, film: Film, **options: object) -> None:
        # JupyterLab hands a widget's messages to a thread of their own (a subshell of ipykernel 7), but to the main one
        # until that has started, and a cell may move a control too. (An RLock: a handler may move a control itself.)
        self._handlers, self._turn = [], threading.RLock()
        super().__init__(film=film, **options)
        self.on_msg(self._heard)

    @traitlets.observe("film", "seconds")
    def _show(self, _change):
        self._scene = scene(self.film, self.seconds)

    def on(self, handler: Callable[[dict], object]) -> None:
        """Have `handler(event)` called for what the reader does, in whichever thread Jupyter hands that over.

        The handlers of `on` and of `follow` take turns: none runs while another does, in this thread or in another.
        While one runs the page sends nothing more, and then of each slider only the latest place.
        """
        self._handlers.append(handler)

    def follow(self, control: traitlets.HasTraits, handler: Callable[[dict], object]) -> None:
        """Have `handler(change)` called when `control.value` changes, a control beside the stage, in turn with `on`."""

        def in_turn(change):
            with self._turn:
                handler(change)

        control.observe(in_turn, "value")

    def _heard(self, _widget, event, _buffers):
        try:
            with self._turn:
                for handler in self._handlers:
                    handler(event)
        finally:
            self.send({"type": "done"})

    def __repr__(self) -> str:  # what a page without a kernel shows in its place
        return "The moving picture needs a running kernel; the still picture shows the same."

    def _repr_mimebundle_(self, **options):
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            data["text/plain"] = repr(self)
        return bundle


def show(film: Film) -> None:
    """Show a film as a still picture with its words, which stay in the page without a kernel, and then as a stage."""
    picture.show(ladder, film)
    display(Stage(film))
