"""The playground of lesson 2-4: who hears a datagram, played on the stage."""

import dataclasses
import operator

import ipywidgets as widgets

from udplab.broadcast import sending
from udplab.broadcast.experiments import on_lan
from udplab.broadcast.hearing import BEYOND, EVERY, NAMES, OTHER, OWN, PLAN, SUBNET
from udplab.broadcast.plots import by_switch
from udplab.kit import picture
from udplab.kit.compared import compared
from udplab.kit.film.stage import Stage
from udplab.kit.playground import Gone, choice, tick, told
from udplab.kit.sockets import PORT

DESTINATIONS = {
    "bob, 10.0.0.2": "10.0.0.2",
    "dave, 10.0.1.1": "10.0.1.1",
    "the near subnet, 10.0.0.255": "10.0.0.255",
    "the far subnet, 10.0.1.255": "10.0.1.255",
    '"<broadcast>", 255.255.255.255': "<broadcast>",
}
SILENT = "not listening"
BINDS = EVERY, OWN, SUBNET, OTHER, SILENT  # a press changes one into the next
SEND, BIND = "sends from it", "changes how it listens"
LABELS = "9em"


class WhoHears:
    """Controls, a stage, and words. A host that is pressed sends, or listens in another way, and a film starts."""

    def __init__(self):
        self.destination = choice("It goes to", DESTINATIONS, LABELS)
        self.destination.value = "10.0.0.255"
        self.action = choice("Pressing a host", [SEND, BIND], LABELS)
        self.port = choice("to port", [PORT, PORT + 1], LABELS)
        self.permission = tick("SO_BROADCAST is set", True, LABELS)
        self.sender, self.binds = "alice", dict.fromkeys((*NAMES, *BEYOND, "router"), EVERY)
        self.words = self.before = ""
        self.text = widgets.HTML()
        self.stage = Stage(self.send())
        self.stage.on(self.pressed)
        self.label()
        controls = self.destination, self.action, self.port, self.permission
        self.stage.follow(self.action, self.label)
        for control in (self.destination, self.port, self.permission):
            self.stage.follow(control, self.changed)
        fields = widgets.GridBox(controls, layout={"grid_template_columns": "repeat(auto-fill, minmax(24em, 1fr))"})
        self.text.layout.flex = "1"
        below = widgets.HBox([self.text, Gone(layout={"width": "15em"})])
        self.widget = widgets.VBox([fields, self.stage, below], layout={"max_width": "900px"})

    def _repr_mimebundle_(self, **options):
        return self.widget._repr_mimebundle_(**options)

    async def still(self):
        """Show the still of the film and its words, for a page without a kernel."""
        picture.show(by_switch, self.stage.film)
        print("One datagram with the first settings:")
        print(self.words)

    def send(self):
        """Send one datagram with the settings as they are; return its film, and say who heard it."""
        binds = {name: kind for name, kind in self.binds.items() if kind != SILENT}
        settings = self.sender, self.destination.value, binds, self.permission.value, "", self.port.value
        both = compared(sending.predict_film(PLAN, *settings), on_lan, sending.measure_film, *settings)
        film, heard = both.result
        verdict = both.map(operator.itemgetter(1)).verdict
        ended = heard.words if heard.error else f"heard by: {heard.words}"
        self.words = f"{self.sender} sends to {heard.destination}, {ended}\n{verdict}"
        self.text.value = f'<div role="status">{told(self.words, self.before)}</div>'
        bare = "" if self.permission.value else ", SO_BROADCAST not set"
        self.before = f"{self.sender} to {heard.destination}, port {self.port.value}{bare}, {ended}"
        nodes = [dataclasses.replace(node, addresses=self.lines(node)) for node in film.nodes]
        return dataclasses.replace(film, nodes=tuple(nodes), predicted=both.reason)

    def lines(self, node):
        """Return what stands in a host's box, under its name."""
        if node.name not in self.binds:
            return node.addresses
        return (*node.addresses, self.binds[node.name], *["sends"] * (node.name == self.sender))

    def pressed(self, event):
        """Do what pressing a host does."""
        name = event.get("name")
        if event["type"] != "press" or name not in self.binds:
            return
        if self.action.value == SEND:
            self.sender = name
        else:
            self.binds[name] = BINDS[(BINDS.index(self.binds[name]) + 1) % len(BINDS)]
        self.changed()

    def changed(self, _change=None):
        """Send again, with the settings as they are now."""
        self.label()
        self.stage.film = self.send()

    def label(self, _change=None):
        """Tell what pressing each host does now."""
        if self.action.value == SEND:
            self.stage.buttons = {name: f"Send from {name}" for name in self.binds}
        else:
            self.stage.buttons = {name: f"{name} listens at: {kind}. Change it" for name, kind in self.binds.items()}


def who_hears():
    """Return the playground."""
    return WhoHears()
