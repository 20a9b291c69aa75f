"""The exercises of lesson 2-2: right answers in many styles, wrong ones with the words that they get."""

import contextlib
import functools
import itertools
import operator
import select
import selectors
import socket
import time
from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tables import four_tests

from udplab.kit import picture
from udplab.retry import checks, exercises, policies, solutions

# --- Write a policy ---


def policy_list():
    yield from [0.05, 0.1, 0.2, 0.2, 0.2]


def policy_if():
    delay = 0.05
    for _ in range(5):
        yield delay
        delay = delay * 2
        if delay > 0.2:
            delay = 0.2


def policy_power():
    for turn in range(5):
        yield min(0.05 * 2**turn, 0.2)


def policy_while():
    count, delay = 0, Fraction(1, 20)
    while count < 5:
        yield delay
        count += 1
        delay = min(2 * delay, Fraction(1, 5))


def policy_recursive(delay=0.05, left=5):
    if left:
        yield delay
        yield from policy_recursive(min(2 * delay, 0.2), left - 1)


def policy_genexp():
    return (min(Decimal("0.05") * 2**turn, Decimal("0.2")) for turn in range(5))


def policy_map():
    return map(np.float64, [0.05, 0.1, 0.2, 0.2, 0.2])


def policy_accumulate():
    return itertools.accumulate([0.05, 2, 2, 1, 1], operator.mul)


def policy_yields():
    yield 0.05
    yield 0.1
    yield 0.2
    yield 0.2
    yield 0.2


def yielding(*waits):
    def policy():
        yield from waits

    return policy


def policy_sleeps():
    for delay in [0.05, 0.1, 0.2, 0.2, 0.2]:
        time.sleep(delay)
        yield delay


def policy_prints():
    for delay in [0.05, 0.1, 0.2, 0.2, 0.2]:
        print(delay)


kept = iter([0.05, 0.1, 0.2, 0.2, 0.2])

# --- Repair the client ---


def ask_select(sock, token, question, clock):
    sock.send(token + question)
    end = clock() + 0.5
    while (left := end - clock()) > 0:
        if select.select([sock], [], [], left)[0]:
            data = sock.recv(65535)
            if data[: len(token)] == token:
                return data[len(token) :]


def ask_nonblocking(sock, token, question, clock):
    sock.setblocking(False)
    sock.sendall(token + question)
    end = clock() + 0.5
    while clock() < end:
        try:
            data = sock.recv(65535)
        except BlockingIOError:
            time.sleep(0.002)
            continue
        if data.startswith(token):
            return data.removeprefix(token)
    return None


def ask_busy(sock, token, question, clock):
    sock.settimeout(0)
    sock.send(token + question)
    end = clock() + 0.5
    while clock() < end:
        with contextlib.suppress(BlockingIOError):
            data = sock.recv(65535)
            if data.startswith(token):
                return data[len(token) :]


def ask_dontwait(sock, token, question, clock):
    sock.send(token + question)
    end = clock() + 0.5
    while clock() < end:
        try:
            data = sock.recv(65535, socket.MSG_DONTWAIT)
        except OSError:
            continue
        if data.startswith(token):
            return data[len(token) :]


def ask_with(sock, token, question, clock):
    with sock:
        return solutions.ask(sock, token, question, clock)


def ask_selectors(sock, token, question, clock):
    sock.send(b"".join([token, question]))
    end = clock() + 0.5
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ)
    while (left := end - clock()) > 0:
        for key, _ in selector.select(left):
            data, _peer = key.fileobj.recvfrom(65535)
            if data.startswith(token):
                return data[len(token) :]


def ask_poll(sock, token, question, clock):
    sock.send(token + question)
    end, poller = clock() + 0.5, select.poll()
    poller.register(sock, select.POLLIN)
    while (left := end - clock()) > 0:
        if poller.poll(left * 1000):
            data = sock.recv(65535)
            if data.startswith(token):
                return data[len(token) :]


def ask_epoll(sock, token, question, clock):
    sock.send(token + question)
    end = clock() + 0.5
    with select.epoll(1) as poller:
        poller.register(sock.fileno(), select.EPOLLIN)
        while (left := end - clock()) > 0:
            if poller.poll(left, 1):
                data = sock.recv(65535)
                if data.startswith(token):
                    return data[len(token) :]


