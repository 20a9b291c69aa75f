"""A network from this process's side: its socket to the helper, and what its hosts gave."""

import contextlib
import errno
import io
import json
import os
import socket
import stat
import subprocess
import threading
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from udplab.kit.calm import uninterrupted
from udplab.lan import process
from udplab.lan.door import SIZE
from udplab.lan.host import Host
from udplab.lan.plan import HostPlan, as_dicts
from udplab.lan.process import GONE, PATIENCE, LanError
from udplab.lan.reasons import failure
from udplab.lan.record import Recording, record
from udplab.lan.wire import Way, Wire

MOST = 4  # descriptors that come with an answer
ENDS = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF)  # of a send to somebody who is no more


def owned(descriptor: int) -> socket.socket | io.FileIO:
    """Return a file or a socket that closes a descriptor which has just arrived."""
    if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return socket.socket(fileno=descriptor)
    return io.FileIO(descriptor)


class Network:
    """Hosts by name: `net["alice"]`; `for host in net`. Made by switch() and path(). Threads may share it."""

    def __init__(self, hosts: Sequence[HostPlan], switched: bool, snoops: bool = False) -> None:
        links = {interface.link for host in hosts for interface in host.interfaces}
        self._hops = 12 * len(links)  # see Host.settle
        self.switched = switched
        self._given = weakref.WeakSet()  # sockets and files that the helper gave
        self._programs: list[subprocess.Popen] = []
        self._wires: dict[tuple[str, str], Wire] = {}  # by (host's name, interface's name)
        self._lock = threading.Lock()
        self._stuck = False  # whether the helper has failed to answer
        self._number = 0
        self._owner = os.getpid()
        wanted = {"hosts": as_dicts(hosts), "switched": switched, "snoops": snoops}
        self._connect()
        try:
            try:
                reply, _ = self._ask("build", **wanted)
            except LanError:
                if self._alive():
                    raise
                self._control.close()  # the helper had been killed, which shows only now
                self._connect()
                reply, _ = self._ask("build", **wanted)
        except BaseException:
            self.close()  # Ctrl-C too: the helper drops what it has built
            raise
        self._hosts = {host.name: Host(self, host, reply["indexes"][host.name], reply["ipv6"]) for host in hosts}

    def _connect(self):
        """Open a socket of this network's own to the helper: the network lives as long as it."""
        if reason := process.unavailable():  # first, since not every system has such sockets
            raise LanError(reason)
        with uninterrupted():
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SIZE)  # the plan of hundreds of hosts is long
        self._control.settimeout(PATIENCE)
        try:
            with theirs:
                process.hand_over(theirs)
        except BaseException:
            self._control.close()
            raise

    def _alive(self):
        self._control.setblocking(False)
        try:
            return self._control.recv(1) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self._control.settimeout(PATIENCE)

    def _ask(self, operation, **details):
        """Have the helper do something; returns (reply, the sockets or files that came with it). One at a time."""
        if os.getpid() != self._owner:
            raise LanError("this network belongs to the process that made it: make another in this one")
        with self._lock:
            if self._control.fileno() == -1:
                raise LanError("this network is closed: run the cell that made it again")
            self._number += 1
            question = {"number": self._number, "op": operation, **details}
            reply, made = {"number": None}, []
            try:
                self._control.send(json.dumps(question).encode())
                while reply["number"] != self._number:  # an older one: Ctrl-C cut its question short
                    self._control.recv(1, socket.MSG_PEEK)  # waits
                    with uninterrupted():  # Ctrl-C would lose a mere number, and close() what it has not heard of
                        answer, descriptors, _, _ = socket.recv_fds(self._control, SIZE, MOST)
                        self._given.update(made := [owned(each) for each in descriptors])
                    if not answer:
                        raise LanError(GONE)
                    reply = json.loads(answer)
                    if reply["number"] != self._number:
                        for each in made:
                            each.close()
            except TimeoutError:
                self._stuck = True
                raise LanError(f"the LAN's helper process did not answer within {PATIENCE:g} s") from None
            except LanError:
                raise
            except OSError as problem:
                if problem.errno in ENDS:
                    raise LanError(GONE) from problem
                raise LanError(f"the LAN's helper process cannot be asked to {operation}: {problem.strerror}") from None
        if "error" not in reply:
            if len(made) < reply["passed"]:  # the kernel drops them where no descriptor is left (unix(7), MSG_CTRUNC)
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return reply, made
        if operation == "socket" and reply["errno"]:
            raise OSError(reply["errno"], os.strerror(reply["errno"]))  # as socket.socket() does
        raise LanError(failure(operation, reply["errno"], reply["error"], process.read))

    def __getitem__(self, name: str) -> Host:
        if name not in self._hosts:
            raise KeyError(f"no host {name!r} here, but {', '.join(self._hosts)}")
        return self._hosts[name]

    def __iter__(self) -> Iterator[Host]:
        return iter(self._hosts.values())

    def __len__(self) -> int:
        return len(self._hosts)

    def __repr__(self) -> str:
        return f"<Network: {', '.join(f'{host.name} {host.address}' for host in self)}>"

    def record(self, room: int = 32 << 20) -> contextlib.AbstractContextManager[Recording]:
        """Record what moves, in a `with` block: see `udplab.lan.record.record`."""
        return record(self, room)

    def wire(self, host: str, interface: str = "eth0", direction: str = "both", **what: Any) -> Wire:
        """Have the wire at a host's interface delay, lose, double, reorder and damage frames; returns the Wire.

        host, interface: names. On a path the wire is the whole link, and is named by either of its ends, but by the
            same one each time.
        direction: "out" for frames that leave the host, "in" for those that come to it, or "both"
        what: delay, jitter, loss, duplicate, reorder, corrupt and seed, as `wire.Way` has them; those not given are 0

        It may be called at any time, and again, to change what happens from then on: the lots then begin anew. The
        first call lays the wire, which takes some 50 ms: frames on their way are lost, and on a path the other end's
        captures and memberships, so lay it first. What hosts send by themselves,
        such as ARP, is delayed and never lost.
        Raises ValueError for what cannot be; LanError.
        """
        if direction not in ("out", "in", "both"):
            raise ValueError(f"direction is 'out', 'in' or 'both', not {direction!r}")
        way, key = Way(**what), (self[host].name, self[host].interface(interface).name)
        if key not in self._wires:
            self._lay_wire(*key)
        self._wires[key].change(way if direction != "in" else None, way if direction != "out" else None)
        return self._wires[key]

    def _lay_wire(self, host, interface):
        link = self[host].interface(interface).link
        for other, name in self._wires:
            if not self.switched and self[other].interface(name).link == link:
                raise ValueError(f"this link has a wire already, named by its other end: {other}, {name}")
        _, (control, log) = self._ask("wire", host=host, interface=interface)
        self._wires[host, interface] = Wire(host, interface, control, log)

    def close(self) -> None:
        """Take the network away: end the programs on its hosts, close the sockets, which ends the servers on them.

        A program gets SIGTERM, and SIGKILL a second later. Twice does no harm.
        """
        own = os.getpid() == self._owner  # a forked child must not end its parent's network
        for given in list(self._given):
            with contextlib.suppress(OSError):  # "not connected", but it ends a wait in recvfrom: close() does not
                if own and isinstance(given, socket.socket):
                    given.shutdown(socket.SHUT_RDWR)
            given.close()
        if self._control.fileno() == -1:
            return
        if not own or self._stuck:  # nobody would answer
            self._control.close()
            return
        with contextlib.suppress(OSError):  # the helper is gone or stuck: so is, or will be, the network
            self._control.shutdown(socket.SHUT_WR)
            while self._control.recv(1 << 20):  # ends when the helper has let go of the network
                pass
        self._control.close()
        for program in self._programs:
            with contextlib.suppress(subprocess.TimeoutExpired):  # its helper is stuck
                program.wait(PATIENCE)

    def __enter__(self) -> "Network":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
