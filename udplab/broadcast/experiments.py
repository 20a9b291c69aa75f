"""The experiments of lesson 2-4, in its order: the first and the last need one machine, those between a network.

Each of those returns a `Compared`: what the rules promise, beside what real hosts did. They build their network, which
takes some 50 ms, and take it away again, so that they can be run in any order. What begins with `measure_` needs a
network that exists.
"""

import contextlib
import errno
import select
import socket
from dataclasses import dataclass

from udplab import lan
from udplab.broadcast import cost, discovery, forging, hearing, multicast
from udplab.broadcast.hearing import BEYOND, EVERY, KINDS, NAMES, PLAN, Hearing
from udplab.broadcast.listing import MESSAGE
from udplab.kit.compared import Compared, compared
from udplab.kit.sockets import PORT, queued

LOOPBACK = "127.255.255.255"  # the broadcast address of 127.0.0.0/8; Linux takes it, macOS reportedly does not
END = b"end"  # sent last by an experiment: what was to come has come


def on_lan(measure, *arguments, names=NAMES, beyond=BEYOND):
    """Build a switch with these hosts, and return what `measure(net, *arguments)` does. Raises OSError: no LAN."""
    with lan.switch(*names, beyond=beyond) as net:
        return measure(net, *arguments)


# --- On one machine ---


def over_loopback(bind, destination=LOOPBACK, permission=True, timeout=0.2):
    """Send a datagram to `destination` and see whether a socket bound to `bind` hears it, both on this machine.

    bind, destination: addresses of 127.0.0.0/8
    permission: whether the sender sets SO_BROADCAST; the receiver never does
    timeout: seconds to wait before it counts as silence, where not even the second datagram comes
    Returns "heard", "silence", or the name of the error, such as "EACCES".

    A second datagram goes to the very address that the receiver has bound. If that one comes first, the other is
    not on its way any more.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear, socket.socket(ear.family, ear.type) as mouth:
        try:
            ear.bind((bind, 0))
            if permission:
                mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            mouth.sendto(MESSAGE, (destination, ear.getsockname()[1]))
            mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            with contextlib.suppress(OSError):
                mouth.sendto(END, ear.getsockname())
            ear.settimeout(timeout)
            return "heard" if ear.recv(100) == MESSAGE else "silence"
        except TimeoutError:
            return "silence"
        except OSError as error:
            return named(error)


def named(error):
    """Return the name of an OSError's number, such as "EACCES"."""
    return errno.errorcode.get(error.errno, str(error))


# --- Who hears ---


def hears(sender, destinations, binds=None, permission=True, source="", port=PORT):
    """Return the `Hearing`s of a datagram to each destination, as a `Compared` of two lists.

    sender: a host's name; binds: as in `Hearing` (None: every host listens at every address)
    permission: whether the sender sets SO_BROADCAST; source: its own address that it binds, "" for none
    port: the one sent to; the sockets listen at 1060
    Raises ValueError for a destination that is none.
    """
    binds = {host.name: EVERY for host in PLAN} if binds is None else binds
    predicted = hearing.predict(PLAN, sender, destinations, binds, permission, source, port)
    return compared(predicted, on_lan, measure_hearing, sender, destinations, binds, permission, source, port)


def measure_hearing(net, sender, destinations, binds, permission=True, source="", port=PORT):
    """Send a real datagram to each destination; return the list of `Hearing`s. Parameters as in `hears`."""
    with contextlib.ExitStack() as stack:
        ears = {}
        for host in net:
            if host.name in binds:
                ears[host.name] = stack.enter_context(host.socket())
                ears[host.name].bind(hearing.bind_address(host, binds[host.name]))
        mouth = stack.enter_context(net[sender].socket())
        if permission:
            mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if source:
            mouth.bind((source, 0))
        errors = {}
        for number, destination in enumerate(destinations):
            try:
                mouth.sendto(str(number).encode(), (hearing.as_address(destination), port))
            except OSError as error:
                errors[number] = named(error)
        net[sender].settle()
        got = {name: queued(ear) for name, ear in ears.items()}
    return [
        Hearing(each, binds, errors.get(number), tuple(name for name in got if str(number).encode() in got[name]))
        for number, each in enumerate(destinations)
    ]


