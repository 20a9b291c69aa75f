"""Finding servers by asking everybody: a small protocol, what happens when all answer at once, and what mends it.

The asker broadcasts `find SERVICE TOKEN`. A server that has the service answers `here SERVICE TOKEN NAME`, to the
asker alone. The token, made anew for each question, tells this question's answers from old and from guessed ones.
"""

import collections
import contextlib
import os
import socket
import time
from dataclasses import dataclass

from udplab.broadcast import reach
from udplab.kit.film import flight as fates
from udplab.kit.film.composed import Hop, model
from udplab.kit.sockets import HEADERS, MAX_BYTES, PORT, arrivals, queued
from udplab.kit.words import told

# --- The protocol ---


def question(service, token):
    """Return the datagram that asks who has `service` (bytes without a space)."""
    return b"find %b %b" % (service, token)


def responder(service, name):
    """Return the `respond` function (see `kit.server.Server`) of a server called `name` that has `service`."""

    def respond(data):
        word, asked, token = data.split(b" ")  # a ValueError, for what is no question, is counted as "bad"
        if word != b"find" or asked != service:
            return None  # not for us: silence, or every question would be answered by every host
        return b"here %b %b %b" % (service, token, name)

    return respond


@dataclass(frozen=True)
class Found:
    """Who answered a question."""

    servers: dict  # from a server's address to its name
    more: int = 0  # answers of further servers, for which there was no room
    errors: tuple = ()  # what went wrong meanwhile, in words, each once


def find(sock, address, service, wait=0.5, token=None, clock=time.perf_counter, most=1000):
    """Ask everybody at `address` for `service`; return whom it `Found`.

    wait: seconds to collect answers. Nobody knows how many will come, so the time is always used up.
    most: servers to remember, since one forger can play any number of them
    Raises OSError, in words for a reader, where the question cannot be sent; an error later is noted.
    """
    token = token or os.urandom(4).hex().encode()
    start, servers, errors, more, deadline = b"here %b %b " % (service, token), {}, {}, 0, clock() + wait
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.sendto(question(service, token), address)
    except OSError as error:
        raise OSError(reach.cannot_send(error, address[0])) from error
    while (left := deadline - clock()) > 0:
        try:
            for data, peer in arrivals(sock, left, clock):
                if data.startswith(start) and (peer in servers or len(servers) < most):
                    servers[peer] = data.removeprefix(start)
                else:
                    more += data.startswith(start)
        except OSError as error:
            errors[told(error)] = None
    return Found(servers, more, tuple(errors))


# --- All answer at once: reply implosion ---

ROOM = 9  # stands in where no queue can be measured: about what Linux 6 keeps in 4,096 bytes asked for


@dataclass(frozen=True)
class Answer:
    """A server's answer to a question that all servers got."""

    host: str  # the server's name
    sent: float  # seconds after the question
    heard: float | None  # seconds after the question when the asker read it; None: lost


def delays(count, spread, rng):
    """Return `count` random delays in seconds, evenly spread over 0 to `spread`; rng: a random.Random."""
    return [rng.uniform(0, spread) for _ in range(count)]


def predict_answers(delays, work, room):
    """Return the `Answer`s to expect of a queue with room for `room` datagrams, in the order of sending.

    delays: seconds after the question, one for each answer
    work: seconds that the asker needs for each answer before it reads the next
    """
    waiting, heard, free = collections.deque(), {}, 0.0
    order = sorted(enumerate(delays), key=lambda each: each[1])

    def read_until(now):
        nonlocal free
        while waiting and free < now:
            heard[waiting.popleft()] = free
            free += work

    for number, now in order:
        read_until(now)
        if not waiting:
            free = max(free, now)
        if len(waiting) < room:
            waiting.append(number)
    read_until(float("inf"))
    return [Answer(f"server{number + 1}", now, heard.get(number)) for number, now in order]


def lost(answers):
    """Return how many of the `Answer`s were lost."""
    return sum(answer.heard is None for answer in answers)


@contextlib.contextmanager
def with_servers(net, queue_bytes, port=0):
    """Yield ({host's name: its server's socket} of all but the first, the socket of the first, which may broadcast)."""
    asker, *hosts = net
    with contextlib.ExitStack() as stack:  # closes them all, even if Ctrl-C comes while it does
        servers = {host.name: stack.enter_context(host.socket()) for host in hosts}
        sock = stack.enter_context(asker.socket())
        for server in servers.values():
            server.bind(("", PORT))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, queue_bytes)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.bind(("", port))
        yield servers, sock


