"""What lesson 2-1 does between two hosts of a LAN: the learner's own programs, and a datagram that is damaged."""

import os
import select
import socket
import subprocess
from dataclasses import dataclass

from udplab import lan
from udplab.kit import header
from udplab.kit.compared import compared
from udplab.kit.sockets import PORT, queued
from udplab.kit.words import brief, shown
from udplab.loopback import listing


@dataclass(frozen=True)
class Printed:
    """What two programs printed, each as a tuple of lines."""

    server: tuple
    client: tuple


def on_two_hosts(server="server.py", client="client.py"):
    """Run a server's file on the host bob and a client's file on alice; return what they print as `Compared`.

    Both get a host and a port as arguments: the server's own, and the server's name. What is predicted is what the
    files print as they stand in the lesson. They run in this directory, for 10 s at most.
    """
    question = b"Is anybody there?"
    predicted = Printed(
        (f"Listening at ('10.0.0.2', {PORT})", f"10.0.0.1 says {question!r}"),
        (f"The server replied {listing.respond(question)!r}",),
    )
    return compared(predicted, run_on_two_hosts, server, client)


def run_on_two_hosts(server, client, patience=10.0):
    """Return what the two print as `Printed`. patience: seconds until a client that does not end is ended."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "env": os.environ | {"PYTHONUNBUFFERED": "1"}}
    with lan.switch("alice", "bob") as net:
        serving = net["bob"].start("python", server, "bob", str(PORT), **pipes)
        select.select([serving.stdout], [], [], patience)  # until it says something: that it listens, or why not
        try:
            done = net["alice"].run("python", client, "bob", str(PORT), timeout=patience, **pipes).stdout
        except subprocess.TimeoutExpired as expired:
            done = (expired.stdout or b"") + b"(no end after %g s, so it was ended)" % patience
    served = serving.communicate()[0]  # it has ended with the network
    return Printed(*(tuple(text.decode("utf-8", "replace").splitlines()) for text in (served, done)))


@dataclass(frozen=True)
class Landing:
    """What became of a datagram that was built by hand.

    name: "whole", "damaged" or "unchecked"
    payload: the bytes that crossed the wire; checksum: the number in its header
    heard: what the receiver's program got, or None
    told: whether the sender's program heard of it in any way
    """

    name: str
    payload: bytes
    checksum: int
    heard: bytes | None
    told: bool = False


def one_bit(sent=b"hello", arrives=b"helln"):
    """Let `sent` become `arrives` on the way from alice to bob, with and without a checksum; return it as `Compared`.

    Three `Landing`s: "whole", as it was sent; "damaged", changed, with the checksum of what was sent; "unchecked",
    changed, with the checksum 0. Raises ValueError for what is no payload of a packet on such a network.
    """
    for data in (sent, arrives):
        if not isinstance(data, bytes) or len(data) > 1472:
            raise ValueError(f"0 to 1,472 bytes were wanted, such as b'hello', not {brief(data, 60)}")
    ends = ("10.0.0.1", 5000), ("10.0.0.2", PORT)
    whole, changed = header.datagram(*ends, sent), header.datagram(*ends, arrives)
    udps = {
        "whole": whole,
        "damaged": changed[:6] + whole[6:8] + arrives,
        "unchecked": header.datagram(*ends, arrives, checked=False),
    }
    predicted = [landing(name, udp, header.accepted(*ends, udp)) for name, udp in udps.items()]
    return compared(predicted, _send_by_hand, *ends, udps)


def landing(name, udp, heard, complaint=False):
    """Return the `Landing` of a UDP datagram, its header included."""
    return Landing(name, udp[8:], header.FIELDS.unpack(udp[:8])[3], heard, complaint)


def _send_by_hand(source, destination, udps):
    """Send each from alice to bob by a raw socket, which adds the IP header alone (raw(7))."""
    found = []
    with (
        lan.switch("alice", "bob") as net,
        net["bob"].socket() as receiver,
        net["alice"].socket() as sender,  # has the sender's port, and would hear of a complaint
        net["alice"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw,
    ):
        receiver.bind(destination)
        sender.bind(source)
        sender.connect(destination)
        for name, udp in udps.items():
            raw.sendto(udp, (destination[0], 0))
            net["bob"].settle()
            heard = queued(receiver)
            complaint = sender.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 or queued(sender) != []
            found.append(landing(name, udp, heard[0] if heard else None, complaint))
    return found


def heard(landings):
    """Return the set of the names of those `Landing`s that the receiver's program got."""
    return {each.name for each in landings if each.heard is not None}


def landings_in_words(both):
    """Return a line for each `Landing`, and whether it was as predicted; both: a `Compared` of lists of them."""
    lines = []
    for each in both.result:
        fate = "nothing" if each.heard is None else shown(each.heard)
        told = "is told" if each.told else "is told nothing"
        lines.append(
            f"{each.name:>9}: {shown(each.payload, 40)}, checksum {each.checksum}: bob gets {fate}, alice {told}"
        )
    return "\n".join([*lines, both.verdict])


def printed_in_words(both):
    """Return what both programs printed, and whether it was as predicted; both: a `Compared` of `Printed`."""
    parts = [("bob, the server", both.result.server), ("alice, the client", both.result.client)]
    lines = [line for name, said in parts for line in [f"{name}:", *(f"    {each}" for each in said)]]
    return "\n".join([*lines, both.verdict])
