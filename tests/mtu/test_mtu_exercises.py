"""The exercises of lesson 2-3: right answers in many styles, wrong ones with the words that they get."""

import bisect
import contextlib
import errno
import functools
import math
import select
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import needs_lan
from tables import (
    four_tests,
    no_numbers,
    numbers_like,
)

from udplab import lan
from udplab.kit.sockets import LARGEST
from udplab.mtu import exercises, fragments, solutions

# --- Pieces ---


def pieces_recursive(size, mtu, header=8):
    room = (mtu - 20) // 8 * 8
    return 1 if size + header <= mtu - 20 else 1 + pieces_recursive(size + header - room, mtu, 0)


def pieces_ceil(size, mtu):
    data, room = size + 8, (mtu - 20) // 8 * 8
    return 1 + max(0, math.ceil((data - (mtu - 20)) / room))


def pieces_list(size, mtu):
    left, room, parts = size + 8, (mtu - 20) - (mtu - 20) % 8, []
    while left > mtu - 20:
        parts.append(room)
        left -= room
    return len([*parts, left])


def pieces_floor(size, mtu):
    room = (mtu - 20) & ~7
    extra = size + 8 - (mtu - 20)
    return 1 if extra <= 0 else 1 - (-extra // room)


def pieces_for(size, mtu):
    data = size + 8
    for count in range(1, 10**6):
        if data <= (count - 1) * ((mtu - 20) // 8 * 8) + mtu - 20:
            return count


def pieces_numpy(size, mtu):
    room = np.int64(mtu - 20) // 8 * 8
    return np.ceil(np.maximum(size + 8 - (mtu - 20), 0) / room) + 1


def pieces_ends(size, mtu):
    """The next piece begins where this one ends, in units of 8 bytes as in the header."""
    offset, count = 0, 0
    while True:
        count += 1
        if size + 8 - offset * 8 <= mtu - 20:
            return count
        offset += (mtu - 20) // 8


def forgets_the_header(size, mtu):
    return solutions.pieces(size - 8, mtu)


def forgets_eight(size, mtu):
    left, count = size + 8, 1
    while left > mtu - 20:
        left -= mtu - 20
        count += 1
    return count


def rounds_the_last(size, mtu):
    return max(math.ceil((size + 8) / ((mtu - 20) // 8 * 8)), 1)


def pieces_forever(size, mtu):
    while size > 0:
        pass
    return 1


# --- Find ---


def find_two_tries(arrives):
    low, high = 40, 65_507
    while low < high:
        middle = (low + high + 1) // 2
        if any(arrives(middle) for _ in range(2)):
            low = middle
        else:
            high = middle - 1
    return low


def find_recursive(arrives, low=40, high=65_508):
    if high - low == 1:
        return low
    middle = (low + high) // 2
    fits = arrives(middle) or arrives(middle) or arrives(middle)
    return find_recursive(arrives, middle, high) if fits else find_recursive(arrives, low, middle)


def find_bisect(arrives):
    sizes = range(41, 65_508)
    return 40 + bisect.bisect_left(sizes, True, key=lambda size: not any(arrives(size) for _ in range(3)))


def find_bits(arrives):
    size = 0
    for bit in reversed(range(16)):
        more = size | 1 << bit
        if more <= 40 or (more <= 65_507 and (arrives(more) or arrives(more) or arrives(more))):
            size = more
    return size


def find_for(arrives):
    low, high = 40, 65_508
    for _ in range(17):
        if high - low > 1:
            middle = low + (high - low) // 2
            for _ in range(3):
                if arrives(middle):
                    low = middle
                    break
            else:
                high = middle
    return low


def find_class(arrives):
    class Search:
        low, high = 40, 65_508

        def step(self):
            middle = (self.low + self.high) // 2
            if max(arrives(middle), arrives(middle)):
                self.low = middle
            else:
                self.high = middle

    search = Search()
    while search.high - search.low > 1:
        search.step()
    return np.int64(search.low)


def find_trusting(arrives):
    low, high = 40, 65_508
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if arrives(middle) else (low, middle)
    return low


def find_linear(arrives):
    size = 40
    while arrives(size + 1) or arrives(size + 1):
        size += 1
    return size


def find_within(low, high):
    def find(arrives):
        nonlocal_low, nonlocal_high = low, high
        while nonlocal_high - nonlocal_low > 1:
            middle = (nonlocal_low + nonlocal_high) // 2
            if arrives(middle) or arrives(middle) or arrives(middle):
                nonlocal_low = middle
            else:
                nonlocal_high = middle
        return nonlocal_low

    return find


def find_and(change):
    return lambda arrives: change(solutions.find(arrives))


def find_steps(arrives):
    low, high = 40, 65_508
    while high - low > 4:
        middle = (low + high) // 2
        if arrives(middle) or arrives(middle) or arrives(middle):
            low = middle
        else:
            high = middle
    return low


def find_five_tries(arrives):
    low, high = 40, 65_508
    while high - low > 1:
        middle = (low + high) // 2
        if all([not arrives(middle) for _ in range(5)]):
            high = middle
        else:
            low = middle
    return low


def find_catches(arrives):
    with contextlib.suppress(Exception):
        return find_linear(arrives)


def find_all_three(arrives):
    """Whoever wants all three to arrive takes a loss for a limit."""
    low, high = 40, 65_508
    while high - low > 1:
        middle = (low + high) // 2
        if arrives(middle) and arrives(middle) and arrives(middle):
            low = middle
        else:
            high = middle
    return low


# --- Send in spite of old news ---


def send_twice_try(sock, data):
    try:
        sock.send(data)
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
        try:
            sock.send(data)
        except OSError as again:
            if again.errno != errno.EMSGSIZE:
                raise
            return False
    return True


def send_recursive(sock, data, tries=2):
    try:
        sock.sendall(data)
        return True
    except OSError as error:
        if error.errno != errno.EMSGSIZE:
            raise
    return tries > 1 and send_recursive(sock, data, tries - 1)


def send_while(sock, data):
    errors = 0
    while errors < 2:
        try:
            sock.sendmsg([data])
            return True
        except ConnectionRefusedError:
            raise
        except OSError:
            errors += 1
    return False


def send_else(sock, data):
    for _ in range(3):
        try:
            sock.send(data)
        except OSError as error:
            if error.errno != 90 and error.errno != errno.EMSGSIZE:
                raise error
        else:
            return True
    return False


def send_to(sock, data):
    return any(went(sock, data) for _ in range(2))


def went(sock, data):
    try:
        return sock.sendto(data, sock.getpeername()) == len(data)
    except OSError as error:
        if error.errno == errno.EMSGSIZE:
            return False
        raise


def send_waits(sock, data):
    for wait in (0, 0.01):
        time.sleep(wait)
        try:
            select.select([], [sock], [])
            sock.send(data)
            return True
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
    return False


def send_once(sock, data):
    try:
        sock.send(data)
        return True
    except OSError:
        return False


def send_until(sock, data):
    while True:
        try:
            sock.send(data)
            return True
        except OSError:
            pass


def send_twice(sock, data):
    result = solutions.send(sock, data)
    return result and solutions.send(sock, data)


def send_stubborn(sock, data):
    for _ in range(4):
        with contextlib.suppress(OSError):
            sock.send(data)
            return True
    return False


def send_1372(sock, data):
    if len(data) > 1372:
        return False
    return solutions.send(sock, data)


def send_by_size(sock, data):
    """It believes what it was told before, and never tries."""
    try:
        sock.send(data)
        return True
    except OSError:
        return len(data) <= 1372


def send_cuts(sock, data):
    return solutions.send(sock, data[:972])


def send_none(sock, data):
    if not solutions.send(sock, data):
        return None
    return True


def send_prints(sock, data):
    print(solutions.send(sock, data))


def send_lets(sock, data):
    with contextlib.suppress(OSError):
        sock.send(data)
        return True
    sock.send(data)
    return True


def send_length(sock, data):
    return len(data) if solutions.send(sock, data) else 0


def send_empty_first(sock, data):
    """An empty datagram takes the old error, and goes out where there is none."""
    with contextlib.suppress(OSError):
        sock.send(b"")
    try:
        sock.send(data)
        return True
    except OSError:
        return False


# --- Ask in spite of old news ---


def survive_two_loops(sock, question):
    errors = 0
    while True:
        try:
            sock.send(question)
            break
        except OSError:
            errors += 1
            if errors > 3:
                raise
    while True:
        try:
            return sock.recv(65535)
        except TimeoutError:
            return None
        except OSError:
            errors += 1
            if errors > 3:
                raise


def persistent(call, *arguments, tries=4):
    for turn in range(tries):
        try:
            return call(*arguments)
        except TimeoutError:
            raise
        except OSError:
            if turn == tries - 1:
                raise


def survive_helper(sock, question):
    persistent(sock.send, question)
    try:
        return persistent(sock.recv, 65535)
    except TimeoutError:
        return None


def survive_recursive(sock, question, sent=False, left=3):
    try:
        if not sent:
            sock.sendall(question)
            sent = True
        return sock.recvfrom(65535)[0]
    except TimeoutError:
        return None
    except OSError:
        if not left:
            raise
    return survive_recursive(sock, question, sent, left - 1)


def survive_deadline(sock, question):
    persistent(sock.send, question)
    end = time.monotonic() + 0.5
    for _ in range(4):
        sock.settimeout(max(end - time.monotonic(), 0.001))
        try:
            return sock.recv(65535)
        except TimeoutError:
            return None
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
    raise OSError("too many errors")


def survive_errno(sock, question):
    steps, answer, errors = [lambda: sock.send(question), lambda: sock.recv(65535)], None, 0
    while steps:
        try:
            answer = steps[0]()
            steps.pop(0)
        except OSError as error:
            if isinstance(error, TimeoutError):
                return None
            errors += 1
            if errors == 4:
                raise
    return answer


def survive_select(sock, question):
    persistent(sock.send, question)
    for _ in range(4):
        readable, _, _ = select.select([sock], [], [], 0.5)
        if not readable:
            return None
        try:
            return sock.recv(65535)
        except OSError as error:
            last = error
    raise last


def survive_naive(sock, question):
    sock.send(question)
    return sock.recv(65535)


def survive_not(sock, question):
    try:
        return survive_naive(sock, question)
    except OSError:
        return None


def survive_asks_again(sock, question):
    for turn in range(5):
        try:
            return survive_naive(sock, question)
        except TimeoutError:
            return None
        except OSError:
            if turn > 3:
                raise


def survive_send_only(sock, question):
    persistent(sock.send, question)
    try:
        return sock.recv(65535)
    except TimeoutError:
        return None


def survive_recv_only(sock, question):
    sock.send(question)
    try:
        return persistent(sock.recv, 65535)
    except TimeoutError:
        return None


def survive_two(sock, question):
    persistent(sock.send, question, tries=3)
    try:
        return persistent(sock.recv, 65535, tries=3)
    except TimeoutError:
        return None


def survive_for_ever(sock, question):
    sent = False
    while True:
        try:
            if not sent:
                sock.send(question)
                sent = True
            return sock.recv(65535)
        except TimeoutError:
            return None
        except OSError:
            continue


def survive_timeout_is_an_error(sock, question):
    sent = False
    for turn in range(4):
        try:
            if not sent:
                sock.send(question)
                sent = True
            return sock.recv(65535)
        except OSError:
            if turn == 3:
                raise


def survive_silent_end(sock, question):
    sent = False
    for _ in range(4):
        try:
            if not sent:
                sock.send(question)
                sent = True
            return sock.recv(65535)
        except TimeoutError:
            return None
        except OSError:
            pass


def survive_marks_early(sock, question):
    sent = False
    for _ in range(4):
        try:
            if not sent:
                sent = True
                sock.send(question)
            return sock.recv(65535)
        except TimeoutError:
            return None
        except OSError as error:
            last = error
    raise last


def survive_waits_on(sock, question):
    sock.settimeout(2)
    return solutions.survive(sock, question)


def survive_text(sock, question):
    answer = solutions.survive(sock, question)
    return answer and answer.decode()


def survive_empties_first(sock, question):
    """It sends something small to take the old errors away."""
    for _ in range(3):
        with contextlib.suppress(OSError):
            sock.send(b"")
    return solutions.survive(sock, question)


def survive_no_wait(sock, question):
    sock.setblocking(False)
    return solutions.survive(sock, question)


RIGHT = {
    "largest": numbers_like(1392),
    "pieces": {
        "recursion": pieces_recursive,
        "ceil": pieces_ceil,
        "a list": pieces_list,
        "floor": pieces_floor,
        "for": pieces_for,
        "NumPy's float": pieces_numpy,
        "offsets": pieces_ends,
        "the lesson's own": lambda size, mtu: len(fragments.fragments(size, [mtu])),
    },
    "find": {
        "two tries": find_two_tries,
        "recursion": find_recursive,
        "bisect": find_bisect,
        "bit by bit": find_bits,
        "for and else": find_for,
        "a class, NumPy": find_class,
    },
    "stale": {
        "a list": ["sent", "error", "sent", "error"],
        "a tuple": ("sent", "error", "sent", "error"),
        "capitals": ["Sent", "Error", "SENT", "ERROR"],
        "reasons": ["sent", "error: old news", "sent", "error: too big"],
        "one text": "sent, error, sent, error",
        "EMSGSIZE": ["sent", "EMSGSIZE", "sent", "EMSGSIZE"],
        "an array": np.array(["sent", "error", "sent", "error"]),
        "spaces": [" sent", "error ", "sent.", "error!"],
        "truths": [True, False, True, False],
    },
    "resend": {
        "try in try": send_twice_try,
        "recursion, sendall": send_recursive,
        "while, sendmsg": send_while,
        "else, three times": send_else,
        "sendto": send_to,
        "select and sleep": send_waits,
    },
    "survive": {
        "two loops": survive_two_loops,
        "a helper": survive_helper,
        "recursion": survive_recursive,
        "a deadline": survive_deadline,
        "a list of steps": survive_errno,
        "select": survive_select,
    },
}

WRONG = {
    "largest": no_numbers(1392)
    | {
        "the packet": (1420, "1420 is too large: that is the whole packet"),
        "no UDP header": (1400, "UDP's header takes 8 bytes"),
        "no IP header": (1412, "the IP header takes 20 bytes"),
        "the usual": (1472, "one link carries less"),
        "the largest link": (8972, "the other links carry less"),
        "IPv6": (1372, "an IP header of IPv4 has 20 bytes"),
        "headers at each link": (1308, "not once for each link"),
    },
    "pieces": {
        "no header": (forgets_the_header, "UDP's header of 8 bytes is cut up too"),
        "no eight": (forgets_eight, "Each piece but the last holds a multiple of 8 bytes."),
        "the last too": (rounds_the_last, "The last piece need not be a multiple of 8"),
        "a datagram each": (lambda size, mtu: max(math.ceil(size / (mtu - 28)), 1), "on a link with an MTU of"),
        "no IP header": (lambda size, mtu: max(math.ceil((size + 8) / mtu), 1), "on a link with an MTU of"),
        "one too many": (lambda size, mtu: solutions.pieces(size, mtu) + 1, "2 is too large"),
        "cuts only": (lambda size, mtu: solutions.pieces(size, mtu) - 1, "0 is too small"),
        "one": (lambda size, mtu: 1, "1 is too small"),
        "not whole": (lambda size, mtu: (size + 8) / (mtu - 20), "is too small"),
        "a text": (lambda size, mtu: str(solutions.pieces(size, mtu)), "without quotes"),
        "prints": (lambda size, mtu: print(solutions.pieces(size, mtu)), "To print it is not enough"),
        "their sizes": (lambda size, mtu: [size], "You gave [0]"),
        "IP header cut up": (
            lambda size, mtu: solutions.pieces(size + 20, mtu),
            "The IP header of 20 bytes is not",
        ),
        "only 1500": (lambda size, mtu: solutions.pieces(size, 1500), "with an MTU of 1400"),
        "spins": (pieces_forever, "did not come to its end"),
        "one argument": (lambda size: 1, "TypeError"),
    },
    "find": {
        "believes the first": (find_trusting, "A datagram that is lost by chance looks like one that is too big"),
        "all three": (find_all_three, "A datagram that is lost by chance"),
        "one by one": (find_linear, "more than 60 datagrams sent. Halve the range"),
        "five tries": (find_five_tries, "more than 60 datagrams sent"),
        "suppresses": (find_catches, "more than 60 datagrams sent"),
        "a constant": (lambda arrives: 1372, "On a path with an MTU of 576 bytes"),
        "begins too high": (find_within(41, 65_508), "On a path with an MTU of 68 bytes"),
        "ends too low": (find_within(40, 65_507), "On a path with an MTU of 65535 bytes"),
        "in steps": (find_steps, "is too small"),
        "the MTU": (find_and(lambda size: size + 28), "1400 is too large: that is the whole packet"),
        "half a header": (find_and(lambda size: size + 8), "that leaves no room for UDP's header"),
        "one more": (find_and(lambda size: size + 1), "that one does not arrive any more"),
        "one less": (find_and(lambda size: size - 1), "one more byte still arrives"),
        "prints": (lambda arrives: print(solutions.find(arrives)), "Does your function return its result?"),
        "a text": (find_and(str), "without quotes"),
        "what arrives says": (lambda arrives: arrives(1372), "You gave True"),
    },
    "stale": {
        "all after the first": (
            ["sent", "error", "error", "error"],
            "Send 3, of 1372 bytes: you say that an error",
        ),
        "no old news": (["sent", "sent", "sent", "error"], "Send 2, of 1372 bytes: you say that it is sent."),
        "the first": (["error", "sent", "sent", "error"], "Send 1, of 1472 bytes"),
        "payload is all": (
            ["sent", "error", "sent", "sent"],
            "Send 4, of 1373 bytes: you say that it is sent.",
        ),
        "all go": (["sent"] * 4, "Send 2"),
        "none goes": (["error"] * 4, "Send 1"),
        "old news later": (["sent", "sent", "error", "error"], "what has become of the datagram before it?"),
        "a number": (5, 'Expected a list of 4 words, each "sent" or "error", but got 5'),
        "three": (["sent", "error", "sent"], "Expected a list of 4 words"),
        "one word": ("sent", "Expected a list of 4 words"),
        "other words": (["sent", "lost", "sent", "error"], 'Word 2 is neither "sent" nor "error", but \'lost\''),
        "numbers": ([1, 0, 1, 0], "Word 1 is neither"),
        "nothing": ([None] * 4, "Word 1 is neither"),
    },
    "resend": {
        "once": (
            send_once,
            "1372 bytes where 1372 fit, with an old error waiting: expected your data",
        ),
        "for ever": (send_until, "goes on for ever"),
        "twice": (send_twice, "expected your data to be sent once, but 2 datagrams went out"),
        "all errors": (send_stubborn, "Expected the error to be raised, but got True"),
        "1372 is the limit": (send_1372, "1400 bytes where 1472 fit"),
        "goes by size": (send_by_size, "but 0 datagrams went out"),
        "cuts": (send_cuts, "another one went out"),
        "None": (send_none, "Expected False, but got None"),
        "prints": (send_prints, "Does your function return its result?"),
        "lets through": (send_lets, "your function let the error through"),
        "length": (send_length, "got 100"),
        "1": (lambda sock, data: int(solutions.send(sock, data)), "expected True, but got 1: write True or False"),
        "an empty one first": (send_empty_first, "but 2 datagrams went out"),
        "does nothing": (lambda sock, data: True, "but 0 datagrams went out"),
        "a function wanted": (None, "Give check the function itself"),
    },
    "survive": {
        "no errors known": (survive_naive, "let TimeoutError through"),
        "gives up": (survive_not, "1 old errors before the question, 0 after it: the question was sent 0 times"),
        "asks again": (
            survive_asks_again,
            "sent 2 times, expected once. An error of recv says nothing",
        ),
        "send only": (survive_send_only, "0 old errors before the question, 1 after it: your client let an old error"),
        "recv only": (survive_recv_only, "1 old errors before the question, 0 after it: your client let an old error"),
        "two only": (survive_two, "let an old error through"),
        "for ever": (survive_for_ever, "goes on for ever"),
        "a timeout is an error": (survive_timeout_is_an_error, "let TimeoutError through"),
        "silent at the end": (survive_silent_end, "Expected the fourth to be raised, but got None"),
        "marks too early": (survive_marks_early, "the question was sent 0 times"),
        "waits longer": (survive_waits_on, "Expected None after half a second"),
        "a text": (survive_text, "but got 'the answer'"),
        "something small first": (survive_empties_first, "not sent as it was"),
        "no wait": (survive_no_wait, "BlockingIOError"),
        "empty is none": (
            lambda sock, question: solutions.survive(sock, question) or None,
            "Expected b'', but got None",
        ),
        "spins": (lambda sock, question: spins(), "did not come to its end"),
    },
}


def spins():
    while True:
        pass


test_right_in_any_style, test_wrong_with_the_words_for_it, test_each_has_its_table, test_over_in_time = four_tests(
    exercises, RIGHT, WRONG
)


# --- More of both, where there is a rule ---


@given(st.integers(0, LARGEST), st.integers(68, 9000))
def test_all_ways_to_count_pieces_agree(size, mtu):
    ways = [way for name, way in RIGHT["pieces"].items() if name != "recursion"]
    assert {way(size, mtu) for way in ways} == {solutions.pieces(size, mtu)}


@given(st.integers(0, 12), st.sampled_from([1, 2, 4, 8, 16]), st.sampled_from([0, 8, 20, 28]))
def test_a_count_with_another_header_or_unit_is_wrong(header, unit, ip):
    def count(size, mtu):
        left, pieces = size + header, 1
        while left > mtu - ip:
            left -= (mtu - ip) // unit * unit
            pieces += 1
        return pieces

    assert bool(exercises.pieces.verdict(count)) == ((header, unit, ip) == (8, 8, 20))


@given(st.lists(st.sampled_from(["sent", "error"]), min_size=4, max_size=4))
def test_any_four_words(words):
    assert bool(exercises.stale.verdict(words)) == (words == ["sent", "error", "sent", "error"])


@given(st.integers(-10, 10_000))
def test_any_size(size):
    assert bool(exercises.largest.verdict(size)) == (size == 1392)


@given(st.integers(0, 6))
def test_send_gives_an_old_error_one_more_try(tries):
    def send(sock, data):
        for _ in range(tries):
            try:
                sock.send(data)
                return True
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise
        return False

    assert bool(exercises.resend.verdict(send)) == (tries >= 2)


@needs_lan
def test_the_solutions_survive_a_real_path():
    """On the path of the lesson a real kernel reports what the paper does: once, at the next call."""
    with lan.path(1500, 1400) as net, net["client"].socket() as sock, net["server"].socket() as server:
        server.bind((net["server"].address, 1060))
        sock.setsockopt(0, 10, 2)  # IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO: forbid fragmentation
        sock.connect((net["server"].address, 1060))
        sock.settimeout(5)
        for ask in (solutions.survive, *RIGHT["survive"].values()):
            sock.setsockopt(0, 10, 3)  # IP_PMTUDISC_PROBE: the size that the kernel knows is ignored
            sock.send(bytes(1472))  # too big for the second link: its router says so
            net["client"].settle()
            with pytest.raises(OSError, match="too long"):
                sock.send(b"this one gets the error of that one")
            sock.send(bytes(1472))
            net["client"].settle()
            answers = functools.partial(answered, server)
            assert ask(Answering(sock, answers), b"question") == b"QUESTION"


def answered(server):
    data, peer = server.recvfrom(65535)
    server.sendto(data.upper(), peer)


class Answering:
    """A real socket; its partner answers after each send that went out."""

    def __init__(self, sock, answer):
        self._sock, self._answer = sock, answer

    def __getattr__(self, name):
        return getattr(self._sock, name)

    def send(self, data):
        sent = self._sock.send(data)
        self._answer()
        return sent

    def sendall(self, data):
        self.send(data)
