"""The exercises of lesson 2-4."""

import functools
import ipaddress
import itertools
import random
import time

from udplab.broadcast import discovery, hearing, solutions
from udplab.broadcast.hearing import PLAN
from udplab.kit.exercise import Exercise, as_number, as_words, expect, meant, short
from udplab.kit.paper import Enough, Paper, RealClock
from udplab.kit.paper_waits import on_paper
from udplab.kit.watched import Endless, outcome
from udplab.kit.words import brief

HOSTS = [host.name for host in PLAN]
BINDS = {
    "alice": hearing.OWN,
    "bob": hearing.SUBNET,
    "carol": hearing.EVERY,
    "dave": hearing.EVERY,
}
DESTINATIONS = ["10.0.0.2", "10.0.0.255", "<broadcast>", "10.0.1.255"]


def _matrix(answer):
    try:
        given = {destination: _names(who) for destination, who in dict(answer).items()}
    except (TypeError, ValueError):
        given = {}
    if set(given) != set(DESTINATIONS):
        return f"Expected a dict with the keys {DESTINATIONS}, but got {brief(answer)}."
    for destination, names in given.items():
        if names is None:
            words = f"but got {brief(answer[destination])}."
            return f"For {destination}: expected a list of names such as ['bob'], out of {HOSTS}, {words}"
    for trial in hearing.predict(PLAN, "alice", DESTINATIONS, BINDS):
        taken = hearing.delivery(PLAN, "alice", trial.destination)[1]
        for name in HOSTS:
            if (name in given[trial.destination]) != (name in trial.heard):
                what = "is missing in" if name in trial.heard else "does not belong in"
                comes = "comes" if name in taken else "does not come"
                bound = f"The socket there: {BINDS[name]}." if name in BINDS else "No socket listens there."
                return f"For {trial.destination}: {name} {what} your list. The datagram {comes} to {name}. {bound}"
    return None


def _names(who):
    """Return the set of hosts' names that a learner means, or None: a list, a set, a text such as "bob, carol"."""
    if isinstance(who, str):
        who = who.replace(",", " ").split()
    names = {name.strip().lower() for name in who if isinstance(name, str)} - {"nobody", "none"}
    return (
        names if len(list(who)) >= len(names) and names <= set(HOSTS) and all(isinstance(n, str) for n in who) else None
    )


matrix = Exercise(
    _matrix,
    'Two questions are enough: does the host take the datagram, and is the socket\'s address "" or the destination?',
    [
        "Ask twice for each host. The first question: does the datagram get there at all?",
        'The second question: is the socket bound to "", or to exactly the address in the datagram?',
    ],
    solutions.matrix,
    "A socket hears what was sent to exactly its address, so a socket at a host's own address hears no broadcast.",
)

SUBNETS = [("192.168.1.129", 24), ("10.0.0.1", 8), ("10.1.2.3", 20), ("172.16.5.6", 30), ("192.168.1.1", 25),
           ("10.255.0.9", 12), ("203.0.113.77", 27), ("172.16.0.0", 16)]  # fmt: skip


def _subnet(function):
    for address, prefix in SUBNETS:
        network = ipaddress.IPv4Interface(f"{address}/{prefix}").network
        got = function(address, prefix)
        got = str(got) if isinstance(got, (str, ipaddress.IPv4Address)) else got
        if (problem := expect(str(network.broadcast_address), got, function)) is not None:
            slips = [
                (str(network.network_address), "That is the first address of the subnet; this is the last."),
                (str(network.netmask), "That is the mask of the subnet."),
                (str(network.hostmask), "That is only the part that is free: the other bits come from the address."),
                (address.rpartition(".")[0] + ".255", "It ends in 255 only where the last 8 bits are free."),
                (str(network.broadcast_address - 1), "That is the last host: the broadcast address is one more."),
                (int(network.broadcast_address), "As a text with dots, please: str(ipaddress.IPv4Address(number))."),
            ]
            why = next((f" {words}" for wrong, words in slips if type(got) is type(wrong) and got == wrong), "")
            return f"For {address}/{prefix}: {problem}{why}"
    return None


