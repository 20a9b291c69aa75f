"""Films of lesson 2-3: what happens on a path, in slow motion. Where nothing can be measured, the rules tell it."""

from udplab.kit.compared import measured_or
from udplab.kit.film import flight as fates
from udplab.kit.film.composed import STEP, Hop, model
from udplab.kit.film.flight import Note
from udplab.kit.sockets import HEADERS, IP_HEADER, PORT, queued
from udplab.lan.plan import plan_path
from udplab.mtu import kernel
from udplab.mtu.experiments import (
    OLD_NEWS,
    SENT,
    TOO_BIG,
    believed,
    on_new_path,
    predict_sends,
    receiver,
    sender,
    silence,
)
from udplab.mtu.journeys import predict_journey

WORDS = {TOO_BIG: "refused: too big for the belief", OLD_NEWS: "refused: old news"}
ICMP_MOST = 576  # bytes: as much of what it is about as fits into that, a router quotes (RFC 1812, section 4.3.2.3)


def film(links, sizes, choice="forbid", black_hole=False, delay=0.0, noisy=()):
    """Send a datagram of each size, one after another, on a connected socket; return the `Film` of it.

    choice: as in `experiments.sends`; delay: of each link, in seconds; noisy: the numbers, from 0, of the links on
    which each packet to the server has a bit flipped. Where this machine has no LAN, the film is a prediction, and says
    so.
    """
    settings = sizes, choice, black_hole, delay, noisy
    return measured_or(lambda reason: predict_film(links, *settings, reason), on_new_path, links, record, *settings)


def record(net, sizes, choice, black_hole=False, delay=0.0, noisy=()):
    """Return the film of what really happens on a path."""
    silence(net, black_hole)
    hosts = list(net)
    wired = range(len(hosts) - 1) if delay else noisy
    for link in wired:  # laid now, since that loses what is on its way
        net.wire(hosts[link].name, hosts[link].interfaces[-1].name)
    with receiver(net) as server, sender(net, choice) as sock:
        sock.send(b"first")  # so that each host has asked for the next one's address (ARP) before the film begins
        net["client"].settle()
        queued(server)
        for link in wired:
            end = hosts[link].name, hosts[link].interfaces[-1].name
            net.wire(*end, delay=delay)
            net.wire(*end, "out", delay=delay, corrupt=float(link in noisy))
        with net.record() as film:
            for size in sizes:
                over = choice == "forbid" and size + HEADERS > believed(net)
                if not kernel.attempt(sock, size):
                    tell = film.note if over else film.error  # the latter takes the error that waits at the socket
                    tell("client", f"{size} bytes {WORDS[TOO_BIG if over else OLD_NEWS]}")
                net["client"].settle()
                for data in queued(server):
                    film.read("server", data)
    return film.only("UDP", "fragment", "ICMP")


def predict_film(mtus, sizes, choice="forbid", black_hole=False, delay=0.0, noisy=(), reason=""):
    """Return the film that follows from the rules; reason: why nothing was measured."""
    hops, notes, mtu, now = [], [], mtus[0], 0
    for number, send in enumerate(predict_sends(mtus, sizes, black_hole, choice), start=1):
        if send.outcome == SENT:
            whole = choice == "forbid" or (choice == "default" and send.size + HEADERS <= mtu)
            journey = predict_journey([min(mtu, mtus[0]), *mtus[1:]], send.size, whole, black_hole)
            hops += journey_in_hops(journey, number, now, 1 + delay / STEP, noisy)
            now = max(hop.at + hop.steps for hop in hops)
        else:
            notes.append(Note(now * STEP, "client", f"{send.size} bytes {WORDS[send.outcome]}"))
        mtu = send.believed
    found = model(plan_path(mtus), hops, reason)
    found.notes.extend(notes)
    return found


def journey_in_hops(journey, number=1, begin=0, steps=1, noisy=()):
    """Return what a datagram does as `Hop`s; number: the datagram's.

    begin: the step in which it leaves; steps: how many each link takes; noisy: the numbers of the links on which each
    packet has a bit flipped, of its data as is assumed
    """
    hosts, hops = ["client", *(f"router{n}" for n in range(1, len(journey.mtus))), "server"], []
    came, damaged = [(0, begin)], False  # where in the datagram each piece begins, and when it is there
    for link, pieces in enumerate(journey.links):
        last, free, damaged = link == len(journey.links) - 1, begin, damaged or link in noisy
        stuck = bool(pieces) and not last and not journey.links[link + 1]
        kind = "UDP" if len(pieces) == 1 else "fragment"
        arrivals = []
        for place, piece in enumerate(pieces, start=1):
            at = max(free, max(there for offset, there in came if offset <= piece.offset))
            free = at + 1
            arrivals.append((piece.offset, at + steps))
            fate, reasons = fates.FORWARDED, ["1 bit flipped on the way"] if link in noisy else []
            if stuck:
                fate = fates.DROPPED
                reasons.append(f"too big, and must not be cut (MTU {journey.mtus[link + 1]})")
            elif last and damaged:
                fate = fates.DROPPED
                reasons.append("its checksum is wrong")
            elif last:
                fate = fates.DELIVERED if place == len(pieces) else fates.TAKEN
            words = f"UDP, {journey.size} bytes for port {PORT}"
            if kind == "fragment":
                words = f"fragment, bytes {piece.offset} to {piece.offset + piece.size - 1} of the datagram"
            hops.append(Hop(hosts[link], hosts[link + 1], piece.size + IP_HEADER, kind, words, fate, "; ".join(reasons),
                            at, steps, number, (piece.offset, piece.size)))  # fmt: skip
        if stuck and journey.told:
            hops += _told(journey, hosts[: link + 2], number, arrivals[0][1], steps)
        came = arrivals
    return hops


def _told(journey, hosts, number, begin, steps):
    """Return the `Hop`s of the ICMP message from the last of these hosts back to the first."""
    size, words = min(ICMP_MOST, journey.size + 2 * HEADERS), f"ICMP: too big, and must not be cut, MTU {journey.told}"
    hops = []
    for back in range(len(hosts) - 1, 0, -1):
        fate = fates.PENDING if back == 1 else fates.FORWARDED
        why = "waits at the socket: the next call on it fails" if back == 1 else ""
        at = begin + steps * len(hops)
        hops.append(Hop(hosts[back], hosts[back - 1], size, "ICMP", words, fate, why, at, steps, -number))
    return hops
