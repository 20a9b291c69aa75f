"""The socket and the clock on paper: they do what the kernel does, and say in words what they do not know."""

import contextlib
import errno
import itertools
import select
import selectors
import socket
import threading
import time

import pytest

from udplab.kit.paper import Clock, Enough, NotOnPaper, Paper, RealClock
from udplab.kit.paper_waits import on_paper

PEER = ("127.0.0.1", 1060)


def paper(*arrivals, **options):
    """Return a socket on paper and its clock."""
    clock = Clock()
    return Paper(arrivals, clock=clock, **options), clock


@contextlib.contextmanager
def real(*datagrams):
    """A real socket in whose queue these datagrams wait."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(sock.family, sock.type) as other:
        sock.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        for data in datagrams:
            other.sendto(data, sock.getsockname())
        yield sock, other.getsockname()


def tried(call, *arguments):
    """Return what a call returns, or the kind of its error and its number."""
    try:
        return call(*arguments)
    except (OSError, ValueError, TypeError) as error:
        return type(error), getattr(error, "errno", None)


def into(sock, call):
    buffer = bytearray(10)
    result = getattr(sock, call)(buffer)
    return (result if isinstance(result, int) else result[0]), bytes(buffer)


CALLS = {
    "recv": lambda sock: sock.recv(100),
    "cut": lambda sock: sock.recv(2),
    "peek": lambda sock: (sock.recv(100, socket.MSG_PEEK), sock.recv(100)),
    "no wait": lambda sock: (sock.recv(100, socket.MSG_DONTWAIT), tried(sock.recv, 100, socket.MSG_DONTWAIT)),
    "recvfrom": lambda sock: sock.recvfrom(100)[0],
    "recv_into": lambda sock: into(sock, "recv_into"),
    "recvfrom_into": lambda sock: into(sock, "recvfrom_into"),
    "recvmsg": lambda sock: sock.recvmsg(100)[:3],
    "recvmsg, cut": lambda sock: sock.recvmsg(2)[:3],
    "negative": lambda sock: tried(sock.recvfrom, -1),
    "not blocking": lambda sock: (sock.setblocking(False), sock.recv(9), tried(sock.recv, 9)),
    "timeout 0": lambda sock: (sock.settimeout(0), sock.recv(9), tried(sock.recv, 9), sock.getblocking(), sock.timeout),
    "timeout": lambda sock: (sock.settimeout(0.01), sock.recv(9), tried(sock.recv, 9), sock.gettimeout()),
    "negative timeout": lambda sock: tried(sock.settimeout, -1),
    "closed": lambda sock: (sock.close(), sock.fileno(), tried(sock.recv, 9), tried(sock.sendto, b"x", PEER)),
    "with": lambda sock: (sock.__enter__() is sock, sock.__exit__(None, None, None), tried(sock.recv, 9)),
    "unconnected": lambda sock: (tried(sock.getpeername),),
    "a text": lambda sock: tried(sock.sendto, "hello", PEER),
    "too big": lambda sock: tried(sock.sendto, bytes(65_508), PEER),
    "kind": lambda sock: (sock.family, sock.type, sock.proto),
    "no permission": lambda sock: tried(sock.sendto, b"x", ("255.255.255.255", 9)),
    "select": lambda sock: ([len(each) for each in select.select([sock], [], [], 0.01)], sock.recv(9)),
    "select, nothing": lambda sock: (sock.recv(9), select.select([sock], [], [], 0.01)),
    "select to write": lambda sock: len(select.select([], [sock], [])[1]),
    "select, negative": lambda sock: tried(select.select, [sock], [], [], -1),
}


def polled(make, ready, over):
    """Return what waits with a poll object: ready at once to write, to read, time over, unregistered."""

    def wait(sock):
        with contextlib.ExitStack() as stack:
            poll = make()
            if hasattr(poll, "close"):
                stack.callback(poll.close)
            poll.register(sock)
            both = [event for _, event in poll.poll(ready)]
            poll.modify(sock, select.POLLIN)
            first = [event for _, event in poll.poll(ready)]
            found = both, first, sock.recv(9), poll.poll(over)
            poll.unregister(sock)
            return found, poll.poll(over)

    return wait


if hasattr(select, "poll"):
    CALLS["poll"] = polled(lambda: select.poll(), 10, 1)
if hasattr(select, "epoll"):
    CALLS["epoll"] = polled(lambda: select.epoll(), 0.01, 0.001)


def selected(sock):
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ)
    first = [key.fileobj is sock for key, _ in selector.select(0.01)]
    return first, sock.recv(9), selector.select(0.01)


CALLS["selectors"] = selected


@pytest.mark.parametrize("name", CALLS)
def test_paper_does_what_the_kernel_does(name):
    with real(b"hello") as (sock, _):
        expected = CALLS[name](sock)
    sock, _ = paper((0.0, b"hello", PEER), needs_permission=("255.255.255.255",))
    assert on_paper(CALLS[name], sock)(sock) == expected


def test_what_the_paper_does_not_know_it_says_in_words(monkeypatch):
    monkeypatch.setattr(select, "kqueue", object(), raising=False)  # macOS and the BSDs have it
    sock, _ = paper()
    with pytest.raises(NotOnPaper, match=r"on paper, and does not know kqueue\(\): select\(\) it knows"):
        on_paper(lambda sock: select.kqueue(), sock)(sock)
    with pytest.raises(NotOnPaper, match=r"on paper, and does not know sendfile\(\)"):
        sock.sendfile(None)


def test_connect_keeps_what_waits_and_loses_what_others_send_later():
    sock, clock = paper((0.0, b"waits", ("10.0.0.9", 1)), (0.2, b"other", ("10.0.0.9", 1)), (0.3, b"partner", PEER))
    sock.connect(PEER)
    sock.settimeout(1)
    assert [sock.recv(9), sock.recv(9)] == [b"waits", b"partner"] and clock.now == pytest.approx(0.3, abs=0.01)
    assert (
        sock.getpeername() == PEER
        and sock.send(b"x") == 1
        and sock.sendall(b"y") is None
        and sock.sendmsg([b"z", b"z"]) == 2
    )
    assert sock.sent == [(b"x", PEER), (b"y", PEER), (b"zz", PEER)]


def test_an_old_error_takes_the_place_of_one_call():
    old = OSError(errno.EMSGSIZE, "old")
    sock, _ = paper((0.0, old), (0.1, old), (0.2, b"answer"), peer=PEER, limit=1372)
    assert tried(sock.send, b"x") == (OSError, errno.EMSGSIZE) and sock.sent == []
    assert sock.send(b"x") == 1
    assert tried(sock.recv, 9) == (OSError, errno.EMSGSIZE) and sock.recv(9) == b"answer"
    assert tried(sock.send, bytes(1373)) == (OSError, errno.EMSGSIZE)
    assert sock.getsockopt(socket.IPPROTO_IP, 14) == 1400


def test_time_passes_only_where_one_waits():
    sock, clock = paper((0.3, b"late"))
    sock.settimeout(0.2)
    assert tried(sock.recv, 9) == (TimeoutError, None) and clock.now == pytest.approx(0.2, abs=1e-3)
    assert sock.recv(9) == b"late" and clock.now == pytest.approx(0.3, abs=1e-3)
    before = time.monotonic()
    on_paper(lambda sock: time.sleep(5), sock)(sock)
    assert clock.now == pytest.approx(5.3, abs=1e-3) and time.monotonic() - before < 5


def test_nobody_waits_for_ever():
    sock, _ = paper()
    with pytest.raises(Enough):
        sock.recv(9)
    sock, _ = paper(*((n / 100, b"junk") for n in range(2000)))
    with pytest.raises(Enough):
        for _ in itertools.count():
            with contextlib.suppress(Exception):
                sock.recv(9)


def test_what_paper_does_not_know_is_said():
    sock, _ = paper()
    with pytest.raises(NotOnPaper, match=r"on paper, and does not know shutdown\(\)"):
        sock.shutdown(2)
    with pytest.raises(NotOnPaper, match="does not know the option"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, b"")
    assert not hasattr(sock, "__len__") and not hasattr(sock, "ioctl")


def test_permission_is_an_option():
    sock, _ = paper(needs_permission=("10.0.0.255", "255.255.255.255"))
    assert tried(sock.sendto, b"x", ("10.0.0.255", 9)) == tried(sock.sendto, b"x", ("<broadcast>", 9))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 1
    assert sock.sendto(b"x", ("10.0.0.255", 9)) == sock.sendto(b"x", 0, ("<broadcast>", 9)) == 1


def test_names_that_a_learner_imported_are_replaced_for_the_time_of_the_call():
    space = {}
    exec(
        "from select import select\nfrom time import sleep, monotonic\n"
        "def wait(sock):\n"
        "    before = monotonic()\n    sleep(2)\n    select([sock], [], [], 3)\n    return monotonic() - before\n",
        space,
    )
    sock, _ = paper()
    assert on_paper(space["wait"], sock, clocks=True)(sock) == pytest.approx(5, abs=0.01)
    assert space["select"] is select.select and space["sleep"] is time.sleep and space["monotonic"] is time.monotonic


def test_replaced_things_come_back_after_an_error_and_other_threads_keep_theirs():
    real_select, real_sleep = select.select, time.sleep
    sock, _ = paper()
    waited = []

    def other():  # one that watches, for example
        begin = time.monotonic()
        time.sleep(0.05)
        waited.append(time.monotonic() - begin)

    def fails(sock):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        with real(b"x") as (readable, _):
            assert select.select([readable], [], [], 5)[0] == [readable]
        raise KeyError("x")

    with pytest.raises(KeyError):
        on_paper(fails, sock, clocks=True)(sock)
    assert select.select is real_select and time.sleep is real_sleep and waited[0] >= 0.04


def test_with_a_real_clock_waits_are_real():
    sock = Paper([(0.05, b"x", PEER)], clock=RealClock())
    begin = time.monotonic()
    assert sock.recvfrom(9) == (b"x", PEER) and time.monotonic() - begin >= 0.04
    sock.settimeout(0.03)
    assert tried(sock.recv, 9) == (TimeoutError, None) and time.monotonic() - begin >= 0.07
