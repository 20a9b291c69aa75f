"""Listing 2-4: one datagram for everybody on a network, and the experiments of lesson 2-4 that need one machine only.

    python -m udplab.broadcast server HOST [-p PORT]
    python -m udplab.broadcast client HOST [-p PORT]

The server listens at one address of this machine, or at all of them (""), and prints what it hears. The client sends
one datagram to a host, to a subnet's broadcast address, or to "<broadcast>". The experiments that need several hosts
are in `hearing` (who hears a datagram) and `discovery` (finding servers).
"""

import errno
import socket
import sys

from udplab.kit import terminal
from udplab.kit.server import Server
from udplab.kit.words import shown

MESSAGE = b"Broadcast datagram"
HINT = 'Give a host, the broadcast address of a subnet (such as 192.168.1.255), or "<broadcast>".'


# --- The listing ---


def listen(data):
    """Answer nothing: the server of this listing only listens."""


def server(interface, port):
    """Print every datagram that arrives, and who sent it, until Ctrl-C."""
    terminal.show(Server(listen, interface, port), in_words)


def client(network, port, permission=True, make_socket=socket.socket):
    """Send one datagram to `network`: a host, a subnet's broadcast address, or "<broadcast>".

    permission: whether to set SO_BROADCAST, without which the kernel refuses broadcast addresses (ip(7)).
    Raises OSError, in words for a reader, where the datagram cannot be sent.
    """
    if not network:  # for Python it would mean this machine
        raise OSError(f"Nobody to send to: the host is empty. {HINT}")
    with make_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if permission:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        try:
            sock.sendto(MESSAGE, (network, port))
        except (OSError, TypeError, ValueError) as error:
            raise OSError(cannot_send(error, network)) from None
    print(f"Sent {len(MESSAGE)} bytes to {network}, port {port}{reach(network, make_socket)}.")


# --- Its messages ---


def in_words(record):
    """Return the line that tells what the server heard (a `kit.server.Record`)."""
    line = f"The client at {record.peer} says {shown(record.data)}"
    if record.size > len(record.data):
        line += f" (the first {len(record.data)} of {record.size} bytes)"
    return line


def is_broadcast(host, make_socket=socket.socket):
    """Return whether this machine takes `host` for a broadcast address; None where the system does not tell.

    Nothing is sent. Linux refuses to connect a socket without SO_BROADCAST to a broadcast address (ip(7)). Which
    addresses are broadcast addresses depends on the machine's own subnets: one cannot tell from the digits.
    """
    if sys.platform != "linux":
        return None
    with make_socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, 9))  # any port will do
        except PermissionError:
            return True
        except OSError:  # such as a name that cannot be looked up just now
            return None
    return False


def reach(host, make_socket=socket.socket):
    """Return the end of the sentence "Sent ... to `host`": who that is."""
    everyone = is_broadcast(host, make_socket)
    if everyone:
        return ": a broadcast, for every host of the subnet"
    if everyone is False and host.endswith(".255"):
        return ", as to one host: it is not a broadcast address of this machine's own subnets"
    return ""


def cannot_send(error, host):
    """Return one line that says why a datagram cannot go to `host`, and what to do."""
    if isinstance(error, socket.gaierror) or not isinstance(error, OSError):  # no host can have such a name
        return f"{shown(host)} is neither an address nor a known name. {HINT}"
    if error.errno == errno.EACCES:
        return f"No permission: {host} is a broadcast address here, so the socket needs the option SO_BROADCAST."
    if error.errno == errno.EPERM:
        return f"No permission: a rule of this system, perhaps a firewall, forbids datagrams to {host}."
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
        return f"No route to {host} from this machine. Is it on a network? Try the broadcast address of its own subnet."
    return f"Cannot send to {host}: {error.strerror or error}."
