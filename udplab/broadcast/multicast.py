"""Multicast: who hears a group, and what it takes to join one; by rules, and on hosts of `udplab.lan`."""

import contextlib
import ipaddress
import socket
import struct
from dataclasses import dataclass

from udplab.broadcast.hearing import on_link
from udplab.kit import frames
from udplab.kit.sockets import PORT, arrivals, queued

GROUP = "239.1.2.3"  # a multicast group for one's own network (RFC 2365)
GROUP6 = "ff12::1:2:3"  # one for one's own link (RFC 4291 section 2.7)
ALL_NODES = "ff02::1"  # every IPv6 host on the link (RFC 4291 section 2.7.1)
IP_MULTICAST_ALL = 49  # linux/in.h; Python's socket has no name for it


# --- Who hears ---


def predict_members(plan, sender, members, interface="eth0", ttl=1, loop=True):
    """Return the names of the hosts that hear a datagram to a group: those on the sender's link that have joined.

    interface: by which the sender sends; ttl: how many links the datagram may travel, 0 for none
    loop: whether the sender's own host may hear it
    """
    hosts = {host.name: host for host in plan}
    [link] = [each.link for each in hosts[sender].interfaces if each.name == interface]
    near = [name for name in members if on_link(hosts[name], link) and (ttl or name == sender)]
    return tuple(name for name in hosts if name in near and (loop or name != sender))


def measure_members(net, sender, members, interface="eth0", ttl=1, loop=True):
    """Let some hosts join GROUP, send one datagram to it, and return the names of those that heard it.

    Every host listens at "" and the port, members or not. No SO_BROADCAST is set. Parameters as above; they are the
    options IP_MULTICAST_IF, IP_MULTICAST_TTL, IP_MULTICAST_LOOP of the sender's socket (ip(7)).
    """
    with contextlib.ExitStack() as stack:
        ears = {host.name: stack.enter_context(host.socket()) for host in net}
        for name, ear in ears.items():
            ear.bind(("", PORT))
            for each in net[name].interfaces if name in members else ():
                join(ear, GROUP, net[name].index(each.name))
        mouth = stack.enter_context(net[sender].socket())
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, membership(GROUP, net[sender].index(interface)))
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, loop)
        mouth.sendto(b"to the group", (GROUP, PORT))
        net[sender].settle()
        return tuple(name for name, ear in ears.items() if queued(ear))


def membership(group, index):
    """Return a struct ip_mreqn (ip(7)): a group, any address, and the number of the interface."""
    return struct.pack("4s4si", socket.inet_aton(group), bytes(4), index)


def join(sock, group, index):
    """Let a socket, and with it its host, join a group by the interface of that number (ip(7), ipv6(7))."""
    if ":" in group:
        wanted = socket.inet_pton(socket.AF_INET6, group) + struct.pack("I", index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, wanted)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership(group, index))


def predict_neighbours():
    """Return which sockets of a host that is a member hear the group: see `measure_neighbours`."""
    return {"has joined": True, "has not joined": True, "has not joined, IP_MULTICAST_ALL 0": False}


def measure_neighbours(net):
    """Open three sockets on bob, of which one joins; let alice send to the group; return who heard it.

    IP_MULTICAST_ALL is 1 at first: a socket hears every group that its host has joined (ip(7)).
    """
    with contextlib.ExitStack() as stack:
        ears = {name: stack.enter_context(net["bob"].socket()) for name in predict_neighbours()}
        for ear in ears.values():
            ear.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            ear.bind(("", PORT))
        first, _, last = ears.values()
        join(first, GROUP, net["bob"].index())
        last.setsockopt(socket.IPPROTO_IP, IP_MULTICAST_ALL, 0)
        mouth = stack.enter_context(net["alice"].socket())
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, membership(GROUP, net["alice"].index()))
        mouth.sendto(b"to the group", (GROUP, PORT))
        net["alice"].settle()
        return {name: bool(queued(ear)) for name, ear in ears.items()}


