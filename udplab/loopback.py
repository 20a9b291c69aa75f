"""Listing 2-1: a UDP server and a client on one machine.

    python -m udplab.loopback server [-p PORT]
    python -m udplab.loopback client [-p PORT]

The client sends the time. The server answers with the number of bytes it got.
"""

import collections
import errno
import math
import socket
import struct
import sys
import time

from udplab import terminal
from udplab.serving import MAX_BYTES, Server, reason, shown

HOST = "127.0.0.1"
LARGEST = 65507  # bytes of payload: 65535 less 20 for the IPv4 header (RFC 791) and 8 for the UDP header (RFC 768)


# --- The listing ---


def respond(data):
    """Return the answer to one datagram: how many bytes it had. To what looks like an answer, stay silent (None).

    Otherwise two such servers could answer each other for ever (CVE-2024-2169).
    """
    if data.startswith(b"Your data was "):
        return None
    return f"Your data was {len(data)} bytes long".encode("ascii")


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


def answer_from(sock, address, timeout, clock=time.perf_counter):
    """Return the next datagram that comes from `address`, a (host, port) pair; ignore those of anyone else.

    timeout: seconds, counted from now, however many datagrams from others arrive.
    Raises TimeoutError when they are over.
    """
    deadline = clock() + timeout
    while True:
        left = deadline - clock()
        if left <= 0:
            break
        sock.settimeout(left)
        try:
            data, peer = sock.recvfrom(MAX_BYTES)
        except TimeoutError:
            break
        except ConnectionResetError:  # Windows: nobody listens there; a server may still start in time
            continue
        if peer == address:
            return data
    host, port = address
    raise TimeoutError(f"No answer from {host}, port {port}, within {timeout:g} s. Is a server running there?")


def in_words(record):
    """Return the line that tells what a server did with a datagram (a `serving.Record`)."""
    line = f"The client at {record.peer} says {shown(record.data)}"
    if record.size > len(record.data):
        line += f" (the first {len(record.data)} of {record.size} bytes)"
    if record.done != "answered":
        line += f" - {record.done}: {reason(record, 'no answer wanted')}"
    return line


# --- The experiments of the lesson ---

Exchange = collections.namedtuple("Exchange", "sent received question answer")
Exchange.__doc__ = "A question and its answer (bytes), with the client's times in seconds."


def ask(sock, address, question, timeout=1.0, clock=time.perf_counter):
    """Send one question to `address` and wait for its answer; return the `Exchange`.

    address: a (host, port) pair. Errors: see `ipv4_address` and `answer_from`.
    """
    address = ipv4_address(address[0]), address[1]
    sent = clock()
    sock.sendto(question, address)
    answer = answer_from(sock, address, timeout, clock)
    return Exchange(sent, clock(), question, answer)


def udp_socket(timeout=None):
    """Return a UDP socket that may send datagrams up to the limit of IPv4.

    macOS starts at 9,216 bytes (sysctl net.inet.udp.maxdgram); there the send buffer's size is the limit.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) < MAX_BYTES:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_BYTES)
    sock.settimeout(timeout)
    return sock


def ipv4_address(host):
    """Return the IPv4 address of `host`, a name or an address, as text. A server's "0.0.0.0" is 127.0.0.1 for us.

    Raises OSError, in words for a reader, where there is no such host.
    """
    if not host:
        raise OSError("Say which host to send to, such as 127.0.0.1: an empty name is nobody's.")
    try:
        found = socket.gethostbyname(host)
    except (socket.gaierror, TypeError, ValueError):  # the latter two: no host can have such a name
        raise OSError(f"Unknown host {shown(host)}. Check the name, or give an IPv4 address.") from None
    return HOST if found == "0.0.0.0" else found


def connect(host, port, make_socket=udp_socket):
    """Return a UDP socket that is connected to a host's port. Nothing is sent (man 2 connect).

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
        raise OSError(f"Cannot send to {host}, port {port}: {error.strerror}.{hint}") from error
    finally:
        for sock in held:
            sock.close()


