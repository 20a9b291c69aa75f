"""Listing 2-1: a UDP server and a client on one machine.

    python -m udplab.loopback server [-p PORT]
    python -m udplab.loopback client [-p PORT]

The client sends the time. The server answers with the number of bytes it got.
"""

import socket
import time

from udplab.kit import terminal
from udplab.kit.server import Server
from udplab.kit.sockets import HOST, MAX_BYTES, answer_from
from udplab.kit.words import reason, shown

# --- The listing ---


def respond(data):
    """Return the answer to one datagram: how many bytes it had. To what looks like an answer, stay silent (None).

    Otherwise two such servers could answer each other for ever (CVE-2024-2169).
    """
    if data.startswith(b"Your data was "):
        return None
    return f"Your data was {len(data)} bytes long".encode("ascii")


def serve(sock):
    """Answer each datagram that comes to `sock`, for ever: the loop of every UDP server."""
    while True:
        data, peer = sock.recvfrom(MAX_BYTES)
        answer = respond(data)
        if answer is not None:
            sock.sendto(answer, peer)


def server(port):
    """Answer every datagram, and print who says what, until Ctrl-C."""
    terminal.show(Server(respond, HOST, port), in_words)


def client(port):
    """Send the time to the server and print its answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        text = f"The time is {time.ctime()}"
        sock.sendto(text.encode("ascii"), (HOST, port))
        print(f"The OS assigned me the address {sock.getsockname()}")
        answer = answer_from(sock, (HOST, port), timeout=1.0)
        print(f"The server {(HOST, port)} replied {shown(answer)}")


def in_words(record):
    """Return the line that tells what a server did with a datagram (a `kit.server.Record`)."""
    line = f"The client at {record.peer} says {shown(record.data)}"
    if record.size > len(record.data):
        line += f" (the first {len(record.data)} of {record.size} bytes)"
    if record.done != "answered":
        line += f" - {record.done}: {reason(record, 'no answer wanted')}"
    return line
