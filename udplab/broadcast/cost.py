"""What a broadcast costs: frames sent, hosts disturbed; predicted, and counted on `udplab.lan`."""

import collections
import contextlib
import socket

from udplab.kit.sockets import PORT, arrived

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
