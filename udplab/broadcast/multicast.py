"""Multicast: who hears a group; predicted by a rule, measured on hosts of `udplab.lan`."""

import contextlib
import socket
import struct

from udplab.kit.sockets import PORT, queued

GROUP = "239.1.2.3"  # a multicast group for one's own network (RFC 2365)
ALL_NODES = "ff02::1"  # every IPv6 host on the link (RFC 4291 section 2.7.1)


def predict_members(plan, sender, members):
    """Return the names of the hosts that hear a datagram to a group: those on the sender's link that have joined."""
    hosts = {host.name: host for host in plan}
    link = hosts[sender].interfaces[0].link
    return tuple(h.name for h in plan if h.name in members and link in [each.link for each in h.interfaces])


def measure_members(net, sender, members, group=GROUP):
    """Let some hosts join a multicast group, send one datagram to it, and return the names of those that heard it.

    Every host listens at "" and the port, members or not. No SO_BROADCAST is set. The datagram lives for one hop
    (IP_MULTICAST_TTL is 1 at first, ip(7)).
    """
    with contextlib.ExitStack() as stack:
        ears = {host.name: stack.enter_context(host.socket()) for host in net}
        for name, ear in ears.items():
            ear.bind(("", PORT))
            if name in members:
                ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership(group, net[name].index()))
        mouth = stack.enter_context(net[sender].socket())
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, membership(group, net[sender].index()))
        mouth.sendto(b"to the group", (group, PORT))
        net[sender].settle()
        return tuple(name for name, ear in ears.items() if queued(ear))


def membership(group, index):
    """Return a struct ip_mreqn (ip(7)): a group, any address, and the number of the interface."""
    return struct.pack("4s4si", socket.inet_aton(group), bytes(4), index)


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
