"""The experiments of lesson 2-4 that need one machine only."""

import collections
import contextlib
import errno
import select
import socket

from udplab.broadcast.listing import MESSAGE

LOOPBACK = "127.255.255.255"  # the broadcast address of 127.0.0.0/8; Linux takes it, macOS reportedly does not
END = b"end"  # sent last by an experiment: what was to come has come


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
