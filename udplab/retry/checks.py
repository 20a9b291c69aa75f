"""What the larger exercises of lesson 2-2 are tried on: junk, silence, and requests that come again."""

import itertools
import time

from udplab.kit.exercise import expect, printed
from udplab.kit.paper import Clock, Enough, Paper
from udplab.kit.paper_waits import on_paper
from udplab.kit.server import Server
from udplab.kit.sockets import MAX_BYTES, connect
from udplab.kit.watched import Endless, outcome
from udplab.kit.words import brief, shown
from udplab.retry import listing
from udplab.retry.request import new_token, split

# --- Repair the client ---

REPLY = b"did: five id=1: six"  # takes in whoever searches for the token, or strips its letters


def _scenes():
    """Yield (what happens, the token, the `Paper` on which it does and its clock, the answer to return or None)."""

    def junk(every):  # and close to the deadline far more: who looks at the clock twice finds it passed in between
        times = itertools.chain((n * every for n in range(1, 50)), (0.4999 + n * 5e-6 for n in range(100)))
        later = (0.51 + n * every for n in itertools.count())
        return ((when, b"junk") for when in itertools.chain(sorted(times), later))

    yield from (
        (words, token, Paper(arrivals, clock=clock, peer=("10.0.0.2", 1060)), clock, answer)
        for words, token, arrivals, answer in [
            ("Junk came every 10 ms.", b"id=1: ", junk(0.01), None),
            ("Nothing arrived.", b"id=1: ", [], None),
            ("One junk datagram came after 0.4 s.", b"id=1: ", [(0.4, b"noise")], None),
            ("Junk came every 40 ms, and the answer after 0.3 s.", b"id=77: ",
             _merged(junk(0.04), (0.3, b"id=77: " + REPLY)), REPLY),
            ("The answer to another question came first.", b"id=1: ",
             [(0.1, b"id=2: nine"), (0.2, b"id=1: " + REPLY)], REPLY),
            ("A datagram with the token in its middle came first.", b"id=1: ",
             [(0.1, b"x id=1: seven"), (0.2, b"id=1: " + REPLY)], REPLY),
            ("The answer was the token and nothing after it.", b"id=1: ", [(0.1, b"id=1: ")], b""),
        ]
        for clock in [Clock()]
    )  # fmt: skip


def _merged(many, one):
    """Yield what arrives of both, in order."""
    for each in many:
        if one and one[0] < each[0]:
            yield one
            one = None
        yield each


def deadline(ask):
    """Return what is wrong with a learner's client, or None."""
    for scene, token, sock, clock, answer in _scenes():
        if problem := _on_time(ask, token, sock, clock, answer):
            return f"{scene} {problem}"
    with Server(listing.respond) as server, connect(*server.address) as sock:
        got = outcome(ask, sock, new_token(), b"hello", time.perf_counter, within=2.0, rescue=sock.close)
    return expect(b"Your data was 5 bytes long", got, ask)


def _on_time(ask, token, sock, clock, answer):
    """Return what is wrong with a client in one of the scenes, or None."""
    try:
        got = outcome(on_paper(ask, sock), sock, token, b"hello", clock.read, within=2.0)
    except Enough:
        return (
            "Expected an end after 0.5 s on clock(), but your client was still waiting after 10 s. "
            "(Socket and clock are simulated here: no other clock moves.)"
        )
    except Endless as error:
        return f"{error} Does it use clock()?"
    except TimeoutError:
        return "Expected None after 0.5 s, but your client let TimeoutError through."
    except BlockingIOError:
        return "Your client let BlockingIOError through: a socket that does not block says so when nothing is there."
    sent = [data for data, _ in sock.sent]
    if sent != [token + b"hello"]:
        times = f"{len(sent)} were sent, first " if len(sent) > 1 else "what was sent is "
        return f"Expected one datagram, {token + b'hello'!r}, but {times}{brief(sent[0], 60) if sent else 'nothing'}."
    if answer is None and got is None and not 0.49 <= clock.now <= 0.55:
        return f"Expected None after 0.5 s on clock(), but it came at {clock.now:.2f} s."
    if got is None and answer is not None:
        return f"Expected {answer!r}, but got None at {clock.now:.2f} s.{printed(got, ask)}"
    return expect(answer, got, ask)


# --- Execute once ---

ORDERS = [
    ("1", b"tea"),
    ("1", b"tea"),
    ("2", b"tea"),
    ("3", b"silence"),
    ("1", b"tea"),
    ("3", b"silence"),
    ("2", b"tea"),
]


def once(respond):
    """Return what is wrong with a learner's server that executes once, or None."""
    worked, done = [], {}

    def work(message):  # of each order another answer, so that it shows whose it is; and one that is empty
        worked.append(message)
        return b"" if message == b"silence" else b"%s, order %d" % (message, len(worked))

    tokens = {name: new_token() for name, _ in ORDERS}
    first = {}
    for turn, (name, message) in enumerate(ORDERS, 1):
        before = len(worked)
        got = outcome(respond, tokens[name], message, work, done, within=1.0)
        if problem := _executed(name, got, first, worked[before:], respond):
            return f"{_scene(turn)} {problem}"
    return _on_a_server(respond)


def _executed(name, got, first, worked, respond):
    """Return what is wrong with one request's execution and answer, or None."""
    if name in first and worked:
        return "It came before, with the same token, and work() was called again: the customer pays twice."
    if name not in first and not worked:
        return "Its token is new, so it is a new order, and work() was not called."
    if len(worked) > 1:
        return f"work() was called {len(worked)} times for it."
    if not isinstance(got, bytes):
        rest = printed(got, respond) or " The first answer may be lost: a request that comes again wants it again."
        return f"Expected the answer of work(), but got {brief(got)}.{rest}"
    if got != first.setdefault(name, got) or (got and b"order" not in got):
        return f"Expected the answer that its token got the first time, {brief(first[name])}, but got {brief(got)}."
    return None


def _scene(turn):
    """Return a sentence on what came before and with the request in turn."""
    name, message = ORDERS[turn - 1]
    before = [other for other, _ in ORDERS[: turn - 1]]
    again = f"for the {('first', 'second', 'third')[before.count(name)]} time"
    return f"Request {turn}: {message!r} with token {name}, {again}."


def _on_a_server(respond):
    """Return what is wrong where a real server runs it and each question is sent twice, or None."""
    worked, done = [], {}

    def work(message):
        worked.append(message)
        return b"done: " + message

    with Server(lambda data: respond(*split(data), work, done)) as server, connect(*server.address) as sock:
        sock.settimeout(1.0)
        for message in (b"pay 5", b"pay 5", b"pay 7"):
            token = new_token()
            for _ in range(2):
                sock.send(token + message)
                try:
                    got = sock.recv(MAX_BYTES)
                except TimeoutError:
                    return f"In a server, no answer came to {message!r}."
                if got != b"done: " + message:
                    return f"In a server, expected {b'done: ' + message!r} for {message!r}, but got {shown(got)}."
    return (
        None if len(worked) == 3 else f"In a server, three orders, each sent twice, were executed {len(worked)} times."
    )