subnet = Exercise(
    _subnet,
    "The broadcast address has a 1 in every bit that the prefix leaves free. It does not always end in 255.",
    [
        "Which bits of the address does the prefix leave free?",
        'ipaddress.IPv4Interface(f"{address}/{prefix}") has a .network, and a network has a .broadcast_address.',
    ],
    solutions.broadcast_address,
    "IPv4Interface takes the address of any host. str() makes a text of what comes out.",
    function=True,
)

SPELLED = {"sent": "sent", "ok": "sent", "eacces": "EACCES", "error": "EACCES", "permission": "EACCES"}
FROM_DAVE = ["10.0.1.255", "10.0.0.255", "10.0.1.254", "<broadcast>"]


def _permission(answer):
    reasons = {
        "10.0.1.255": "is it a broadcast address of a subnet that dave belongs to?",
        "10.0.0.255": "it is the broadcast address of another subnet. Does dave's kernel know that?",
        "10.0.1.254": "how many hosts have this address?",
        "<broadcast>": "which address does this name stand for?",
    }
    words = as_words(answer)
    if len(words) != len(FROM_DAVE):
        return f"Expected a list of {len(FROM_DAVE)} words, but got {brief(answer)}."
    for trial, got in zip(hearing.predict(PLAN, "dave", FROM_DAVE, BINDS, permission=False), words, strict=True):
        verdict = meant(got, SPELLED)
        if verdict is None:
            return f'For {trial.destination}: write "sent" or "EACCES". You wrote {brief(got)}.'
        if verdict != (trial.error or "sent"):
            return f"For {trial.destination}: you say {verdict!r}. Think again: {reasons[trial.destination]}"
    return None


permission = Exercise(
    _permission,
    "EACCES protects you from your own mistake. It does not protect other people's networks.",
    [
        "The kernel refuses what it knows to be a broadcast.",
        "A kernel knows the subnets that its own interfaces belong to, and 255.255.255.255. Which are dave's?",
    ],
    solutions.permission,
    "A kernel refuses what it knows to be a broadcast: on a subnet of its own, or the limited one.",
)

ADDRESS, QUESTION = ("10.0.0.255", 1060), b"find time 77"
ANSWERS = [
    (0.01, b"here time 77 carol", ("10.0.0.3", 1060)),
    (0.03, b"\xff\xfe junk", ("10.0.0.9", 4000)),
    (0.05, b"here time 66 mallory", ("10.0.0.9", 1060)),
    (0.15, b"here time 77 bob", ("10.0.0.2", 1060)),
]
OTHERS = [
    (0.0, b"here time 770 eve", ("10.0.0.9", 1060)),
    (0.0, b"here date 77 eve", ("10.0.0.9", 1060)),
    (0.0, b"not here time 77 eve", ("10.0.0.9", 1060)),
    *[(0.0, b"here time 77 room%d" % number, ("10.0.0.7", 1060 + number)) for number in range(3)],
]


def _scenes():
    """Yield (what happens, what arrives, the list to return)."""
    yield "4 datagrams came, the last one after 0.15 s.", ANSWERS, [b"bob", b"carol"]
    yield "6 datagrams came at once.", OTHERS, [b"room0", b"room1", b"room2"]
    junk = ((n / 50, b"junk", ("10.0.0.9", 4000)) for n in itertools.count(1))
    yield "A stranger sent junk all the time.", junk, []


def _find(function):
    for came, arrivals, expected in _scenes():
        for _ in range(4):  # a busy machine may wake it late, but hardly four times
            problem, may_be_late = _found(function, arrivals, expected)
            if not may_be_late:
                break
        if problem is not None:
            return f"{came} {problem}"
    return None


