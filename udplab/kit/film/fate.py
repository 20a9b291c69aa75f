"""What became of the frames that arrived at a host: what was forwarded, delivered, dropped, or waits there.

The evidence, in this order: a frame that left the host with the same content; an ICMP message that quotes it; a
program's own word that it read it, or the socket's queue; the sockets that the host had. What none of them tells is
called "arrived".
"""

import bisect
import collections
import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from udplab.kit import frames, header
from udplab.kit.film import flight as fates
from udplab.kit.words import SHOWN  # a server's log keeps so much: by that a read is known again

# ICMP errors of which Linux tells a connected UDP socket: udp.c and icmp.c in its net/ipv4 and net/ipv6
HARD = {(4, 3, 2), (4, 3, 3), (4, 3, 4), (6, 1, 4)}


@dataclass(frozen=True)
class Datagram:
    """A whole UDP datagram at a host."""

    pieces: list[int]  # the numbers of the flights that brought it
    packet: frames.Packet  # the first of them
    ports: tuple[int, int]  # source and target
    payload: bytes
    time: float  # when it was complete, in seconds


class Judge:
    """Writes into `flights` what became of those that arrived at `host`.

    sent, packets: for each flight its `frames.Packet` as it left, and as it arrived
    arrivals, departures: the numbers of the host's flights
    """

    def __init__(
        self,
        host: Any,
        flights: list[fates.Flight],
        sent: list[frames.Packet],
        packets: list[frames.Packet],
        arrivals: Iterable[int],
        departures: Sequence[int],
    ) -> None:
        self.host, self.flights, self.sent, self.packets = host, flights, sent, packets
        self.arrivals = sorted(arrivals, key=lambda number: flights[number].arrived)
        self.departures = departures
        self.macs = {bytes.fromhex(each.mac.replace(":", "")) for each in host.interfaces}
        names = ("address", "address6", "link_local")
        self.addresses = {getattr(each, name, None) for each in host.interfaces for name in names}
        self.broadcasts = {"255.255.255.255", *(each.broadcast for each in host.interfaces)}
        self.judged: set[int] = set()

    def set(self, number: int, fate: str, why: str = "", taken: float | None = None) -> None:
        each = self.flights[number]
        each.fate, each.taken = fate, taken
        each.why = "; ".join(filter(None, [each.why, why]))
        self.judged.add(number)

    def judge(self, sockets: list | None, reads: list, errors: Iterable[float]) -> None:
        """Write it.

        sockets: the host's `film.Socket`s, None where they are not known; reads: the host's `film.Read`s
        errors: when a program there was told of a pending error, in seconds
        """
        self.sockets, self.reads, self.errors = sockets, reads, sorted(errors)
        self._follow()
        pieces, whole = collections.defaultdict(list), []
        for number in self.arrivals:
            if number in self.judged:
                continue
            packet = self.packets[number]
            if not (packet.to[:1] and packet.to[0] & 1) and packet.to not in self.macs:
                self.set(number, fates.IGNORED, "not for this host's interface")
            elif not packet.intact:
                wrong = "the checksum of its IP header" if packet.version else "its IP header"
                self.set(number, fates.DROPPED, f"{wrong} is wrong, so the kernel drops it without a word")
            elif packet.version == 0:
                mine = packet.target in self.addresses or packet.kind != "ARP"
                self.set(number, *((fates.TAKEN, "") if mine else (fates.IGNORED, "it is not asked")))
            elif not self._own(packet):
                self._not_own(number, packet)
            elif packet.in_pieces:
                pieces[packet.key].append(number)
            elif packet.ports:
                whole.append(self._datagram([number]))
            elif packet.error:
                self._noted(number, packet)
            else:
                self.set(number, fates.TAKEN)
        for numbers in pieces.values():
            whole += self._joined(numbers)
        self._deliver([each for each in whole if each])
        self._pending()

    # --- Routers ---

    def _follow(self):
        """Find which frames that left continue, or complain about, which frames that had arrived."""
        known = collections.defaultdict(list)  # what arrived so far, by the key of its packet
        alike = collections.defaultdict(list)  # and by all of it: unconnected sockets' datagrams have one key
        events = [
            (self.flights[n].arrived, 0, n) for n in self.arrivals if self.flights[n].source != self.flights[n].target
        ]
        events += [(self.flights[n].left, 1, n) for n in self.departures]
        for _, leaves, number in sorted(events):
            packet = (self.sent if leaves else self.packets)[number]
            if not packet.version or packet.kind in ("IGMP", "MLD", "NDP"):  # no router passes these on
                continue
            if not leaves:
                known[packet.key].append(number)
                alike[packet.key, packet.offset, packet.body].append(number)
            elif packet.error and packet.source in self.addresses:
                self._complaint(number, packet, known)
            elif (before := self._taken(alike[packet.key, packet.offset, packet.body])) is not None:
                self.flights[number].cause = before
                self.set(before, fates.FORWARDED)
            else:
                self._cut(number, packet, known)

    def _taken(self, numbers):
        """Take the last of identical frames of which nothing is known yet, or None: each goes on once."""
        while numbers:
            if (number := numbers.pop()) not in self.judged:
                return number
        return None

    def _cut(self, number, packet, known):
        size = len(packet.body)
        for before in reversed(known.get(packet.key, ())):
            whole = self.packets[before]
            start = packet.offset - whole.offset
            part = whole.body[start : start + size] if start >= 0 else b""
            if part == packet.body and size < len(whole.body):
                self.flights[number].cause = before
                if before not in self.judged:
                    self.set(before, fates.FORWARDED, "cut into pieces")
                return

    def _complaint(self, number, packet, known):
        quoted = packet.quoted
        for before in reversed(known.get(quoted.key, ()) if quoted else ()):
            about = self.packets[before]
            if about.offset == quoted.offset and about.body[:8] == quoted.body[:8] and before not in self.judged:
                self.flights[number].cause = before
                what = frames.ERRORS[packet.version, *packet.error[:2]]
                named = f" (MTU {packet.error[2]})" if packet.too_big and packet.error[2] else ""
                self.set(before, fates.DROPPED, what + named)
                if self._own(about) and about.in_pieces:
                    for piece in set(known[quoted.key]) - self.judged:
                        self.set(piece, fates.DROPPED, what + named)
                return

    def _own(self, packet):
        """Whether the packet is for this host, perhaps among others."""
        if packet.target in self.addresses or packet.target in self.broadcasts:
            return True
        target = ipaddress.ip_address(packet.target)
        return target.is_multicast or (packet.version == 6 and len(self.host.interfaces) == 1)

    def _not_own(self, number, packet):
        if len(self.host.interfaces) == 1:
            self.set(number, fates.IGNORED, "not this host's address")
            return
        limits = [each.mtu for each in self.host.interfaces if each.name != self.flights[number].target[1]]
        big = packet.whole and all(packet.size > limit for limit in limits)
        why = f"too big for the next link's {max(limits)} bytes, and must not be cut; no ICMP message says so"
        self.set(number, fates.DROPPED, why if big else "not passed on, and no ICMP message says why")

    # --- Datagrams ---

    def _datagram(self, numbers):
        """Return the Datagram that these pieces make, or None where its checksum is wrong."""
        numbers = sorted(numbers, key=lambda number: self.packets[number].offset)
        packet = self.packets[numbers[0]]
        whole = bytearray()
        for number in numbers:
            piece = self.packets[number]
            whole[piece.offset :] = piece.body
        time = max(self.flights[number].arrived for number in numbers)
        if packet.protocol != frames.UDP or not packet.ports:
            for number in numbers:
                self.set(number, fates.TAKEN, taken=time)
            return None
        if not header.fits(packet.source, packet.target, bytes(whole)):
            for number in numbers:
                self.set(number, fates.DROPPED, "its checksum is wrong, so the kernel drops it without a word")
            return None
        return Datagram(numbers, packet, packet.ports, bytes(whole[8:]), time)

    def _joined(self, numbers):
        """Return the Datagrams that the fragments of one key, in the order of their arrival, make (RFC 791)."""
        made, kept, have, total = [], {}, 0, None
        for number in numbers:
            piece = self.packets[number]
            if piece.offset in kept:
                self.set(number, fates.DROPPED, "this piece is here already")
                continue
            kept[piece.offset] = number
            have += len(piece.body)
            total = total if piece.more else piece.offset + len(piece.body)
            if have == total:
                made.append(self._datagram(list(kept.values())))
                kept, have, total = {}, 0, None
        for number in kept.values():
            self.set(number, fates.WAITING, "another piece is missing: after 30 s the kernel drops this one")
        return made

    def _deliver(self, datagrams):
        """Say what became of whole datagrams."""
        known = collections.defaultdict(list)  # reads, by (size, first bytes)
        for read in self.reads:
            known[read.size, bytes(read.data[:SHOWN])].append(read)
        same, rest = collections.defaultdict(list), collections.defaultdict(list)
        for datagram in sorted(datagrams, key=lambda each: each.time):
            same[len(datagram.payload), datagram.payload[:SHOWN], datagram.ports[1]].append(datagram)
        for (size, start, port), equal in same.items():
            reads = [read for read in known.get((size, start), ()) if read.port in (None, port)]
            rest[port] += self._unread_of(equal, reads)
        for port, unread in rest.items():
            self._unread(port, unread)

    def _unread_of(self, equal, reads):
        """Match identical datagrams with the reads of them, first in, first out; return those that nobody read."""
        forever = float("inf")
        times = sorted(forever if read.time is None else read.time for read in reads)
        free = bisect.bisect_left(times, equal[0].time)  # earlier ones are of something before the film began
        for datagram, time in zip(equal, times[free:], strict=False):
            if time == forever:
                self._whole(datagram, fates.QUEUED, "nobody has read it yet")
            else:
                self._whole(datagram, fates.DELIVERED, taken=time)
        return equal[len(times) - free :]

    def _unread(self, port, datagrams):
        """Say what the sockets tell of datagrams of which no read is known."""
        ears = [each for each in self.sockets or () if each.port == port]
        dropped = sum(each.dropped for each in ears)
        for datagram in datagrams:
            target = datagram.packet.target
            peer = datagram.packet.source, datagram.ports[0]
            here = [each for each in ears if each.address in ("", target) and each.peer in (None, peer)]
            if self.sockets is None:
                verdict = fates.ARRIVED, ""
            elif not here:
                grouped = target not in self.addresses
                why = f"no socket is seen there for port {port}"
                if ears:
                    which = f"listens at {ears[0].address}" if ears[0].address else "has another partner"
                    why = f"the socket there for port {port} {which}"
                verdict = fates.IGNORED if grouped else fates.ARRIVED, why
            elif ipaddress.ip_address(target).is_multicast:
                verdict = fates.ARRIVED, f"whether the socket at port {port} is in the group is not seen"
            elif dropped >= len(datagrams):
                verdict = fates.DROPPED, "the socket's queue is full"
            elif dropped:
                verdict = fates.ARRIVED, f"the kernel dropped {dropped} of {len(datagrams)} at the full queue"
            else:
                verdict = fates.DELIVERED, f"to the socket at port {port}"
            self._whole(datagram, *verdict)

    def _whole(self, datagram, fate, why="", taken=None):
        """Set what became of a datagram: its last piece has its fate, the others wait for that one."""
        last = max(datagram.pieces, key=lambda number: self.flights[number].arrived)
        for number in datagram.pieces:
            if number == last:
                self.set(number, fate, why, taken)
            else:
                self.set(number, fates.TAKEN, "kept until the datagram is whole", datagram.time)

    # --- ICMP ---

    def _noted(self, number, packet):
        """An ICMP error about something that this host sent."""
        quoted = packet.quoted
        ports = quoted and quoted.ports
        mine = [each for each in self.sockets or () if ports and each.port == ports[0]]
        connected = [each for each in mine if each.peer == (quoted.target, ports[1])]
        if connected and (packet.version, *packet.error[:2]) in HARD:
            self.set(number, fates.PENDING, "waits at the socket: the next call on it fails")
        elif mine:
            self.set(number, fates.TAKEN, "the kernel notes it; a socket that is not connected is not told")
        else:
            self.set(number, fates.TAKEN, "the kernel notes it")

    def _pending(self):
        """Let each word of a program that it was told of an error take the oldest message that waits."""
        waiting = [n for n in self.arrivals if self.flights[n].fate == fates.PENDING]
        for told in self.errors:
            if waiting and self.flights[waiting[0]].arrived <= told:
                self.flights[waiting.pop(0)].taken = told
