"""The process inside the namespaces: `python -m udplab.lan.helper CONTROL_FD PARENT_PIDFD`.

`udplab.lan` starts it; nobody else needs it. The rules:

- It enters a new user namespace and a new network namespace before anything else, as root too, so that the
  machine's own interfaces are out of reach (user_namespaces(7), network_namespaces(7)).
- A host is a network namespace held open by a file descriptor, a link is a veth pair (veth(4)), a switch
  is a bridge in a namespace of its own. The kernel takes all of it away when the descriptors are closed.
- Each network has a Unix socket of its own to the notebook. When that closes, the network goes. When the
  first socket closes or the notebook's process ends, the helper ends. (Both are watched: a fork of the
  notebook may keep a copy of the socket open. PR_SET_PDEATHSIG is no use here: it fires when the *thread*
  that started the helper ends, and a notebook's threads come and go; prctl(2).)
"""

import contextlib
import errno
import itertools
import json
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from udplab.lan import guard, netlink
from udplab.lan.building import CLONE_NEWNET, CLONE_NEWUSER, HAS_IPV6, build, namespace_call, set_icmp, write_sysctl
from udplab.lan.door import SIZE, close_door, is_ours, open_door
from udplab.lan.netlink import Kernel
from udplab.lan.wiring import lay_wire

RETRY = 1000  # ms


def enter_namespaces():
    """Leave the machine's namespaces; the result is None, or the step that was refused and its errno.

    The first namespace is for trying what networks are made of; it goes with what is in it.
    """
    uid, gid = os.geteuid(), os.getegid()  # asked now: unmapped, they read 65534
    steps = {
        "user": lambda: namespace_call("unshare", CLONE_NEWUSER),
        "setgroups": lambda: Path("/proc/self/setgroups").write_text("deny"),
        "uid_map": lambda: Path("/proc/self/uid_map").write_text(f"0 {uid} 1"),
        "gid_map": lambda: Path("/proc/self/gid_map").write_text(f"0 {gid} 1"),
        "net": lambda: namespace_call("unshare", CLONE_NEWNET),
        "sysctl": lambda: write_sysctl("ipv4/ip_forward", 0),  # read-only in some containers
        "bridge": lambda: attempt(netlink.bridge("switch", 100, forward_delay=0, stp=0, snooping=0)),
        "veth": lambda: attempt(netlink.veth({"name": "near", "master": 100}, 101, {"name": "far"}, 102)),
        "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
        "another net": lambda: namespace_call("unshare", CLONE_NEWNET),
    }
    for step, take in steps.items():
        try:
            take()
        except OSError as refused:
            return step, refused.errno
    return None


def attempt(request):
    with Kernel() as kernel:
        kernel.send(request)


@dataclass
class Held:
    """What the helper holds of a network: its namespaces by host, and what came to it later."""

    number: int
    since: float  # time.time()
    control: socket.socket
    namespaces: dict = field(default_factory=dict)
    hosts: list | None = None  # the plan
    switched: bool = False
    wires: list = field(default_factory=list)  # their processes
    guard: tuple | None = None  # its process id and the descriptor whose closing ends it

    @property
    def addresses(self):
        return {host["name"]: host["interfaces"][0]["address"] for host in self.hosts or ()}

    def enter(self, host):
        """Go to a host's network namespace; nothing else here may take that for granted."""
        namespace_call("setns", self.namespaces[host], CLONE_NEWNET)

    def doors(self, host):
        """Return files of the namespaces in which a program on the host runs: user, network, mount, PID."""
        self.guard = self.guard or guard.start(self.addresses)
        try:
            spaces = self.guarded()
        except (FileNotFoundError, ProcessLookupError):  # somebody has killed it: it is ending, or has ended
            os.close(self.guard[1])
            guard.ended.add(self.guard[0])  # it has ended when its programs' parents have heard of their end
            self.guard = guard.start(self.addresses)
            spaces = self.guarded()
        own = ["/proc/self/ns/user", f"/proc/self/fd/{self.namespaces[host]}"]
        return [*(open(path, "rb", buffering=0) for path in own), *spaces]

    def guarded(self):
        """Return files of the guard's mount and PID namespaces. Without it, or as soon as it is ending, it has none."""
        return [open(f"/proc/{self.guard[0]}/ns/{kind}", "rb", buffering=0) for kind in ("mnt", "pid")]

    def wire(self, host, interface):
        """Lay a wire; returns its socket and its log."""
        plan = (self.namespaces, self.hosts, self.switched)
        process, control, log = lay_wire(*plan, host, interface, len(self.wires))
        self.wires.append(process)
        return [control, log]

    def drop(self, home):
        """Let go of all, from the network namespace `home`: this process must not be what keeps a host's alive.

        The network's socket comes last: the notebook takes its end for "done".
        """
        namespace_call("setns", home, CLONE_NEWNET)
        if self.guard:
            guard.end(*self.guard, self.namespaces.values())
        for process in self.wires:
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        for namespace in self.namespaces.values():
            os.close(namespace)
        self.control.close()


