"""A film in words: for people who do not see it, for the notebook's text, and for the stage's caption."""

import collections
import math
from collections.abc import Callable

from udplab.kit.film import flight as fates
from udplab.kit.film.flight import Film, Flight
from udplab.kit.words import unit

LINES = 40  # that are told


def clock(film: Film) -> tuple[str, float, int]:
    """Return (unit, factor, digits) in which to tell a film's times: seconds * factor is in that unit.

    The digits are as many as it takes to tell one flight from the next.
    """
    name, factor = unit(film.length)
    digits = math.ceil(-math.log10(max(film.usual(), 1e-9) * factor))
    return name, factor, min(max(digits, 1), 4)


def lasting(seconds: float) -> str:
    """Return a length of time as text, such as "100 ms"."""
    name, factor = unit(seconds)
    return f"{seconds * factor:.3g} {name}"


def teller(film: Film) -> Callable[[float], str]:
    """Return a function that gives a moment of the film, in s, as text, such as "37.8 µs"."""
    name, factor, digits = clock(film)
    return lambda seconds: f"{seconds * factor:.{digits}f} {name}"


def outcome(flight: Flight) -> str:
    """Return what became of a flight, in words, with the reason."""
    return f"{flight.fate} ({flight.why})" if flight.why else flight.fate


def story(film: Film) -> str:
    """Return the text of a film: datagram by datagram, link by link, a line for what left together; and the notes.

    So the lines are the same, but for their times, however the pieces of a datagram overtook each other. Of a long film
    only the first and the last lines are told.
    """
    at, order, depth = teller(film), {name: number for number, name in enumerate(film.hosts)}, []
    begun, told = {}, {}  # when each datagram left first; flights that one line tells, by what puts it into its place
    for flight in film:
        depth.append(0 if flight.cause is None or flight.cause >= len(depth) else depth[flight.cause] + 1)
        first = begun.setdefault(flight.datagram, flight.left)
        place = first, flight.datagram, depth[-1], flight.part[0], order[flight.source[0]]
        told.setdefault((place, flight.left, flight.words, outcome(flight), flight.taken), []).append(flight)
    lines = []
    for (place, left, *_), flights in told.items():
        flights.sort(key=lambda flight: order[flight.target[0]])
        lines.append(((*place, min(order[flight.target[0]] for flight in flights), left), _flights(at, flights)))
    lines += [((note.time,), f"{at(note.time)}, {note.host}: {note.words}") for note in film.notes]
    lines = [line for _, line in sorted(lines, key=lambda each: each[0])]
    if len(lines) > LINES:
        half = LINES // 2
        lines = [*lines[:half], f"... {len(lines) - 2 * half} more lines ...", *lines[-half:]]
    predicted = [f"Predicted, not measured: {film.predicted}"] if film.predicted else []
    return "\n".join([*predicted, *lines, summary(film)])


def summary(film: Film) -> str:
    """Return how many frames there were and what became of them, in a line."""
    counts = collections.Counter(flight.fate for flight in film)
    told = ", ".join(f"{counts[fate]} {fate}" for fate in sorted(counts)) or "nothing moved"
    return f"{len(film)} frame{'s' * (len(film) != 1)} in {teller(film)(film.length)}: {told}."


def _flights(at, flights):
    first, targets = flights[0], _counted(flight.target[0] for flight in flights)
    arrived = max((flight.arrived for flight in flights if flight.arrived is not None), default=None)
    until = "" if arrived is None else f" to {at(arrived)}"
    line = f"{at(first.left)}{until}, {first.source[0]} to {targets}: {first.words}: {outcome(first)}"
    if first.taken is not None and first.fate in (fates.DELIVERED, fates.PENDING):
        line += f", read at {at(first.taken)}"
    return line


def _counted(names):
    """Return names as text, each once; with how often, where that is more."""
    counts = collections.Counter(names)
    return ", ".join(name if count == 1 else f"{name} ({count} times)" for name, count in counts.items())


def events(film: Film) -> list[tuple[float, str]]:
    """Return [(time in s, words)]: what happens, in the order of time, simultaneous things joined."""
    told = {}
    for flight in film:
        source, target = flight.source[0], flight.target[0]
        told.setdefault(flight.left, {}).setdefault(f"{source} sends {flight.words}, to ", []).append(target)
        if flight.arrived is None:
            told[flight.left].setdefault(f"It is {outcome(flight)} on its way to ", []).append(target)
        else:
            told.setdefault(flight.arrived, {}).setdefault(f"{flight.words}: {outcome(flight)}, at ", []).append(target)
        if flight.taken is not None and flight.fate in (fates.DELIVERED, fates.PENDING):
            told.setdefault(flight.taken, {}).setdefault(f"{flight.words}: read by the program on ", []).append(target)
    for note in film.notes:
        told.setdefault(note.time, {}).setdefault(f"{note.host}: {note.words}", [])
    return [
        (time, " ".join(f"{words}{_counted(targets)}." for words, targets in told[time].items()))
        for time in sorted(told)
    ]
