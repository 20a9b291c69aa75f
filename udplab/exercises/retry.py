"""The exercises of lesson 2-2."""

import itertools
import time

from udplab import odds, retry, trials
from udplab.exercises import Exercise, expect, outcome
from udplab.serving import Server


def _policy(policy):
    got = list(itertools.islice(policy(), 20))
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
)


def _give_up(answer):
    expected = odds.give_up(odds.failure(0.1, 0.2), 3)
    if not isinstance(answer, int | float):
        return f"Expected a number, but got {answer!r}."
    if abs(answer - expected) < 5e-4:
        return None
    return f"Expected about {expected:.3f}, but got {answer:.3f}."


give_up = Exercise(
    _give_up,
    "A try succeeds if both pass: 0.9 * 0.8 = 0.72. It fails with 0.28, and three of three fail with 0.28 ** 3.",
    "A try succeeds only if the request passes and the answer passes. What is the chance that it fails?",
    "(1 - 0.9 * 0.8) ** 3 is 0.022: two clients of a hundred give up.",
)


class _Enough(Exception):
    """A client went on for too long."""


class _Flood:
    """A connected socket and its clock: each datagram that it gives is junk and comes 10 ms after the one before."""

    def __init__(self):
        self.now, self.timeout, self.sends = 0.0, None, 0

    def clock(self):
        return self.now

    def settimeout(self, seconds):
        if seconds is not None and seconds < 0:
            raise ValueError("settimeout() was given a negative time")
        self.timeout = seconds

    def send(self, data):
        self.sends += 1
        return len(data)

    def recv(self, size):
        if self.now > 10:
            raise _Enough
        if self.timeout is not None and self.timeout < 0.01:
            self.now += self.timeout
            raise TimeoutError("timed out")
        self.now += 0.01
        return b"junk"


def _deadline(ask):
    flood = _Flood()
    try:
        got = outcome(ask, flood, b"id=1: ", b"hello", flood.clock, within=2.0, rescue=lambda: None)
    except _Enough:
        return "Junk came every 10 ms. Expected None after 0.5 s, but your client was still waiting after 10 s."
    if got is not None:
        return f"Only junk came. Expected None, but got {got!r}."
    if flood.sends == 0:
        return "Expected that the question is sent, but send() was never called."
    if not 0.49 <= flood.now <= 0.52:
        return f"Junk came every 10 ms. Expected None after 0.5 s on the clock, but it came at {flood.now:.2f} s."
    with Server(retry.respond) as server, retry.connect(*server.address) as sock:
        token = retry.new_token()
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
)


def question_to_read():
    """Return the `trials.Trial` of the exercise `read`: the first that was answered after both kinds of loss."""
    for batch in trials.ask_often(200, lambda rng: retry.exponential(), 0.5, 0.5, seed=4):
        for trial in batch:
            kinds = [fate.request for fate in trial.fates]
            if trial.outcome.answer is not None and len(kinds) == 4 and 0 < sum(kinds[:-1]) < 3:
                return trial
    raise LookupError("no such question in 200")


def _read(answer):
    trial = question_to_read()
    expected = (sum(fate.request for fate in trial.fates), round(trials.spent(trial.outcome), 1))
    if not isinstance(answer, tuple) or len(answer) != 2:
        return f"Expected a pair such as (1, 0.3), but got {answer!r}."
    arrived, seconds = answer
    if arrived != expected[0]:
        return f"The server got {expected[0]} of the requests: count the arrows that reach it. You said {arrived!r}."
    if abs(seconds - expected[1]) > 0.01:
        return f"The answer came {expected[1]} s after the first send: add up the waits. You said {seconds!r}."
    return None


read = Exercise(
    _read,
    "A server may do the same work more than once for one question. So a request should do no harm when repeated.",
    "A request that arrived is an arrow that reaches the server's line, even if the answer to it was lost.",
    "Four tries: (2, 0.7). The waits before the last were 0.1 + 0.2 + 0.4 = 0.7 s.",
)
