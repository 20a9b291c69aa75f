"""The exercises of lesson 2-4: right answers in many styles, wrong ones with the words that they get."""

import contextlib
import datetime
import ipaddress
import select
import selectors
import socket
import struct
import time
from decimal import Decimal
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import four_tests

from udplab.broadcast import exercises, hearing, solutions

# --- Who hears? ---

HEARD = {"10.0.0.2": [], "10.0.0.255": ["bob", "carol"], "<broadcast>": ["carol"], "10.0.1.255": []}


def heard(**changes):
    """Return the right answer, but for some destinations."""
    names = {"unicast": "10.0.0.2", "own": "10.0.0.255", "limited": "<broadcast>", "other": "10.0.1.255"}
    return HEARD | {names[name]: value for name, value in changes.items()}


# --- The broadcast address ---


def subnet_network(address, prefix):
    return str(ipaddress.IPv4Network(f"{address}/{prefix}", strict=False).broadcast_address)


def subnet_object(address, prefix):
    return ipaddress.ip_interface(f"{address}/{prefix}").network.broadcast_address


def subnet_bits(address, prefix):
    free = 2 ** (32 - prefix) - 1
    return str(ipaddress.IPv4Address(int(ipaddress.IPv4Address(address)) | free))


def subnet_struct(address, prefix):
    [number] = struct.unpack("!I", socket.inet_aton(address))
    return socket.inet_ntoa(struct.pack("!I", number | 0xFFFFFFFF >> prefix))


def subnet_text(address, prefix):
    bits = "".join(f"{int(part):08b}" for part in address.split("."))
    bits = bits[:prefix] + "1" * (32 - prefix)
    return ".".join(str(int(bits[place : place + 8], 2)) for place in (0, 8, 16, 24))


def subnet_last(address, prefix):
    return f"{ipaddress.IPv4Network((address, prefix), strict=False)[-1]}"


def subnet_parts(address, prefix):
    parts = []
    for number, part in enumerate(map(int, address.split("."))):
        free = min(max(8 * (number + 1) - prefix, 0), 8)
        parts.append(part // 2**free * 2**free + 2**free - 1)
    return "{}.{}.{}.{}".format(*parts)


def subnet_classful(address, prefix):
    return {8: address.split(".")[0] + ".255.255.255"}.get(prefix, address.rpartition(".")[0] + ".255")


# --- Repair the client ---

START = b"here time 77 "


def allowed(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)


def find_select(sock, address):
    allowed(sock)
    sock.sendto(b"find time 77", address)
    names, end = [], time.monotonic() + 0.2
    while (left := end - time.monotonic()) > 0:
        readable, _, _ = select.select([sock], [], [], left)
        for each_ in readable:
            data = each_.recv(65535)
            if data.startswith(START):
                names.append(data[len(START) :])
    names.sort()
    return names


def find_nonblocking(sock, address):
    allowed(sock)
    sock.setblocking(False)
    sock.sendto(b"find time 77", address)
    names, end = [], time.time() + 0.2
    while time.time() < end:
        try:
            data, _peer = sock.recvfrom(1024)
        except BlockingIOError:
            time.sleep(0.002)
            continue
        words = data.split(b" ", 3)
        if words[:3] == [b"here", b"time", b"77"]:
            names.append(words[3])
    return sorted(names)


def find_dontwait(sock, address):
    allowed(sock)
    sock.sendto(b"find time 77", address)
    names, end = [], datetime.datetime.now() + datetime.timedelta(milliseconds=200)
    while datetime.datetime.now() < end:
        with contextlib.suppress(BlockingIOError):
            data = sock.recv(65535, socket.MSG_DONTWAIT)
            if data[:13] == START:
                names.append(data[13:])
    return sorted(names)


def find_with(sock, address):
    with sock:
        return solutions.find(sock, address)


def find_short_waits(sock, address):
    allowed(sock)
    sock.settimeout(0.01)
    sock.sendto(b"find time 77", address)
    names, begin = [], time.perf_counter()
    while time.perf_counter() - begin < 0.2:
        try:
            data = sock.recv(65535)
        except TimeoutError:
            continue
        if data.startswith(START):
            names.append(data.removeprefix(START))
    return sorted(names)


def find_selectors(sock, address):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, True)
    sock.sendto(b"find time 77", 0, address)
    names, end = [], time.monotonic() + 0.2
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ)
    while (left := end - time.monotonic()) > 0:
        if selector.select(left):
            head, found, name = sock.recv(65535).partition(START)
            if found and not head:
                names.append(name)
    return sorted(names)


