"""What a forger makes of discovery: a question in somebody else's name, and who gets the answers.

Only for networks of one's own: forged datagrams are sent by hosts of `udplab.lan`, and stay on their network.
"""

import contextlib
import errno
import os
import socket
from dataclasses import dataclass

from udplab.broadcast.discovery import find, question, responder
from udplab.kit import header
from udplab.kit.server import Server
from udplab.kit.sockets import MAX_BYTES, PORT, queued
from udplab.kit.words import reason

VICTIM_PORT = 5000


@dataclass(frozen=True)
class Amplified:
    """What a forger sent, and what the victim got for it."""

    asked: int  # bytes of payload that the forger sent
    answers: int  # datagrams that the victim got
    received: int  # bytes of payload in them


def send_forged(host, source, destination, data):
    """Send from `host` a datagram that names `source`, an (address, port), as its sender.

    host: one of `udplab.lan`, whose helper may open raw sockets (raw(7))
    """
    udp = header.datagram(source, destination, data, checked=False)
    with host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        raw.sendto(header.packet(source, destination, udp), (destination[0], 0))


def predict_amplified(names, attacker, victim):
    """Return the `Amplified` that `measure_amplified` should return: every other host answers once."""
    asked = question(b"time", b"1")
    answers = [responder(b"time", name.encode())(asked) for name in names if name not in (attacker, victim)]
    return Amplified(len(asked), len(answers), sum(map(len, answers)))


def measure_amplified(net, attacker, victim):
    """Let `attacker` ask everybody in the name of `victim`; return what the victim gets, as `Amplified`.

    Every host but the two has a discovery server.
    """
    others = [host for host in net if host.name not in (attacker, victim)]
    with contextlib.ExitStack() as stack:
        servers = {host.name: stack.enter_context(host.socket()) for host in others}
        target = stack.enter_context(net[victim].socket())
        for server in servers.values():
            server.bind(("", PORT))
        target.bind(("", VICTIM_PORT))
        asked = question(b"time", b"1")
        send_forged(net[attacker], (net[victim].address, VICTIM_PORT), (net[attacker].broadcast, PORT), asked)
        net[victim].settle()
        for name, server in servers.items():
            data, peer = server.recvfrom(MAX_BYTES, socket.MSG_DONTWAIT)
            server.sendto(responder(b"time", name.encode())(data), peer)
        net[victim].settle()
        answers = queued(target)
        return Amplified(len(asked), len(answers), sum(map(len, answers)))


def predict_source():
    """Return what `measure_source` should return: the server may not answer everybody, and goes on."""
    refused = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return [("10.0.0.255", f"PermissionError: {refused}"), ("10.0.0.1", "answered")]


def measure_source(net):
    """Ask bob's server in the name of the broadcast address, then let alice ask it.

    Returns a list of (who asked, what the server did) in words, as its log has them.
    """
    bob, carol = net["bob"], net["carol"]
    with (
        net["alice"].socket() as sock,
        Server(responder(b"time", b"bob"), "", PORT, make_socket=bob.socket) as server,
    ):
        send_forged(carol, (bob.broadcast, PORT), (bob.address, PORT), question(b"time", b"1"))
        carol.settle()
        find(sock, (bob.address, PORT), b"time", wait=0.2)
        return [(record.peer[0], reason(record, record.done)) for record in server.log]
