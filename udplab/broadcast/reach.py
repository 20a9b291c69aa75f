"""Whom a datagram reaches, as far as this machine knows, and why it cannot be sent: in words for a reader."""

import errno
import socket
import sys

from udplab.kit.words import no_such_host, told

HINT = 'Give a host, the broadcast address of a subnet (such as 192.168.1.255), or "<broadcast>".'
DISCARD = 9  # a port for connect(), which sends nothing: any will do


def is_broadcast(host, make_socket=socket.socket):
    """Return whether this machine takes `host` for a broadcast address; None where the system does not tell.

    Nothing is sent. Linux refuses to connect a socket without SO_BROADCAST to a broadcast address (ip(7)). Which
    addresses are broadcast addresses depends on the machine's own subnets: one cannot tell from the digits.
    """
    if sys.platform != "linux":
        return None
    with make_socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, DISCARD))
            return False
        except PermissionError:  # the option is missing, or a rule forbids it: then it is refused with the option too
            return own_address(host, make_socket) is not None
        except (OSError, TypeError, ValueError):  # such as a name that cannot be looked up just now
            return None


def own_address(host, make_socket=socket.socket):
    """Return the own address from which a datagram to `host` leaves, as text; None where that is not known.

    Nothing is sent: connect() chooses the interface, as a send would, and notes its address (lesson 2-1, section 4).
    """
    with make_socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            probe.connect((host, DISCARD))
            return probe.getsockname()[0]
        except (OSError, TypeError, ValueError):
            return None


def whom(host, make_socket=socket.socket):
    """Return the end of the sentence "Sent ... to `host`": who that is."""
    everyone = is_broadcast(host, make_socket)
    if everyone:
        return f": a broadcast, for every host of the subnet of {own_address(host, make_socket)}"
    if everyone is False and host.endswith(".255"):
        return ", as to one host: it is not a broadcast address of this machine's own subnets"
    return ""


def deaf(host):
    """Return a line that says that a server at `host` hears no broadcast; "" where it may hear one."""
    if not host or is_broadcast(host) is not False:
        return ""
    try:
        first = socket.inet_aton(socket.gethostbyname(host))[0]
    except (OSError, TypeError, ValueError):
        return ""
    if first == 0 or 224 <= first < 240:  # 0.0.0.0 is every address; the others are groups
        return ""
    return f"It hears what is sent to {host} alone, and no broadcast. For broadcasts, listen at 0.0.0.0."


def cannot_send(error, host, permission=True, make_socket=socket.socket):
    """Return one line that says why a datagram cannot go to `host`, and what to do.

    permission: whether the socket had the option SO_BROADCAST
    """
    if isinstance(error, socket.gaierror) or not isinstance(error, OSError):  # the latter: no host has such a name
        return f"{no_such_host(host, error)} {HINT}"
    if error.errno == errno.EACCES and not permission and is_broadcast(host, make_socket) is not False:
        return f"No permission: {host} is a broadcast address here, so the socket needs the option SO_BROADCAST."
    if error.errno in (errno.EACCES, errno.EPERM):
        why = f"{errno.errorcode[error.errno]}; {'with' if permission else 'without'} SO_BROADCAST"
        return (
            f"No permission ({why}): a rule of this system, perhaps a firewall or a route, forbids datagrams to {host}."
        )
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
        return f"No route to {host} from this machine. Is it on a network? Try the broadcast address of its own subnet."
    return f"Cannot send to {host}: {told(error)}."
