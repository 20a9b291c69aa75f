"""What the larger exercises of lesson 2-3 are tried on: paths and sockets on paper, with losses and old errors."""

import errno
import os

from udplab.kit.exercise import expect, number, printed
from udplab.kit.paper import Clock, Enough, Paper
from udplab.kit.paper_waits import on_paper
from udplab.kit.sockets import HEADERS, LARGEST
from udplab.kit.watched import outcome
from udplab.kit.words import brief

SERVER = "10.0.2.2", 1060

# --- Pieces ---


def _slip(header=8, ip=20, unit=8, each=0, last=0):
    """Return a function that counts pieces like the right one, but for one usual mistake."""

    def count(size, mtu):
        left, pieces, room = size + header, 1, (mtu - ip) // unit * unit - each
        while left > (room if last else mtu - ip - each):
            left -= room
            pieces += 1
        return pieces

    return count


PIECES_SLIPS = [
    (_slip(header=0), "UDP's header of 8 bytes is cut up too: the first piece holds it."),
    (_slip(unit=1), "Each piece but the last holds a multiple of 8 bytes."),
    (_slip(last=1), "The last piece need not be a multiple of 8: it holds what is left, up to mtu - 20 bytes."),
    (_slip(ip=0), "Each piece has an IP header of 20 bytes of its own."),
    (_slip(header=0, each=8, unit=1), "Only the first piece has UDP's header, not each of them."),
    (_slip(header=28), "The IP header of 20 bytes is not cut up: each piece gets one of its own."),
    (
        lambda size, mtu: -(-size // (mtu - 28)),
        "UDP's header is in the first piece only, and all but the last hold multiples of 8.",
    ),
    (lambda size, mtu: -(-size // mtu), "Each piece has an IP header, and UDP's header is cut up too."),
    (lambda size, mtu: size // (mtu - 28) + 1, "What fits exactly needs no piece more."),
]


def pieces(count, solution):
    """Return what is wrong with a learner's count of the fragments, or None. solution: a function that is right"""
    results = []
    for mtu in (1500, 1400, 576, 68):
        room = (mtu - 20) // 8 * 8
        # The last piece need not be rounded: both sides of each edge.
        edges = [0, 100, mtu - 28, mtu - 27, room + mtu - 28, room + mtu - 27, 2 * room - 7, 3000]
        results += [(size, mtu, count(size, mtu)) for size in sorted(edges)]
        results += [(size, mtu, count(size, mtu)) for size in [LARGEST] if mtu > 68]  # so that recursion may do it
    for size, mtu, got in results:
        what = f"the number of fragments of {size} bytes of payload on a link with an MTU of {mtu}"
        if got is None:
            return f"Expected {what}, but got None.{printed(got, count)}"
        if problem := number(solution(size, mtu), got, what):
            slips = [words for slip, words in PIECES_SLIPS if all(slip(s, m) == g for s, m, g in results)]
            return " ".join([problem, *slips[:1]])
    return None


# --- Find ---

TRIALS = 60  # 17 sizes by halving, three times each, and some to spare


class Path:
    """A path on paper: it delivers what fits, but loses every fifth datagram, and it counts."""

    def __init__(self, limit):
        self.limit, self.trials = limit, 0

    def arrives(self, size):
        """Return whether a datagram with so many bytes of payload arrives."""
        self.trials += 1
        if self.trials > TRIALS:
            raise TooMany
        return bool(size <= self.limit - HEADERS and self.trials % 5 != 0)


class TooMany(BaseException):
    """More datagrams were sent than allowed. No Exception: a loop that catches those would go on."""


def find(search):
    """Return what is wrong with a learner's search for the largest payload, or None."""
    for limit in (1400, 576, 1500, 68, 9000, 1280, 65535, 1499):
        expected, path = limit - HEADERS, Path(limit)
        scene = f"On a path with an MTU of {limit} bytes that loses every fifth datagram:"
        try:
            got = outcome(search, path.arrives, within=2.0)
        except TooMany:
            return (
                f"{scene} more than {TRIALS} datagrams sent. Halve the range at each step, "
                "and try a size three times at most."
            )
        if got is None:
            return f"{scene} expected {expected}, but got None.{printed(got, search)}"
        slips = [
            (limit, "that is the whole packet; arrives() and the answer count payload."),
            (limit - 20, "that leaves no room for UDP's header; arrives() and the answer count payload."),
            (expected + 1, "that one does not arrive any more."),
            (expected - 1, "one more byte still arrives."),
        ]
        if problem := number(expected, got, "the largest payload that arrives", slips):
            lost = isinstance(got, int) and got < expected - 1
            hint = " A datagram that is lost by chance looks like one that is too big: try again." if lost else ""
            return f"{scene} {problem}{hint}"
    return None


# --- Old errors ---


def too_long():
    """Return the error of a datagram that is too big: of this one, or of an earlier one."""
    return OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))


RESEND = [(100, 1372, 0), (1372, 1372, 1), (1373, 1372, 0), (1373, 1372, 1), (972, 972, 1), (973, 972, 1),
          (973, 972, 0), (1400, 1472, 1), (8972, 8972, 0)]  # fmt: skip


def resend(send):
    """Return what is wrong with a learner's send in spite of an old error, or None."""
    for size, limit, old in RESEND:
        works, clock = size <= limit, Clock(most=0.2)  # it needs no time but that of its calls
        sock = Paper([(0.0, too_long())] * old, clock=clock, peer=SERVER, limit=limit)
        scene = f"{size} bytes where {limit} fit, with {'an' if old else 'no'} old error waiting:"
        data = (b"0123456789" * size)[:size]
        try:
            got = outcome(on_paper(send, sock, clocks=True), sock, data, within=2.0)
        except Enough:
            return f"{scene} your function goes on for ever. An old error is gone after one call."
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                words = "send again" if works else "return False where it stays"
                return f"{scene} your function let the error through. Catch it, and {words}."
            raise
        sent = [data for data, _ in sock.sent]
        if sent == [data] * works and got is not works and got == works:
            return f"{scene} expected {works}, but got {brief(got)}: write True or False."
        if sent != [data] * works:
            what = f"{len(sent)} datagrams went out" if len(sent) != 1 else "another one went out"
            return f"{scene} expected your data to be sent {'once' if works else 'not at all'}, but {what}."
        if problem := expect(works, got, send):
            return f"{scene} {problem}"
    return _refused(send)


def _refused(send):
    """Return what a learner's send does wrong with an error that is not about size, or None."""
    refused = ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    sock = Paper([(0.0, refused)] * 3, clock=Clock(), peer=SERVER)
    try:
        got = outcome(on_paper(send, sock, clocks=True), sock, b"hello", within=2.0)
    except ConnectionRefusedError:
        return None
    return (
        f"The port was refused, which says nothing about size. Expected the error to be raised, but got {brief(got)}."
    )


def _survived(before, after, answer):
    """Return what arrives: so many old errors before the question, so many after it, then the answer or nothing."""
    errors = [(0.0, too_long())] * before + [(0.05 + n / 100, too_long()) for n in range(after)]
    return errors + ([(0.2, answer)] if answer is not None else [])


def survive(ask):
    """Return what is wrong with a learner's client for a path with old errors, or None."""
    answers = b"the answer", b""
    for before, after in ((0, 0), (1, 0), (3, 0), (0, 1), (1, 2), (0, 3), (2, 1)):
        scene = f"{before} old errors before the question, {after} after it:"
        for answer in (*answers, None) if before + after < 2 else (answers[0], None):
            clock = Clock()
            sock = Paper(_survived(before, after, answer), clock=clock, peer=SERVER, limit=1172)
            sock.settimeout(0.5)
            if problem := _survives(ask, sock, clock, answer):
                return f"{scene} {problem}"
    sock = Paper(_errors_without_end(), clock=Clock(most=2.0), peer=SERVER, limit=1172)
    sock.settimeout(0.5)
    try:
        got = outcome(on_paper(ask, sock, clocks=True), sock, bytes(1000), within=2.0)
    except OSError:
        return None
    except Enough:
        return "An error came at each call. Your client goes on for ever: after three, raise the next."
    return f"An error came at each call. Expected the fourth to be raised, but got {brief(got)}."


def _errors_without_end():
    """Yield old errors, a hundred of them: who takes more never stops."""
    yield from [(0.0, too_long())] * 100
    raise Enough


def _survives(ask, sock, clock, answer):
    """Return what is wrong with a client in one of the scenes, or None."""
    question = b"q" * 1000
    try:
        got = outcome(on_paper(ask, sock, clocks=True), sock, question, within=2.0)
    except Enough:
        return "your client waits on for ever, or never stops to ask."
    except TimeoutError:
        return "no answer came, and your client let TimeoutError through: it is an OSError too, so catch it first."
    except OSError as error:
        if error.errno == errno.EMSGSIZE:
            return "your client let an old error through. It is about an earlier datagram, and gone after one call."
        raise
    sent = [data for data, _ in sock.sent]
    if sent != [question]:
        what = f"sent {len(sent)} times" if set(sent) <= {question} else "not sent as it was"
        why = "An error of recv says nothing about what was sent. " if len(sent) > 1 else ""
        return f"the question was {what}, expected once. {why}"
    if answer is None and got is None and clock.now > 0.9:
        return f"nobody answered. Expected None after half a second, but it came after {clock.now:.1f} s."
    return expect(answer, got, ask)