def gather(net, delays, work=0.002, queue_bytes=4096, clock=time.perf_counter, sleep=time.sleep):
    """Broadcast a question, let every other host answer after its delay; return the list of `Answer`s.

    delays: seconds, one for each host but the first, which asks
    work: seconds that the asker needs for each answer before it reads the next
    queue_bytes: the asker's receive buffer (SO_RCVBUF; Linux doubles it)

    One thread does everything in the order of the schedule, in real time. So chance has no part in what is lost,
    while the datagrams and the queue are real.
    """
    asker = next(iter(net))
    with with_servers(net, queue_bytes) as (servers, sock):
        sock.sendto(question(b"time", b"1"), (asker.broadcast, PORT))
        asker.settle()
        due = []
        for delay, (name, server) in zip(delays, servers.items(), strict=True):
            data, peer = server.recvfrom(MAX_BYTES, socket.MSG_DONTWAIT)
            due.append((delay, name, responder(b"time", name.encode())(data), peer))
        return _play(sorted(due), servers, sock, asker.settle, work, clock, sleep)


def _play(due, servers, sock, settle, work, clock, sleep):
    """Send the answers that are due and read them, each at its time; return the `Answer`s."""
    zero, sent, heard = clock(), {}, {}
    free = 0.0  # when the asker can take the next answer
    due = collections.deque(due)
    waiting = travelling = False  # whether there may be answers in the asker's queue, and on the way to it
    while due or waiting:
        if due and (not waiting or due[0][0] <= free):
            at, name, data, peer = due.popleft()
            _wait_until(zero + at, clock, sleep)
            servers[name].sendto(data, peer)
            sent[name] = clock() - zero
            free = max(free, at)
            waiting = travelling = True
            continue
        _wait_until(zero + free, clock, sleep)
        if travelling:
            settle()
            travelling = False
        try:
            name = sock.recv(MAX_BYTES, socket.MSG_DONTWAIT).split(b" ")[3].decode()
        except BlockingIOError:
            waiting = False
            continue
        heard[name] = clock() - zero
        free += work
    return [Answer(name, when, heard.get(name)) for name, when in sent.items()]


def _wait_until(when, clock, sleep):
    if (left := when - clock()) > 0:
        sleep(left)


def measure_room(net, queue_bytes=4096):
    """Return how many answers fit into the asker's queue: all come, and nobody reads until they have."""
    answers = gather(net, [0.0] * (len(net) - 1), work=0.0, queue_bytes=queue_bytes)
    return len(answers) - lost(answers)


# --- The same as a film ---

SMALL = 2048  # bytes of a receive buffer, for a film with few servers
FEW = 4  # answers fit into it: about what Linux 6 keeps


def measure_film(net):
    """Return the film of a question to every other host, of their answers at once, and of what the asker then reads."""
    asker = next(iter(net))
    with with_servers(net, SMALL, PORT + 1) as (servers, sock):
        for server in servers.values():  # so that no ARP holds an answer up
            server.sendto(b"", (asker.address, PORT + 2))
        asker.settle()
        with net.record() as film:
            sock.sendto(question(b"time", b"1"), (asker.broadcast, PORT))
            asker.settle()
            for name, server in servers.items():
                data, peer = server.recvfrom(MAX_BYTES)
                server.sendto(responder(b"time", name.encode())(data), peer)
            asker.settle()
            for data in queued(sock):
                film.read(asker.name, data)
    return film.only("UDP")


def predict_film(plan, reason):
    """Return that film as the rules promise it; reason: why it is not measured."""
    asker, *hosts = [host.name for host in plan]
    hops = [Hop(asker, name, HEADERS + 11, words="the question", fate=fates.DELIVERED, at=0) for name in hosts]
    for number, name in enumerate(hosts):
        full = number >= FEW
        hops.append(
            Hop(name, asker, HEADERS + len(f"here time 1 {name}"), words="an answer",
                fate=fates.DROPPED if full else fates.QUEUED, why="the socket's queue is full" if full else "",
                at=2 + number, datagram=2 + number)
        )  # fmt: skip
    return model(plan, hops, reason, switched=True)