def find_recvmsg(sock, address):
    allowed(sock)
    sock.sendmsg([b"find ", b"time 77"], [], 0, address)
    names, end = [], time.monotonic() + 0.2
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return sorted(names)
        sock.settimeout(left)
        try:
            data, *_rest = sock.recvmsg(65535)
        except socket.timeout:  # noqa: UP041
            return sorted(names)
        if data.startswith(START):
            names.append(data[len(START) :])


def finding(fits=lambda data: data.startswith(START), name=lambda data: data[len(START) :], seconds=0.2,
            question=b"find time 77", result=sorted, permission=allowed):  # fmt: skip
    """Return a client that is right, but for what is given."""

    def find(sock, address):
        permission(sock)
        sock.sendto(question, address)
        names, end = [], time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            sock.settimeout(left)
            try:
                data = sock.recv(65535)
            except TimeoutError:
                break
            if fits(data):
                names.append(name(data))
        return result(names)

    return find


def find_unchanged(sock, address):
    sock.sendto(b"find time 77", address)
    data, _peer = sock.recvfrom(65535)
    return [data]


def find_first(sock, address):
    allowed(sock)
    sock.sendto(b"find time 77", address)
    sock.settimeout(0.2)
    with contextlib.suppress(TimeoutError):
        return [sock.recv(65535).removeprefix(START)]
    return []


def find_no_timeout(sock, address):
    allowed(sock)
    sock.sendto(b"find time 77", address)
    names = []
    while True:
        data = sock.recv(65535)
        if data.startswith(START):
            names.append(data.removeprefix(START))


def find_anew(sock, address):
    allowed(sock)
    sock.sendto(b"find time 77", address)
    sock.settimeout(0.2)
    names = []
    while True:
        try:
            data = sock.recv(65535)
        except TimeoutError:
            return sorted(names)
        if data.startswith(START):
            names.append(data.removeprefix(START))


def find_timeout_once(sock, address):
    allowed(sock)
    sock.sendto(b"find time 77", address)
    sock.settimeout(0.2)
    names, end = [], time.monotonic() + 0.2
    while time.monotonic() < end:
        try:
            data = sock.recv(65535)
        except TimeoutError:
            break
        if data.startswith(START):
            names.append(data.removeprefix(START))
    return sorted(names)


def find_lets_through(sock, address):
    allowed(sock)
    sock.sendto(b"find time 77", address)
    names, end = [], time.monotonic() + 0.2
    while (left := end - time.monotonic()) > 0:
        sock.settimeout(left)
        data = sock.recv(65535)
        if data.startswith(START):
            names.append(data.removeprefix(START))
    return sorted(names)


def find_what_is_there(sock, address):
    allowed(sock)
    sock.setblocking(False)
    sock.sendto(b"find time 77", address)
    names = []
    with contextlib.suppress(BlockingIOError):
        while True:
            names.append(sock.recv(65535).removeprefix(START))
    return sorted(names)


def find_connects(sock, address):
    allowed(sock)
    sock.connect(address)
    return finding()(sock, address)


def find_asks_twice(sock, address):
    allowed(sock)
    sock.sendto(b"find time 77", address)
    return solutions.find(sock, address)


def find_prints(sock, address):
    print(solutions.find(sock, address))


