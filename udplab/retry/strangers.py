"""What strangers send: junk, forged answers, and one datagram that sets two servers on each other."""

import contextlib
import socket
import threading
import time

from udplab.kit.calm import uninterrupted
from udplab.kit.server import Server
from udplab.kit.sockets import HOST, connect
from udplab.retry import listing


@contextlib.contextmanager
def noisy(seconds=0.3, every=0.01):
    """Give a connected socket whose partner sends it junk for so many seconds, and never an answer.

    every: seconds from one datagram to the next
    """
    over = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as partner:
        partner.bind((HOST, 0))
        with connect(*partner.getsockname()) as sock:

            def talk():
                deadline = time.monotonic() + seconds
                while time.monotonic() < deadline and not over.wait(every):
                    partner.sendto(b"junk", sock.getsockname())

            talker = threading.Thread(target=talk, name="udplab junk", daemon=True)
            with uninterrupted():
                talker.start()
            try:
                yield sock
            finally:
                over.set()
                talker.join()


@contextlib.contextmanager
def forgeable():
    """Run a server; give it, and a function forge(data, address) that sends with the server's own address as sender.

    It is the server's socket that sends, so what arrives is byte for byte what a forger would send. To really forge
    an address takes the rights of an administrator.
    """
    kept = []
    with Server(listing.respond, make_socket=kept_socket(kept)) as server:
        yield server, kept[0].sendto


def kept_socket(kept):
    """Return a `make_socket` for a Server that also puts the socket into the list `kept`."""

    def make_socket(*kind):
        kept.append(socket.socket(*kind))
        return kept[-1]

    return make_socket


def naive(data):
    """Answer everything, answers too, as the original listing does."""
    return f"Your data was {len(data)} bytes long".encode("ascii")


def loop(respond, seconds=0.2):
    """Let two servers meet after one forged datagram; return how many datagrams travelled.

    After `seconds` both fall silent, come what may. A datagram without an answer ends it at once: nothing is left
    that somebody could answer.
    """
    sockets, over = [], threading.Event()

    def bounded(data):
        answer = None if over.is_set() else respond(data)
        if answer is None:
            over.set()
        return answer

    with Server(bounded, make_socket=kept_socket(sockets)) as one, Server(bounded) as two:
        sockets[0].sendto(b"hello", two.address)  # forged: it says that it comes from the first server
        over.wait(seconds)
        over.set()
        one.stop()
        return 1 + one.counts["answered"] + two.counts["answered"]
