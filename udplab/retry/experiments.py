"""The experiments of lesson 2-2. Each runs on real sockets of this machine; theory for them is in `odds`."""

import contextlib
import dataclasses
import random
import socket

from udplab.kit.quick import FastForward
from udplab.kit.server import Server
from udplab.kit.sockets import HOST, MAX_BYTES, connect, queued
from udplab.retry import listing, lossy, policies
from udplab.retry.request import Outcome, request, split

# --- A thousand questions ---


@dataclasses.dataclass(frozen=True)
class Trial:
    """A question, and what the network did to it.

    outcome: a `request.Outcome`
    fates: a list with the `lossy.Fate` of each send
    """

    outcome: Outcome
    fates: list


def asked(count, delays, loss=0.5, answer_loss=0.0, **settings):
    """Ask `count` questions through a lossy network; return a list of `Trial`. Settings: see `ask_often`."""
    return [trial for batch in ask_often(count, delays, loss, answer_loss, **settings) for trial in batch]


def ask_often(count, delays, loss=0.5, answer_loss=0.0, seed=1, batch=50, burst=0.0, respond=listing.respond):
    """Ask `count` questions, one after another, through a lossy network; yield lists of up to `batch` `Trial`.

    delays: a list of waits in seconds, or a function that returns a policy for each question, called with a seeded
        generator of random numbers
    burst: how many seconds a bad time of the network lasts on average; 0: each loss is independent of the others
    respond: what the server does with a question
    The waits are skipped (`kit.quick.FastForward`), so the seed alone decides the result.
    """
    network = lossy.BadNetwork(loss, answer_loss, burst=burst, seed=seed)
    rng = random.Random(f"{seed} policy")
    with network.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, 0))

        def serve():
            if arrived := server.receive(MAX_BYTES):
                data, peer = arrived
                server.sendto(respond(data), peer)
            return network.fates[-1].answers

        with contextlib.closing(FastForward(connect(*server.getsockname()), serve)) as sock:
            network.clock = sock.clock
            for first in range(0, count, batch):
                trials = []
                for number in range(first, min(first + batch, count)):
                    network.fates.clear()
                    question = f"question {number + 1}".encode("ascii")
                    waits = delays(rng) if callable(delays) else delays
                    outcome = request(sock, question, waits, clock=sock.clock)
                    trials.append(Trial(outcome, list(network.fates)))
                    if burst:
                        pause(sock, 100 * burst)  # the next question meets other weather
                yield trials


def pause(sock, seconds):
    """Let time pass on the clock of a `FastForward` on which nothing is on its way."""
    sock.settimeout(seconds)
    with contextlib.suppress(TimeoutError):
        sock.recv(MAX_BYTES)


def give_ups(loss, both, count=1000):
    """Return how many of `count` questions get no answer; `both`: whether answers are lost as often as requests."""
    return unanswered(asked(count, list(policies.exponential()), loss, loss if both else 0.0))


def unanswered(trials):
    """Return how many of the questions got no answer."""
    return sum(trial.outcome.answer is None for trial in trials)


def sends_in_all(trials):
    """Return how often the questions were sent, all together."""
    return sum(len(trial.outcome.attempts) for trial in trials)


def sends_in_vain(delays):
    """Return how often one question is sent to a server that never answers; delays: as in `ask_often`."""
    return sends_in_all(asked(1, delays, loss=1.0))


def spent(outcome):
    """Return how many seconds a question took, until its answer or until the client gave up."""
    return outcome.attempts[-1].ended - outcome.attempts[0].at


def mean_time(trials):
    """Return how many seconds the questions with an answer took, on average."""
    times = [spent(trial.outcome) for trial in trials if trial.outcome.answer is not None]
    return sum(times) / len(times)


def fastest(results):
    """Return the name of the shortest mean time; results: a dict from a policy's name to its `Trial`s."""
    return min(results, key=lambda name: mean_time(results[name]))


# --- Late answers ---


def echo(data):
    """Answer with the question itself, so that everybody sees which question an answer belongs to."""
    token, message = split(data)
    return None if message.startswith((b"answer to ", b"Your data was ")) else token + b"answer to " + message