def ask_into(sock, token, question, clock):
    sock.send(token + question)
    end, buffer = clock() + 0.5, bytearray(65535)
    while True:
        left = end - clock()
        if left <= 0:
            return None
        sock.settimeout(left)
        try:
            size = sock.recv_into(buffer)
        except TimeoutError:
            return None
        if buffer[: len(token)] == token:
            return bytes(buffer[len(token) : size])


def ask_recvmsg(sock, token, question, clock):
    sock.sendmsg([token, question])
    end = clock() + 0.5
    while (left := end - clock()) > 0:
        sock.settimeout(left)
        with contextlib.suppress(TimeoutError):
            data = sock.recvmsg(65535)[0]
            if data.startswith(token):
                return data[len(token) :]


def ask_recursive(sock, token, question, clock, end=None):
    if end is None:
        sock.send(token + question)
        end = clock() + 0.5
    if clock() >= end:
        return None
    sock.settimeout(end - clock())
    try:
        data = sock.recv(65535)
    except socket.timeout:  # noqa: UP041
        return None
    return data[len(token) :] if data.startswith(token) else ask_recursive(sock, token, question, clock, end)


def ask_short_waits(sock, token, question, clock):
    begin = clock()
    sock.send(token + question)
    sock.settimeout(0.01)
    while clock() - begin < 0.5:
        try:
            data = sock.recv(65535)
        except TimeoutError:
            continue
        if data.startswith(token):
            return data[len(token) :]
    return None


def taking(fits, rest, seconds=0.5, sends=1):
    """Return a client that ends in time, takes what `fits(data, token)`, and returns `rest(data, token)`."""

    def ask(sock, token, question, clock):
        for _ in range(sends):
            sock.send(token + question)
        deadline = clock() + seconds
        while (left := deadline - clock()) > 0:
            sock.settimeout(left)
            try:
                data = sock.recv(65535)
            except TimeoutError:
                return None
            if fits(data, token):
                return rest(data, token)

    return ask


def after(data, token):
    return data[len(token) :]


def ask_unchanged(sock, token, question, clock):
    sock.send(token + question)
    while True:
        sock.settimeout(0.5)
        data = sock.recv(65535)
        if data.startswith(token):
            return data[len(token) :]


def ask_anew(sock, token, question, clock):
    sock.send(token + question)
    sock.settimeout(0.5)
    while True:
        try:
            data = sock.recv(65535)
        except TimeoutError:
            return None
        if data.startswith(token):
            return data[len(token) :]


def ask_timeout_once(sock, token, question, clock):
    sock.send(token + question)
    deadline = clock() + 0.5
    sock.settimeout(0.5)
    while clock() < deadline:
        try:
            data = sock.recv(65535)
        except TimeoutError:
            return None
        if data.startswith(token):
            return data[len(token) :]


def ask_other_clock(sock, token, question, clock):
    return solutions.ask(sock, token, question, time.monotonic)


def ask_lets_through(sock, token, question, clock):
    sock.send(token + question)
    deadline = clock() + 0.5
    while (left := deadline - clock()) > 0:
        sock.settimeout(left)
        data = sock.recv(65535)
        if data.startswith(token):
            return data[len(token) :]


def ask_negative(sock, token, question, clock):
    """The time that is left may be less than nothing when it is taken anew."""
    sock.send(token + question)
    deadline = clock() + 0.5
    while True:
        sock.settimeout(deadline - clock())
        try:
            data = sock.recv(65535)
        except TimeoutError:
            return None
        if data.startswith(token):
            return data[len(token) :]


def ask_first(sock, token, question, clock):
    sock.send(token + question)
    sock.settimeout(0.5)
    try:
        data = sock.recv(65535)
    except TimeoutError:
        return None
    return data[len(token) :] if data.startswith(token) else None


def ask_spins(sock, token, question, clock):
    while True:
        pass


def ask_unknown(sock, token, question, clock):
    sock.ioctl(1, 2)


# --- Execute once ---


def once_try(token, message, work, done):
    try:
        return done[token]
    except KeyError:
        done[token] = work(message)
        return done[token]


def once_get(token, message, work, done):
    answer = done.get(token)
    if answer is None:
        answer = done[token] = work(message)
    return answer


def once_choice(token, message, work, done):
    done[token] = done[token] if token in done else work(message)
    return done[token]


def once_early(token, message, work, done):
    if token in done:
        return done[token]
    result = work(message)
    done.update({token: result})
    return result


missing = object()


def once_sentinel(token, message, work, done):
    if (answer := done.get(token, missing)) is missing:
        answer = work(message)
        done[token] = answer
    return answer


