"""What lesson 2-1 does between two hosts of a LAN: the learner's own programs, and a datagram that is damaged."""

import os
import select
import socket
import subprocess
from dataclasses import dataclass

from udplab import lan
from udplab.kit.compared import compared
from udplab.kit.sockets import PORT, queued
from udplab.loopback import checksum, listing


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
        serving.terminate()
        served = serving.communicate(timeout=patience)[0]
    return Printed(*(tuple(text.decode("utf-8", "replace").splitlines()) for text in (served, done)))


@dataclass(frozen=True)
class Landing:
    """What became of a datagram that was built by hand.

    payload: the bytes that crossed the wire; checksum: the number in its header
    heard: what the receiver's program got, or None
    told: whether the sender's program heard of it in any way
    """

    payload: bytes
    checksum: int
    heard: bytes | None
    told: bool = False


def one_bit(sent=b"hello", arrives=b"helln"):
    """Let `sent` become `arrives` on the way from alice to bob, with and without a checksum; return it as `Compared`.

    Three `Landing`s: as it was sent; changed, with the checksum of what was sent; changed, with the checksum 0.
    """
    source, destination = ("10.0.0.1", 5000), ("10.0.0.2", PORT)
    whole = checksum.datagram(source, destination, sent)
    udps = [
        whole,
        checksum.datagram(source, destination, arrives)[:6] + whole[6:8] + arrives,
        checksum.datagram(source, destination, arrives, checked=False),
    ]
    predicted = [landing(udp, checksum.accepted(source, destination, udp)) for udp in udps]
    return compared(predicted, _send_by_hand, source, destination, udps)


def landing(udp, heard, told=False):
    """Return the `Landing` of a UDP datagram, its header included."""
    return Landing(udp[8:], checksum.HEADER.unpack(udp[:8])[3], heard, told)


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
        for udp in udps:
            raw.sendto(udp, (destination[0], 0))
            net["bob"].settle()
            heard = queued(receiver)
            told = sender.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0 or queued(sender) != []
            found.append(landing(udp, heard[0] if heard else None, told))
    return found
