"""From captures to films: frames are matched by their bytes, link by link, and what became of each is worked out.

Pure functions. A frame that left one end of a link and the same bytes that came in at another end are one flight. A
router changes a packet (its time to live and checksum), and may cut it; there the addresses, the identification and the
body tell what belongs together. An ICMP message quotes the packet that it is about. Identical frames are matched in
order, each arrival with the latest possible departure, since what was lost does not arrive later.
"""

import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from udplab.kit import frames
from udplab.kit.film import flight as fates
from udplab.kit.film.fate import Judge
from udplab.kit.film.flight import Film, Flight, Link, Node, Note
from udplab.kit.words import SHOWN  # a server's log keeps so much: by that a read is known again

__all__ = ["Film", "Flight", "Link", "Node", "Note", "Read", "Socket", "film_of", "network_of"]

DAMAGE = 8  # bits that may differ between what left and what arrived


@dataclasses.dataclass(frozen=True)
class Socket:
    """A UDP socket that a host had when the film began or ended.

    address: text, "" for every address; peer: (address, port) that it is connected to, or None
    dropped: how many datagrams the kernel dropped at it during the film
    """

    host: str
    address: str
    port: int
    peer: tuple[str, int] | None = None
    dropped: int = 0


@dataclasses.dataclass(frozen=True)
class Read:
    """A datagram that a program took from its queue at `time`; None: it was still in the queue at the end.

    data: its bytes, or the first 200 of them; size: all its bytes; port: that of the socket, None if that is unknown
    """

    time: float | None
    host: str
    data: bytes
    size: int
    port: int | None = None


def network_of(hosts: Iterable, switched: bool = False) -> tuple[tuple[Node, ...], tuple[Link, ...]]:
    """Return (nodes, links) of hosts with `name` and `interfaces`, such as a plan or a network of `udplab.lan`.

    switched: whether hosts on one link are joined by a switch, also where they are only two.
    """
    ends = collections.defaultdict(list)
    for host in hosts:
        for interface in host.interfaces:
            ends[interface.link].append((host.name, interface.mtu))
    nodes = [
        Node(host.name, "router" if len(host.interfaces) > 1 else "host", tuple(i.address for i in host.interfaces))
        for host in hosts
    ]
    links = []
    for number, joined in ends.items():
        if switched or len(joined) != 2:
            nodes.append(Node(f"switch{number}", "switch"))
            links += [Link((name, f"switch{number}"), mtu) for name, mtu in joined]
        else:
            links.append(Link((joined[0][0], joined[1][0]), joined[0][1]))
    return tuple(nodes), tuple(links)


def film_of(
    hosts: Sequence,
    seen: Mapping[tuple[str, str], Sequence],
    sockets: Iterable[Socket] | None = None,
    reads: Sequence[Read] = (),
    notes: Iterable[Note] = (),
    errors: Iterable[tuple[float, str]] = (),
    switched: bool = False,
) -> Film:
    """Return the Film of what was captured.

    hosts: as in `network_of`; their interfaces have a name, link, address, broadcast, mtu and mac
    seen: a dict from (host, interface), names, to the frames there: objects with `time` (s), `data` (bytes) and
        `outgoing`, all on one clock
    sockets: the `Socket`s of all hosts, None where they are not known; reads: a list of `Read`
    notes: a list of `Note`; errors: a list of (time, host), when a program was told of a pending error
    """
    nodes, links = network_of(hosts, switched)
    found = _Packets()
    flown = list(_flown(hosts, seen))
    flown = sorted([*flown, *_own(flown, found, reads)], key=_in_time)
    sent, came = ([found[each[which]] for each in flown] for which in (4, 5))
    flights = [_flight(packet, *each) for packet, each in zip(sent, flown, strict=True)]
    arriving, leaving = collections.defaultdict(list), collections.defaultdict(list)
    for number, each in enumerate(flights):
        leaving[each.source[0]].append(number)
        if each.arrived is not None:
            arriving[each.target[0]].append(number)
    for host in hosts:
        Judge(host, flights, sent, came, arriving[host.name], leaving[host.name]).judge(
            None if sockets is None else [each for each in sockets if each.host == host.name],
            [read for read in reads if read.host == host.name],
            [time for time, name in errors if name == host.name],
        )
    _number(flights, sent)
    return Film(nodes, links, flights, list(notes)).from_zero()


def _flight(packet, source, target, left, arrived, _sent, _came, why):
    fate = fates.LOST if arrived is None else fates.ARRIVED
    part = packet.offset, len(packet.body)
    return Flight(packet.kind, frames.words(packet), packet.size, source, target, left, arrived, fate, why, part=part)


def _own(flown, found, reads):
    """Yield the flights to the sender itself: of what it sends to a group, its kernel gives its own sockets a copy.

    No capture sees that. It is known where a program there read, or has in its queue, more than came from outside.
    """
    start = min((left for _, _, left, *_ in flown), default=0.0)
    fresh = (each for each in reads if each.time is None or each.time >= start)
    read = collections.Counter((each.host, each.size, bytes(each.data[:SHOWN])) for each in fresh)
    came, sent = collections.Counter(), {}
    for source, target, left, arrived, data, came_as, _ in flown:
        packet = found[came_as]
        if packet.ports and not packet.in_pieces and read:
            payload = len(packet.body) - 8, packet.body[8 : 8 + SHOWN]
            came[target[0], *payload] += arrived is not None
            if data[0] & 1:  # a group's address (IEEE 802.3)
                sent.setdefault((source[0], *payload), {})[left] = source, data
    for key, departures in sent.items():
        for left, (source, data) in sorted(departures.items())[: max(read[key] - came[key], 0)]:
            yield source, source, left, left, data, data, "its own copy"