def once_match(token, message, work, done):
    match done:
        case {"answers": answers}:
            pass
        case _:
            answers = done["answers"] = {}
    if token not in answers:
        answers[token] = work(message)
    return answers[token]


def once_tuple_key(token, message, work, done):
    key = token, message
    if key not in done:
        done[key] = work(message)
    return done[key]


def once_always(token, message, work, done):
    return work(message)


def once_setdefault(token, message, work, done):
    return done.setdefault(token, work(message))


def once_falsy(token, message, work, done):
    if not done.get(token):
        done[token] = work(message)
    return done[token]


def once_silent(token, message, work, done):
    if token not in done:
        done[token] = True
        return work(message)


def once_silent_words(token, message, work, done):
    if token in done:
        return b"done already"
    done[token] = True
    return work(message)


def once_message(token, message, work, done):
    if message not in done:
        done[message] = work(message)
    return done[message]


def once_last(token, message, work, done):
    if done.get("token") != token:
        done["token"], done["answer"] = token, work(message)
    return done["answer"]


def once_never(token, message, work, done):
    return done.get(token, b"")


def once_work_twice(token, message, work, done):
    if token not in done:
        work(message)
        done[token] = work(message)
    return done[token]


def once_prints(token, message, work, done):
    if token not in done:
        done[token] = work(message)
    print(done[token])


def once_keeps_the_first(token, message, work, done):
    if not done:
        done["answer"] = work(message)
    return done["answer"]


def once_wrong_answer(token, message, work, done):
    if token not in done:
        done[token] = work(message)
        done["last"] = done[token]
    return done["last"]


def once_forgets(token, message, work, done):
    if token in done:
        return done.pop(token)
    done[token] = work(message)
    return done[token]


def once_local(token, message, work, done):
    done = {}
    if token not in done:
        done[token] = work(message)
    return done[token]


def once_function(token, message, work, done):
    done[token] = work
    return done[token]


P = 0.28**3

RIGHT = {
    "policy": {
        "yield from a list": policy_list,
        "if": policy_if,
        "a power": policy_power,
        "while and Fraction": policy_while,
        "recursion": policy_recursive,
        "a generator expression, Decimal": policy_genexp,
        "map, NumPy": policy_map,
        "accumulate": policy_accumulate,
        "five yields": policy_yields,
        "an iterator": lambda: iter([0.05, 0.1, 0.2, 0.2, 0.2]),
    },
    "give_up": {
        "computed": (1 - 0.9 * 0.8) ** 3,
        "three digits": 0.022,
        "four digits": 0.02195,
        "a Fraction": Fraction(28, 100) ** 3,
        "a Decimal": Decimal("0.28") ** 3,
        "NumPy's float32": np.float32(0.021952),
        "NumPy's float64": np.float64(0.28) ** 3,
        "cut off": 0.0219,
    },
    "read": {
        "a tuple": (2, 0.7),
        "a list": [2, 0.7],
        "from the picture": (2, 0.74),
        "Fractions": (Fraction(2), Fraction(7, 10)),
        "an array": np.array([2, 0.7]),
        "a sum": (2, 0.1 + 0.2 + 0.4),
        "Decimals": (Decimal(2), Decimal("0.7")),
        "floats": (2.0, np.float32(0.7)),
    },
    "deadline": {
        "select": ask_select,
        "setblocking(False)": ask_nonblocking,
        "settimeout(0), busy": ask_busy,
        "MSG_DONTWAIT": ask_dontwait,
        "with sock": ask_with,
        "selectors": ask_selectors,
        "recv_into": ask_into,
        **({"poll": ask_poll} if hasattr(select, "poll") else {}),
        **({"epoll": ask_epoll} if hasattr(select, "epoll") else {}),
        "recvmsg": ask_recvmsg,
        "recursion": ask_recursive,
        "short waits": ask_short_waits,
        "partition": taking(bytes.startswith, lambda data, token: data.partition(token)[2]),
        "split once": taking(bytes.startswith, lambda data, token: data.split(token, 1)[1]),
        "replace once": taking(bytes.startswith, lambda data, token: data.replace(token, b"", 1)),
    },
    "once": {
        "try": once_try,
        "get": once_get,
        "a choice": once_choice,
        "early return": once_early,
        "a sentinel": once_sentinel,
        "match": once_match,
        "token and message": once_tuple_key,
    },
}

