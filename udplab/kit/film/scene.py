"""Where things stand and move on the stage: pure functions from a film to numbers that a picture needs.

Units are those of the picture: 1000 wide. The module that draws (`stage.js`) knows pictures and no networking.
"""

import math

from udplab.kit.film import flight as fates
from udplab.kit.film.flight import Film
from udplab.kit.film.story import clock, events, teller

WIDTH = 1000
LANE = 11  # how far from the line of a link things move, each direction on a side of its own
COLOURS = 4  # of datagrams, in turn; the datagram's number stands on them too
LONGEST, SHORTEST = 74, 17  # of a moving frame; between them its length is to scale
SHAPES = {"UDP": "data", "fragment": "data", "ICMP": "error"}  # all else: "small"

Places = dict[str, tuple[float, float, float]]  # node: (x, y, half width)


def layout(film: Film) -> tuple[Places, int]:
    """Return (places, height): {node: (x, y, half width)}; a switch is a bar with its hosts above and below."""
    switches = [node.name for node in film.nodes if node.kind == "switch"]
    if not switches:
        step = WIDTH / len(film.nodes)
        return {node.name: ((n + 0.5) * step, 80, min(66, step * 0.36)) for n, node in enumerate(film.nodes)}, 225
    joined = {name: [end for link in film.links if name in link.ends for end in link.ends if end != name]
              for name in switches}  # fmt: skip
    between = [node.name for node in film.nodes if sum(node.name in each for each in joined.values()) > 1]
    room = WIDTH - 190 * len(between)  # for the bars; a router stands between two of them
    own = {name: [end for end in ends if end not in between] for name, ends in joined.items()}
    rows = {name: 1 + (len(ends) > 2) for name, ends in own.items()}
    columns = {name: max(1, math.ceil(len(ends) / rows[name])) for name, ends in own.items()}
    places, left = {}, 0.0
    for place, name in enumerate(switches):
        wide = room * columns[name] / sum(columns.values())
        places[name] = left + wide / 2, 205, wide / 2 - 14
        step = wide / columns[name]
        for number, end in enumerate(own[name]):
            column, row = divmod(number, rows[name])
            places[end] = left + (column + 0.5) * step, 300 if row else 110, min(66, step * 0.42)
        left += wide
        for router in between[place : place + 1]:
            places[router] = left + 95, 205, 62
            left += 190
    return places, 415 if max(rows.values()) > 1 else 295


def _tall(node):
    """Return half the height of a node's box: its name and its addresses stand in it."""
    return 13 if node.kind == "switch" else 14 + 8.5 * len(node.addresses)


def _edge(place, tall, towards):
    """Return where a way leaves the box of a node, given where it goes next."""
    (x, y, half), (to_x, to_y) = place, towards
    if abs(to_y - y) > tall:
        return x, y + math.copysign(tall, to_y - y)
    return x + math.copysign(half, to_x - x), y


def route(
    source: str, target: str, places: Places, tall: dict[str, float], switch: str | None = None
) -> list[tuple[float, float]]:
    """Return the corners of the way from a node to another, each direction beside the line of the link."""
    (x0, y0, _), (x1, y1, _) = places[source], places[target]
    if switch is None:
        start, end = _edge(places[source], tall[source], (x1, y1)), _edge(places[target], tall[target], (x0, y0))
        shift = -LANE if x1 > x0 else LANE
        return [(start[0], start[1] + shift), (end[0], end[1] + shift)]
    x, y, half = places[switch]
    on = [min(max(each, x - half), x + half) for each in (x0, x1)]
    corners = [(on[0], y), (on[1], y)]
    start, end = _edge(places[source], tall[source], corners[0]), _edge(places[target], tall[target], corners[1])
    shift = [LANE * (abs(each[1] - y) > 1) for each in (start, end)]  # not beside the bar's own line
    return [(start[0] - shift[0], start[1]), (on[0] - shift[0], y), (on[1] + shift[1], y), (end[0] + shift[1], end[1])]


