"""The exercises of lesson 2-4."""

import collections
import ipaddress
import numbers
import socket
import threading
import time

from udplab.broadcast import hearing
from udplab.kit.exercise import Exercise, WaitedOn, expect, outcome
from udplab.lan.plan import plan_switch

PLAN = plan_switch(("alice", "bob", "carol"), ("dave",))
BINDS = {
    "alice": hearing.OWN,
    "bob": hearing.SUBNET,
    "carol": hearing.EVERY,
    "dave": hearing.EVERY,
}
DESTINATIONS = ["10.0.0.2", "10.0.0.255", "<broadcast>", "10.0.1.255"]


def _matrix(answer):
    if not isinstance(answer, dict) or set(answer) != set(DESTINATIONS):
        return f"Expected a dict with the keys {DESTINATIONS}, but got {answer!r}."
    names = [host.name for host in PLAN]
    for destination, given in answer.items():
        if not isinstance(given, (list, tuple, set)) or not all(name in names for name in given):
            return f"For {destination}: expected a list of names such as ['bob'], out of {names}, but got {given!r}."
    for trial in hearing.predict(PLAN, "alice", DESTINATIONS, BINDS):
        taken = hearing.delivery(PLAN, "alice", trial.destination)[1]
        for name in names:
            if (name in answer[trial.destination]) != (name in trial.heard):
                what = "is missing in" if name in trial.heard else "does not belong in"
                comes = "comes" if name in taken else "does not come"
                bound = f"The socket there: {BINDS[name]}." if name in BINDS else "No socket listens there."
                return f"For {trial.destination}: {name} {what} your list. The datagram {comes} to {name}. {bound}"
    return None


matrix = Exercise(
    _matrix,
    'Two questions are enough: does the host take the datagram, and is the socket\'s address "" or the destination?',
    'Ask twice for each host. Does the datagram get there at all? Then: is the socket bound to "", or to exactly the '
    "address in the datagram?",
    """answer = {
    "10.0.0.2": [],  # bob's socket is bound to 10.0.0.255, which is not 10.0.0.2
    "10.0.0.255": ["bob", "carol"],  # alice's own socket is bound to 10.0.0.1
    "<broadcast>": ["carol"],  # 255.255.255.255 is not 10.0.0.255 either
    "10.0.1.255": [],  # only the router takes it, and nobody listens there
}""",
)


def _subnet(function):
    for address, prefix in (("192.168.1.129", 24), ("10.0.0.1", 8), ("10.1.2.3", 20), ("172.16.5.6", 30)):
        expected = str(ipaddress.IPv4Interface(f"{address}/{prefix}").network.broadcast_address)
        got = function(address, prefix)
        if (problem := expect(expected, str(got) if isinstance(got, ipaddress.IPv4Address) else got)) is not None:
            return f"For {address}/{prefix}: {problem}"
    return None


subnet = Exercise(
    _subnet,
    "The broadcast address has a 1 in every bit that the prefix leaves free. It does not always end in 255.",
    'ipaddress.IPv4Interface(f"{address}/{prefix}") has a .network, and a network has a .broadcast_address.',
    """def broadcast_address(address, prefix):
    return str(ipaddress.IPv4Interface(f"{address}/{prefix}").network.broadcast_address)""",
    function=True,
)


def _permission(answer):
    reasons = {
        "10.0.0.2": "it is one host, which needs no permission",
        "10.0.0.255": "it is the broadcast address of alice's own subnet",
        "<broadcast>": "255.255.255.255 is always a broadcast address",
        "10.0.1.255": "alice is not on that subnet, so for her kernel it is an address like any other",
    }
    trials = hearing.predict(PLAN, "alice", DESTINATIONS, BINDS, permission=False)
    if not isinstance(answer, (list, tuple)) or len(answer) != len(trials):
        return f"Expected a list of {len(trials)} words, but got {answer!r}."
    for trial, got in zip(trials, answer, strict=True):
        expected = trial.error or "sent"
        if got != expected:
            return (
                f"For {trial.destination}: expected {expected!r}, since {reasons[trial.destination]}, but got {got!r}."
            )
    return None


permission = Exercise(
    _permission,
    "EACCES protects you from your own mistake. It does not protect other people's networks.",
    "The kernel refuses what it knows to be a broadcast. Which subnets does alice's kernel know?",
    """answer = ["sent", "EACCES", "EACCES", "sent"]
# The last one is sent: 10.0.1.255 is no broadcast address of a subnet that alice belongs to.""",
)