WRONG = {
    "policy": {
        "no limit": (policies.exponential, "They must never exceed 0.2 s"),
        "ends at the limit": (yielding(0.05, 0.1, 0.2), "there it should stay"),
        "one too few": (yielding(0.05, 0.1, 0.2, 0.2), "That makes 4."),
        "one too many": (yielding(0.05, 0.1, 0.2, 0.2, 0.2, 0.2), "That makes 6."),
        "without an end": (lambda: itertools.repeat(0.1), "It never ends"),
        "begins at 0.1": (yielding(0.1, 0.2, 0.2, 0.2, 0.2), "It should double from the first wait on."),
        "adds": (yielding(0.05, 0.1, 0.15, 0.2, 0.2), "It should double"),
        "goes over first": (yielding(0.05, 0.1, 0.2, 0.4, 0.2), "never exceed"),
        "a list": (lambda: [0.05, 0.1, 0.2, 0.2, 0.2], "a function with yield in it, but it returned [0.05"),
        "its result": ([0.05], "Give check the function itself"),
        "prints": (policy_prints, "Does your function return its result?"),
        "sleeps": (policy_sleeps, "Your policy sleeps."),
        "sleeps long": (lambda: time.sleep(40), "Your policy sleeps."),
        "texts": (yielding("0.05", "0.1"), "each a number"),
        "milliseconds": (yielding(50, 100, 200, 200, 200), "never exceed"),
        "nothing": (yielding(), "but got none"),
        "used up": (lambda: kept, "the second one not"),
    },
    "give_up": {
        "both lost": ((0.1 * 0.2) ** 3, "a try fails if the request is lost or the answer"),
        "losses added": (0.3**3, "0.027 is too large: you added the two losses"),
        "one fails": (1 - 0.72**3, "one try at least fails"),
        "all succeed": (0.72**3, "all three tries succeed"),
        "an answer": (1 - P, "that is how likely it is that an answer comes"),
        "one try": (0.28, "one try fails"),
        "its opposite": (0.72, "one try succeeds"),
        "added up": (0.84, "multiply, do not add"),
        "requests only": (0.001, "the answers get lost too"),
        "answers only": (0.008, "the requests get lost too"),
        "two tries": (0.28**2, "there are three tries"),
        "percent": (2.2, "Percent are hundredths"),
        "quotes": ("0.022", "a number, without quotes"),
        "percent in quotes": ("2.2 %", "a number, without quotes"),
        "truth": (True, "a number, without quotes"),
        "a little off": (0.024, "0.024 is too large."),
        "rounded away": (0.02, "0.02 is too small."),
    },
    "read": {
        "all sends": ((4, 0.7), "Not each arrow gets to the server's line"),
        "answered only": ((1, 0.7), "A request whose answer was lost has arrived all the same"),
        "three": ((3, 0.7), "Count the arrows"),
        "none": ((0, 0.7), "Count the arrows"),
        "the last wait too": ((2, 1.5), "the last wait was not sat out"),
        "one wait": ((2, 0.4), "add up all that were sat out"),
        "the last wait": ((2, 0.8), "the last try might have waited"),
        "milliseconds": ((2, 700), "give seconds"),
        "at once": ((2, 0), "which waits were before it?"),
        "two waits": ((2, 0.3), "add up the waits before the last try"),
        "the other way round": ((0.7, 2), "Count the arrows"),
        "one number": (2, "Expected a pair such as (1, 0.3)"),
        "texts": ((2, "0.7"), "Expected a pair of numbers"),
        "three numbers": ((1, 2, 3), "Expected a pair such as (1, 0.3)"),
        "nothing known": ((2, float("nan")), "Expected a pair of numbers"),
    },
    "deadline": {
        "as it was": (ask_unchanged, "Junk came every 10 ms. Expected an end after 0.5 s on clock()"),
        "anew each time": (ask_anew, "still waiting after 10 s"),
        "a timeout set once": (
            ask_timeout_once,
            "One junk datagram came after 0.4 s. Expected None after",
        ),
        "another clock": (ask_other_clock, "no other clock moves"),
        "an error": (ask_lets_through, "let TimeoutError through"),
        "a negative time": (ask_negative, "Junk came every 10 ms."),
        "the first only": (ask_first, "Junk came every 10 ms. Expected None after 0.5 s"),
        "too early": (taking(bytes.startswith, after, 0.25), "it came at 0.2"),
        "too late": (taking(bytes.startswith, after, 1.0), "it came at 1."),
        "any id": (taking(lambda d, t: d.startswith(b"id="), after), "The answer to another question came first."),
        "token anywhere": (
            taking(lambda d, t: t in d, lambda d, t: d.partition(t)[2]),
            "A datagram with the token in",
        ),
        "with the token": (taking(bytes.startswith, lambda d, t: d), "Expected b'did: five id=1: six', but got b'id="),
        "stripped": (taking(bytes.startswith, lambda d, t: d.lstrip(t)), "Expected b'did: five"),
        "split at the token": (taking(bytes.startswith, lambda d, t: d.split(t)[-1]), "Expected b'did: five"),
        "split at the colon": (taking(bytes.startswith, lambda d, t: d.split(b": ")[1]), "Expected b'did: five"),
        "empty is none": (taking(bytes.startswith, lambda d, t: after(d, t) or None), "nothing after it"),
        "a text": (taking(bytes.startswith, lambda d, t: after(d, t).decode()), "but got 'did: five"),
        "asks twice": (
            taking(bytes.startswith, after, sends=2),
            "b'id=1: hello', but 2 were sent",
        ),
        "asks 50 times": (taking(bytes.startswith, after, sends=50), "but 50 were sent, first b'id=1: hello'"),
        "an idea of its own": (ask_unknown, "on paper, and does not know ioctl()"),
        "spins": (ask_spins, "Does it use clock()?"),
    },
    "once": {
        "always": (once_always, "work() was called again: the customer pays twice"),
        "setdefault": (once_setdefault, "work() was called again"),
        "empty is not there": (once_falsy, "Request 6: b'silence' with token 3, for the second time. It came before"),
        "silent": (once_silent, "a request that comes again wants it again"),
        "other words": (once_silent_words, "Expected the answer that its token got the first time"),
        "by message": (once_message, "Its token is new, so it is a new order, and work() was not called"),
        "the last only": (once_last, "with token 1, for the third time. It came before"),
        "never": (once_never, "work() was not called"),
        "works twice": (once_work_twice, "work() was called 2 times for it"),
        "prints": (once_prints, "Does your function return its result?"),
        "keeps the first": (once_keeps_the_first, "work() was not called"),
        "the last answer": (once_wrong_answer, "Expected the answer that its token got the first time"),
        "forgets": (once_forgets, "for the third time. It came before"),
        "a dict of its own": (once_local, "work() was called again"),
        "not called": (once_function, "work() was not called"),
        "hashes the dict": (functools.cache(once_try), "TypeError"),
    },
}


