"""A real network of several hosts inside one notebook, without root (Linux).

    with lan.switch("alice", "bob", "carol") as net:
        bob = net["bob"].socket()               # an ordinary UDP socket that lives on bob
        bob.bind(("", 1060))
        net["alice"].socket().sendto(b"hello", (net["bob"].address, 1060))

    with lan.path(1500, 1400) as net:           # client - router1 - server, an MTU per link
        with net["server"].capture() as seen:
            net["client"].socket().sendto(bytes(3000), (net["server"].address, 1060))
        seen.save("fragments.pcap")

How it works: a helper process (`process.py` starts it, `helper.py` runs in it) makes a network namespace per
host, joins them with veth pairs and bridges, opens sockets in them, and passes those back over a Unix socket.
A socket stays in the namespace in which it was made. Nothing here touches the machine's own interfaces. The
network goes with `close()`, and also when this process or the helper is killed. `unavailable()`: why it cannot
be done.
"""

import contextlib
import errno
import json
import os
import socket
import threading
import weakref
from dataclasses import asdict

from udplab.kit.calm import uninterrupted
from udplab.lan.capture import Capture
from udplab.lan.plan import plan_path, plan_switch
from udplab.lan.process import GONE, PATIENCE, LanError, hand_over, stop, unavailable

__all__ = ["Host", "LanError", "Network", "path", "stop", "switch", "unavailable"]


def switch(*names, beyond=(), stray=()):
    """Hosts on one switch, and more hosts `beyond` a router if wanted.

    `names`: hosts on 10.0.0.0/24 (10.0.0.1, 10.0.0.2, ... in this order; at most 253). `beyond`: hosts on a
    switch of their own, 10.0.1.0/24; the host "router" (10.0.0.254 and 10.0.1.254) then joins the two, and
    every host has a default route by it, except those in `stray`. Without `beyond` nobody has one.
    (One keyword, not a topology language: two subnets are the fewest on which a broadcast can stop.)

    Returns a Network, a context manager with close(). Raises ValueError for a plan that cannot be, LanError
    with the reason where this machine has no LAN.
    """
    return Network(plan_switch(names, tuple(beyond), tuple(stray)), switched=True)


def path(*mtus):
    """A chain: client, router1, router2, ..., server, with the given MTU in bytes on each link.

    `path(1500, 1400)` has one router. Link i is 10.0.i.0/24: the client is 10.0.1.1, the server is .2 on the
    last link. An MTU under 1280 switches IPv6 off on that link (RFC 8200), and Linux believes no ICMP message
    that names an MTU under 552 (sysctl net.ipv4.route.min_pmtu). Returns and raises as switch() does.
    """
    return Network(plan_path(mtus), switched=False)


