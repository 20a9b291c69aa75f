"""Films of what happens in a network: captures at every interface at once, and what the sockets tell.

with net.record() as film:
    net["client"].socket().sendto(bytes(3000), (net["server"].address, 1060))
for flight in film: ...                     # see udplab.kit.film.flight
"""

import contextlib
import errno
import select
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor

from udplab.kit.film import Film, Note, Read, Socket, film_of, network_of
from udplab.lan import netlink
from udplab.lan.capture import Capture, wall_ahead

_SOCK_DIAG, _BY_FAMILY = 4, 20  # NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY: linux/sock_diag.h
_MEMORY, _DROPS = 7, 8  # INET_DIAG_SKMEMINFO (linux/inet_diag.h), SK_MEMINFO_DROPS (linux/sock_diag.h)
_PEEK_OFF = 42  # SO_PEEK_OFF: asm-generic/socket.h


class Recording(Film):
    """A Film that is being made. Its flights are there when the `with` block has ended."""

    def __init__(self, net):
        super().__init__(*network_of(net, net.switched))
        self.net, self.reads, self.errors = net, [], []

    def note(self, host, words):
        """Note something that happens at a host just now and is no frame, such as a timeout."""
        self.notes.append(Note(time.monotonic(), host, words))

    def error(self, host, words):
        """Note that a program has just been told of an error that waited at its socket."""
        self.note(host, words)
        self.errors.append((self.notes[-1].time, host))

    def read(self, host, data, port=None):
        """Note that a program on `host` has just taken a datagram from its socket's queue; return its bytes."""
        self.reads.append(Read(time.monotonic(), host, data, len(data), port))
        return data

    def log(self, host, server):
        """Note what a `kit.server.Server` on `host` has read, from its log; its clock must be time.monotonic."""
        port = server.address[1]
        self.reads += [Read(record.time, host, record.data, record.size, port) for record in server.log]


@contextlib.contextmanager
def record(net, room=32 << 20):
    """Record a network: yield a `Recording`, a Film whose flights are there when the block has ended.

    net: a `lan.Network`; room: the memory for all captures together, in bytes
    Sockets that a host has at the beginning or at the end tell what became of datagrams. Raises OSError where more
    frames came than there is room for.
    """
    film, hosts, ahead = Recording(net), list(net), 0.0
    ends = [(host, interface.name) for host in hosts for interface in host.interfaces]
    captures = [host.capture(name, room // len(ends)) for host, name in ends]
    with contextlib.ExitStack() as stack:
        kernels = [stack.enter_context(host.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG)) for host in hosts]
        before = [_sockets(kernel) for kernel in kernels]
        try:
            _all(Capture.__enter__, captures)
            ahead = wall_ahead()  # one for all: else their clocks would differ by some microseconds
            hosts[0].settle()  # what was under way before is no part of the film
            start = time.monotonic()
            yield film
            hosts[0].settle()
            finish = time.monotonic()
        finally:
            ended = _all(lambda capture: capture.end(ahead), captures)
        after = [_sockets(kernel) for kernel in kernels]
    if lost := sum(lost for _, lost in ended):
        raise OSError(errno.ENOBUFS, f"{lost} frames did not fit into this film: give it more room")
    seen = {
        (host.name, name): [frame for frame in frames if start <= frame.time <= finish]
        for (host, name), (frames, _) in zip(ends, ended, strict=True)
    }
    sockets = None if None in (*before, *after) else _changes(hosts, before, after)
    reads = [*film.reads, *(read for host in hosts for read in _waiting(host))]
    made = film_of(hosts, seen, sockets, reads, film.notes, film.errors, net.switched)
    film.flights, film.notes = made.flights, made.notes


def _all(act, captures):
    """Return what `act` returns for each capture, side by side: to begin or end one, the kernel waits some 10 ms."""
    with ThreadPoolExecutor(min(len(captures), 32)) as pool:
        return list(pool.map(act, captures))


def _changes(hosts, before, after):
    """Return the `Socket`s that were there at one of two times; both: for each host what `_sockets` returns."""
    found = []
    for host, then, now in zip(hosts, before, after, strict=True):
        for cookie, (address, port, peer, drops) in {**then, **now}.items():
            earlier = then[cookie][3] if cookie in then else 0
            found.append(Socket(host.name, address, port, peer, drops - earlier))
    return found


def _sockets(kernel):
    """Return a host's UDP sockets as {cookie: (address, port, peer, drops)}; None where the kernel does not tell.

    kernel: a netlink socket for sock_diag(7), which answers from the namespace of the socket that asks.
    """
    found = {}
    kernel.settimeout(5)
    for family in (socket.AF_INET, socket.AF_INET6):
        wanted = struct.pack("=BBBBI48x", family, socket.IPPROTO_UDP, 1 << (_MEMORY - 1), 0, 0xFFFFFFFF)
        kernel.send(netlink.request(_BY_FAMILY, netlink.DUMP, wanted))
        done = False
        while not done:
            messages = kernel.recv(1 << 16)
            while messages:
                length, kind = struct.unpack_from("=IH", messages)
                if kind == netlink.ERROR:
                    return None
                done = kind == netlink.DONE
                if not done:
                    cookie, *told = _socket(messages[16:length])
                    found[cookie] = tuple(told)
                messages = messages[(length + 3) & ~3 :]
    return found


def _socket(message):
    """Return (cookie, address, port, peer, drops) of a struct inet_diag_msg and its attributes."""
    family, port, peer_port = struct.unpack_from("!Bxxx2H", message)
    size = 4 if family == socket.AF_INET else 16
    address, peer = (socket.inet_ntop(family, message[at : at + size]) for at in (8, 24))
    memory = netlink.parsed(message[72:]).get(_MEMORY)
    drops = struct.unpack_from("=I", memory, 4 * _DROPS)[0] if memory else 0
    address = "" if address in ("0.0.0.0", "::") else address
    return message[44:52], address, port, (peer, peer_port) if peer_port else None, drops


def _waiting(host):
    """Return what waits in the queues of the sockets that a host gave to this process, as `Read`s without a time.

    They are looked at and stay: SO_PEEK_OFF goes on from one datagram to the next. (socket(7) knows it of unix sockets
    alone; Linux has it for UDP too: udp_set_peek_off() in include/linux/udp.h.)
    """
    found = []
    for sock in list(host.given):
        if (
            sock.fileno() == -1
            or sock.type != socket.SOCK_DGRAM
            or sock.family not in (socket.AF_INET, socket.AF_INET6)
        ):
            continue
        look = select.poll()
        look.register(sock, select.POLLIN)
        if [event for _, event in look.poll(0)] != [select.POLLIN]:
            continue  # nothing, or an error waits first: to look would take it away
        port = sock.getsockname()[1]
        sock.setsockopt(socket.SOL_SOCKET, _PEEK_OFF, 0)
        with contextlib.suppress(BlockingIOError):
            while True:
                data = sock.recv(65535, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                found.append(Read(None, host.name, data, len(data), port))
        sock.setsockopt(socket.SOL_SOCKET, _PEEK_OFF, -1)
    return found
