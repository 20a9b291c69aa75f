"""Who hears a datagram on a network of several hosts: predicted by rules, measured on the hosts of `udplab.lan`.

The rules (Linux; ip(7), RFC 1122 section 3.3.6, RFC 2644):

1. A datagram to a broadcast address of the sender's own subnet, or to 255.255.255.255, goes to every host of one
   subnet, the sender too. The sender needs SO_BROADCAST.
2. 255.255.255.255 leaves by the interface of the default route, or by the one whose address the sender has bound.
3. A router takes a datagram to the broadcast address of its other subnet for itself, and forwards it to nobody.
4. On a host that takes the datagram, a socket hears it if its port is the datagram's, and its address is "" or
   exactly the one that the datagram was sent to.

A plan is a list of hosts from `udplab.lan.plan.plan_switch`, a net what `lan.switch` builds from the same names. Where
this machine has no LAN, net is None: then a measurement returns None, and the prediction stands alone.
"""

import collections
import contextlib
import errno
import ipaddress
import socket
import struct

PORT = 1060
LIMITED = "255.255.255.255"  # the "limited broadcast" (RFC 919); Python calls it "<broadcast>"
EVERY, OWN, SUBNET, OTHER = "every address", "own address", "broadcast address", "another port"
KINDS = EVERY, OWN, SUBNET, OTHER  # ways to bind a socket
GROUP = "239.1.2.3"  # a multicast group for one's own network (RFC 2365)
ALL_NODES = "ff02::1"  # every IPv6 host on the link (RFC 4291 section 2.7.1)

Trial = collections.namedtuple("Trial", "destination binds error heard")
Trial.__doc__ = """One datagram and who heard it.

destination: the address as the sender gave it
binds: a dict from the name of each host that listens to the way its socket is bound, one of KINDS
error: the name of the error that the sender got, such as "EACCES", or None
heard: the names of the hosts whose socket got the datagram, in the order of the hosts
"""


def bind_address(host, kind):
    """Return the (address, port) at which a host listens that binds in this way."""
    first = host.interfaces[0]
    port = PORT + 1 if kind == OTHER else PORT
    return {EVERY: "", OTHER: "", OWN: first.address, SUBNET: first.broadcast}[kind], port


# --- Prediction ---


def delivery(plan, sender, destination, permission=True, source=""):
    """Return (error, names): the sender's error or None, and the hosts whose kernel takes the datagram.

    sender: a host's name; permission: whether it sets SO_BROADCAST; source: the own address it has bound, if any
    """
    hosts = {host.name: host for host in plan}
    gateway = dict(hosts[sender].routes).get("default")
    target = as_address(destination)
    way = (source or gateway) if target == LIMITED else target
    own = [interface for interface in hosts[sender].interfaces if way and on_subnet(interface, way)]
    if not own and (gateway is None or way is None):
        return "ENETUNREACH", ()
    if own and target in (LIMITED, own[0].broadcast):
        if not permission:
            return "EACCES", ()
        return None, tuple(host.name for host in plan if own[0].link in [each.link for each in host.interfaces])
    if not own:
        router = next(host for host in plan if has(host, gateway))
        if target in [interface.broadcast for interface in router.interfaces]:
            return None, (router.name,)
    return None, tuple(host.name for host in plan if has(host, target))


def accepts(bound, target, port):
    """Return whether a socket bound to the (address, port) `bound` hears what was sent to (`target`, `port`)."""
    return bound[1] == port and bound[0] in ("", target)


def predict(plan, sender, destinations, binds, permission=True, source="", port=PORT):
    """Return the list of `Trial`s, one for each destination, that the rules promise. See `delivery`."""
    trials = []
    for destination in destinations:
        error, taken = delivery(plan, sender, destination, permission, source)
        target = as_address(destination)
        listening = [host for host in plan if host.name in taken and host.name in binds]
        heard = [host.name for host in listening if accepts(bind_address(host, binds[host.name]), target, port)]
        trials.append(Trial(destination, binds, error, tuple(heard)))
    return trials


def as_address(destination):
    """Return a destination's address as text. Raises ValueError for anything but an IPv4 address or "<broadcast>"."""
    return str(ipaddress.IPv4Address(LIMITED if destination == "<broadcast>" else destination))


def on_subnet(interface, address):
    """Return whether `address` belongs to the subnet of an interface."""
    subnet = ipaddress.IPv4Interface(f"{interface.address}/{interface.prefix}").network
    return ipaddress.IPv4Address(address) in subnet


def has(host, address):
    """Return whether `address` is one of the host's own."""
    return address in [interface.address for interface in host.interfaces]


# --- Measurement ---


def measure(net, sender, destinations, binds, permission=True, source="", port=PORT):
    """Send a real datagram to each destination; return the list of `Trial`s. Parameters as in `predict`."""
    if net is None:
        return None
    with contextlib.ExitStack() as stack:
        ears = {}
        for host in net:
            if host.name in binds:
                ears[host.name] = stack.enter_context(host.socket())
                ears[host.name].bind(bind_address(host, binds[host.name]))
        mouth = stack.enter_context(net[sender].socket())
        if permission:
            mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if source:
            mouth.bind((source, 0))
        errors = {}
        for number, destination in enumerate(destinations):
            try:
                mouth.sendto(str(number).encode(), (as_address(destination), port))
            except OSError as error:
                errors[number] = errno.errorcode[error.errno]
        net[sender].settle()
        got = {name: arrived(ear) for name, ear in ears.items()}
    return [
        Trial(destination, binds, errors.get(number), tuple(name for name in got if str(number).encode() in got[name]))
        for number, destination in enumerate(destinations)
    ]


