"""The exercises of lesson 2-2."""

import itertools
import math
import time

from udplab.kit.exercise import Endless, Exercise, expect, outcome, printed
from udplab.kit.server import Server
from udplab.retry import experiments, listing, odds, policies
from udplab.retry.request import new_token


def _policy(policy):
    waits = policy()
    if not hasattr(waits, "__next__"):
        return f"Expected a generator, that is a function with yield in it, but it returned {waits!r}.{printed(waits)}"
    got = list(itertools.islice(waits, 20))
    expected = [0.05, 0.1, 0.2, 0.2, 0.2]
    if len(got) == len(expected) and all(abs(a - b) < 1e-9 for a, b in zip(got, expected, strict=True)):
        return None
    return f"Expected the waits {expected}, but got {got}{' and more' if len(got) == 20 else ''}."


policy = Exercise(
    _policy,
    "Your policy doubles, and stays at its limit instead of giving up there. request() takes it as it is.",
    "A function with yield is a generator. min(delay, 0.2) never exceeds 0.2.",
    """def policy():
    delay = 0.05
    for _ in range(5):
        yield min(delay, 0.2)
        delay *= 2""",
    function=True,
)


def _give_up(answer):
    expected = odds.give_up(odds.failure(0.1, 0.2), 3)
    if not isinstance(answer, int | float):
        return f"Expected a number, but got {answer!r}."
    if not 0 <= answer <= 1:
        return f"Expected a probability, a number from 0 to 1, but got {answer!r}."
    if abs(answer - expected) < 5e-4:
        return None
    size = "small" if answer < expected else "large"
    return f"Expected how likely it is that three tries of three fail. {answer!r} is too {size}."


give_up = Exercise(
    _give_up,
    "A try succeeds if both pass: 0.9 * 0.8 = 0.72. It fails with 0.28, and three of three fail with 0.28 ** 3.",
    "A try succeeds only if the request passes and the answer passes. What is the chance that it fails?",
    "(1 - 0.9 * 0.8) ** 3 is 0.022: two clients of a hundred give up.",
)


class _Enough(Exception):
    """A client went on for too long."""


class _Line:
    """A connected socket and its clock on paper. What arrives is set beforehand; time passes only in recv.

    arrivals: (seconds, data) pairs in order; junk_every: seconds from one junk datagram to the next, or None
    """

    def __init__(self, *arrivals, junk_every=None):
        self.arrivals, self.junk_every = list(arrivals), junk_every
        self.now, self.timeout, self.sent, self.junk = 0.0, None, [], 0

    def clock(self):
        return self.now

    def settimeout(self, seconds):
        if seconds is not None and seconds < 0:
            raise ValueError("settimeout() was given a negative time")
        self.timeout = seconds

    def send(self, data):
        self.sent.append(data)
        return len(data)

    def recv(self, size):
        due, data = self.arrivals[0] if self.arrivals else (math.inf, b"")
        if self.junk_every and (self.junk + 1) * self.junk_every < due:
            due, data = (self.junk + 1) * self.junk_every, b"junk %d" % self.junk
        if self.now > 10 or (self.timeout is None and due == math.inf):
            raise _Enough
        if self.timeout is not None and due > self.now + self.timeout:
            self.now += max(self.timeout, 0.001)
            raise TimeoutError("timed out")
        if data.startswith(b"junk"):
            self.junk += 1
        else:
            self.arrivals.pop(0)
        self.now = max(self.now, due)
        return data[:size]

    def recvfrom(self, size):
        return self.recv(size), ("127.0.0.1", 1060)


def _scenes():
    """Yield (what happens, the `_Line` on which it does, whether an answer is to be returned)."""
    answer = b"id=1: five"
    yield "Junk came every 10 ms.", _Line(junk_every=0.01), False
    yield "Nothing arrived.", _Line(), False
    yield "One junk datagram came after 0.4 s.", _Line((0.4, b"noise")), False
    yield "Junk came every 40 ms, and the answer after 0.3 s.", _Line((0.3, answer), junk_every=0.04), True
    yield "The answer to another question came first.", _Line((0.1, b"id=2: nine"), (0.2, answer)), True
    yield "A datagram with the token in its middle came first.", _Line((0.1, b"x" + answer), (0.2, answer)), True


def _deadline(ask):
    for scene, line, answered in _scenes():
        try:
            got = outcome(ask, line, b"id=1: ", b"hello", line.clock, within=2.0)
        except _Enough:
            return (
                f"{scene} Expected an end after 0.5 s on clock(), but your client was still waiting after 10 s. "
                "(Socket and clock are simulated here: no other clock moves.)"
            )
        except Endless as error:
            return f"{scene} {error} Does it use clock()?"
        except TimeoutError:
            return f"{scene} Expected None after 0.5 s, but your client let TimeoutError through."
        if line.sent != [b"id=1: hello"]:
            return f"{scene} Expected one datagram, b'id=1: hello', but {line.sent} was sent."
        if problem := expect(b"five" if answered else None, got):
            return f"{scene} {problem}"
        if not answered and not 0.49 <= line.now <= 0.52:
            return f"{scene} Expected None after 0.5 s on clock(), but it came at {line.now:.2f} s."
    with Server(listing.respond) as server, listing.connect(*server.address) as sock:
        token = new_token()
        got = outcome(ask, sock, token, b"hello", time.perf_counter, within=2.0, rescue=sock.close)
    return expect(b"Your data was 5 bytes long", got)


deadline = Exercise(
    _deadline,
    "The deadline is a point in time, so no flood can move it.",
    "Compute the deadline once, before the loop. In the loop, wait only for deadline - clock().",
    """def ask(sock, token, question, clock):
    sock.send(token + question)
    deadline = clock() + 0.5
    while (left := deadline - clock()) > 0:
        sock.settimeout(left)
        try:
            data = sock.recv(65535)
        except TimeoutError:
            return None
        if data.startswith(token):
            return data[len(token):]
    return None""",
    function=True,
)


def question_to_read():
    """Return the `experiments.Trial` of the exercise `read`: the first that was answered after both kinds of loss."""
    for batch in experiments.ask_often(200, lambda rng: policies.exponential(), 0.5, 0.5, seed=4):
        for trial in batch:
            kinds = [fate.request for fate in trial.fates]
            if trial.outcome.answer is not None and len(kinds) == 4 and 0 < sum(kinds[:-1]) < 3:
                return trial
    raise LookupError("no such question in 200")


def _read(answer):
    trial = question_to_read()
    expected = (sum(fate.request for fate in trial.fates), round(experiments.spent(trial.outcome), 1))
    if (
        not isinstance(answer, (tuple, list))
        or len(answer) != 2
        or not all(isinstance(x, (int, float)) for x in answer)
    ):
        return f"Expected a pair such as (1, 0.3), but got {answer!r}."
    arrived, seconds = answer
    if arrived != expected[0]:
        return f"The server got {expected[0]} of the requests: count the arrows that reach it. You said {arrived!r}."
    if not abs(seconds - expected[1]) < 0.06:  # the arrows are drawn with a little height
        return f"The answer came {expected[1]} s after the first send: add up the waits. You said {seconds!r}."
    return None


read = Exercise(
    _read,
    "A server may do the same work more than once for one question. So a request should do no harm when repeated.",
    "A request that arrived is an arrow that reaches the server's line, even if the answer to it was lost.",
    "Four tries: (2, 0.7). The waits before the last were 0.1 + 0.2 + 0.4 = 0.7 s.",
)
