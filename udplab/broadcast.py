"""Listing 2-4: one datagram for everybody on a network, and the experiments of lesson 2-4 that need one machine only.

    python -m udplab.broadcast server HOST [-p PORT]
    python -m udplab.broadcast client HOST [-p PORT]

The server listens at one address of this machine, or at all of them (""), and prints what it hears. The client sends
one datagram to a host, to a subnet's broadcast address, or to "<broadcast>". The experiments that need several hosts
are in `udplab.hearing` (who hears a datagram) and `udplab.discovery` (finding servers).
"""

import collections
import contextlib
import errno
import select
import socket
import sys

from udplab import terminal
from udplab.serving import Server, shown

LOOPBACK = "127.255.255.255"  # the broadcast address of 127.0.0.0/8; Linux takes it, macOS reportedly does not
MESSAGE = b"Broadcast datagram"
HINT = 'Give a host, the broadcast address of a subnet (such as 192.168.1.255), or "<broadcast>".'
END = b"end"  # sent last by an experiment: what was to come has come


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
    """Return the line that tells what the server heard (a `serving.Record`)."""
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


# --- Experiments on one machine ---


def over_loopback(bind, destination=LOOPBACK, permission=True, timeout=0.2):
    """Send a datagram to `destination` and see whether a socket bound to `bind` hears it, both on this machine.

    bind, destination: addresses of 127.0.0.0/8
    permission: whether the sender sets SO_BROADCAST; the receiver never does
    timeout: seconds to wait before it counts as silence, where not even the second datagram comes
    Returns "heard", "silence", or the name of the error, such as "EACCES".

    A second datagram goes to the very address that the receiver has bound. If that one comes first, the other is
    not on its way any more.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear, socket.socket(ear.family, ear.type) as mouth:
        try:
            ear.bind((bind, 0))
            if permission:
                mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            mouth.sendto(MESSAGE, (destination, ear.getsockname()[1]))
            mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            with contextlib.suppress(OSError):
                mouth.sendto(END, ear.getsockname())
            ear.settimeout(timeout)
            return "heard" if ear.recv(100) == MESSAGE else "silence"
        except TimeoutError:
            return "silence"
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))


Share = collections.namedtuple("Share", "first second")
Share.__doc__ = "How many datagrams each of two sockets on one port heard; first is the one that was there first."


def two_receivers(address, count=20, reuse=True, patience=1.0):
    """Bind two sockets to `address` and one port, send `count` datagrams there, and return their `Share`.

    address: one of 127.0.0.0/8, a broadcast address or not
    reuse: whether both set SO_REUSEADDR
    patience: seconds of silence that end the counting, where the last datagram is lost
    Raises OSError where the second bind is refused, as it is without the option (socket(7)).
    """
    kind = socket.AF_INET, socket.SOCK_DGRAM
    with socket.socket(*kind) as first, socket.socket(*kind) as second, socket.socket(*kind) as mouth:
        if reuse:
            for sock in (first, second):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        first.bind((address, 0))
        second.bind(first.getsockname())
        mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for data in [*[MESSAGE] * count, END]:
            mouth.sendto(data, first.getsockname())
        heard = {first: [], second: []}
        # Whoever gets the end, all that was sent before it lies in one queue or the other: read both empty.
        wait = patience
        while ready := select.select([*heard], [], [], wait)[0]:
            for sock in ready:
                heard[sock].append(sock.recv(100))
                if heard[sock][-1] == END:
                    wait = 0
        return Share(heard[first].count(MESSAGE), heard[second].count(MESSAGE))


def main(argv=None):
    """Run the listing from the command line."""
    host = 'server: the address to listen at, "" for all; client: where to send'
    terminal.play("broadcast", "Send and receive UDP broadcast.", server, client, host, argv)


if __name__ == "__main__":
    main()
