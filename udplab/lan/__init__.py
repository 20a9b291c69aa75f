"""A real network of several hosts inside one notebook, without root (Linux).

    with lan.switch("alice", "bob", "carol") as net:
        bob = net["bob"].socket()               # an ordinary UDP socket that lives on bob
        bob.bind(("", 1060))
        net["alice"].socket().sendto(b"hello", (net["bob"].address, 1060))

    with lan.path(1500, 1400) as net:           # client - router1 - server, an MTU per link
        with net["server"].capture() as seen:
            net["client"].socket().sendto(bytes(3000), (net["server"].address, 1060))
        seen.save("fragments.pcap")

    net["bob"].start("python", "-m", "udplab.retry", "server", "")  # a program on bob: subprocess.Popen
    net["alice"].run("python", "-m", "udplab.retry", "client", "bob")
    net.wire("alice", delay=0.02, loss=0.1, seed=1)                 # what its wire does from now on

How it works: a helper process (`process.py` starts it, `helper.py` runs in it) makes a network namespace per
host, joins them with veth pairs and bridges, opens sockets in them, and passes those back over a Unix socket.
A socket stays in the namespace in which it was made. Programs enter it by a launcher (`launcher.py`) and end with
their network (`guard.py`); a wire is a process between two packet sockets (`carrier.py`). Nothing here touches the
machine's own interfaces. The network goes with `close()`, and also when this process or the helper is killed.
`unavailable()`: why it cannot be done.
"""

from collections.abc import Iterable, Sequence

from udplab.lan.host import Host
from udplab.lan.network import Network
from udplab.lan.plan import plan_path, plan_switch
from udplab.lan.process import LanError, stop, unavailable

__all__ = ["Host", "LanError", "Network", "path", "stop", "switch", "unavailable"]


def switch(*names: str, beyond: Iterable[str] = (), stray: Iterable[str] = (), snoop: bool = False) -> Network:
    """Hosts on one switch, and more hosts `beyond` a router if wanted.

    `names`: hosts on 10.0.0.0/24 (10.0.0.1, 10.0.0.2, ... in this order; at most 253). `beyond`: hosts on a
    switch of their own, 10.0.1.0/24; the host "router" (10.0.0.254 and 10.0.1.254) then joins the two, and
    every host has a default route by it, except those in `stray`. Without `beyond` nobody has one.
    (One keyword, not a topology language: two subnets are the fewest on which a broadcast can stop.)

    snoop: whether the switch sends the frames of a multicast group to the ports of its members only, which it learns
    from their IGMP and MLD (RFC 4541), and not to all. It is the querier too: it asks for members now and then, and
    their answers are seen in captures. A host reports some 10 ms after it has joined; who leaves a group gets its
    frames for some 2 s more.

    Returns a Network, a context manager with close(). Raises ValueError for a plan that cannot be, LanError
    with the reason where this machine has no LAN.
    """
    return Network(plan_switch(names, beyond, stray), switched=True, snoops=bool(snoop))


def path(*mtus: int | Sequence[int]) -> Network:
    """A chain: client, router1, router2, ..., server, with the given MTU in bytes on each link.

    `path(1500, 1400)` has one router, and so has `path([1500, 1400])`. Link i is 10.0.i.0/24: the client is
    10.0.1.1, the server is .2 on the last link. An MTU under 1280 switches IPv6 off on that link (RFC 8200), and
    Linux believes no ICMP message that names an MTU under 552 (sysctl net.ipv4.route.min_pmtu). Returns and raises
    as switch() does.
    """
    return Network(plan_path(mtus), switched=False)
