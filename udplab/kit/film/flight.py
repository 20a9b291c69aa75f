"""Films: what moved, from where to where, when, and what became of it. Records only, no sockets and no pictures.

A Film holds the flights of frames between the interfaces of hosts. `kit.film` makes films from captures, from the
records of programs, and from models; `kit.ladder` draws a film as a still, `kit.stage` moves it.
"""

import dataclasses
import itertools
from collections.abc import Iterator

# What became of a frame. Only LOST and DROPPED are the end of what somebody wanted to arrive.
DELIVERED = "delivered"  # a program's socket got it
QUEUED = "queued"  # it waits in a socket's queue, and nobody has read it
PENDING = "pending error"  # an ICMP message that waits at a socket, for the next call on it
FORWARDED = "forwarded"  # a router sent it on, perhaps in pieces
TAKEN = "taken"  # the kernel has used it itself: ARP, a piece of a datagram that became whole, news of an MTU
WAITING = "waiting"  # a piece of a datagram, kept until the others come
IGNORED = "ignored"  # nobody there wanted it
DROPPED = "dropped"  # thrown away where it arrived
LOST = "lost"  # it left and never arrived
ARRIVED = "arrived"  # more is not known
DEAD = (DROPPED, LOST)
LONG = 10  # of so many usual flights is a long time in which nothing moves


@dataclasses.dataclass(frozen=True)
class Node:
    """A host, router or switch. kind: "host", "router" or "switch"; addresses: its IP addresses, as text."""

    name: str
    kind: str = "host"
    addresses: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Link:
    """A cable between two nodes. mtu: bytes, or 0 where it does not matter."""

    ends: tuple[str, ...]
    mtu: int = 0


@dataclasses.dataclass
class Flight:
    """One frame on one link.

    kind: "UDP", "fragment", "ICMP", "ARP", "IGMP", "MLD", "NDP" or "other"; words: what it is
    size: bytes of the packet, its IP header included
    source, target: (host, interface), names
    left, arrived: seconds since the film's start; arrived is None for what was lost on the way
    fate: one of the words above; why: its reason or place, in words
    taken: when a program took it from the socket's queue (or the kernel from its store), None where it never did or
        where nobody knows
    datagram: its number in the film; all pieces and hops of a datagram share it
    part: (start, length) of the bytes of the datagram that it carries, UDP's header included
    cause: the number of the flight that it continues or answers, or None
    """

    kind: str
    words: str
    size: int
    source: tuple[str, str]
    target: tuple[str, str]
    left: float
    arrived: float | None
    fate: str = ARRIVED
    why: str = ""
    taken: float | None = None
    datagram: int = 0
    part: tuple[int, int] = (0, 0)
    cause: int | None = None

    @property
    def end(self) -> float:
        """When its way ended, in seconds: where it was lost, nobody knows more than when it left."""
        return self.left if self.arrived is None else self.arrived


@dataclasses.dataclass(frozen=True)
class Note:
    """Something that happened at a host and is no frame: a refused send, a timeout. time: seconds."""

    time: float
    host: str
    words: str