def _in_time(flown):
    _, _, left, arrived, *_ = flown
    return left, left if arrived is None else arrived


def _number(flights, packets):
    """Number the datagrams: pieces of one and copies of one frame share a number, and so does what continues them."""
    made, last = 0, {}  # last: (host, key) -> (the number, whether more pieces are to come, when the last one left)
    for flight, packet in zip(flights, packets, strict=True):
        if flight.cause is not None and packets[flight.cause].key == packet.key:  # not so an ICMP message about it
            flight.datagram = flights[flight.cause].datagram
            continue
        at = flight.source, packet.key, packet.kind
        number, left, offset = last.get(at, (0, None, 0))
        if not number or (left != flight.left and packet.offset <= offset):
            made += 1
            number = made
        last[at] = number, flight.left, packet.offset
        flight.datagram = number


class _Packets(dict):
    """Parses each frame once, however often it is seen."""

    def __missing__(self, data):
        self[data] = frames.parse(data)
        return self[data]


# --- From sightings to flights ---


def latest(departures: Sequence[float], arrivals: Sequence[float]) -> list[int | None]:
    """Match times: return for each arrival the number of its departure or None. Both lists are sorted.

    Each arrival gets the latest departure before it that no later arrival has.
    """
    matched, free = [None] * len(arrivals), len(departures) - 1
    for number in range(len(arrivals) - 1, -1, -1):
        while free >= 0 and departures[free] > arrivals[number]:
            free -= 1
        if free < 0:
            break
        matched[number] = free
        free -= 1
    return matched


def _flown(hosts, seen):
    """Yield (source, target, left, arrived or None, bytes as they left, as they arrived, words) for each frame."""
    links = collections.defaultdict(dict)
    for host in hosts:
        for interface in host.interfaces:
            links[interface.link][host.name, interface.name] = bytes.fromhex(interface.mac.replace(":", ""))
    for ends in links.values():
        sent = collections.defaultdict(list)  # bytes -> [(time, end)]
        for end in ends:
            for frame in seen.get(end, ()):
                if frame.outgoing:
                    sent[frame.data].append((frame.time, end))
        for departures in sent.values():
            departures.sort()
        for end in ends:
            yield from _to(end, ends, sent, seen.get(end, ()))


def _to(end, ends, sent, sighted):
    """Yield the flights that ended at `end`, or should have."""
    came = collections.defaultdict(list)
    for frame in sighted:
        if not frame.outgoing:
            came[frame.data].append(frame.time)
    missing, strange = [], []
    for data in sent.keys() | came.keys():
        departures = [each for each in sent.get(data, ()) if each[1] != end]
        arrivals = sorted(came.get(data, ()))
        matched = latest([time for time, _ in departures], arrivals)
        for number, arrived in zip(matched, arrivals, strict=True):
            if number is None:
                strange.append((arrived, data, departures))
            else:
                yield departures[number][1], end, departures[number][0], arrived, data, data, ""
        unmatched = sorted(set(range(len(departures))) - set(matched))
        missing += [(*departures[number], data) for number in unmatched
                    if end in _wanted(ends, departures[number][1], data)]  # fmt: skip
    yield from _damaged(end, ends, missing, strange)


def _wanted(ends, source, data):
    """Return the ends of a link to which a frame from `source` is to come."""
    others = [end for end in ends if end != source]
    if len(others) == 1 or int.from_bytes(data[:1]) & 1:  # a cable, or a frame for a group (IEEE 802.3)
        return others
    return [end for end in others if ends[end] == data[:6]] or others[:1]


def _damaged(end, ends, missing, strange):
    """Yield what arrived doubled or with a few other bits than it left with, and then what was lost.

    missing: [(time, source, data)] that left; strange: [(time, data, equal departures)] that nothing matched.
    """
    halves = collections.defaultdict(list)  # damage that spares one half of a frame leaves it to be known by
    for number, (_, _, data) in enumerate(sorted(missing)):
        for half in _halves(data):
            halves[half].append(number)
    missing, gone = sorted(missing), set()
    for arrived, data, equal in sorted(strange):
        before = [each for each in equal if each[0] <= arrived]
        if before:
            yield before[-1][1], end, before[-1][0], arrived, data, data, "a second copy"
            continue
        near = {number for half in _halves(data) for number in halves[half][-64:]} - gone
        near = {n: _differing(missing[n][2], data) for n in near if missing[n][0] <= arrived}
        best = min(near, key=lambda number: (near[number], -number), default=None)
        if best is not None and near[best] <= DAMAGE:
            gone.add(best)
            left, source, sent = missing[best]
            bits = f"{near[best]} bit{'s' * (near[best] > 1)}"
            yield source, end, left, arrived, sent, data, f"{bits} flipped on the way"
        else:
            yield _by_address(ends, end, data), end, arrived, arrived, data, data, "nobody saw it leave"
    for number, (left, source, data) in enumerate(missing):
        if number not in gone:
            yield source, end, left, None, data, data, "lost on the link"


def _halves(data):
    middle = len(data) // 2
    return (len(data), data[:middle], b""), (len(data), b"", data[middle:])


def _differing(one, other):
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def _by_address(ends, end, data):
    """Return the end whose address a frame has as its source, or any other one."""
    others = [each for each in ends if each != end] or [end]
    return next((each for each in others if ends[each] == data[6:12]), others[0])