class ScriptedSocket:
    """A socket on a network that exists on paper: it refuses a broadcast without permission, then plays answers.

    arrivals: (data, peer) pairs; then silence, or, with `nagging`, junk every 20 ms
    """

    def __init__(self, arrivals, nagging=False):
        self.arrivals, self.nagging = collections.deque(arrivals), nagging
        self.permission, self.timeout, self.patience, self.sent = False, None, 0.0, []
        self.closed = threading.Event()

    def setsockopt(self, level, option, value):
        """Note SO_BROADCAST."""
        if (level, option) == (socket.SOL_SOCKET, socket.SO_BROADCAST):
            self.permission = bool(value)

    def settimeout(self, seconds):
        """Note the timeout, and the longest so far."""
        if seconds is not None and seconds < 0:
            raise ValueError("settimeout() was given a negative time")
        self.timeout, self.patience = seconds, max(self.patience, seconds or 0.0)

    def sendto(self, data, address):
        """Note what is sent; refuse it as the kernel would."""
        if not self.permission:
            raise PermissionError(13, "Permission denied")
        self.sent.append((data, address))
        return len(data)

    def recvfrom(self, size):
        """Return the next arrival."""
        if self.arrivals:
            data, peer = self.arrivals.popleft()
            return data[:size], peer
        wait = 0.02 if self.nagging else self.timeout
        if self.closed.wait(wait):
            raise OSError("the socket was closed")
        if self.nagging:
            return b"junk"[:size], ("10.0.0.9", 4000)
        raise TimeoutError("timed out")

    def recv(self, size):
        """Return the data of the next arrival."""
        return self.recvfrom(size)[0]


def _find(function):
    address = ("10.0.0.255", 1060)
    answers = [
        (b"here time 77 carol", ("10.0.0.3", 1060)),
        (b"\xff\xfe junk", ("10.0.0.9", 4000)),
        (b"here time 66 mallory", ("10.0.0.9", 1060)),
        (b"here time 77 bob", ("10.0.0.2", 1060)),
    ]
    others = [
        (b"here time 770 eve", ("10.0.0.9", 1060)),
        (b"here date 77 eve", ("10.0.0.9", 1060)),
        (b"not here time 77 eve", ("10.0.0.9", 1060)),
        *[(b"here time 77 room%d" % number, ("10.0.0.7", 1060 + number)) for number in range(3)],
    ]
    rooms = [b"room0", b"room1", b"room2"]
    for script, expected, nagging in ((answers, [b"bob", b"carol"], False), (others, rooms, False), ([], [], True)):
        sock = ScriptedSocket(script, nagging)
        came = "A stranger sent junk all the time." if nagging else f"{len(script)} datagrams came."
        begin = time.monotonic()
        try:
            got = outcome(function, sock, address, within=2.0, rescue=sock.closed.set)
        except WaitedOn:
            return f"{came} Expected an end 0.2 s after the question, but your client waited on."
        except TimeoutError:
            return f"{came} Expected a list 0.2 s after the question, but your client let TimeoutError through."
        seconds = time.monotonic() - begin
        if sock.sent != [(b"find time 77", address)]:
            return f"Expected one datagram, b'find time 77' to {address}, but {sock.sent} was sent."
        if (problem := expect(expected, got)) is not None:
            return f"{came} {problem}"
        if sock.patience > 0.3:
            return f"{came} Expected a timeout of 0.2 s at most, but one was {sock.patience} s."
        if seconds < 0.19:
            return f"{came} Expected an end 0.2 s after the question, but it came after {seconds:.2f} s."
    return None


find = Exercise(
    _find,
    "Your client may broadcast, hears every server, believes only answers to its own question, and ends on time.",
    "Four things are missing: the option SO_BROADCAST; a deadline, worked out before the loop; in each round, a "
    'timeout of the time that is left; and a list of what starts with b"here time 77 ".',
    """import time


def find(sock, address):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.sendto(b"find time 77", address)
    names, start = [], b"here time 77 "
    deadline = time.monotonic() + 0.2
    while (left := deadline - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            data, peer = sock.recvfrom(65535)
        except TimeoutError:
            break
        if data.startswith(start):
            names.append(data.removeprefix(start))
    return sorted(names)""",
    function=True,
)


def _spread(answer):
    if isinstance(answer, bool) or not isinstance(answer, numbers.Real):
        return f"Expected a number of milliseconds, such as 50, but got {answer!r}."
    if answer < 80:
        return f"Expected at least 80 ms, since 80 answers take 1 ms each, but got {answer!r}."
    if answer < 120:
        return (
            f"{answer!r} ms is just enough on average. Random delays come in bunches: leave room, half as much again."
        )
    return None if answer <= 1000 else f"Expected no more than a second, since somebody waits, but got {answer!r}."


spread = Exercise(
    _spread,
    "The spread must give the asker time for all. A little more than the bare minimum leaves room for chance.",
    "How long is the asker busy with 80 answers? If they come faster than that on average, the queue grows.",
    "80 answers at 1 ms each keep the asker busy for 80 ms. That is the least; 120 to 160 leaves room for chance.",
)