def ask_in_turn(address, waits, ids):
    """Ask questions 1, 2, 3 ... over one socket; return a list of `request.Outcome`.

    waits: a list with the waits of each question (seconds); ids: whether to use request IDs
    """
    with connect(*address) as sock:
        return [
            request(sock, f"question {number}".encode("ascii"), delays, token=None if ids else b"")
            for number, delays in enumerate(waits, 1)
        ]


def wrong(outcomes):
    """Return how many questions got the answer to another question."""
    return sum(each.answer is not None and each.answer != b"answer to " + each.question for each in outcomes)


# --- Sent again, executed twice ---


def at_most_once(respond, memory):
    """Return a function like `respond` that executes a request once, and answers from memory when it comes again.

    memory: a dict, empty at first, from each request ID to its answer. How long it must be kept: RFC 7252, section 4.5
    """

    def once(data):
        token, _ = split(data)
        if token not in memory:
            memory[token] = respond(data)
        return memory[token]

    return once


# --- The herd ---


@dataclasses.dataclass(frozen=True)
class Herd:
    """What 100 clients that failed together did to a server.

    step: length of a step in seconds
    arrived: datagrams sent in each step
    served: datagrams that the server read in each step
    dropped: datagrams for which its receive queue had no room
    left: clients that gave up
    travels: for each datagram (the client's number, step of the send, step in which it was read or None)
    """

    step: float
    arrived: list
    served: list
    dropped: int
    left: int
    travels: list = dataclasses.field(default_factory=list)


def herd(delays, clients=100, capacity=10, step=0.01, queue_bytes=8192, seed=1):
    """Let all clients fail at time 0 and try again as their policies say; return the `Herd`.

    delays: a list of waits in seconds, or a function that returns a policy, called with a seeded generator
    capacity: datagrams that the server reads in a step; queue_bytes: its receive buffer, as asked for (SO_RCVBUF)

    The datagrams and the queue are real, the time goes in steps: in each, the clients whose wait is over send, then
    the server reads. So the result does not depend on how busy this machine is.
    """
    rng = random.Random(f"{seed} herd")
    policies = [iter(delays(rng) if callable(delays) else delays) for _ in range(clients)]
    due = {client: round(next(policy) / step) for client, policy in enumerate(policies)}
    arrived, served, left, sent, read = [], [], 0, {}, {}
    kind = socket.AF_INET, socket.SOCK_DGRAM
    with socket.socket(*kind) as server, socket.socket(*kind) as sender:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, queue_bytes)
        server.bind((HOST, 0))
        while due:
            now = len(arrived)
            waits = {client: next(policies[client], None) for client, at in due.items() if at == now}
            for client, wait in waits.items():
                if wait is None:  # it has tried as often as its policy allows
                    del due[client]
                    left += 1
                else:
                    sender.sendto(b"%d" % len(sent), server.getsockname())
                    sent[len(sent)] = client, now
                    due[client] = now + max(1, round(wait / step))
            arrived.append(sum(wait is not None for wait in waits.values()))
            numbers = [int(data) for data in queued(server, capacity)]
            for number in numbers:
                read[number] = now
                due.pop(sent[number][0], None)
            served.append(len(numbers))
        dropped = len(sent) - len(read) - len(queued(server))
    return Herd(step, arrived, served, dropped, left, [(*each, read.get(number)) for number, each in sent.items()])


# --- An adaptive wait ---


def round_trips(delays):
    """Yield the time in seconds of a round trip for each delay (seconds) that the network has in turn."""
    network = lossy.BadNetwork()
    with Server(listing.respond, make_socket=network.socket) as server, connect(*server.address) as sock:
        for delay in delays:
            network.delay = (delay, delay)
            yield spent(request(sock, b"how far?", [5.0]))


def follow(round_trips, rto):
    """Feed round trips (seconds) to an `Rto`; return a list of (smoothed round trip, value before it), in seconds.

    The value before a round trip is the wait that its question would have had.
    """
    track = []
    for round_trip in round_trips:
        before = rto.value
        rto.sample(round_trip)
        track.append((rto.smoothed, before))
    return track


# --- A port that nobody has ---


def dead_port():
    """Return a free UDP port of this machine, and one that stays free: no system gives it to who asks for any port."""
    for port in random.sample(range(20_000, 30_000), 100):
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((HOST, port))
            return port
    raise OSError("none of 100 ports from 20000 to 29999 is free")