def _found(function, arrivals, expected):
    """Return what is wrong with a learner's client in a scene, or None, and whether a late wake-up may be why."""
    sock = Paper(arrivals, clock=RealClock(), needs_permission=(ADDRESS[0], "255.255.255.255"))
    begin = time.monotonic()
    try:
        got = outcome(on_paper(function, sock), sock, ADDRESS, within=1.0)
    except (Endless, Enough):
        return "Expected an end 0.2 s after the question, but your client waited on.", False
    except TimeoutError:
        return "Expected a list 0.2 s after the question, but your client let TimeoutError through.", False
    except BlockingIOError:
        return "Your client let BlockingIOError through: a socket that does not block says so where nothing is.", False
    seconds = time.monotonic() - begin
    if sock.sent != [(QUESTION, ADDRESS)]:
        what = f"{len(sock.sent)} were sent" if len(sock.sent) != 1 else f"{brief(sock.sent[0], 60)} was sent"
        return f"Expected one datagram, {QUESTION!r} to {ADDRESS}, but {what}.", False
    if not 0.19 <= seconds < 0.3:
        return f"Expected an end 0.2 s after the question, but it came after {seconds:.2f} s.", seconds >= 0.3
    if isinstance(got, (set, tuple)) and sorted(got) == expected:
        return f"Expected a sorted list, but got {brief(got)}.", False
    if isinstance(got, list) and got != expected and sorted(got, key=repr) == expected:
        return f"Expected the list sorted, {expected}, but got {brief(got)}.", False
    problem = expect(expected, got, function)
    return problem, problem is not None


find = Exercise(
    _find,
    "Your client may broadcast, hears every server, believes only answers to its own question, and ends on time.",
    [
        "Four things are missing: a permission, an end, a list of answers, and a look at what each answer says.",
        "The option SO_BROADCAST; a deadline, worked out before the loop; in each round, a timeout of the time that is "
        'left; and a list of what starts with b"here time 77 ".',
    ],
    solutions.find,
    "The space at the end of the start matters: 770 begins with 77 too.",
    function=True,
)


@functools.cache
def all_come(spread, answers=80, work=0.001, room=5, draws=100):
    """Return in what share of some draws of delays no answer is lost: `discovery.predict_answers` for each."""
    lots = (discovery.delays(answers, spread, random.Random(seed)) for seed in range(draws))
    return sum(discovery.lost(discovery.predict_answers(lot, work, room)) == 0 for lot in lots) / draws


def _spread(answer):
    value = as_number(answer)
    if value is None:
        return f"Expected a number of milliseconds, such as 50, but got {brief(answer)}."
    slips = {
        16: " Five answers at a time do not make it five times faster: the asker needs 1 ms for each.",
        400: " The queue's room evens out chance. It does not make each answer take longer.",
        0.08: " Give milliseconds, not seconds.",
        0.16: " Give milliseconds, not seconds.",
    }
    slip = slips.get(round(value, 3), "")
    if value < 80:
        return f"{short(value)} ms is too little: 80 answers take the asker 1 ms each.{slip}"
    share = all_come(value / 1000)
    if share < 0.8:
        bunches = "Random delays come in bunches: leave room."
        return f"With {short(value)} ms all 80 answers came in {share * 100:.0f} draws of 100. {bunches}"
    if all_come(value / 2000) > 0.95:
        half = f"half of it would do: all answers came in {all_come(value / 2000) * 100:.0f} draws of 100"
        return f"With {short(value)} ms somebody waits for nothing: {half}.{slip}"
    return None


spread = Exercise(
    _spread,
    "The spread must give the asker time for all. A little more than the bare minimum leaves room for chance.",
    [
        "How long is the asker busy with 80 answers? If they come faster than that on average, the queue grows.",
        "80 answers at 1 ms each keep the asker busy for 80 ms. That is the least; chance needs some room on top.",
    ],
    solutions.spread,
    "80 ms is the least; one and a half times to three times as much leaves room for chance.",
)