@dataclasses.dataclass
class Film:
    """Flights in the order in which they left, between nodes; `for flight in film`, `len(film)`, `film[0]`.

    nodes: a tuple of Node, in the order in which to show them; links: a tuple of Link
    notes: a list of Note
    predicted: "" for what really happened; else why this is a prediction and no record
    """

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    flights: list[Flight] = dataclasses.field(default_factory=list)
    notes: list[Note] = dataclasses.field(default_factory=list)
    predicted: str = ""

    def __iter__(self) -> Iterator[Flight]:
        return iter(self.flights)

    def __len__(self) -> int:
        return len(self.flights)

    def __getitem__(self, which: int) -> Flight:
        return self.flights[which]

    def title(self, text: str) -> str:
        """Return the title of a picture; of a prediction it says so."""
        return f"Predicted, not measured: {text}" if self.predicted else text

    @property
    def hosts(self) -> list[str]:
        """The names of all nodes that send and receive, without the switches."""
        return [node.name for node in self.nodes if node.kind != "switch"]

    @property
    def length(self) -> float:
        """From the first to the last moment, in seconds."""
        moments = self.moments()
        return moments[-1] - moments[0] if moments else 0.0

    def moments(self) -> list[float]:
        """Return all times at which something begins or ends, sorted, each once."""
        times = {note.time for note in self.notes}
        for flight in self.flights:
            times.update((flight.left, flight.end))
            if flight.taken is not None:
                times.add(flight.taken)
        return sorted(times)

    def only(self, *kinds: str) -> "Film":
        """Return a film of these kinds of frames alone, such as "UDP", "fragment", "ICMP"; it starts with them."""
        kept = [number for number, flight in enumerate(self.flights) if flight.kind in kinds]
        number = {old: new for new, old in enumerate(kept)}
        flights = [dataclasses.replace(self.flights[old], cause=number.get(self.flights[old].cause)) for old in kept]
        return Film(self.nodes, self.links, flights, self.notes, self.predicted).from_zero()

    def from_zero(self) -> "Film":
        """Return the film with its first moment at 0 s, and its datagrams numbered from 1."""
        moments = self.moments()
        zero, numbers = moments[0] if moments else 0.0, {}
        flights = [
            dataclasses.replace(
                flight,
                left=flight.left - zero,
                arrived=None if flight.arrived is None else flight.arrived - zero,
                taken=None if flight.taken is None else flight.taken - zero,
                datagram=numbers.setdefault(flight.datagram, len(numbers) + 1),
            )
            for flight in self.flights
        ]
        notes = [dataclasses.replace(note, time=note.time - zero) for note in sorted(self.notes, key=_time)]
        return Film(self.nodes, self.links, flights, notes, self.predicted)

    def schedule(self, seconds: float = 8.0, pause: float = 0.8) -> list[tuple[float, float]]:
        """Return how to show the film within `seconds`: a list of (time in the film, time on the stage), both rising.

        All times are stretched by one factor; but a time in which nothing is on its way, and which is longer than ten
        flights, lasts `pause` seconds at most: between two tries of a client 100 ms pass, and a datagram flies 10 µs.
        """
        usual = self.usual()
        spans = _united([(flight.left, landing(flight, usual)) for flight in self.flights])
        moments = self.moments()
        if not moments:
            return [(0.0, 0.0)]
        last = max([moments[-1], *(end for _, end in spans)])
        times, idle, now = [moments[0]], [], moments[0]  # where steps end, and which of them may be shown shorter
        stops = [[note.time] * 2 for note in self.notes]
        for start, end in sorted([*spans, *stops, [last, last]]):
            for time, still in ((start, start - now > LONG * usual), (end, False)):
                if time > now:
                    times.append(time)
                    idle.append(still)
                    now = time
        steps = [(end - start, still) for (start, end), still in zip(itertools.pairwise(times), idle, strict=True)]
        return list(zip(times, itertools.accumulate(_stretched(steps, seconds, pause), initial=0.0), strict=True))

    def usual(self) -> float:
        """Return the median time, in seconds, that frames were on their way; 10 µs where none arrived."""
        times = sorted(each.arrived - each.left for each in self.flights if each.arrived is not None)
        return times[len(times) // 2] if times else 1e-5


def landing(flight: Flight, usual: float) -> float:
    """Return when a flight ends, in seconds, as it is shown: what was lost goes half as far as `usual`."""
    return flight.left + usual / 2 if flight.arrived is None else flight.arrived


def _time(note):
    return note.time


def _united(spans):
    """Return the spans (start, end), overlapping ones joined, in order."""
    joined = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return joined


def _stretched(steps, seconds, pause):
    """Return for how long to show each of the steps (length, may be cut), so that together they last `seconds`.

    What is cut short lasts `pause` at most, and together at most half of the time.
    """
    idle = sorted((length for length, idle in steps if idle), reverse=True)
    rest, factor, cut = sum(length for length, _ in steps), 1.0, pause
    for number in range(len(idle) + 1):  # of the idle steps, the longest `number` are cut short
        cut = min(pause, seconds / 2 / number) if number else pause
        factor = (seconds - cut * number) / rest if rest > 0 else 1.0
        if number == len(idle) or idle[number] * factor <= cut:
            break
        rest -= idle[number]
    return [min(length * factor, cut) if idle else length * factor for length, idle in steps]