def measure_all_nodes(net, sender):
    """Send one IPv6 datagram to ff02::1, all nodes on the link; return the names of the hosts that heard it.

    Raises OSError where the kernel has no IPv6.
    """
    with contextlib.ExitStack() as stack:
        ears = {host.name: stack.enter_context(host.socket(socket.AF_INET6)) for host in net}
        for ear in ears.values():
            ear.bind(("::", PORT))
        mouth = stack.enter_context(net[sender].socket(socket.AF_INET6))
        mouth.sendto(b"to all nodes", (ALL_NODES, PORT, 0, net[sender].index()))
        net[sender].settle()
        return tuple(name for name, ear in ears.items() if queued(ear))


# --- On the wire ---


@dataclass(frozen=True)
class Sighting:
    """A packet on the wire that has to do with a group."""

    kind: str  # "IGMP" or "MLD" where a host joins, "UDP"
    to: str  # the address that it is sent to
    frame: str  # the hardware address that its frame is sent to


def hardware_address(group):
    """Return the address of the frames for a group.

    01:00:5e and the last 23 bits of an IPv4 group (RFC 1112 section 6.4), 33:33 and the last 32 bits of an IPv6 group
    (RFC 2464 section 7). Raises ValueError for what is no group.
    """
    address = ipaddress.ip_address(group)
    if not address.is_multicast:
        raise ValueError(f"{group} is no group: those are 224.0.0.0 to 239.255.255.255, and what begins with ff")
    if address.version == 6:
        return (b"\x33\x33" + address.packed[12:]).hex(":")
    return (b"\x01\x00\x5e" + bytes([address.packed[1] & 0x7F]) + address.packed[2:]).hex(":")


def predict_joining(group):
    """Return the `Sighting`s that carol's interface sees when bob joins the group and then alice sends to it.

    A host tells of it by IGMPv3 to 224.0.0.22 (RFC 3376 section 4.2.14), or by MLDv2 to ff02::16 (RFC 3810 section
    5.2.14).
    """
    kind, routers = ("MLD", "ff02::16") if ":" in group else ("IGMP", "224.0.0.22")
    return [Sighting(kind, routers, hardware_address(routers)), Sighting("UDP", group, hardware_address(group))]


def measure_joining(net, group, patience=2.0):
    """Let bob join the group, and alice send to it; return the `Sighting`s about it that come to carol's interface.

    patience: seconds to wait for each. The kernel tells of a join some milliseconds later.
    """
    family = socket.AF_INET6 if ":" in group else socket.AF_INET
    found = []
    with contextlib.ExitStack() as stack:
        tap = stack.enter_context(net["carol"].socket(socket.AF_PACKET, socket.SOCK_RAW))
        tap.bind(("eth0", 3))  # ETH_P_ALL (packet(7))
        ear, mouth = (stack.enter_context(net[name].socket(family)) for name in ("bob", "alice"))
        join(ear, group, net["bob"].index())
        found += seen(tap, group, patience)
        if family == socket.AF_INET6:
            mouth.sendto(b"to the group", (group, PORT, 0, net["alice"].index()))
        else:
            mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, membership(group, net["alice"].index()))
            mouth.sendto(b"to the group", (group, PORT))
        found += seen(tap, group, patience, "UDP")
    return found


def seen(tap, group, patience, kind=None):
    """Return a list of the first `Sighting` about `group` that comes to a packet socket; empty where none comes."""
    raw = ipaddress.ip_address(group).packed
    for frame, _ in arrivals(tap, patience):
        message = read(frame)
        if message and raw in frame[14:] and kind in (None, message.kind):
            return [message]
    return []


def read(frame):
    """Return the `Sighting` in an Ethernet frame, or None where it is of another kind."""
    packet = frames.parse(frame)
    if packet.kind not in ("IGMP", "MLD", "UDP"):
        return None
    return Sighting(packet.kind, packet.target, packet.to.hex(":"))
