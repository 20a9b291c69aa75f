"""A host of a network: what can be had from it, and what can be done to it."""

import contextlib
import os
import socket
import subprocess
import weakref
from collections.abc import Mapping
from os import PathLike
from typing import Any

from udplab.lan.capture import Capture
from udplab.lan.plan import HostPlan, Interface
from udplab.lan.process import choose_cpus
from udplab.lan.programs import launching


class Host:
    """A host of a network.

    `name`; `interfaces` (a tuple of Interface; a router has two); and of the first of them: `address`,
    `address6` (IPv6; None where the link or this machine has none),
    `broadcast`, `mac`, `link_local` (IPv6). `index(interface="eth0")` is the interface's number on this host,
    as IPv6 addresses with a scope and IP_ADD_MEMBERSHIP want it.
    """

    def __init__(self, network, plan: HostPlan, indexes: Mapping[str, int], ipv6: bool = True) -> None:
        self.name, self.interfaces = plan.name, plan.interfaces
        self.address, self.broadcast = plan.interfaces[0].address, plan.interfaces[0].broadcast
        self.address6 = plan.interfaces[0].address6 if ipv6 else None
        self.mac, self.link_local = plan.interfaces[0].mac, plan.interfaces[0].link_local
        self._network, self._indexes = network, indexes
        self.given: weakref.WeakSet[socket.socket] = weakref.WeakSet()  # its sockets in this process

    def __repr__(self) -> str:
        return f"<Host {self.name}: {', '.join(f'{i.name} {i.address}' for i in self.interfaces)}>"

    def interface(self, name: str = "eth0") -> Interface:
        """The Interface of that name. Raises ValueError where the host has none."""
        for interface in self.interfaces:
            if interface.name == name:
                return interface
        raise ValueError(f"{self.name} has no {name}, but {', '.join(i.name for i in self.interfaces)}")

    def index(self, interface: str = "eth0") -> int:
        return self._indexes[self.interface(interface).name]

    def socket(self, family: int = socket.AF_INET, type: int = socket.SOCK_DGRAM, proto: int = 0) -> socket.socket:
        """An ordinary socket that lives on this host; Network.close() closes it.

        Parameters and errors are those of `socket.socket` (AF_PACKET works without root); and LanError.
        """
        asked = {"family": int(family), "type": int(type), "proto": proto}
        _, (made,) = self._network._ask("socket", host=self.name, **asked)
        made.set_inheritable(False)
        self.given.add(made)
        return made

    def start(self, *arguments: str | PathLike, **keywords: Any) -> subprocess.Popen:
        """Start a program on this host; returns its subprocess.Popen.

        start("python", "-m", "udplab.loopback", "server"): the program and its arguments; "python" is this
        environment's. It runs as root of the network alone (user_namespaces(7)), in the working directory and with
        the environment of this process; on it, "bob" and "bob.lan" mean bob's address. It ends with the network:
        SIGTERM, a second later SIGKILL. Ctrl-C here does not reach it.

        keywords: those of subprocess.Popen, but executable, shell and preexec_fn. With stdout=subprocess.PIPE its
        output can be read while it runs. Raises what Popen does, such as FileNotFoundError; LanError.
        """
        with self._launching(arguments, keywords) as (command, prepared):
            program = subprocess.Popen(command, **prepared)
            self._network._programs = [each for each in self._network._programs if each.poll() is None] + [program]
        return program

    def run(self, *arguments: str | PathLike, **keywords: Any) -> subprocess.CompletedProcess:
        """Run a program on this host to its end; returns its subprocess.CompletedProcess, with its own `args`.

        arguments: as for start(); keywords: those of subprocess.run, as start() takes them. Raises what they do.
        """
        with self._launching(arguments, keywords) as (command, prepared):
            done = subprocess.run(command, **prepared)
            done.args = list(arguments)
        return done

    @contextlib.contextmanager
    def _launching(self, arguments, keywords):
        _, namespaces = self._network._ask("program", host=self.name)
        with launching(self.name, namespaces, arguments, keywords) as prepared:
            yield prepared

    def capture(self, interface: str = "eth0", room: int = 8 << 20) -> Capture:
        """A Capture of the frames at an interface, in and out; `room` is the memory it may fill, in bytes."""
        return Capture(self, self.interface(interface), room)

    def settle(self) -> None:
        """Return when every frame whose send call has returned, and each kernel's answer to it, has arrived.

        A sent frame waits in a queue of its CPU for the next hop, first in, first out; all namespaces share
        that queue. So a datagram to oneself, sent from the same CPU, comes back only after every frame
        before it has gone one hop. As many rounds as there can be hops (two a link with a switch, there and
        back, ARP's question and answer first), on every CPU, and all is through: a frame stays on the CPU
        that sent it, so the CPUs can be asked one after another. This cannot know of an
        answer that a program has yet to send: wait for that yourself. A wire is asked whether any frame is on it.
        Raises TimeoutError where such a datagram to oneself is lost; LanError where this system refuses it.
        """
        before = None
        while True:
            self._settle_kernel()
            carried = [wire.settle()["frames"] for wire in self._network._wires.values()]
            if not carried or carried == before:
                return
            before = carried  # what was on a wire has gone on, perhaps to another

    def _settle_kernel(self):
        allowed = os.sched_getaffinity(0)
        try:
            with self.socket() as marker:
                marker.bind(("127.0.0.1", 0))
                marker.connect(marker.getsockname())
                marker.settimeout(5)  # a flood elsewhere can fill the CPU's queue, and the marker is lost
                for cpu in allowed:
                    choose_cpus({cpu})
                    for _ in range(self._network._hops):
                        marker.send(b"")
                        marker.recv(1)
        finally:
            choose_cpus(allowed)

    def send_icmp(self, send: bool) -> None:
        """Let this host send ICMP messages of its own (True, at first) or none (False).

        A router that sends none drops a datagram that is too big without a word: a black hole (RFC 2923
        section 2.1). ICMP that other hosts sent still passes.
        """
        self._network._ask("icmp", host=self.name, send=bool(send))