def scene(film: Film, seconds: float = 8.0) -> dict[str, object]:
    """Return what the stage draws of a film, as lists and dicts of numbers and texts (JSON)."""
    places, height = layout(film)
    tall = {node.name: _tall(node) for node in film.nodes}
    switches = {node.name for node in film.nodes if node.kind == "switch"}
    joined = {end: [link.ends[1] for link in film.links if link.ends[0] == end and link.ends[1] in switches]
              for end in film.hosts}  # fmt: skip
    usual, largest = film.usual(), max((flight.size for flight in film), default=1)
    held = {flight.cause: flight.left for flight in film if flight.cause is not None}  # until the last piece has left
    routes, numbers, moving, at = [], {}, [], teller(film)
    for flight in film:
        way = flight.source[0], flight.target[0]
        if way not in numbers:
            numbers[way] = len(routes)
            shared = [each for each in joined[way[0]] if each in joined[way[1]]]
            corners = route(*way, places, tall, *shared[:1])
            routes.append({"corners": [[round(x, 1), round(y, 1)] for x, y in corners], "to": way[1]})
        moving.append(_moving(flight, numbers[way], usual, largest, held.get(len(moving))))
    same = len({link.mtu for link in film.links}) == 1 and bool(switches)
    return {
        "height": height,
        "nodes": [_node(node, places[node.name], tall[node.name], bool(switches)) for node in film.nodes],
        "links": [_link(link, places, tall, same) for link in film.links],
        "routes": routes,
        "flights": moving,
        "notes": [[note.time, note.host, note.words] for note in film.notes],
        "events": [[time, f"{at(time)}: {words}"] for time, words in events(film)],
        "knots": film.schedule(seconds),
        "length": film.length,
        "clock": clock(film),
        "predicted": film.predicted,
    }


def _node(node, place, tall, barred):
    x, y, half = place
    return {"name": node.name, "kind": node.kind, "x": round(x, 1), "y": y, "half": round(half, 1), "tall": tall,
            "lines": [node.name, *node.addresses], "side": -1 if barred and y < 200 else 1}  # fmt: skip


def _link(link, places, tall, same):
    """Return a link's line, from box to box, where its handle is, and what stands at it."""
    near, far = (places[end] for end in link.ends)
    if abs(near[1] - far[1]) > 1:  # straight down or up to a bar
        far = near[0], far[1], 0
    (x0, y0), (x1, y1) = _edge(near, tall[link.ends[0]], far[:2]), _edge(far, tall[link.ends[1]], near[:2])
    return {
        "name": "--".join(link.ends),
        "line": [round(x0, 1), y0, round(x1, 1), y1],
        "handle": [round((x0 + x1) / 2, 1), (y0 + y1) / 2],
        "text": "" if same or not link.mtu else f"MTU {link.mtu}",
    }


def _moving(flight, number, usual, largest, held):
    """Return [route, left, landed, length, shape, colour, label, end, place, until] of a flight.

    end: "dead", "in" (a socket got it), "out" (nobody wanted it) or ""; place: where it then waits, "queue", "piece",
    "error", "held" (by a router) or ""; until: when it no longer does (s), None for the film's end
    """
    landed = fates.landing(flight, usual)
    ends = {fates.DELIVERED: "in", fates.QUEUED: "in", fates.IGNORED: "out", fates.DROPPED: "dead", fates.LOST: "lost"}
    waits = {fates.QUEUED: "queue", fates.PENDING: "error", fates.WAITING: "piece"}
    place = waits.get(flight.fate, "")
    if flight.taken is not None and not place:
        place = {fates.DELIVERED: "queue", fates.PENDING: "error"}.get(flight.fate, "piece")
    until = flight.taken
    if flight.fate == fates.FORWARDED and held is not None:
        place, until = "held", held
    length = max(SHORTEST, LONGEST * flight.size / max(largest, 600))
    shape = SHAPES.get(flight.kind, "small")
    label = str(flight.datagram) if shape == "data" else {"ICMP": "!"}.get(flight.kind, flight.kind[0])
    return [number, flight.left, landed, round(length, 1), shape, flight.datagram % COLOURS, label,
            ends.get(flight.fate, ""), place, until]  # fmt: skip
