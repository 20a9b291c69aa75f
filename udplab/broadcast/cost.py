"""What a message to some hosts of a subnet costs: frames at the sender and at somebody whom it is not for.

A unicast needs the hardware address of its host. Who does not know it asks by ARP (RFC 826), and ARP asks everybody:
its question is a broadcast frame.
"""

import contextlib
import socket
from dataclasses import dataclass

from udplab.kit import frames
from udplab.kit.sockets import PORT

BROADCAST, FIRST, AGAIN = "broadcast", "unicast, first time", "unicast, again"
WAYS = BROADCAST, FIRST, AGAIN


@dataclass(frozen=True)
class Cost:
    """What it took to reach some hosts of a subnet, counted in frames."""

    way: str  # one of WAYS
    datagrams: int  # frames with UDP that left the sender
    questions: int  # frames with an ARP question that left the sender
    bystander: int  # frames of both kinds that came to a host whom the message is not for


def predict_costs(hosts, wanted):
    """Return the `Cost` of each way, in the order of WAYS, for `hosts` of which `wanted` need the message.

    At first the sender knows nobody's hardware address. Raises ValueError where there is no bystander.
    """
    if not 0 < wanted < hosts:
        raise ValueError(f"of {hosts} hosts, from 1 to {hosts - 1} can need the message, not {wanted}")
    return [Cost(BROADCAST, 1, 0, 1), Cost(FIRST, wanted, wanted, wanted), Cost(AGAIN, wanted, 0, 0)]


def measure_costs(net, wanted):
    """Count the frames on the wires; the first host of `net` sends, the last is the bystander. Returns the `Cost`s."""
    sender, *others = net
    found = []
    with contextlib.ExitStack() as stack:
        for host in others:
            stack.enter_context(host.socket()).bind(("", PORT))  # else their kernels would send ICMP messages back
        mouth = stack.enter_context(sender.socket())
        mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        out, seen = stack.enter_context(sender.capture()), stack.enter_context(others[-1].capture())
        for way in WAYS:
            before = len(out.frames), len(seen.frames)
            for address in [sender.broadcast] if way == BROADCAST else [host.address for host in others[:wanted]]:
                mouth.sendto(b"message", (address, PORT))
            sent = [frames.parse(frame.data).kind for frame in out.frames[before[0] :] if frame.outgoing]
            came = [frames.parse(frame.data).kind for frame in seen.frames[before[1] :] if not frame.outgoing]
            found.append(Cost(way, sent.count("UDP"), sent.count("ARP"), came.count("UDP") + came.count("ARP")))
    return found