def arrived(sock):
    """Return the datagrams that wait in the queue of `sock`, oldest first; do not wait for more."""
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(sock.recv(65535, socket.MSG_DONTWAIT))
    return found


# --- What it costs ---

WAYS = "unicast", "broadcast"

Cost = collections.namedtuple("Cost", "hosts wanted way sent interrupted")
Cost.__doc__ = """What it took to reach some hosts of a subnet.

hosts: how many there are, without the sender
wanted: how many of them the message is for
way: "unicast" (one datagram for each) or "broadcast" (one for all)
sent: frames that left the sender
interrupted: hosts whose kernel had a frame to look at
"""


def predict_cost(hosts, wanted, way):
    """Return the `Cost` that the rules promise."""
    return Cost(hosts, wanted, way, 1, hosts) if way == "broadcast" else Cost(hosts, wanted, way, wanted, wanted)


def measure_cost(net, wanted, way, seen):
    """Count the frames on the wire; the first host of `net` sends, the others only look. Returns the `Cost`.

    seen: a capture of the sender's frames, which has begun. One serves for several costs, since to end one takes 30 ms.
    Only IPv4 frames with UDP inside count: ARP, which asks for a host's hardware address, does not.
    """
    sender, *others = net
    with contextlib.ExitStack() as stack:
        # UDP that comes in for the host (raw(7)), whether a program listens or not. Packet sockets would see it too,
        # but to close one takes 10 ms.
        taps = [stack.enter_context(host.socket(type=socket.SOCK_RAW, proto=socket.IPPROTO_UDP)) for host in others]
        mouth = stack.enter_context(sender.socket())
        mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        addresses = [sender.broadcast] if way == "broadcast" else [host.address for host in others[:wanted]]
        before = len(seen.frames)
        for address in addresses:
            mouth.sendto(b"message", (address, PORT))
        frames = seen.frames[before:]  # when all that was sent has arrived
        sent = sum(frame.outgoing and is_udp(frame.data[14:]) and frame.data[12:14] == b"\x08\x00" for frame in frames)
        interrupted = sum(bool(arrived(tap)) for tap in taps)
    return Cost(len(others), wanted, way, sent, interrupted)


def predict_costs(numbers, wanted=None):
    """Return the `Cost`s of both ways for each number of hosts; wanted: how many need the message (None: all)."""
    return [predict_cost(hosts, needy(hosts, wanted), way) for way in WAYS for hosts in numbers]


def needy(hosts, wanted):
    """Return how many of the hosts need the message. wanted: that many, if there are so many; None: all."""
    return hosts if wanted is None else min(wanted, hosts)


def measure_costs(switch, numbers, wanted=None):
    """Measure the same on a network for each number of hosts, made by `switch` (`lan.switch`)."""
    found = {}
    for hosts in numbers:
        names = "sender", *(f"host{number}" for number in range(1, hosts + 1))
        with switch(*names) as net, net["sender"].capture() as seen:
            for way in WAYS:
                found[way, hosts] = measure_cost(net, needy(hosts, wanted), way, seen)
    return [found[way, hosts] for way in WAYS for hosts in numbers]


def is_udp(packet):
    """Return whether an IPv4 packet carries UDP (RFC 791 section 3.1: protocol 17)."""
    return len(packet) > 9 and packet[9] == socket.IPPROTO_UDP


# --- Multicast ---


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
    if net is None:
        return None
    with contextlib.ExitStack() as stack:
        ears = {host.name: stack.enter_context(host.socket()) for host in net}
        for name, ear in ears.items():
            ear.bind(("", PORT))
            # A socket that has not joined hears the groups that others on its host have: Linux's default (ip(7)).
            if name in members:
                ear.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership(group, net[name].index()))
        mouth = stack.enter_context(net[sender].socket())
        mouth.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, membership(group, net[sender].index()))
        mouth.sendto(b"to the group", (group, PORT))
        net[sender].settle()
        return tuple(name for name, ear in ears.items() if arrived(ear))


def membership(group, index):
    """Return a struct ip_mreqn (ip(7)): a group, any address, and the number of the interface."""
    return struct.pack("4s4si", socket.inet_aton(group), bytes(4), index)


def measure_all_nodes(net, sender):
    """Send one IPv6 datagram to ff02::1, all nodes on the link; return the names of the hosts that heard it.

    Returns None where net is None, or where the kernel has no IPv6.
    """
    if net is None:
        return None
    with contextlib.ExitStack() as stack:
        try:
            ears = {host.name: stack.enter_context(host.socket(socket.AF_INET6)) for host in net}
        except OSError as error:
            if error.errno != errno.EAFNOSUPPORT:
                raise
            return None
        for ear in ears.values():
            ear.bind(("::", PORT))
        mouth = stack.enter_context(net[sender].socket(socket.AF_INET6))
        mouth.sendto(b"to all nodes", (ALL_NODES, PORT, 0, net[sender].index()))
        net[sender].settle()
        return tuple(name for name, ear in ears.items() if arrived(ear))
