"""The exercises of lesson 2-3."""

import errno

from udplab.kit.exercise import Exercise, expect, number
from udplab.kit.sockets import HEADERS, IP_HEADER, LARGEST
from udplab.mtu import experiments, fragments

LINKS = (9000, 1500, 1420, 1500)


def _largest(answer):
    return number(min(LINKS) - HEADERS, answer, "the largest payload in bytes")


largest = Exercise(
    _largest,
    "The smallest link decides, wherever it is. The order does not matter, nor do the other links.",
    "The path MTU is the smallest MTU on the path. It counts the whole packet: IP header, UDP header, payload.",
    "min(9000, 1500, 1420, 1500) - 20 - 8 = 1392",
)


def _pieces(count):
    for limit in (1500, 1400, 576, 68):
        room = (limit - IP_HEADER) // 8 * 8
        # The last piece need not be rounded: both sides of each edge.
        edges = (0, 100, limit - 28, limit - 27, room + limit - 28, room + limit - 27, 2 * room - 7, 3000, LARGEST)
        for size in sorted(edges):
            expected, got = len(fragments.fragments(size, [limit])), count(size, limit)
            if problem := expect(expected, got):
                return f"{size} bytes of payload on a link with an MTU of {limit} bytes: {problem}"
    return None


pieces = Exercise(
    _pieces,
    "Two things are easy to miss: the UDP header is cut up too, and every piece but the last holds a multiple of 8.",
    "What is cut up is size + 8 bytes. A piece has an IP header of 20 bytes of its own, and the room that is left, "
    "mtu - 20, is rounded down to a multiple of 8 for every piece but the last. Take away piece by piece.",
    """def pieces(size, mtu):
    left, count = size + 8, 1
    while left > mtu - 20:
        left -= (mtu - 20) // 8 * 8
        count += 1
    return count""",
    function=True,
)

TRIALS = 60  # 17 sizes by halving, three times each, and some to spare


class _Path:
    """A path on paper: it delivers what fits, but loses every fifth datagram, and it counts."""

    def __init__(self, limit):
        self.limit, self.trials = limit, 0

    def arrives(self, size):
        self.trials += 1
        if self.trials > TRIALS:
            raise RuntimeError(
                f"more than {TRIALS} datagrams sent: halve the range at each step, and try a size three times at most"
            )
        return size <= self.limit - HEADERS and self.trials % 5 != 0


def _find(find):
    for limit in (1400, 576, 1500, 68, 9000, 1280, 65535, 1499):
        expected, got = limit - HEADERS, find(_Path(limit).arrives)
        if problem := expect(expected, got):
            by_chance = isinstance(got, int) and got < expected
            hint = (
                " A datagram that is lost by chance looks like one that is too big. Try it again." if by_chance else ""
            )
            return f"On a path with an MTU of {limit} bytes that loses every fifth datagram: {problem}{hint}"
    return None


find = Exercise(
    _find,
    "You have written the heart of RFC 8899. It needs no ICMP message, and a lost datagram does not fool it.",
    "Keep two numbers: low, which arrives, and high, which does not. Try the middle, and move one of the two there. "
    "A datagram may be lost by chance: believe in a failure only after three.",
    """def find(arrives):
    low, high = 40, 65508
    while high - low > 1:
        middle = (low + high) // 2
        if arrives(middle) or arrives(middle) or arrives(middle):
            low = middle
        else:
            high = middle
    return low""",
    function=True,
)

STALE = (1472, 1372, 1372, 1373)


def _stale(answer):
    if not isinstance(answer, (list, tuple)) or len(answer) != len(STALE):
        return f'Expected a list of {len(STALE)} words, each "sent" or "error", but got {answer!r}.'
    reasons = {
        experiments.SENT: "It fits what the kernel believes by then, and no old error is waiting.",
        experiments.OLD_NEWS: "It fits, but what has become of the datagram before it?",
        experiments.TOO_BIG: "How big is it with its headers, and what does the kernel believe by then?",
    }
    for turn, (send, got) in enumerate(zip(experiments.predict_sends((1500, 1400), STALE), answer, strict=True), 1):
        if got != ("sent" if send.outcome == experiments.SENT else "error"):
            return f"Send {turn}, of {send.size} bytes: {got!r} is not what happens. {reasons[send.outcome]}"
    return None


stale = Exercise(
    _stale,
    "The second send failed for what the first had done. The last one failed for what it was itself.",
    "Go through them one by one. What does the kernel believe by then? Does the socket have an old error to report?",
    """["sent", "error", "sent", "error"]
1472: sent, since the kernel believes 1500. The router drops it and says so; from then on the belief is 1400.
1372: the socket reports the old error first, and this datagram is not sent.
1372: sent.
1373: 1401 bytes with its headers, over the belief of 1400: refused.""",
)


class _Socket:
    """A socket on paper, on a path with an MTU of 1400 bytes of which the kernel knows; `old` errors are waiting."""

    def __init__(self, old, other=None):
        self.old, self.other, self.sent, self.calls = old, other, [], 0

    def send(self, data):
        self.calls += 1
        if self.calls > 10:  # not an OSError: a loop that catches those would go on
            raise RuntimeError("send() was called more than 10 times. An old error is gone after one call")
        if self.other:
            raise self.other
        if len(data) > 1400 - HEADERS or self.old:
            self.old = max(0, self.old - (len(data) <= 1400 - HEADERS))
            raise OSError(errno.EMSGSIZE, "Message too long")
        self.sent.append(data)
        return len(data)


def _resend(send):
    for size, old, works in ((100, 0, True), (1372, 1, True), (1373, 0, False), (1373, 1, False)):
        sock = _Socket(old)
        data = (b"0123456789" * size)[:size]
        got = send(sock, data)
        waiting = "with an old error waiting" if old else "with no old error"
        if problem := expect(works, got):
            return f"{size} bytes, {waiting}: {problem}"
        if sock.sent != [data] * works:
            return f"{size} bytes, {waiting}: expected `data` to be sent {int(works)} times, but other datagrams went."
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
    try:
        got = send(_Socket(0, refused), b"hello")
    except ConnectionRefusedError:
        return None
    return f"The port was refused, which says nothing about size. Expected the error to be raised, but got {got!r}."


resend = Exercise(
    _resend,
    "An old error is reported once and then gone. An error that comes back is about this datagram.",
    "Catch OSError, raise it again if its errno is not errno.EMSGSIZE, and send once more. If that fails too, the "
    "datagram is really too big.",
    """import errno


def send(sock, data):
    for _ in range(2):
        try:
            sock.send(data)
            return True
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
    return False""",
    function=True,
)