class Network:
    """Hosts by name: `net["alice"]`; `for host in net`. Made by switch() and path(). Threads may share it."""

    def __init__(self, hosts, switched):
        links = {interface.link for host in hosts for interface in host.interfaces}
        self._hops = 12 * len(links)  # see Host.settle
        self._sockets = weakref.WeakSet()
        self._lock = threading.Lock()
        self._number = 0
        self._owner = os.getpid()
        wanted = [
            asdict(host)
            | {
                "interfaces": [
                    asdict(interface) | {"mac": interface.mac, "broadcast": interface.broadcast}
                    for interface in host.interfaces
                ]
            }
            for host in hosts
        ]
        self._connect()
        try:
            try:
                reply, _ = self._ask("build", hosts=wanted, switched=switched)
            except LanError:
                if self._alive():
                    raise
                self._control.close()  # the helper had been killed, which shows only now
                self._connect()
                reply, _ = self._ask("build", hosts=wanted, switched=switched)
        except BaseException:
            self.close()  # Ctrl-C too: the helper drops what it has built
            raise
        self._hosts = {host.name: Host(self, host, reply["indexes"][host.name]) for host in hosts}

    def _connect(self):
        """Open a socket of this network's own to the helper: the network lives as long as it."""
        if reason := unavailable():  # first, since not every system has such sockets
            raise LanError(reason)
        with uninterrupted():
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(PATIENCE)
        try:
            with theirs:
                hand_over(theirs)
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
        """Have the helper do something; returns (reply, the socket that came with it or None). One at a time."""
        if os.getpid() != self._owner:
            raise LanError("this network belongs to the process that made it: make another in this one")
        with self._lock:
            if self._control.fileno() == -1:
                raise LanError("this network is closed")
            self._number += 1
            question = {"number": self._number, "op": operation, **details}
            reply, made = {"number": None}, None
            try:
                self._control.send(json.dumps(question).encode())
                while reply["number"] != self._number:  # an older one: Ctrl-C cut its question short
                    self._control.recv(1, socket.MSG_PEEK)  # waits
                    with uninterrupted():  # Ctrl-C would lose a mere number, and close() what it has not heard of
                        answer, descriptors, _, _ = socket.recv_fds(self._control, 1 << 20, 1)
                        self._sockets.update(made := [socket.socket(fileno=each) for each in descriptors])
                    if not answer:
                        raise LanError(GONE)
                    reply = json.loads(answer)
                    if reply["number"] != self._number:
                        for each in made:
                            each.close()
            except TimeoutError:
                raise LanError(f"the LAN's helper process did not answer within {PATIENCE:g} s") from None
            except OSError as problem:
                raise LanError(GONE) from problem
        if "error" not in reply:
            return reply, made[0] if made else None
        if operation == "socket" and reply["errno"]:
            raise OSError(reply["errno"], os.strerror(reply["errno"]))  # as socket.socket() does
        raise LanError(f"this machine's kernel could not do it ({operation}): {reply['error']}")

    def __getitem__(self, name):
        if name not in self._hosts:
            raise KeyError(f"no host {name!r} here, but {', '.join(self._hosts)}")
        return self._hosts[name]

    def __iter__(self):
        return iter(self._hosts.values())

    def __len__(self):
        return len(self._hosts)

    def __repr__(self):
        return f"<Network: {', '.join(f'{host.name} {host.address}' for host in self)}>"

    def close(self):
        """Take the network away; close the sockets that its hosts gave, which ends the servers on them.

        Twice does no harm.
        """
        own = os.getpid() == self._owner  # a forked child must not end its parent's network
        for given in list(self._sockets):
            with contextlib.suppress(OSError):  # "not connected", but it ends a wait in recvfrom: close() does not
                if own:
                    given.shutdown(socket.SHUT_RDWR)
            given.close()
        if self._control.fileno() == -1:
            return
        if not own:
            self._control.close()
            return
        with contextlib.suppress(OSError):  # the helper is gone or stuck: so is, or will be, the network
            self._control.shutdown(socket.SHUT_WR)
            while self._control.recv(1 << 20):  # ends when the helper has let go of the network
                pass
        self._control.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