def round_trips(
    address, size=32, count=1000, batch=50, pause=0.0, timeout=1.0, clock=time.perf_counter, sleep=time.sleep
):
    """Measure `count` round trips to a server, one after another; yield them in lists of up to `batch`.

    size: bytes of payload; pause: seconds between two datagrams; timeout: seconds to wait for an answer.
    A time is in seconds. It is nan where no answer came: then a new socket takes over, so that a late answer
    cannot be taken for the answer to the next datagram.
    Raises ValueError, before anything is sent, for what cannot be measured.
    """
    if not 0 <= size <= LARGEST:
        raise ValueError(f"a datagram of IPv4 has 0 to {LARGEST} bytes of payload, not {size}")
    if batch < 1 or not timeout > 0:
        raise ValueError(f"a batch has 1 datagram at least, and a timeout is more than 0 s: not {batch} and {timeout}")
    payload = bytes(size)
    sock = None
    try:
        for first in range(0, count, batch):
            times = []
            for _ in range(min(batch, count - first)):
                if pause:
                    sleep(pause)
                try:
                    if sock is None:
                        sock = connect(*address)
                        sock.settimeout(timeout)
                    sent = clock()
                    sock.send(payload)
                    sock.recv(MAX_BYTES)
                    times.append(clock() - sent)
                except (TimeoutError, ConnectionRefusedError, ConnectionResetError):
                    times.append(math.nan)
                    if sock is not None:
                        sock.close()
                    sock = None
            yield times
    finally:
        if sock is not None:
            sock.close()


Burst = collections.namedtuple("Burst", "size sent kept dropped")
Burst.__doc__ = """What became of a burst to a receiver that does not read.

size: bytes of payload in each datagram
sent, kept: numbers of datagrams
dropped: the kernel's own count of those it threw away, or None where the system does not tell
"""


def burst(size, count=2000, queue_bytes=106_496):
    """Send `count` datagrams of `size` bytes to a socket that does not read, then read what is left: a `Burst`.

    queue_bytes: the receive buffer asked for (SO_RCVBUF). Linux doubles it, to make room for its bookkeeping
    (man 7 socket).
    """
    with udp_socket() as receiver, udp_socket() as sender:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, queue_bytes)
        receiver.bind((HOST, 0))
        receiver.settimeout(0.2)
        sender.connect(receiver.getsockname())
        payload = bytes(size)
        for _ in range(count):
            sender.send(payload)
        kept = 0
        # The kernel's count says when everything is accounted for; without it, a silence does.
        while kept + (kernel_drops(receiver) or 0) < count:
            try:
                receiver.recv(MAX_BYTES)
            except TimeoutError:
                break
            kept += 1
        return Burst(size, count, kept, kernel_drops(receiver))


def kernel_drops(sock):
    """Return how many datagrams the kernel threw away because the queue of `sock` was full; None if it does not tell.

    Linux counts them for each socket: SO_MEMINFO, ninth field SK_MEMINFO_DROPS (linux/sock_diag.h). The same number
    is the last column of /proc/net/udp.
    """
    if sys.platform != "linux":
        return None
    so_meminfo, fields = 55, 9
    return struct.unpack(f"{fields}I", sock.getsockopt(socket.SOL_SOCKET, so_meminfo, 4 * fields))[8]


def own_address(sock):
    """Return the address and port of `sock` (man 2 getsockname): ("0.0.0.0", 0) as long as it has none.

    Windows raises WSAEINVAL for a socket without an address, where Unix returns zeros.
    """
    try:
        return sock.getsockname()
    except OSError as error:
        if getattr(error, "winerror", None) != 10022:
            raise
        return "0.0.0.0", 0


def receive_cut(sock, size):
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


def main(argv=None):
    """Run the listing from the command line."""
    terminal.play("loopback", __doc__, server, client, argv=argv)


if __name__ == "__main__":
    main()
