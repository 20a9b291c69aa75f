"""The experiments of lesson 2-4, in its order: the first and the last need one machine, those between a network.

Each of those returns a `Compared`: what the rules promise, beside what real hosts did. They can be run in any order.
"""

import contextlib
import select
import socket
from dataclasses import dataclass

from udplab import lan
from udplab.broadcast import cost, discovery, forging, hearing, multicast, sending
from udplab.broadcast.hearing import BEYOND, EVERY, KINDS, NAMES, PLAN
from udplab.broadcast.listing import MESSAGE
from udplab.broadcast.sending import named
from udplab.kit.compared import Compared, compared, measured_or
from udplab.kit.server import Server
from udplab.kit.sockets import PORT
from udplab.lan.plan import plan_switch

LOOPBACK = "127.255.255.255"  # the broadcast address of 127.0.0.0/8; Linux takes it, macOS reportedly does not
END = b"end"  # sent last by an experiment: what was to come has come
EVERYWHERE = {host.name: EVERY for host in PLAN}  # every host listens at every address


_kept = []  # the network of the lesson, once an experiment has needed it


def on_lan(measure, *arguments):
    """Return what `measure(net, *arguments)` returns on the lesson's network. Raises OSError: no LAN here.

    The network stays for the next experiment: most are shorter than to build one. A network that has gone, such as by
    `lan.stop`, is built anew.
    """
    for _ in range(len(_kept)):
        try:
            return measure(_kept[0], *arguments)
        except lan.LanError:
            _kept.pop().close()
    _kept.append(lan.switch(*NAMES, beyond=BEYOND))
    return measure(_kept[0], *arguments)


def on_hosts(names, measure, *arguments, beyond=()):
    """Return what `measure(net, *arguments)` returns on a network of its own. Raises OSError: no LAN here."""
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


# --- Who hears ---


def hears(sender, destinations, binds=None, permission=True, source="", port=PORT, device=""):
    """Return the `Hearing`s of a datagram to each destination, as a `Compared` of two lists.

    sender: a host's name; binds: as in `Hearing` (None: every host listens at every address)
    permission: whether the sender sets SO_BROADCAST; source: its own address that it binds, "" for none
    port: the one sent to; the sockets listen at 1060; device: the interface to which the sender's socket is bound
    Raises ValueError for a destination that is none.
    """
    binds = EVERYWHERE if binds is None else binds
    predicted = hearing.predict(PLAN, sender, destinations, binds, permission, source, port, device=device)
    settings = sender, destinations, binds, permission, source, port, device
    return compared(predicted, on_lan, sending.measure_hearing, *settings)


def film(sender, destination):
    """Return the film of a datagram; every host listens at every address. Without a LAN, the film that rules make."""
    settings = sender, destination, EVERYWHERE
    film, _ = measured_or(
        lambda reason: sending.predict_film(PLAN, *settings, reason=reason), on_lan, sending.measure_film, *settings
    )
    return film


def binds(sender, destination, ways=KINDS):
    """Return the `Hearing` of one datagram for each way to bind; in each, all hosts bind the same way."""
    everywhere = [dict.fromkeys(EVERYWHERE, kind) for kind in ways]

    def measure(net):
        return [sending.measure_hearing(net, sender, [destination], each)[0] for each in everywhere]

    predicted = [hearing.predict(PLAN, sender, [destination], each)[0] for each in everywhere]
    return compared(predicted, on_lan, measure)


def devices():
    """Return which sockets of the router hear alice's broadcast, by the interface to which they are bound."""
    return compared(sending.predict_devices(), on_lan, sending.measure_devices)


def own(name):
    """Return the broadcast addresses of a host's subnets, by interface, as its kernel tells them: a `Compared`."""
    [host] = [host for host in PLAN if host.name == name]
    predicted = {interface.name: interface.broadcast for interface in host.interfaces}
    return compared(predicted, on_lan, sending.measure_own, name)


# --- What it costs ---


def costs(hosts=8, wanted=2):
    """Return the `Cost` of a message for `wanted` of the hosts of a subnet: broadcast, unicast, and unicast again."""
    names = "sender", *(f"host{number}" for number in range(1, hosts + 1))

    return compared(cost.predict_costs(hosts, wanted), on_hosts, names, cost.measure_costs, wanted)


# --- Finding servers ---


