"""Where things stand and move on the stage: pure functions from a film to numbers that a picture needs.

Units are those of the picture: 1000 wide. The module that draws (`stage.js`) knows pictures and no networking.
"""

import math

from udplab.kit import flight as fates
from udplab.kit.story import at, events

WIDTH = 1000
LANE = 11  # how far from the line of a link things move, each direction on a side of its own
COLOURS = 4  # of datagrams, in turn; the datagram's number stands on them too
LONGEST, SHORTEST = 74, 10  # of a moving frame; between them its length is to scale
SHAPES = {"UDP": "data", "fragment": "data", "ICMP": "error"}  # all else: "small"


def layout(film):
    """Return (places, height): {node: (x, y, half width)}; a switch is a bar with its hosts above and below."""
    switches = [node.name for node in film.nodes if node.kind == "switch"]
    if not switches:
        step = WIDTH / len(film.nodes)
        return {node.name: ((n + 0.5) * step, 120, min(62, step * 0.36)) for n, node in enumerate(film.nodes)}, 250
    joined = {name: [end for link in film.links if name in link.ends for end in link.ends if end != name]
              for name in switches}  # fmt: skip
    between = [node.name for node in film.nodes if sum(node.name in each for each in joined.values()) > 1]
    room = WIDTH - 150 * len(between)  # for the bars; a router stands between two of them
    own = {name: [end for end in ends if end not in between] for name, ends in joined.items()}
    columns = {name: max(1, math.ceil(len(ends) / 2)) for name, ends in own.items()}
    places, left = {}, 0.0
    for place, name in enumerate(switches):
        wide = room * columns[name] / sum(columns.values())
        places[name] = left + wide / 2, 170, wide / 2 - 14
        step = wide / columns[name]
        for number, end in enumerate(own[name]):
            column, row = divmod(number, 2)
            places[end] = left + (column + 0.5) * step, 300 if row else 50, min(62, step * 0.42)
        left += wide
        for router in between[place : place + 1]:
            places[router] = left + 75, 170, 56
            left += 150
    return places, 370


def route(source, target, places, switch=None):
    """Return the corners of the way from a node to another, on the right side of the road."""
    (x0, y0, _), (x1, y1, _) = places[source], places[target]
    if switch is None:
        length = math.hypot(x1 - x0, y1 - y0) or 1
        dx, dy = LANE * (y1 - y0) / length, -LANE * (x1 - x0) / length
        return [(x0 + dx, y0 + dy), (x1 + dx, y1 + dy)]
    bar, half = places[switch][:2], places[switch][2]
    on = [min(max(x, bar[0] - half), bar[0] + half) for x in (x0, x1)]
    return [(x0, y0), (on[0], bar[1]), (on[1], bar[1]), (x1, y1)]


def scene(film, seconds=8.0):
    """Return what the stage draws of a film, as lists and dicts of numbers and texts (JSON)."""
    places, height = layout(film)
    routes, numbers = [], {}
    switch = {end: [link.ends[1] for link in film.links if link.ends[0] == end and link.ends[1] in _switches(film)]
              for end in film.hosts}  # fmt: skip
    usual, largest = film.usual(), max((flight.size for flight in film), default=1)
    moving = []
    for flight in film:
        way = flight.source[0], flight.target[0]
        if way not in numbers:
            shared = [each for each in switch[way[0]] if each in switch[way[1]]]
            numbers[way] = len(routes)
            routes.append([[round(x, 1), round(y, 1)] for x, y in route(*way, places, *shared[:1])])
        moving.append(_moving(film, flight, numbers[way], usual, largest))
    return {
        "height": height,
        "nodes": [_node(node, places[node.name]) for node in film.nodes],
        "links": [_link(link, places) for link in film.links],
        "routes": routes,
        "flights": moving,
        "notes": [[note.time, note.host, note.words] for note in film.notes],
        "events": [[time, f"{at(time, film.length)}: {words}"] for time, words in events(film)],
        "knots": film.schedule(seconds),
        "length": film.length,
        "predicted": film.predicted,
    }


def _switches(film):
    return {node.name for node in film.nodes if node.kind == "switch"}


def _node(node, place):
    x, y, half = place
    return {"name": node.name, "kind": node.kind, "x": round(x, 1), "y": y, "half": round(half, 1),
            "more": ", ".join(node.addresses)}  # fmt: skip


def _link(link, places):
    (x0, y0, _), (x1, y1, half) = places[link.ends[0]], places[link.ends[1]]
    if y0 == y1 and abs(x1 - x0) > half and half > 62:  # a router beside a bar
        x1 -= math.copysign(half, x1 - x0)
    elif y0 != y1:
        x1 = x0  # straight to the bar
    return {"name": "--".join(link.ends), "line": [round(x0, 1), y0, round(x1, 1), y1], "mtu": link.mtu}


def _moving(film, flight, number, usual, largest):
    """Return [route, left, landed, length, shape, colour, label, end, place, until] of a flight.

    end: "dead", "in" (a socket got it), "out" (nobody wanted it) or ""; place: where it then waits, "queue", "piece",
    "error" or ""; until: when it no longer does (s), None for the film's end
    """
    landed = flight.left + usual / 2 if flight.arrived is None else flight.arrived
    ends = {fates.DELIVERED: "in", fates.QUEUED: "in", fates.IGNORED: "out", fates.DROPPED: "dead", fates.LOST: "lost"}
    waits = {fates.QUEUED: "queue", fates.PENDING: "error", fates.WAITING: "piece"}
    place = waits.get(flight.fate, "")
    if flight.taken is not None and not place:
        place = "queue" if flight.fate == fates.DELIVERED else "piece"
    length = max(SHORTEST, LONGEST * flight.size / max(largest, 1500))
    shape = SHAPES.get(flight.kind, "small")
    label = str(flight.datagram) if shape == "data" else {"ICMP": "!"}.get(flight.kind, flight.kind[0])
    return [number, flight.left, landed, round(length, 1), shape, flight.datagram % COLOURS, label,
            ends.get(flight.fate, ""), place, flight.taken]  # fmt: skip
