"""Who hears a datagram on a network of several hosts: the rules, without a socket.

The rules (Linux; ip(7), RFC 1122 section 3.3.6, RFC 2644):

1. A datagram to a broadcast address of the sender's own subnet, or to 255.255.255.255, goes to every host of one
   subnet, the sender too. The sender needs SO_BROADCAST.
2. 255.255.255.255 leaves by the interface of the default route, or by the one whose address the sender has bound.
3. A router takes a datagram to the broadcast address of its other subnet for itself, and forwards it to nobody.
   (RFC 2644 makes this the default; whoever runs the router can change it.)
4. On a host that takes the datagram, a socket hears it if its port is the datagram's, and its address is "" or
   exactly the one that the datagram was sent to. (Two more things can keep it from a socket: `connect`, and the option
   SO_BINDTODEVICE.)

A plan is a list of hosts from `udplab.lan.plan.plan_switch`.
"""

import ipaddress
from dataclasses import dataclass

from udplab.kit.sockets import PORT
from udplab.lan.plan import plan_switch

LIMITED = "255.255.255.255"  # the "limited broadcast" (RFC 1122, section 3.3.6); Python calls it "<broadcast>"
EVERY, OWN, SUBNET, OTHER = "every address", "own address", "broadcast address", "another port"
KINDS = EVERY, OWN, SUBNET, OTHER  # ways to bind a socket

NAMES, BEYOND = ("alice", "bob", "carol"), ("dave",)
PLAN = plan_switch(NAMES, BEYOND)  # the network of the lesson


@dataclass(frozen=True)
class Hearing:
    """One datagram and who heard it."""

    destination: str  # the address as the sender gave it
    binds: dict  # from the name of each host that listens to the way its socket is bound, one of KINDS
    error: str | None  # the name of the error that the sender got, such as "EACCES"
    heard: tuple  # the names of the hosts whose socket got the datagram, in the order of the hosts

    @property
    def words(self):
        """Who heard it, or why nobody did."""
        return f"not sent: {self.error}" if self.error else ", ".join(self.heard) or "nobody"


def bind_address(host, kind):
    """Return the (address, port) at which a host listens that binds in this way."""
    first = host.interfaces[0]
    port = PORT + 1 if kind == OTHER else PORT
    return {EVERY: "", OTHER: "", OWN: first.address, SUBNET: first.broadcast}[kind], port


def delivery(plan, sender, destination, permission=True, source="", device="", forwards=False):
    """Return (error, names): the sender's error or None, and the hosts whose kernel takes the datagram.

    sender: a host's name; permission: whether it sets SO_BROADCAST; source: the own address it has bound, if any
    device: the interface by which "<broadcast>" shall leave (SO_BINDTODEVICE), if any
    forwards: whether the router passes on what is for a whole subnet of its own (Linux: sysctl bc_forwarding)
    """
    hosts = {host.name: host for host in plan}
    gateway = dict(hosts[sender].routes).get("default")
    target = as_address(destination)
    way = (source or gateway) if target == LIMITED else target
    own = [interface for interface in hosts[sender].interfaces if way and on_subnet(interface, way)]
    if target == LIMITED and device:
        own = [interface for interface in hosts[sender].interfaces if interface.name == device]
    if not own and (gateway is None or way is None):
        return "ENETUNREACH", ()
    if own and target in (LIMITED, own[0].broadcast):
        if not permission:
            return "EACCES", ()
        return None, tuple(host.name for host in plan if on_link(host, own[0].link))
    if not own:
        router = next(host for host in plan if has(host, gateway))
        for interface in router.interfaces:
            if target == interface.broadcast:
                others = tuple(host.name for host in plan if host is not router and on_link(host, interface.link))
                return None, others if forwards else (router.name,)
    return None, tuple(host.name for host in plan if has(host, target))


def accepts(bound, target, port):
    """Return whether a socket bound to the (address, port) `bound` hears what was sent to (`target`, `port`)."""
    return bound[1] == port and bound[0] in ("", target)


def predict(plan, sender, destinations, binds, permission=True, source="", port=PORT, **options):
    """Return the list of `Hearing`s, one for each destination, that the rules promise.

    binds: as in `Hearing`; port: the one sent to; the others, and the options, as in `delivery`
    """
    hearings = []
    for destination in destinations:
        error, taken = delivery(plan, sender, destination, permission, source, **options)
        target = as_address(destination)
        listening = [host for host in plan if host.name in taken and host.name in binds]
        heard = [host.name for host in listening if accepts(bind_address(host, binds[host.name]), target, port)]
        hearings.append(Hearing(destination, binds, error, tuple(heard)))
    return hearings


def as_address(destination):
    """Return a destination's address as text. Raises ValueError for anything but an IPv4 address or "<broadcast>"."""
    return str(ipaddress.IPv4Address(LIMITED if destination == "<broadcast>" else destination))


def on_subnet(interface, address):
    """Return whether `address` belongs to the subnet of an interface."""
    subnet = ipaddress.IPv4Interface(f"{interface.address}/{interface.prefix}").network
    return ipaddress.IPv4Address(address) in subnet


def on_link(host, link):
    """Return whether a host has an interface on the link of that number."""
    return link in [interface.link for interface in host.interfaces]


def has(host, address):
    """Return whether `address` is one of the host's own."""
    return address in [interface.address for interface in host.interfaces]
