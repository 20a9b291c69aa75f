"""Listing 2-4: one datagram for everybody on a network.

    python -m udplab.broadcast server HOST [-p PORT]
    python -m udplab.broadcast client HOST [-p PORT]

The server listens at one address of this machine, or at all of them (""), and prints what it hears. The client sends
one datagram to a host, to a subnet's broadcast address, or to "<broadcast>".
"""

import socket

from udplab.broadcast import reach
from udplab.kit import terminal
from udplab.kit.server import Server
from udplab.kit.sockets import MAX_BYTES
from udplab.kit.words import shown

MESSAGE = b"Broadcast datagram"


# --- As the book has it ---


def serve(sock):
    """Print every datagram that arrives at `sock`, and who sent it."""
    while True:
        data, address = sock.recvfrom(MAX_BYTES)
        print(f"The client at {address} says {data!r}")


def send(sock, network, port):
    """Send one datagram to everybody at `network`."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.sendto(MESSAGE, (network, port))


# --- As programs, which nothing that arrives or goes wrong brings down ---


def listen(data):
    """Answer nothing: the server of this listing only listens."""


def server(interface, port):
    """Print every datagram that arrives, and who sent it, until Ctrl-C."""
    terminal.show(Server(listen, interface, port), in_words, reach.deaf(interface))


def in_words(record):
    """Return the line that tells what the server heard (a `kit.server.Record`)."""
    line = f"The client at {record.peer} says {shown(record.data)}"
    if record.size > len(record.data):
        line += f" (the first {len(record.data)} of {record.size} bytes)"
    return line


def client(network, port, permission=True, make_socket=socket.socket):
    """Send one datagram to `network`: a host, a subnet's broadcast address, or "<broadcast>".

    permission: whether to set SO_BROADCAST, without which the kernel refuses broadcast addresses (ip(7)).
    Raises OSError, in words for a reader, where the datagram cannot be sent.
    """
    if not network:  # for Python it would mean this machine
        raise OSError(f"Nobody to send to: the host is empty. {reach.HINT}")
    with make_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            if permission:
                send(sock, network, port)
            else:
                sock.sendto(MESSAGE, (network, port))
        except (OSError, TypeError, ValueError) as error:
            raise OSError(reach.cannot_send(error, network, permission, make_socket)) from None
    print(f"Sent {len(MESSAGE)} bytes to {network}, port {port}{reach.whom(network, make_socket)}.")
