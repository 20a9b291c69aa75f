"""Real datagrams from one host of a network to others: who hears them, and the film of their way."""

import contextlib
import errno
import socket
import struct

from udplab.broadcast import hearing
from udplab.broadcast.hearing import Hearing
from udplab.kit.film import flight as fates
from udplab.kit.film.composed import Hop, model
from udplab.kit.sockets import HEADERS, PORT, queued

DATA = b"hello, everybody"


def named(error):
    """Return the name of an OSError's number, such as "EACCES"."""
    return errno.errorcode.get(error.errno, str(error))


@contextlib.contextmanager
def opened(net, sender, binds, permission=True, source="", device=""):
    """Yield ({host's name: its listening socket}, the sender's socket). Parameters as in `experiments.hears`."""
    with contextlib.ExitStack() as stack:
        ears = {host.name: stack.enter_context(host.socket()) for host in net if host.name in binds}
        for name, ear in ears.items():
            ear.bind(hearing.bind_address(net[name], binds[name]))
        mouth = stack.enter_context(net[sender].socket())
        if permission:
            mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if device:
            mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        if source:
            mouth.bind((source, 0))
        yield ears, mouth


def measure_hearing(net, sender, destinations, binds, permission=True, source="", port=PORT, device=""):
    """Send a real datagram to each destination; return the list of `Hearing`s. Parameters as in `experiments.hears`."""
    errors = {}
    with opened(net, sender, binds, permission, source, device) as (ears, mouth):
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


# --- Films ---


def measure_film(net, sender, destination, binds, permission=True, source="", port=PORT):
    """Send a real datagram; return (film, `Hearing`). The film has the frames with UDP in them. Parameters as above."""
    problem = None
    with opened(net, sender, binds, permission, source) as (ears, mouth):
        with net.record() as film:
            try:
                mouth.sendto(DATA, (hearing.as_address(destination), port))
            except OSError as error:
                problem = named(error)
                film.note(sender, f"{problem}: nothing was sent")
        heard = tuple(name for name, ear in ears.items() if queued(ear))
    return film.only("UDP"), Hearing(destination, binds, problem, heard)


def predict_film(plan, sender, destination, binds, permission=True, source="", port=PORT, reason=""):
    """Return (film, `Hearing`) as the rules promise them, for a machine without a LAN; reason: why it has none."""
    [heard] = hearing.predict(plan, sender, [destination], binds, permission, source, port)
    _, taken = hearing.delivery(plan, sender, destination, permission, source)
    hosts = {host.name: host for host in plan}
    near = [name for name in taken if shared(hosts[sender], hosts[name])]
    hops = [_hop(sender, name, heard, port, at=0) for name in near if name != sender or name in heard.heard]
    if not near:
        for name in taken:  # by the router, one after the other
            hops += [Hop(sender, "router", HEADERS + len(DATA), words=_words(port)), _hop("router", name, heard, port)]
    film = model(plan, hops, reason, switched=True)
    for flight in film:
        if flight.source[0] == flight.target[0]:
            flight.arrived, flight.why = flight.left, "its own copy"
    if heard.error:
        film.notes.append(fates.Note(0.0, sender, f"{heard.error}: nothing was sent"))
    return film, heard


def _hop(source, target, heard, port, at=None):
    fate = fates.QUEUED if target in heard.heard else fates.IGNORED
    return Hop(source, target, HEADERS + len(DATA), words=_words(port), fate=fate, at=at)


def _words(port):
    return f"UDP, {len(DATA)} bytes for port {port}"


def shared(one, two):
    """Return the numbers of the links that two hosts of a plan share."""
    return {each.link for each in one.interfaces} & {each.link for each in two.interfaces}


# --- A host with two interfaces, and its owner's choices ---


def predict_devices():
    """Return which of the router's sockets hear alice's broadcast: those that listen at her interface, or at all."""
    return {"any interface": True, "eth0": True, "eth1": False}


def measure_devices(net):
    """Open three sockets on the router, bound to no interface or to one, let alice broadcast; return who heard.

    All three have the address ("", 1060); SO_BINDTODEVICE (socket(7)) chooses the interface.
    """
    with contextlib.ExitStack() as stack:
        ears = {name: stack.enter_context(net["router"].socket()) for name in predict_devices()}
        for name, ear in ears.items():
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if name.startswith("eth"):
                ear.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
            ear.bind(("", PORT))
        mouth = stack.enter_context(net["alice"].socket())
        mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        mouth.sendto(DATA, (net["alice"].broadcast, PORT))
        net["alice"].settle()
        return {name: bool(queued(ear)) for name, ear in ears.items()}


def measure_own(net, name):
    """Return the broadcast addresses of a host's subnets, by the names of its interfaces, as its kernel knows them.

    ioctl SIOCGIFBRDADDR, 0x8919, fills in a struct ifreq: 16 bytes for the name, then a struct sockaddr_in
    (netdevice(7)).
    """
    import fcntl  # Unix alone has it

    found = {}
    with net[name].socket() as sock:
        for interface in net[name].interfaces:
            told = fcntl.ioctl(sock, 0x8919, struct.pack("40s", interface.name.encode()))
            found[interface.name] = socket.inet_ntoa(told[20:24])
    return found


def measure_forwarded(net, sender, destinations, binds):
    """Let the router forward broadcasts to its subnets, against RFC 2644's default; then as `measure_hearing`.

    Raises OSError where its kernel cannot (Linux has sysctl bc_forwarding since 4.19).
    """
    code = "for name in 'all', 'eth0': open(f'/proc/sys/net/ipv4/conf/{name}/bc_forwarding', 'w').write('1')"
    done = net["router"].run("python", "-c", code, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"the router could not be told to forward broadcasts: {done.stderr.strip().splitlines()[-1]}")
    return measure_hearing(net, sender, destinations, binds)
