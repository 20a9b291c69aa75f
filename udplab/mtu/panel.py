"""The playground of lesson 2-3: one datagram on a path of three links, played with by hand on the stage."""

import ipywidgets as widgets

from udplab.kit import picture
from udplab.kit.film.ladder import ladder
from udplab.kit.film.stage import Stage
from udplab.kit.film.story import summary
from udplab.kit.playground import Gone, tick, told
from udplab.kit.slider import Slider
from udplab.kit.sockets import HEADERS, LARGEST
from udplab.mtu import films, plots_of_fragments
from udplab.mtu.journeys import predict_journey

LINKS = {"client--router1": 1500, "router1--router2": 1400, "router2--server": 1280}  # and the MTUs they start with
ROUTERS = "router1", "router2"
NARROWEST, WIDEST = 576, 1500  # bytes


def journeys():
    """Return the `Journeys` of this lesson, ready to be shown."""
    return Journeys()


class Journeys:
    """A stage on which a datagram's film starts whenever something is changed.

    On the stage: the MTU of each link; the links, which flip a bit of each packet to the server when they are pressed;
    and the routers, which fall silent (send no ICMP). Beside it: the payload, don't-fragment, and how long each link
    takes. Each film is of a new path, so that no kernel has heard of it before.
    """

    def __init__(self):
        self.mtus, self.pressed, self.before = dict(LINKS), set(), ""
        self.size = Slider("payload", 3000, 0, LARGEST, "bytes")
        self.whole = tick("don't fragment", label="0")
        self.delay = Slider("link delay", 0, 0, 50, "ms")
        self.words = widgets.HTML()
        self.stage = Stage(self.film(), sliders=self.sliders(), buttons=self.buttons())
        self.tell()
        self.stage.on(self.heard)
        for control in (self.size, self.whole, self.delay):
            # In turn with what comes from the stage: each film with its own words.
            self.stage.follow(control, self.play)
        self.widget = widgets.VBox(
            [self.size, self.delay, self.whole, self.stage, self.words, Gone()], layout={"max_width": "900px"}
        )

    def _repr_mimebundle_(self, **options):
        return self.widget._repr_mimebundle_(**options)

    async def still(self):
        """Show the film of the first settings as a still with its words, for a page without a kernel."""
        picture.show(ladder, self.stage.film)

    def sliders(self):
        """Return the stage's sliders: an MTU for each link."""
        return [
            {"link": link, "name": "MTU", "min": NARROWEST, "max": WIDEST, "step": 4, "value": mtu, "unit": "bytes"}
            for link, mtu in self.mtus.items()
        ]

    def buttons(self):
        """Return what pressing a router or a link does."""
        does = {name: (f"Silence {name}: it sends no ICMP", f"Let {name} speak again") for name in ROUTERS}
        for link in LINKS:
            way = link.replace("--", " to ")
            does[link] = f"Flip a bit of each packet from {way}", f"Flip no bit from {way}"
        return {name: words[name in self.pressed] for name, words in does.items()}

    def heard(self, event):
        """Do what the reader has done on the stage."""
        if event["type"] == "slide":
            self.mtus[event["link"]] = int(event["value"])
        else:
            self.pressed ^= {event["name"]}
            self.stage.pressed, self.stage.buttons = sorted(self.pressed), self.buttons()
        self.play()

    def play(self, _change=None):
        """Send one datagram over a new path, and start its film."""
        self.stage.film = self.film()
        self.tell()

    def journey(self):
        """Return what is predicted for the settings as they are."""
        links, whole = list(self.mtus.values()), self.whole.value
        stuck = next((number for number, mtu in enumerate(links) if self.size.value + HEADERS > mtu), 0)
        return predict_journey(links, self.size.value, whole, f"router{stuck}" in self.pressed)

    def noisy(self):
        """Return the numbers of the links that flip a bit."""
        return [number for number, link in enumerate(LINKS) if link in self.pressed]

    def film(self):
        """Return the film of a datagram with the settings as they are."""
        journey = self.journey()  # of the routers only the one that cannot pass it on has something to say
        choice = "forbid" if journey.dont_fragment else "allow"
        more = journey.black_hole, self.delay.value / 1000, self.noisy()
        return films.film(journey.mtus, [journey.size], choice, *more)

    def tell(self):
        """Say below the stage how it ended, how it was predicted to end, and how the film before it ended."""
        journey = self.journey()
        sent = f"{journey.size} bytes over links of {', '.join(map(str, journey.mtus))}, {self.delay.value} ms each"
        more = [f", a bit flipped on the {('first', 'second', 'third')[link]}" for link in self.noisy()]
        more += [f", {name} silent" for name in ROUTERS if name in self.pressed]
        more += [", don't fragment"] * journey.dont_fragment
        ended = f"{sent}{''.join(more)}: {summary(self.stage.film)}"
        predicted = f"Predicted: {plots_of_fragments.ending(journey, self.noisy())}."
        self.words.value = told(f"{ended}\n{predicted}", self.before)
        self.before = ended