def binds(sender, destination, ways=KINDS):
    """Return the `Hearing` of one datagram for each way to bind; in each, all hosts bind the same way."""
    everywhere = [{host.name: kind for host in PLAN} for kind in ways]

    def measure(net):
        return [measure_hearing(net, sender, [destination], each)[0] for each in everywhere]

    predicted = [hearing.predict(PLAN, sender, [destination], each)[0] for each in everywhere]
    return compared(predicted, on_lan, measure)


# --- What it costs ---


def costs(hosts=8, wanted=2):
    """Return the `Cost` of a message for `wanted` of the hosts of a subnet: broadcast, unicast, and unicast again."""
    names = "sender", *(f"host{number}" for number in range(1, hosts + 1))

    def measure():
        return on_lan(cost.measure_costs, wanted, names=names, beyond=())

    return compared(cost.predict_costs(hosts, wanted), measure)


# --- Finding servers ---


def implosion(delays, work=0.002, queue_bytes=8192):
    """Return the `Answer`s of as many servers as there are delays, as a `Compared`.

    delays: seconds after the question, one for each server
    work: seconds that the asker needs for each answer before it reads the next
    queue_bytes: the asker's receive buffer (SO_RCVBUF; Linux doubles it)

    The prediction needs to know how many answers fit into that queue: it is measured first.
    """
    room = discovery.ROOM
    measured, reason = None, ""
    try:
        with lan.switch("asker", *(f"server{number}" for number in range(1, len(delays) + 1))) as net:
            room = discovery.measure_room(net, queue_bytes)
            measured = discovery.gather(net, delays, work, queue_bytes)
    except OSError as error:
        reason = str(error)
    return Compared(discovery.predict_answers(delays, work, room), measured, reason)


# --- Multicast ---


def members(sender, joined):
    """Return who hears a datagram to a group that the hosts `joined` have joined: a `Compared` of two tuples."""
    return compared(multicast.predict_members(PLAN, sender, joined), on_lan, multicast.measure_members, sender, joined)


def all_nodes(sender):
    """Return who hears an IPv6 datagram to ff02::1, all nodes on the link: a `Compared` of two tuples."""
    predicted = multicast.predict_members(PLAN, sender, [host.name for host in PLAN])
    return compared(predicted, on_lan, multicast.measure_all_nodes, sender)


# --- What goes wrong ---


def amplification(servers=20):
    """Return the `Amplified` of one question in bob's name, asked by mallory, as a `Compared`."""
    names = "bob", "mallory", *(f"server{number}" for number in range(1, servers + 1))

    def measure():
        return on_lan(forging.measure_amplified, "mallory", "bob", names=names, beyond=())

    return compared(forging.predict_amplified(names, "mallory", "bob"), measure)


@dataclass(frozen=True)
class Share:
    """How many datagrams each of two sockets on one port heard."""

    first: int  # the socket that was there first
    second: int


def two_receivers(address, count=20, reuse=True, patience=1.0):
    """Bind two sockets to `address` and one port, send `count` datagrams there, and return their `Share`.

    address: one of 127.0.0.0/8, a broadcast address or not
    reuse: whether both set SO_REUSEADDR
    patience: seconds of silence that end the counting, where the last datagram is lost
    Raises OSError where the second bind is refused, as it is without the option (socket(7)).
    """
    kind = socket.AF_INET, socket.SOCK_DGRAM
    with socket.socket(*kind) as first, socket.socket(*kind) as second, socket.socket(*kind) as mouth:
        if reuse:
            for sock in (first, second):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.bind((address, 0))
        second.bind(first.getsockname())
        mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for data in [*[MESSAGE] * count, END]:
            mouth.sendto(data, first.getsockname())
        heard = {first: [], second: []}
        # Whoever gets the end, all that was sent before it lies in one queue or the other: read both empty.
        wait = patience
        while ready := select.select([*heard], [], [], wait)[0]:
            for sock in ready:
                heard[sock].append(sock.recv(100))
                if heard[sock][-1] == END:
                    wait = 0
        return Share(heard[first].count(MESSAGE), heard[second].count(MESSAGE))