def asks(client, **servers):
    """Run `client` on alice while servers run on other hosts; return who answered, as a `Compared` of two dicts.

    client: called with (socket, address to ask); returns a dict from an address to an answer
    servers: from a host's name to its respond function; bob, carol and dave have the time where none is given
    """
    servers = {name: discovery.responder(b"time", name.encode()) for name in ("bob", "carol", "dave")} | servers
    question = discovery.question(b"time", b"77")
    near = {host.name: (host.interfaces[0].address, PORT) for host in PLAN if host.name in NAMES}

    def measure(net):
        with contextlib.ExitStack() as stack:
            for name, respond in servers.items():
                stack.enter_context(Server(respond, "", PORT, make_socket=net[name].socket))
            return client(stack.enter_context(net["alice"].socket()), (net["alice"].broadcast, PORT))

    predicted = {near[name]: respond(question) for name, respond in servers.items() if name in near}
    return compared({peer: answer for peer, answer in predicted.items() if answer}, on_lan, measure)


def implosion(delays, work=0.002, queue_bytes=4096):
    """Return the `Answer`s of as many servers as there are delays, as a `Compared`.

    delays: seconds after the question, one for each server
    work: seconds that the asker needs for each answer before it reads the next
    queue_bytes: the asker's receive buffer (SO_RCVBUF; Linux doubles it)

    The prediction needs to know how many answers fit into that queue: it is measured first.
    """

    def measure(net):
        room = discovery.measure_room(net, queue_bytes)
        return Compared(discovery.predict_answers(delays, work, room), discovery.gather(net, delays, work, queue_bytes))

    promised = discovery.predict_answers(delays, work, discovery.ROOM)
    names = "asker", *(f"server{number}" for number in range(1, len(delays) + 1))
    return measured_or(lambda reason: Compared(promised, None, reason), on_hosts, names, measure)


def implosion_film(servers=8):
    """Return the film of a question and the answers of all servers at once, to an asker with a small queue."""
    names = "asker", *(f"s{number}" for number in range(1, servers + 1))
    return measured_or(
        lambda reason: discovery.predict_film(plan_switch(names), reason), on_hosts, names, discovery.measure_film
    )


# --- Multicast ---


def members(sender, joined, interface="eth0", ttl=1, loop=True):
    """Return who hears a datagram to a group that the hosts `joined` have joined: a `Compared` of two tuples.

    interface, ttl, loop: as in `multicast.predict_members`
    """
    settings = sender, joined, interface, ttl, loop
    return compared(multicast.predict_members(PLAN, *settings), on_lan, multicast.measure_members, *settings)


def joining(group):
    """Return the `multicast.Sighting`s on the wire when bob joins a group and alice sends to it, as a `Compared`."""
    return compared(multicast.predict_joining(group), on_lan, multicast.measure_joining, group)


def neighbours():
    """Return which of three sockets on bob hear the group that one of them has joined, as a `Compared` of dicts."""
    return compared(multicast.predict_neighbours(), on_lan, multicast.measure_neighbours)


def all_nodes(sender):
    """Return who hears an IPv6 datagram to ff02::1, all nodes on the link: a `Compared` of two tuples."""
    predicted = multicast.predict_members(PLAN, sender, [host.name for host in PLAN])
    return compared(predicted, on_lan, multicast.measure_all_nodes, sender)


# --- What goes wrong ---


def amplification(servers=10):
    """Return the `Amplified` of one question in bob's name, asked by mallory, as a `Compared`."""
    names = "bob", "mallory", *(f"server{number}" for number in range(1, servers + 1))
    predicted = forging.predict_amplified(names, "mallory", "bob")
    return compared(predicted, on_hosts, names, forging.measure_amplified, "mallory", "bob")


def forwarded(sender, destinations):
    """Return the `Hearing`s where the router forwards broadcasts to its subnets, which RFC 2644 advises against."""
    predicted = hearing.predict(PLAN, sender, destinations, EVERYWHERE, forwards=True)
    settings = sending.measure_forwarded, sender, destinations, EVERYWHERE
    return compared(predicted, on_hosts, NAMES, *settings, beyond=BEYOND)


def forged_source():
    """Return what became of a question in the name of the broadcast address, and of an honest one: a `Compared`."""
    return compared(forging.predict_source(), on_hosts, NAMES, forging.measure_source)


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