def find_deaf(sock, address):
    allowed(sock)
    sock.sendto(b"find time 77", address)
    sock.settimeout(0.05)
    while True:
        with contextlib.suppress(OSError):
            sock.recv(65535)


RIGHT = {
    "matrix": {
        "lists": HEARD,
        "tuples": {key: tuple(value) for key, value in HEARD.items()},
        "sets": {key: set(value) for key, value in HEARD.items()},
        "another order": heard(own=["carol", "bob"]),
        "capitals": heard(own=["Bob", " Carol "], limited=["CAROL"]),
        "texts": {"10.0.0.2": "", "10.0.0.255": "bob, carol", "<broadcast>": "carol", "10.0.1.255": "nobody"},
        "pairs": list(HEARD.items()),
        "frozen": {key: frozenset(value) for key, value in HEARD.items()},
    },
    "subnet": {
        "IPv4Network": subnet_network,
        "an address": subnet_object,
        "bits": subnet_bits,
        "struct": subnet_struct,
        "a text of bits": subnet_text,
        "the last": subnet_last,
        "part by part": subnet_parts,
    },
    "permission": {
        "a list": ["EACCES", "sent", "sent", "EACCES"],
        "a tuple": ("EACCES", "sent", "sent", "EACCES"),
        "other capitals": ["eacces", "Sent", "SENT", "Eacces"],
        "one text": "EACCES, sent, sent, EACCES",
        "its class": ["PermissionError", "sent", "sent", "PermissionError"],
        "errors": ["error", "sent", "sent", "error: EACCES"],
        "an array": np.array(["EACCES", "sent", "sent", "EACCES"]),
    },
    "find": {
        "select": find_select,
        "setblocking(False)": find_nonblocking,
        "MSG_DONTWAIT and datetime": find_dontwait,
        "with sock": find_with,
        "short waits": find_short_waits,
        "selectors": find_selectors,
        "recvmsg": find_recvmsg,
        "comprehension": finding(result=lambda names: [name for name in sorted(names)]),
    },
    "spread": {
        "one and a half": 120,
        "twice": 160,
        "a float": 150.5,
        "NumPy": np.int64(200),
        "float32": np.float32(130),
        "a Fraction": Fraction(400, 3),
        "a Decimal": Decimal(240),
    },
}