class Host:
    """A host of a network.

    `name`; `interfaces` (a tuple of Interface; a router has two); and of the first of them: `address`,
    `broadcast`, `mac`, `link_local` (IPv6). `index(interface="eth0")` is the interface's number on this host,
    as IPv6 addresses with a scope and IP_ADD_MEMBERSHIP want it.
    """

    def __init__(self, network, plan, indexes):
        self.name, self.interfaces = plan.name, plan.interfaces
        self.address, self.broadcast = plan.interfaces[0].address, plan.interfaces[0].broadcast
        self.mac, self.link_local = plan.interfaces[0].mac, plan.interfaces[0].link_local
        self._network, self._indexes = network, indexes

    def __repr__(self):
        return f"<Host {self.name}: {', '.join(f'{i.name} {i.address}' for i in self.interfaces)}>"

    def interface(self, name="eth0"):
        """The Interface of that name. Raises ValueError where the host has none."""
        for interface in self.interfaces:
            if interface.name == name:
                return interface
        raise ValueError(f"{self.name} has no {name}, but {', '.join(i.name for i in self.interfaces)}")

    def index(self, interface="eth0"):
        return self._indexes[self.interface(interface).name]

    def socket(self, family=socket.AF_INET, type=socket.SOCK_DGRAM, proto=0):
        """An ordinary socket that lives on this host; Network.close() closes it.

        Parameters and errors are those of `socket.socket` (AF_PACKET works without root); and LanError.
        """
        _, made = self._network._ask("socket", host=self.name, family=int(family), type=int(type), proto=proto)
        if made is None:  # the kernel drops what a process with no descriptor left is given (unix(7), MSG_CTRUNC)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        made.set_inheritable(False)
        return made

    def capture(self, interface="eth0", room=8 << 20):
        """A Capture of the frames at an interface, in and out; `room` is the memory it may fill, in bytes."""
        return Capture(self, self.interface(interface), room)

    def settle(self):
        """Return when every frame whose send call has returned, and each kernel's answer to it, has arrived.

        A sent frame waits in a queue of its CPU for the next hop, first in, first out; all namespaces share
        that queue. So a datagram to oneself, sent from the same CPU, comes back only after every frame
        before it has gone one hop. As many rounds as there can be hops (two a link with a switch, there and
        back, ARP's question and answer first), on every CPU, and all is through: a frame stays on the CPU
        that sent it, so the CPUs can be asked one after another. This cannot know of frames
        that `slow()` holds back, nor of an answer that a program has yet to send: wait for those yourself.
        Raises TimeoutError where such a datagram to oneself is lost.
        """
        allowed = os.sched_getaffinity(0)
        try:
            with self.socket() as marker:
                marker.bind(("127.0.0.1", 0))
                marker.connect(marker.getsockname())
                marker.settimeout(5)  # a flood elsewhere can fill the CPU's queue, and the marker is lost
                for cpu in allowed:
                    os.sched_setaffinity(0, {cpu})  # of this thread only
                    for _ in range(self._network._hops):
                        marker.send(b"")
                        marker.recv(1)
        finally:
            os.sched_setaffinity(0, allowed)

    def send_icmp(self, send):
        """Let this host send ICMP messages of its own (True, at first) or none (False).

        A router that sends none drops a datagram that is too big without a word: a black hole (RFC 2923
        section 2.1). ICMP that other hosts sent still passes.
        """
        self._network._ask("icmp", host=self.name, send=bool(send))

    def lose(self, every, interface="eth0"):
        """Lose the n-th, 2n-th, ... IPv4 packet (a fragment counts as one) that leaves by this interface.

        `every` is n, 1 or more; None loses nothing again. The lost packet is seen by no capture, not even on
        this host. A sender on this very host that has set IP_RECVERR is told of it: ENOBUFS (ip(7)); so lose
        on a router or the other host where that matters. Raises LanError where the kernel has no nftables.
        """
        if every is not None and not (isinstance(every, int) and 1 <= every < 1 << 32):
            raise ValueError(f"every n-th: n is a whole number, 1 or more, not {every}")
        self._network._ask("loss", host=self.name, interface=self.interface(interface).name, every=every)

    def slow(self, bits_per_second, interface="eth0"):
        """Send no faster than this by the interface: a frame of n bytes holds up the next for 8n / rate s.

        The first frame goes at once; 4 MB can wait. None is full speed again. Raises LanError where the
        kernel cannot shape traffic (tc-tbf(8)). A fixed delay is not offered: many kernels have no netem.
        """
        whole = isinstance(bits_per_second, int)
        if bits_per_second is not None and not (whole and 2000 <= bits_per_second <= 8 * 10**9):
            raise ValueError(f"a rate is a whole number of bits per second, 2000 to 8 billion, not {bits_per_second}")
        name = self.interface(interface).name
        self._network._ask("rate", host=self.name, interface=name, bits_per_second=bits_per_second)