def answer(network, request):
    """Do what a request asks in the namespaces of one network; returns (reply, what to pass: sockets or files)."""
    operation, passed, reply = request["op"], [], {"number": request["number"]}
    try:
        if operation == "build":
            network.hosts, network.switched = request["hosts"], request["switched"]
            reply["ipv6"] = HAS_IPV6
            reply["indexes"] = build(network.namespaces, network.hosts, network.switched, request["snoops"])
            return reply, passed
        network.enter(request["host"])
        if operation == "socket":
            passed.append(socket.socket(request["family"], request["type"], request["proto"]))
        elif operation == "program":
            passed += network.doors(request["host"])
        elif operation == "wire":
            passed += network.wire(request["host"], request["interface"])
        elif operation == "icmp":
            set_icmp(request["send"])
    except Exception as problem:  # not swallowed: the notebook raises it
        reply |= {"error": f"{type(problem).__name__}: {problem}", "errno": getattr(problem, "errno", None)}
    return reply, passed


def respond(speaker, reply, passed):
    """Send a reply with what is passed to whoever asked; it is let go of here. Raises OSError."""
    with contextlib.ExitStack() as closing:
        for each in passed:
            closing.enter_context(each)
        message = json.dumps(reply | {"passed": len(passed)}).encode()
        socket.send_fds(speaker, [message], [each.fileno() for each in passed])


class Helper:
    """Serves networks until the notebook closes `control` or its process (a pidfd) ends; and visitors at `door`."""

    def __init__(self, control, parent, door):
        self.control, self.parent, self.door = control, parent, door
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.numbers = itertools.count(1)
        self.networks = {}  # by the descriptor of the network's socket
        self.visitors = {}  # by theirs
        self.refused = False  # whether somebody at the door could not be let in
        self.poll = select.poll()
        for each in (control, parent, *([door] if door else [])):
            self.poll.register(each, select.POLLIN)

    def serve(self):
        try:
            while all(self.attend(fd) for fd, _ in self.news()):
                pass
        finally:
            for network in self.networks.values():
                network.drop(self.home)
            for visitor in self.visitors.values():
                visitor.close()

    def news(self):
        """Wait for what there is to do. Who could not be let in is tried again at the next news, or in a second."""
        found = self.poll.poll(RETRY if self.refused else None)
        if self.refused:
            self.poll.register(self.door, select.POLLIN)
            self.refused = False
        return found

    def attend(self, fd):
        """See to a descriptor that has news. Returns whether to go on."""
        if fd == self.parent:
            return False
        if fd == self.control.fileno():
            return self.welcome()
        if fd in self.networks:
            self.hear(fd)
        elif fd in self.visitors:
            self.direct(fd)
        else:
            self.admit()
        return True

    def welcome(self):
        """Take a new network's socket."""
        message, fds, _, _ = socket.recv_fds(self.control, 16, 1)
        if fds:  # else this process has no descriptor left: that network is lost, the others stay
            self.networks[fds[0]] = Held(next(self.numbers), time.time(), socket.socket(fileno=fds[0]))
            self.poll.register(fds[0], select.POLLIN)
        return message != b""

    def admit(self):
        """Let a visitor in, and tell it of the networks."""
        try:
            visitor, _ = self.door.accept()
        except OSError:  # as a rule no descriptor is left: the visitor would wake us at once, again and again
            self.poll.unregister(self.door)
            self.refused = True
            return
        if not is_ours(visitor):
            visitor.close()
            return
        self.visitors[visitor.fileno()] = visitor
        self.poll.register(visitor, select.POLLIN)
        told = [
            {"number": each.number, "since": each.since, "hosts": each.addresses, "made_by": os.getppid()}
            for each in self.networks.values()
            if each.addresses
        ]
        visitor.setblocking(False)
        with contextlib.suppress(OSError):  # it has left already
            visitor.send(json.dumps(told).encode())

    def hear(self, fd):
        """Answer a request of a network's owner; take the network away when the owner has closed it."""
        network = self.networks[fd]
        try:
            if request := network.control.recv(SIZE):
                respond(network.control, *answer(network, json.loads(request)))
                return
        except OSError as problem:
            if problem.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise
            # The notebook closed the network without waiting for the answer.
        self.poll.unregister(fd)
        self.networks.pop(fd).drop(self.home)

    def direct(self, fd):
        """Answer a visitor's one request, and let go of it. Whatever it sends, or does not read, is its loss alone."""
        self.poll.unregister(fd)
        with self.visitors.pop(fd) as visitor, contextlib.suppress(OSError):  # it has left, or its queue is full
            if request := visitor.recv(SIZE):
                respond(visitor, *self.way_in(request))

    def way_in(self, request):
        """Return what a visitor is told, and given: it may ask for the way to a host of a network, and nothing else."""
        try:
            wanted = json.loads(request)
        except (ValueError, RecursionError):  # no JSON; or nested too deeply
            wanted = None
        if not isinstance(wanted, dict) or wanted.get("op") != "program":
            return {"error": "this udplab and the one that made the network do not understand each other"}, []
        for network in self.networks.values():
            if network.number == wanted.get("network"):
                return answer(network, {"number": 0, "op": "program", "host": wanted.get("host")})
        return {"error": "that network has ended"}, []


def main():
    parent = int(sys.argv[2])
    door = open_door()  # now: inside the user namespace nobody would know this process's user
    with socket.socket(fileno=int(sys.argv[1])) as control:
        refused = enter_namespaces()
        # The notebook may have been interrupted before it has read our first words: then nobody is there any more.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            control.send(json.dumps({"refused": refused}).encode())
            if refused is None:
                Helper(control, parent, door).serve()
    if door:
        close_door(door)


if __name__ == "__main__":
    main()