WRONG = {
    "matrix": {
        "bob hears what is his": (heard(unicast=["bob"]), "For 10.0.0.2: bob does not belong in your list."),
        "all hear": (heard(own=["alice", "bob", "carol"]), "For 10.0.0.255: alice does not belong in your list."),
        "only the own": (
            heard(own=["bob"]),
            "For 10.0.0.255: carol is missing in your list. The datagram comes to carol.",
        ),
        "only every": (heard(own=["carol"]), "bob is missing"),
        "limited is the same": (heard(limited=["bob", "carol"]), "For <broadcast>: bob does not belong"),
        "routers forward": (heard(own=["bob", "carol", "dave"]), "The datagram does not come to dave."),
        "directed": (heard(other=["dave"]), "For 10.0.1.255: dave does not belong"),
        "the router": (heard(other=["router"]), "No socket listens there."),
        "none": (heard(limited=[]), "For <broadcast>: carol is missing"),
        "one key": ({"10.0.0.2": []}, "Expected a dict with the keys"),
        "a list": ([[], ["bob"], [], []], "Expected a dict with the keys"),
        "a stranger": (heard(own=["eve"]), "expected a list of names such as ['bob']"),
        "lists in lists": (heard(own=[["bob"]]), "expected a list of names"),
        "numbers": (heard(own=2), "Expected a dict with the keys"),
        "nothing": (heard(own=None), "Expected a dict with the keys"),
        "a text": ("bob", "Expected a dict with the keys"),
    },
    "subnet": {
        "255": (lambda a, p: a.rpartition(".")[0] + ".255", "It ends in 255 only where the last 8 bits are free."),
        "classes": (subnet_classful, "For 10.1.2.3/20"),
        "the first": (
            lambda a, p: str(ipaddress.IPv4Interface(f"{a}/{p}").network.network_address),
            "the first address",
        ),
        "the mask": (lambda a, p: str(ipaddress.IPv4Interface(f"{a}/{p}").netmask), "That is the mask of the subnet."),
        "the free part": (lambda a, p: str(ipaddress.IPv4Interface(f"{a}/{p}").hostmask), "only the part that is free"),
        "the last host": (
            lambda a, p: str(ipaddress.IPv4Interface(f"{a}/{p}").network.broadcast_address - 1),
            "That is the last host",
        ),
        "a number": (lambda a, p: int(ipaddress.IPv4Address(subnet_bits(a, p))), "As a text with dots, please"),
        "bytes": (lambda a, p: ipaddress.IPv4Address(subnet_bits(a, p)).packed, "Expected '192.168.1.255', but got b'"),
        "a subnet's own address only": (
            lambda a, p: str(ipaddress.IPv4Network(f"{a}/{p}").broadcast_address),
            "host bits set",
        ),
        "prints": (lambda a, p: print(subnet_bits(a, p)), "Does your function return its result?"),
        "with the prefix": (lambda a, p: f"{subnet_bits(a, p)}/{p}", "but got '192.168.1.255/24'"),
        "prefix 24 always": (lambda a, p: subnet_bits(a, 24), "It ends in 255 only where"),
        "a result": ("192.168.1.255", "Give check the function itself"),
        "the limited one": (lambda a, p: "255.255.255.255", "but got '255.255.255.255'"),
    },
    "permission": {
        "as alice": (
            ["sent", "EACCES", "sent", "EACCES"],
            "is it a broadcast address of a subnet that dave belongs to?",
        ),
        "ends in 255": (["EACCES", "EACCES", "sent", "EACCES"], "Does dave's kernel know that?"),
        "the router refuses": (["EACCES", "sent", "EACCES", "EACCES"], "how many hosts have this address?"),
        "by a name": (["EACCES", "sent", "sent", "sent"], "which address does this name stand for?"),
        "all sent": (["sent"] * 4, "For 10.0.1.255: you say 'sent'"),
        "all refused": (["EACCES"] * 4, "For 10.0.0.255: you say 'EACCES'"),
        "none of his": (["sent", "EACCES", "EACCES", "EACCES"], "For 10.0.1.255"),
        "three": (["EACCES", "sent", "sent"], "Expected a list of 4 words"),
        "one word": ("sent", "Expected a list of 4 words"),
        "a number": (13, "Expected a list of 4 words, but got 13"),
        "other words": (
            ["EACCES", "lost", "sent", "EACCES"],
            'For 10.0.0.255: write "sent" or "EACCES". You wrote \'lost\'',
        ),
        "numbers": ([13, 0, 0, 13], "You wrote 13"),
        "nothing": (None, "Expected a list of 4 words"),
    },
    "find": {
        "as it was": (find_unchanged, "PermissionError: [Errno 13] Permission denied, in line 2 of your function"),
        "the first only": (find_first, "Expected an end 0.2 s after the question, but it came after 0.0"),
        "no timeout": (find_no_timeout, "your client waited on"),
        "anew each time": (find_anew, "Expected an end 0.2 s after the question, but it came after 0."),
        "a timeout set once": (find_timeout_once, "it came after 0."),
        "hurried": (finding(seconds=0.1), "but it came after 0.1"),
        "patient": (finding(seconds=0.5), "but it came after 0.5"),
        "an error": (find_lets_through, "let TimeoutError through"),
        "what is there": (find_what_is_there, "it came after 0.0"),
        "believes anyone": (finding(lambda data: True, lambda data: data), "Expected [b'bob', b'carol'], but got"),
        "another token": (finding(lambda data: data.startswith(b"here time ")), "Expected [b'bob', b'carol'], but got"),
        "a longer token": (finding(lambda d: d.startswith(b"here time 77"), lambda d: d.split()[3]), "but got [b'eve'"),
        "anywhere": (finding(lambda d: START in d, lambda d: d.split(b" ")[-1]), "but got [b'eve'"),
        "any service": (
            finding(lambda d: d.split()[:1] == [b"here"] and b" 77 " in d, lambda d: d.split()[-1]),
            "[b'eve'",
        ),
        "another question": (finding(question=b"find time"), "Expected one datagram, b'find time 77'"),
        "asks twice": (find_asks_twice, "but 2 were sent"),
        "in order of arrival": (finding(result=list), "Expected the list sorted"),
        "a set": (finding(result=set), "Expected a sorted list, but got {b'"),
        "texts": (finding(result=lambda names: sorted(name.decode() for name in names)), "but got ['bob', 'carol']"),
        "whole answers": (finding(name=lambda data: data), "but got [b'here time 77 bob'"),
        "connects": (find_connects, "but got ["),
        "prints": (find_prints, "Does your function return its result?"),
        "deaf": (find_deaf, "your client waited on"),
        "no permission": (finding(permission=lambda sock: None), "PermissionError"),
    },
    "spread": {
        "none": (0, "0 ms is too little"),
        "half": (40, "80 answers take the asker 1 ms each"),
        "the least": (80, "Random delays come in bunches"),
        "hardly more": (100, "draws of 100. Random delays come in bunches"),
        "five at a time": (16, "Five answers at a time do not make it five times faster"),
        "times the queue": (400, "The queue's room evens out chance."),
        "far too much": (1000, "somebody waits for nothing: half of it would do"),
        "five seconds": (5000, "somebody waits for nothing"),
        "seconds": (0.16, "Give milliseconds, not seconds."),
        "quotes": ("120", "a number of milliseconds"),
        "a unit": ("120 ms", "a number of milliseconds"),
        "truth": (True, "a number of milliseconds"),
        "negative": (-120, "is too little"),
        "nothing known": (float("nan"), "a number of milliseconds"),
    },
}


