"""Sockets as all lessons use them, and the numbers that go with them."""

import contextlib
import errno
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator

from udplab.kit.words import no_such_host, told

HOST, PORT = "127.0.0.1", 1060  # where the listings meet

MAX_BYTES = 65535  # no UDP datagram is longer: its length field has 16 bits (RFC 768)
IP_HEADER, UDP_HEADER = 20, 8  # bytes: RFC 791 (without options), RFC 768
HEADERS = IP_HEADER + UDP_HEADER
LARGEST = 65535 - HEADERS  # bytes of payload: the limit of IPv4's length field, whatever the MTU


def arrivals(
    sock: socket.socket, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> Iterator[tuple[bytes, tuple]]:
    """Yield (data, peer) for each datagram that arrives at `sock`, until `seconds` from the first call are over.

    The deadline is a point in time: no flood of datagrams can move it.
    """
    deadline = clock() + seconds
    while (left := deadline - clock()) > 0:
        sock.settimeout(left)
        try:
            arrived = sock.recvfrom(MAX_BYTES)
        except TimeoutError:
            return
        except (ConnectionRefusedError, ConnectionResetError):  # nobody listens there; a server may start in time
            continue
        yield arrived


def queued(sock: socket.socket, most: int | None = None) -> list[bytes]:
    """Return up to `most` datagrams (None: all) that wait in the queue of `sock`, oldest first; wait for none.

    The socket does not block any more after it.
    """
    sock.setblocking(False)
    found = []
    with contextlib.suppress(BlockingIOError):
        while len(found) != most:
            found.append(sock.recv(MAX_BYTES))
    return found


# A listing of lesson 2-1 too, which shows its source: hence bare.
def answer_from(sock, address, timeout, clock=time.perf_counter):
    """Return the next datagram that comes from `address`, a (host, port) pair; ignore those of anyone else.

    timeout: seconds, counted from now, however many datagrams from others arrive.
    Raises TimeoutError when they are over.
    """
    for data, peer in arrivals(sock, timeout, clock):
        if peer == address:
            return data
    host, port = address
    raise TimeoutError(f"No answer from {host}, port {port}, within {timeout:g} s. Is a server running there?")


def udp_socket(timeout: float | None = None) -> socket.socket:
    """Return a UDP socket that may send datagrams up to the limit of IPv4.

    macOS starts at 9,216 bytes (sysctl net.inet.udp.maxdgram); there the send buffer's size is the limit.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < MAX_BYTES:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_BYTES)
    sock.settimeout(timeout)
    return sock


def ipv4_address(host: str) -> str:
    """Return the IPv4 address of `host`, a name or an address, as text. A server's "0.0.0.0" is 127.0.0.1 for us.

    Raises OSError, in words for a reader, where there is no such host.
    """
    if not host:
        raise OSError("Say which host to send to, such as 127.0.0.1: an empty name is nobody's.")
    try:
        found = socket.gethostbyname(host)
    except (OSError, TypeError, ValueError) as error:  # the latter two: no host can have such a name
        raise OSError(f"{no_such_host(host, error)} Give an IPv4 address, such as 127.0.0.1.") from None
    return HOST if found == "0.0.0.0" else found


def connect(host: str, port: int, make_socket: Callable[[], socket.socket] = udp_socket) -> socket.socket:
    """Return a UDP socket that is connected to a host's port: it notes its partner (man 2 connect), sends nothing.

    make_socket: a function that returns a UDP socket
    Raises OSError, in words for a reader, where the host is unknown or cannot be reached.
    """
    held, address = [], ipv4_address(host)
    try:
        while True:
            held.append(make_socket())
            held[-1].connect((address, port))
            if held[-1].getsockname() != held[-1].getpeername():
                return held.pop()
            # Nobody has that port, and the system gave it to us: we would hear our own questions. Take another.
    except OSError as error:
        hint = " It is a broadcast address: this program asks one host." if error.errno == errno.EACCES else ""
        raise OSError(f"Cannot send to {host}, port {port}: {told(error)}.{hint}") from error
    finally:
        for sock in held:
            sock.close()


def kernel_drops(sock: socket.socket) -> int | None:
    """Return how many datagrams the kernel threw away because the queue of `sock` was full; None if it does not tell.

    Linux counts them for each socket: SO_MEMINFO, ninth field SK_MEMINFO_DROPS (linux/sock_diag.h). The same number
    is the last column of /proc/net/udp.
    """
    if sys.platform != "linux":
        return None
    so_meminfo, fields = 55, 9
    try:
        return struct.unpack(f"{fields}I", sock.getsockopt(socket.SOL_SOCKET, so_meminfo, 4 * fields))[8]
    except (OSError, struct.error):  # an old or a small kernel: whatever it says, it does not tell the number
        return None


def own_address(sock: socket.socket) -> tuple[str, int]:
    """Return the address and port of `sock` (man 2 getsockname): ("0.0.0.0", 0) as long as it has none.

    Windows raises WSAEINVAL for a socket without an address, where Unix returns zeros.
    """
    try:
        return sock.getsockname()
    except OSError as error:
        if getattr(error, "winerror", None) != 10022:
            raise
        return "0.0.0.0", 0


def receive_cut(sock: socket.socket, size: int) -> tuple[bytes, bool]:
    """Receive with a buffer of `size` bytes; return what fitted in and whether the rest was cut off and lost.

    Unix tells by the flag MSG_TRUNC of recvmsg (man 2 recvmsg), Windows by an error (WSAEMSGSIZE), without the data.
    """
    if not hasattr(sock, "recvmsg"):
        try:
            return sock.recv(size), False
        except OSError as error:
            if error.winerror != 10040:
                raise
            return b"", True
    data, _, flags, _ = sock.recvmsg(size)
    return data, bool(flags & socket.MSG_TRUNC)