test_right_in_any_style, test_wrong_with_the_words_for_it, test_each_has_its_table, test_over_in_time = four_tests(
    exercises, RIGHT, WRONG
)


def test_the_ladder_to_read_is_what_the_solution_says_and_keeps_it():
    trial = exercises.question_to_read()
    kinds = [fate.request for fate in trial.fates]
    assert (sum(kinds), len(kinds), kinds[-1]) == (2, 4, True)
    assert solutions.read() == (2, 0.7)
    for words in [exercises.read.verdict((left, right)).words for left in range(6) for right in (0.1, 1.5, 3)]:
        assert "0.7" not in words and ("2" not in words or words.startswith("Not yet. 2 is right"))


# --- More of both, where there is a rule ---


@given(st.floats(0, 1))
def test_any_probability(value):
    assert bool(exercises.give_up.verdict(value)) == (abs(value - P) <= 6e-5)


@given(st.lists(st.sampled_from([0.05, 0.1, 0.2, 0.4]), max_size=7))
def test_any_policy(waits):
    assert bool(exercises.policy.verdict(yielding(*waits))) == (waits == [0.05, 0.1, 0.2, 0.2, 0.2])


@given(st.integers(-1, 6), st.integers(-5, 30))
def test_any_reading(arrived, tenths):
    assert bool(exercises.read.verdict((arrived, tenths / 10))) == (arrived == 2 and tenths == 7)


@given(st.floats(0.01, 2.0))
def test_any_deadline(seconds):
    verdict = exercises.deadline.verdict(taking(bytes.startswith, after, seconds))
    assert bool(verdict) == (0.49 <= seconds <= 0.55) or abs(seconds - 0.5) < 0.06


def test_the_words_of_the_ladder_say_what_became_of_each_try_and_no_sum():
    words = exercises.ladder(picture.figure(8, 5).gca())
    assert words.count("try") == 4 and words.count("reaches the server") == 2
    assert words.count("ends before") == 2 and "0.7" not in words


def test_the_reply_holds_what_searchers_stumble_over():
    assert b"id=1: " in checks.REPLY and checks.REPLY[:1] in b"id=1: "