test_right_in_any_style, test_wrong_with_the_words_for_it, test_each_has_its_table, test_over_in_time = four_tests(
    exercises, RIGHT, WRONG
)


# --- More of both, where there is a rule ---


@given(st.ip_addresses(v=4), st.integers(1, 30))
def test_all_ways_to_a_broadcast_address_agree(address, prefix):
    assert {str(way(str(address), prefix)) for way in RIGHT["subnet"].values()} == {
        solutions.broadcast_address(str(address), prefix)
    }


@given(st.integers(0, 31))
def test_one_prefix_for_all_is_wrong(prefix):
    assert not exercises.subnet.verdict(lambda address, _: solutions.broadcast_address(address, prefix))


names = st.lists(st.sampled_from(exercises.HOSTS), unique=True)


@given(st.fixed_dictionaries({destination: names for destination in exercises.DESTINATIONS}))
def test_any_matrix(answer):
    right = all(set(answer[key]) == set(HEARD[key]) for key in HEARD)
    assert bool(exercises.matrix.verdict(answer)) == right


@given(st.lists(st.sampled_from(["sent", "EACCES"]), min_size=4, max_size=4))
def test_any_four_words(words):
    assert bool(exercises.permission.verdict(words)) == (words == solutions.permission())


@settings(max_examples=20)
@given(st.integers(0, 6000))
def test_too_little_and_too_much_delay(spread):
    verdict = exercises.spread.verdict(spread)
    assert verdict or not 120 <= spread <= 240
    assert not verdict or 100 < spread < 320


def test_what_the_lesson_prints_is_not_what_it_asks():
    assert hearing.predict(exercises.PLAN, "alice", exercises.DESTINATIONS, exercises.BINDS, permission=False)
    assert exercises.FROM_DAVE != exercises.DESTINATIONS
