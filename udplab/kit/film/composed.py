"""Films that are composed and not captured: from the records of programs on one machine, or by a model.

On loopback no capture is possible without root, and none is needed: sender and receiver share one clock.
"""

import collections
import dataclasses
from collections.abc import Iterable, Sequence

from udplab.kit.film import Read, latest, network_of
from udplab.kit.film import flight as fates
from udplab.kit.film.flight import Film, Flight, Link, Node
from udplab.kit.sockets import HEADERS
from udplab.kit.words import SHOWN  # a server's log keeps so much: by that a read is known again

__all__ = ["Hop", "Read", "Sent", "loopback", "model"]

STEP = 10e-6  # seconds that a model gives to each hop: on the LAN of these lessons it is 1 to 14 µs


@dataclasses.dataclass(frozen=True)
class Sent:
    """A datagram that a program sent at `time` (s) to another one; source and target are their names.

    data: its bytes; arrived: when the send call returned, where it shall be seen to wait in the receiver's queue
    lost: why it was lost, where the program lost it on purpose
    """

    time: float
    source: str
    target: str
    data: bytes
    arrived: float | None = None
    lost: str = ""


@dataclasses.dataclass(frozen=True)
class Hop:
    """What a model says of one frame on one link.

    size: bytes of the IP packet; at: the step in which it leaves, None for when the hop before it has ended
    steps: how long it takes, in steps of 10 µs
    kind, words, fate, why, datagram, part: as in `flight.Flight`
    """

    source: str
    target: str
    size: int
    kind: str = "UDP"
    words: str = ""
    fate: str = fates.FORWARDED
    why: str = ""
    at: float | None = None
    steps: float = 1
    datagram: int = 1
    part: tuple[int, int] | None = None


def loopback(
    sends: Iterable[Sent], reads: Iterable[Read], why: str = "the socket's queue is full", names: Iterable[str] = ()
) -> Film:
    """Return the Film of what programs on one machine sent (`Sent`) and read (`Read`), all on one clock.

    A datagram is known again by its bytes. Without `Sent.arrived` it flies until it is read. One that nobody read is
    dropped, for the reason `why`. names: the programs in the order in which to show them.
    """
    names = list(dict.fromkeys([*names, *(name for each in sends for name in (each.source, each.target))]))
    nodes, links = tuple(Node(name) for name in names), (Link(tuple(names)),)
    if len(names) != 2:
        nodes, links = (*nodes, Node("lo", "switch")), tuple(Link((name, "lo")) for name in names)
    heard = collections.defaultdict(list)  # (name, size, first bytes) -> times of the reads
    for read in reads:
        heard[read.host, read.size, bytes(read.data[:SHOWN])].append(float("inf") if read.time is None else read.time)
    said = collections.defaultdict(list)
    for number, each in enumerate(sorted(sends, key=lambda each: each.time), start=1):
        said[each.target, len(each.data), each.data[:SHOWN]].append((number, each))
    flights = []
    for key, equal in said.items():
        flights += _flown(equal, sorted(heard[key]), why)
    return Film(nodes, links, sorted(flights, key=lambda each: (each.left, each.datagram))).from_zero()


def earliest(arrivals: Sequence[float], reads: Iterable[float]) -> list[int | None]:
    """Match times as a queue does, first in, first out: for each read the number of its arrival or None."""
    matched, free = [], 0
    for read in reads:
        fits = free < len(arrivals) and arrivals[free] <= read
        matched.append(free if fits else None)
        free += fits
    return matched


def _flown(equal, times, why):
    """Yield the flights of identical datagrams (number, Sent) that were read at `times`."""
    alive = [each for _, each in equal if not each.lost]
    queued = bool(alive) and alive[0].arrived is not None
    match = earliest if queued else latest
    begun = [each.arrived if queued else each.time for each in alive]
    read = {id(alive[n]): time for n, time in zip(match(begun, times), times, strict=True) if n is not None}
    for number, each in equal:
        size = len(each.data)
        taken = read.get(id(each))
        arrived = None if each.lost else each.arrived if each.arrived is not None else taken
        fate = fates.LOST if each.lost else fates.DROPPED if taken is None else fates.DELIVERED
        if taken == float("inf"):
            fate, taken, arrived = fates.QUEUED, None, each.time if each.arrived is None else each.arrived
        if fate == fates.DROPPED and arrived is None:
            fate = fates.LOST
        yield Flight("UDP", f"{size} byte{'s' * (size != 1)} of UDP", size + HEADERS, (each.source, "lo"),
                     (each.target, "lo"), each.time, arrived, fate, each.lost or why * (taken is None and fate
                     != fates.QUEUED), taken, number, (0, size + 8))  # fmt: skip


def model(hosts: Iterable, hops: Iterable[Hop], reason: str, switched: bool = False) -> Film:
    """Return the Film that a model predicts: `hops`, a list of `Hop`, one after another.

    hosts: a plan, as in `film.network_of`; reason: why this is not measured, in words
    """
    timed, ended = [], 0
    for hop in hops:
        at = ended if hop.at is None else hop.at
        ended = at + hop.steps
        timed.append((at, ended, hop))
    timed.sort(key=lambda each: each[0])
    flights = []
    for number, (at, ended, hop) in enumerate(timed):
        before = (earlier for earlier in reversed(range(number)) if _continues(hop, timed[earlier][2]))
        flights.append(
            Flight(hop.kind, hop.words or f"{hop.kind}, {hop.size} bytes", hop.size, (hop.source, ""), (hop.target, ""),
                   at * STEP, None if hop.fate == fates.LOST else ended * STEP, hop.fate, hop.why, None,
                   hop.datagram, hop.part or (0, hop.size - 20), next(before, None))
        )  # fmt: skip
    return Film(*network_of(hosts, switched), flights, predicted=reason or "no measurement")


def _continues(hop, before):
    """Return whether a hop goes on with a datagram, or a piece of it, where another has brought it, or complains."""
    if before.target != hop.source or abs(before.datagram) != abs(hop.datagram):
        return False
    (start, length), (begin, size) = before.part or (0, before.size), hop.part or (0, hop.size)
    return hop.datagram < 0 or (start <= begin and begin + size <= start + length)
