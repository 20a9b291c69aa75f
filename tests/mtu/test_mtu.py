"""Tests of lesson 2-3 that need no LAN: rules, listing, search, plots, panel, exercises, command line."""

import argparse
import copy
import dataclasses
import errno
import html
import math
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import needs_lan

from udplab import lan
from udplab.kit import picture
from udplab.kit.compared import Compared
from udplab.kit.server import Server
from udplab.kit.sockets import HEADERS, IP_HEADER, LARGEST, UDP_HEADER, udp_socket
from udplab.loopback import listing as loopback
from udplab.mtu import (
    __main__,
    experiments,
    films,
    fragments,
    hosts,
    journeys,
    kernel,
    listing,
    messages,
    packets,
    panel,
    plots,
    plots_of_fragments,
    probing,
    six,
)
from udplab.mtu.fragments import Fragment

REPO = Path(__file__).parents[2]
NO_LAN = "user namespaces are forbidden here: sysctl user.max_user_namespaces is 0"


class Scripted:
    """A connected socket that sends and receives what a script says: each entry is bytes, or an error to raise."""

    def __init__(self, sends=(), receives=(), clock=None):
        self.sends, self.receives, self.clock, self.sent, self.options = list(sends), list(receives), clock, [], []

    def send(self, data):
        if self.sends and (problem := self.sends.pop(0)):
            raise problem
        self.sent.append(len(data))

    def recv(self, _size):
        come = self.receives.pop(0) if self.receives else TimeoutError()
        if isinstance(come, TimeoutError):
            self.clock.now += self.timeout
        if isinstance(come, Exception):
            raise come
        return come

    def settimeout(self, seconds):
        self.timeout = seconds

    def setsockopt(self, *option):
        self.options.append(option)

    def getsockopt(self, level, option):
        return 1500 if (level, option) == (socket.IPPROTO_IP, kernel.options().mtu) else None

    def getpeername(self):
        return "10.0.2.2", 1060


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def too_big():
    return OSError(errno.EMSGSIZE, "Message too long")


def refused():
    return ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


def confirms(size):
    return loopback.respond(b"#" * size)


# --- The platform table ---


@pytest.mark.parametrize(
    ("platform", "forbid", "allow"),
    [
        ("linux", (socket.IPPROTO_IP, 10, 2), (socket.IPPROTO_IP, 10, 0)),
        ("win32", (socket.IPPROTO_IP, 71, 1), (socket.IPPROTO_IP, 71, 2)),
        ("darwin", (socket.IPPROTO_IP, 28, 1), (socket.IPPROTO_IP, 28, 0)),
        ("freebsd14", (socket.IPPROTO_IP, 67, 1), (socket.IPPROTO_IP, 67, 0)),
    ],
)
def test_each_platform_has_its_own_numbers(monkeypatch, platform, forbid, allow):
    monkeypatch.setattr(sys, "platform", platform)
    sock = Scripted()
    kernel.set_fragmentation(sock, "forbid")
    kernel.set_fragmentation(sock, "allow")
    assert sock.options == [forbid, allow]


@pytest.mark.parametrize(("platform", "believed"), [("linux", 1500), ("win32", 1500), ("darwin", None), ("aix", None)])
def test_belief_only_where_it_can_be_read(monkeypatch, platform, believed):
    monkeypatch.setattr(sys, "platform", platform)
    assert kernel.belief(Scripted()) == believed


def test_unknown_platform_is_named_and_nothing_is_set(monkeypatch):
    monkeypatch.setattr(sys, "platform", "sunos5")
    sock = Scripted()
    with pytest.raises(OSError, match=r"Cannot forbid fragmentation.*known on sunos5") as refused:
        kernel.set_fragmentation(sock, "forbid")
    assert sock.options == [] and "\n" not in str(refused.value)


def test_a_system_too_old_for_its_option(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    sock = Scripted()

    def refuse(*_):
        raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    sock.setsockopt = refuse
    with pytest.raises(OSError, match=r"macOS refuses.*since macOS 11 \(Protocol not available\)"):
        kernel.set_fragmentation(sock, "forbid")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's numbers are read back")
def test_linux_takes_the_numbers():
    with udp_socket() as sock:
        for choice, number in (("forbid", 2), ("probe", 3), ("allow", 0)):
            kernel.set_fragmentation(sock, choice)
            assert sock.getsockopt(socket.IPPROTO_IP, 10) == number


# --- The listing ---


def test_only_emsgsize_is_too_big():
    assert kernel.attempt(Scripted(), 100) is True
    assert kernel.attempt(Scripted([too_big()]), 100) is False
    for code in (errno.ENETUNREACH, errno.ECONNREFUSED, errno.EPERM, errno.ENOBUFS):
        with pytest.raises(OSError) as raised:
            kernel.attempt(Scripted([OSError(code, "no")]), 100)
        assert raised.value.errno == code


@pytest.fixture
def port():
    with Server(loopback.respond) as server:
        yield server.address[1]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems give loopback a smaller MTU")
def test_listing_on_loopback(port, capsys):
    listing.send_big_datagram("127.0.0.1", port)
    listing.send_big_datagram("127.0.0.1", port, 65507)
    listing.send_big_datagram("127.0.0.1", port, 65508)
    assert capsys.readouterr().out.splitlines() == [
        "The big datagram was sent: 65000 bytes. Whether it arrives, nobody tells.",
        "The big datagram was sent: 65507 bytes. Whether it arrives, nobody tells.",
        "The big datagram did not make it: 65508 bytes are too big.",
        "No datagram of IPv4 has more than 65507 bytes of payload, whatever the MTU is.",
    ]


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ("linux", ["The kernel believes in an MTU of 1500 bytes: room for 1472 of payload.", "That is its first link"]),
        ("win32", ["The kernel believes in an MTU of 1500 bytes: room for 1472 of payload.", "That is its first link"]),
        ("darwin", ["This system does not tell which MTU its kernel believes in. Try --probe."]),
        ("freebsd14", ["This system does not tell which MTU its kernel believes in. Try --probe."]),
    ],
)
def test_listing_says_what_is_believed(monkeypatch, capsys, platform, words):
    monkeypatch.setattr(sys, "platform", platform)

    class Refusing(Scripted):
        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *_: None  # noqa: E731

    monkeypatch.setattr(listing, "connect", lambda host, port, make_socket: Refusing([too_big()]))
    listing.send_big_datagram("10.0.2.2", 1060)
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "The big datagram did not make it: 65000 bytes are too big."
    assert len(out) == 1 + len(words) and all(map(str.startswith, out[1:], words))
    assert "ctual" not in "".join(out)


def test_one_byte_over_the_limit_is_told_so_whatever_the_mtu(monkeypatch, capsys):
    class Refusing(Scripted):
        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *_: None  # noqa: E731

    monkeypatch.setattr(listing, "connect", lambda host, port, make_socket: Refusing([too_big()]))
    listing.send_big_datagram("10.0.2.2", 1060, 65508)
    assert "No datagram of IPv4 has more than 65507 bytes of payload" in capsys.readouterr().out
    monkeypatch.setattr(listing, "belief", lambda sock: 1500)
    listing.send_big_datagram("10.0.2.2", 1060, 65507)
    said = capsys.readouterr().out
    assert "The kernel believes in an MTU of 1500 bytes" in said and "No datagram" not in said


def test_after_icmp():
    assert kernel.after_icmp(1500, 1400) == 1400
    assert kernel.after_icmp(1400, 1500) == 1400
    assert kernel.after_icmp(1500, 68) == 552
    assert kernel.after_icmp(500, 68) == 500


# --- The search ---


@pytest.mark.parametrize("limit", [68, 69, 551, 576, 1199, 1200, 1201, 1280, 1400, 1500, 9000, 65534, 65535])
@pytest.mark.parametrize("claim", [None, 0, 40, 1372, 1472, 65507])
def test_narrow_finds_the_limit_whatever_anyone_claims(limit, claim):
    largest = limit - HEADERS

    def outcome_of(size):
        return (probing.CONFIRMED if size <= largest else probing.LOST), False

    steps = list(probing.narrow(outcome_of, lambda: claim))
    assert steps[-1].low == largest and steps[-1].high == largest + 1
    assert len({step.size for step in steps}) == len(steps) <= 3 + math.log2(65507) + 2
    assert all(step.size <= 65507 for step in steps)


@given(st.integers(68, 65535), st.data())
def test_narrow_finds_any_limit_whatever_is_claimed_meanwhile(limit, data):
    """Claims may change from step to step, and a failure may look like a loss or a refusal."""
    largest = limit - HEADERS
    failures = st.sampled_from([(probing.LOST, False), (probing.LOST, True), (probing.REFUSED, False)])
    tried = [largest]

    def outcome_of(size):
        tried.append(size)
        return (probing.CONFIRMED, False) if size <= largest else data.draw(failures)

    def hint():
        return data.draw(st.none() | st.integers(-10, 70_000) | st.sampled_from(tried) | st.just(tried[-1]))

    steps = list(probing.narrow(outcome_of, hint))
    assert (steps[-1].low, steps[-1].high) == (largest, largest + 1)
    assert len({step.size for step in steps}) == len(steps)
    assert all(probing.SMALLEST <= step.size <= LARGEST for step in steps)


paths = st.lists(st.integers(68, 9000) | st.sampled_from([68, 576, 1280, 1500, 9000]), min_size=1, max_size=5)
payloads = st.integers(0, LARGEST)


@given(paths, st.booleans())
def test_a_predicted_search_ends_at_the_narrowest_link(mtus, black_hole):
    search = probing.predict(mtus, black_hole)
    assert search.steps[-1].low == min(mtus) - HEADERS
    beyond = mtus[0] > min(mtus)  # what the first link cannot carry is refused here, and no router can keep it silent
    assert probing.black_hole(search.steps) == (black_hole and beyond)
    lines = probing.verdict(search).splitlines()
    assert any(line.startswith("Black hole:") for line in lines) == (black_hole and beyond)
    assert any("refused here" in line for line in lines) == (not beyond)
    assert f"The kernel believes in an MTU of {search.believed} bytes." in lines


@given(paths, payloads)
def test_a_message_and_a_journey_name_the_same_mtu(mtus, size):
    message = messages.predict_message(mtus, size)
    assert journeys.predict_journey(mtus, size, dont_fragment=True).told == (message and message.mtu)
    assert journeys.predict_journey(mtus, size, dont_fragment=True, black_hole=True).told is None
    assert journeys.predict_journey(mtus, size, dont_fragment=False).told is None


@given(st.integers(68, 65535), st.integers(0, 65535))
def test_a_second_icmp_message_of_the_same_mtu_changes_nothing(believed, named):
    after = kernel.after_icmp(believed, named)
    assert after <= believed and kernel.after_icmp(after, named) == after


def trial(sock, clock):
    return probing.trial(sock, 1200, 0.5, clock)


def test_trial_tries_three_times():
    clock = Clock()
    lost = Scripted(clock=clock)
    assert trial(lost, clock) == (probing.LOST, False, ())
    assert lost.sent == [1200] * 3 and clock.now == 1.5
    third = Scripted(receives=[TimeoutError(), TimeoutError(), confirms(1200)], clock=clock)
    assert trial(third, clock) == (probing.CONFIRMED, False, ())


def test_trial_is_not_fooled():
    """Neither an answer to another size, nor junk, nor an ICMP message, confirms or refutes."""
    clock = Clock()
    noise = [confirms(1100), b"Your data was 9999 bytes long", b"\xff", too_big(), refused()]
    sock = Scripted(receives=[*noise, confirms(1200)], clock=clock)
    assert trial(sock, clock) == (probing.CONFIRMED, True, ("Connection refused",))
    assert clock.now == 0
    lost = Scripted(receives=noise, clock=clock)
    assert trial(lost, clock) == (probing.LOST, True, ("Connection refused",))
    assert lost.sent == [1200] * 3


def test_an_icmp_message_ends_the_wait_and_is_not_the_last_word():
    """It may have been about an earlier datagram: so there are three tries all the same."""
    clock = Clock()
    lost = Scripted(receives=[too_big()] * 3, clock=clock)
    assert trial(lost, clock) == (probing.LOST, True, ())
    assert lost.sent == [1200] * 3 and clock.now == 0
    stale = Scripted(receives=[too_big(), confirms(1200)], clock=clock)
    assert trial(stale, clock) == (probing.CONFIRMED, True, ())
    assert stale.sent == [1200] * 2


def test_trial_sends_again_what_old_news_has_stopped():
    clock = Clock()
    sock = Scripted(sends=[too_big(), None], receives=[confirms(1200)], clock=clock)
    assert trial(sock, clock) == (probing.CONFIRMED, True, ())
    assert sock.sent == [1200]
    late = Scripted(sends=[refused(), None], receives=[confirms(1200)], clock=clock)
    assert trial(late, clock) == (probing.CONFIRMED, False, ("Connection refused",))
    assert late.sent == [1200]
    never = Scripted(sends=[too_big()] * 3, clock=clock)
    assert trial(never, clock) == (probing.REFUSED, False, ())
    assert never.sent == [] and clock.now == 0


def test_the_deadline_comes_under_junk():
    clock = Clock()

    class Flooded(Scripted):
        def recv(self, _size):
            clock.now += 0.01
            return b"junk"

    assert trial(Flooded(), clock) == (probing.LOST, False, ())
    assert clock.now == pytest.approx(1.5, abs=0.05)


ERRORS = [errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EPERM, errno.ENOBUFS, errno.ENETDOWN, errno.EACCES]


@pytest.mark.parametrize("code", ERRORS)
def test_any_other_error_is_noted_and_the_search_goes_on(code):
    """Row 38: of a send and of a receive, whatever the ICMP message, the firewall or the link says."""
    clock, error = Clock(), OSError(code, os.strerror(code))
    sock = Scripted(sends=[error], receives=[error, TimeoutError(), confirms(1200)], clock=clock)
    assert trial(sock, clock) == (probing.CONFIRMED, False, (os.strerror(code),))
    down = Scripted(sends=[error] * 9, clock=clock)
    assert trial(down, clock) == (probing.LOST, False, (os.strerror(code),)), "an error is no word about size"
    assert down.sent == [] and clock.now == 2.0, "it waits between the tries: a link may come back"


def test_what_was_noted_is_told_at_the_end():
    clock, error = Clock(), OSError(errno.EHOSTUNREACH, "No route to host")
    with pytest.raises(OSError, match=r"even to 40 bytes\. What was seen: No route to host\. Start the other end"):
        list(probing.search(Scripted(receives=[error], clock=clock), 0.5, clock))
    steps = [probing.Step(40, probing.CONFIRMED, 40, 41, False, ("No route to host",))]
    assert "say nothing about size: No route to host." in probing.verdict(probing.Search(steps, None))


def test_search_says_when_nobody_answers():
    """It names the very address: a server at "" would answer from another where it has two."""
    clock = Clock()
    with pytest.raises(OSError, match=r"No answer from 10\.0\.2\.2, port 1060, even to 40 bytes") as raised:
        list(probing.search(Scripted(clock=clock), 0.5, clock))
    assert str(raised.value).endswith("at this very address: python -m udplab.mtu 10.0.2.2 -p 1060 --answer")


@pytest.mark.parametrize("code", [errno.ENOPROTOOPT, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM])
def test_a_system_that_refuses_the_options_goes_on_without(monkeypatch, capsys, port, code):
    """Row 37: not each Linux has all that its name promises."""

    class Refusing(socket.socket):
        def setsockopt(self, level, option, *rest):
            if level == socket.IPPROTO_IP:
                raise OSError(code, os.strerror(code))
            super().setsockopt(level, option, *rest)

        def getsockopt(self, level, *rest):
            if level == socket.IPPROTO_IP:
                raise OSError(code, os.strerror(code))
            return super().getsockopt(level, *rest)

    def make_socket():
        return Refusing(socket.AF_INET, socket.SOCK_DGRAM)

    monkeypatch.setattr(sys, "platform", "linux")
    listing.send_big_datagram("127.0.0.1", port, 100, make_socket)
    listing.send_big_datagram("127.0.0.1", port, 65_508, make_socket)
    probing.probe("127.0.0.1", port, make_socket)
    said = capsys.readouterr().out
    assert said.count("Cannot forbid fragmentation: this Linux refuses the option of linux/in.h") == 3
    assert "was sent: 100 bytes" in said and "65508 bytes are too big" in said and "Confirmed as received" in said
    with make_socket() as sock:
        assert kernel.belief(sock) is None


@pytest.mark.parametrize("platform", ["linux", "darwin", "sunos5"])
def test_probing_works_on_every_platform(monkeypatch, capsys, platform):
    """A path on paper that carries 1400 bytes without a word: a black hole. The options are recorded, not set."""
    clock = Clock()

    class Path(Scripted):
        def recv(self, _size):
            size = self.sent[-1]
            self.receives = [confirms(size)] if size <= 1372 else []
            return super().recv(_size)

    monkeypatch.setattr(sys, "platform", platform)
    steps = list(probing.search(Path(clock=clock), 0.5, clock))
    assert steps[-1].low == 1372
    text = probing.verdict(probing.Search(steps, kernel.belief(Scripted())))
    assert "Confirmed as received: up to 1372 bytes of payload, that is a packet of 1400 bytes." in text
    assert "Black hole" in text
    assert ("believes in an MTU of 1500" in text) is (platform == "linux")


def test_verdicts():
    told = probing.verdict(probing.predict((1500, 1400)))
    assert "1372" in told and "Black hole" not in told
    assert "1373 to 1472 bytes are sent and lost" in probing.verdict(probing.predict((1500, 1400), True))
    assert "no link on the way is narrower" in probing.verdict(probing.predict((1500, 9000)))
    assert "No datagram of IPv4 is larger" in probing.verdict(probing.predict((65535,)))


def test_probe_without_a_dont_fragment_option_says_so(monkeypatch, capsys, port):
    monkeypatch.setattr(sys, "platform", "sunos5")
    probing.probe("127.0.0.1", port)
    out = capsys.readouterr().out
    assert (
        out.startswith("Cannot forbid fragmentation: no socket option for it is known on sunos5.")
        and "Confirmed as received: up to 65507 bytes" in out
    )


# --- Predictions ---


def test_fragments_by_hand():
    assert fragments.fragments(1472, [1500]) == [Fragment(0, 1480)]
    assert fragments.fragments(1473, [1500]) == [Fragment(0, 1480), Fragment(1480, 1)]
    assert fragments.fragments(0, [68]) == [Fragment(0, 8)]
    assert fragments.fragments(3000, [1500, 1400]) == [
        Fragment(0, 1376), Fragment(1376, 104), Fragment(1480, 1376), Fragment(2856, 104), Fragment(2960, 48)
    ]  # fmt: skip


@pytest.mark.parametrize("mtus", [(68,), (1500,), (1500, 1400), (9000, 1499, 576), (576, 9000, 69)])
@pytest.mark.parametrize("size", [0, 1, 40, 41, 548, 549, 1472, 1473, 9000, 65507])
def test_fragments_hold_together(mtus, size):
    pieces = fragments.fragments(size, mtus)
    assert [piece.offset for piece in pieces] == [sum(p.size for p in pieces[:n]) for n in range(len(pieces))]
    assert sum(piece.size for piece in pieces) == size + 8
    assert all(piece.size % 8 == 0 for piece in pieces[:-1])
    assert all(piece.size + 20 <= min(mtus) for piece in pieces)


@given(payloads, paths)
def test_fragments_cover_any_datagram_exactly_once_on_any_path(size, mtus):
    pieces = fragments.fragments(size, mtus)
    ends = [piece.offset + piece.size for piece in pieces]
    assert [piece.offset for piece in pieces] == [0, *ends[:-1]] and ends[-1] == size + UDP_HEADER
    assert all(piece.offset % 8 == 0 and 0 < piece.size <= min(mtus) - IP_HEADER for piece in pieces)
    journey = journeys.predict_journey(mtus, size, dont_fragment=True)
    assert journey.arrived == (size + HEADERS <= min(mtus)) == (len(pieces) == 1)


@given(payloads, paths)
def test_a_journey_without_a_bit_set_ends_in_those_fragments(size, mtus):
    journey = journeys.predict_journey(mtus, size, dont_fragment=False)
    assert journey.arrived and list(journey.links[-1]) == fragments.fragments(size, mtus)
    assert all(sum(piece.size for piece in link) == size + UDP_HEADER for link in journey.links)


@given(payloads, st.floats(0, 1), st.integers(1, 500))
def test_odds_hold_what_is_most_likely_and_no_more_than_was_sent(size, loss, count):
    odds = journeys.odds(size, loss, count)
    assert 0 <= odds.low <= odds.mean <= odds.high <= count and int(odds) in odds
    assert odds.mean == pytest.approx(count * (1 - loss) ** len(fragments.fragments(size, [1500])))


@given(paths, st.lists(payloads, max_size=8), st.booleans())
def test_a_belief_never_grows_and_no_answer_is_under_the_truth(mtus, sizes, black_hole):
    beliefs = [mtus[0], *(send.believed for send in experiments.predict_sends(mtus, sizes, black_hole))]
    assert beliefs == sorted(beliefs, reverse=True)
    claims = experiments.predict_claims(mtus, black_hole)
    assert claims.listing >= claims.told >= claims.probed == claims.true == min(mtus)


@given(st.integers(-10, 2_000_000))
def test_a_size_reads_back_as_it_is_written(number):
    if 0 < number <= 1_000_000:
        assert __main__.size(str(number)) == number
    else:
        with pytest.raises(argparse.ArgumentTypeError, match="not a size"):
            __main__.size(str(number))


@pytest.mark.parametrize(("size", "count"), [(100, 100), (2800, 100), (14_000, 100), (29_000, 100), (14_000, 400)])
def test_odds_are_those_of_the_binomial_distribution(size, count):
    """At least 99 of 100 experiments end inside, and not nearly all: a wider interval would tell nothing."""
    odds, chance = journeys.odds(size, 0.05, count), 0.95 ** len(fragments.fragments(size, [1500]))
    inside = sum(math.comb(count, k) * chance**k * (1 - chance) ** (count - k) for k in range(odds.low, odds.high + 1))
    assert 0.988 < inside < 0.998


def test_what_is_chance_at_its_ends():
    assert journeys.odds(14_000, 0, 100) == journeys.Odds(100, 100, 100)
    assert journeys.odds(14_000, 1, 100) == journeys.Odds(0, 0, 0)


def test_the_next_size_by_hand():
    """A claim is tried, and then one byte more; without a claim between them it is the middle."""
    assert probing.next_size(1172, 65_508, 1472) == 1472 and probing.next_size(1372, 1472, 1372) == 1373
    assert [probing.next_size(1172, 1472, claim) for claim in (1472, 1171, None)] == [1322] * 3


def test_sends_by_hand():
    sends = experiments.predict_sends((1500, 1400), [1472, 1472, 1372, 1372])
    assert [(send.outcome, send.arrived, send.believed) for send in sends] == [
        (experiments.SENT, False, 1400),
        (experiments.TOO_BIG, False, 1400),
        (experiments.OLD_NEWS, False, 1400),
        (experiments.SENT, True, 1400),
    ]
    hole = experiments.predict_sends((1500, 1400), [1472, 1472, 1372], black_hole=True)
    assert [(send.outcome, send.arrived, send.believed) for send in hole] == [
        (experiments.SENT, False, 1500), (experiments.SENT, False, 1500), (experiments.SENT, True, 1500)
    ]  # fmt: skip


def test_fates_in_a_word():
    default = experiments.predict_sends((1500, 1400), [1472] * 3, choice="default")
    assert experiments.fates(default) == ["lost", "refused", "arrives"] and default[2].pieces == 2


def test_who_cuts_in_words():
    found = {"IPv4": six.predict_cutting4(MTUS, 1440), "IPv6": six.predict_cutting6(MTUS, 1440)}
    assert six.cutter(found) == "client"
    words = six.in_words(found).splitlines()
    assert words[0] == "IPv4, send 1, packets: 1 on link 1, 2 on link 2"
    assert words[2:4] == [
        "IPv6, send 1, packets: 1 on link 1, 0 on link 2",
        "IPv6, send 2, packets: 2 on link 1, 2 on link 2",
    ]
    assert words[4].startswith("IPv6: Message(type=2, code=0, mtu=1400")


def test_ipv6_by_hand():
    """Only the sender cuts, and only when it knows: 1360 bytes of payload have no room beside 48 of headers."""
    assert six.cut6(1352, 1400) == [1400] and six.cut6(1353, 1400) == [1400, 57]
    found = six.predict_cutting6((1500, 1400), 1440)
    assert found.links == ((1, 0), (2, 2)) and (found.message.type, found.message.mtu) == (2, 1400)
    assert six.predict_cutting6((1500, 1400, 1280), 1232) == six.Cutting(((1, 1, 1),) * 2, None)
    assert six.predict_cutting4((1500, 1400), 1440).links == ((1, 2), (1, 2))


def test_messages_by_hand():
    assert messages.predict_message((1500, 1400), 1472) == packets.Message(3, 4, 1400, "10.0.1.2")
    assert messages.predict_message((1500, 1400, 1280), 1300) == packets.Message(3, 4, 1280, "10.0.2.2")
    assert messages.predict_message((1500, 1400), 1473) is None and messages.predict_message((1500, 1400), 1372) is None


def test_claims_by_hand():
    assert experiments.predict_claims((9000, 1500, 1400)) == experiments.Claims(
        (9000, 1500, 1400), False, 9000, 1400, 1400
    )
    assert experiments.predict_claims((1500, 1400), True) == experiments.Claims((1500, 1400), True, 1500, 1500, 1400)
    claims = [experiments.predict_claims((1500, 1400), hole) for hole in (False, True)]
    assert [experiments.right(claims, way) for way in ("listing", "told", "probed")] == [0, 1, 2]


# --- Pictures and their words ---


def drawn(draw, *records, **options):
    """Return the Axes of a picture and its words."""
    with picture.style():
        ax = picture.figure().subplots()
        return ax, draw(ax, *records, **options)


def lines(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def texts(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


def both(predicted, measured=None):
    return Compared(predicted, measured or copy.deepcopy(predicted))


def alone(predicted):
    return Compared(predicted, None, NO_LAN)


MTUS, SIZES = (1500, 1400), [1472, 1472, 1372, 1372]


def test_picture_of_a_path():
    ax, words = drawn(plots.hops, (1500, 1400, 1280))
    assert texts(ax) == ["client", "router1", "router2", "server", "MTU 1500", "MTU 1400", "MTU 1280"]
    assert words.splitlines()[-1] == "router2 to server: MTU 1280"


@pytest.mark.parametrize(
    ("size", "dont_fragment", "black_hole", "pictured", "told"),
    [
        (3000, False, False, ["3 fragments", "5 fragments", "arrived"], "the server got it"),
        (1372, True, True, ["in one piece", "in one piece", "arrived"], "the server got it"),
        (1472, True, False, ["in one piece", "nothing", "ICMP: too big, the next MTU is 1400"], "next MTU is 1400"),
        (1472, True, True, ["in one piece", "nothing", "lost at router1, and nobody says so"], "nobody says so"),
        (3000, True, False, ["nothing", "nothing", "refused here: send() raises EMSGSIZE, nothing leaves"], "refused"),
    ],
)
def test_picture_of_a_journey(size, dont_fragment, black_hole, pictured, told):
    journey = journeys.predict_journey(MTUS, size, dont_fragment, black_hole)
    ax, words = drawn(plots_of_fragments.journey, both(journey))
    assert texts(ax)[5:] == pictured and "Predicted" not in ax.get_title("left")
    assert told in words and words.endswith("\nas predicted")
    wrong = dataclasses.replace(journey, arrived=not journey.arrived)
    assert drawn(plots_of_fragments.journey, both(journey, wrong))[1].endswith("NOT as predicted")
    ax, words = drawn(plots_of_fragments.journey, alone(journey))
    assert words.endswith(NO_LAN) and ax.get_title("left").startswith("Predicted: ")


def test_picture_of_sends():
    predicted = experiments.predict_sends(MTUS, SIZES)
    ax, words = drawn(plots.send_by_send, MTUS, both(predicted))
    assert list(lines(ax)["belief (measured)"].get_ydata()) == [1500, 1400, 1400, 1400, 1400]
    assert list(lines(ax)["error: old news"].get_data()[0]) == [3]
    assert words.count("error: old news") == 1 and words.startswith("measured") and words.endswith("as predicted")
    ax, words = drawn(plots.send_by_send, MTUS, alone(predicted))
    assert "belief (measured)" not in lines(ax) and ax.get_title("left").startswith("Predicted: ")
    assert "forbidden here" in ax.get_title("left") and words.endswith(f"only predicted: {NO_LAN}")
    wrong = [dataclasses.replace(predicted[0], arrived=True, pieces=2), *predicted[1:]]
    words = drawn(plots.send_by_send, MTUS, both(predicted, wrong))[1]
    assert "yes, 2 pieces" in words and words.count("error: old news") == 2 and words.endswith("NOT as predicted")


def test_picture_of_fragments():
    sizes = [100, 3000, 65507]
    predicted = [fragments.fragments(size, MTUS) for size in sizes]
    ax, words = drawn(plots_of_fragments.counts, MTUS, sizes, both(predicted))
    assert list(lines(ax)["captured at the server"].get_ydata()) == [1, 5, 89]
    assert "89 fragments, measured" in words and words.endswith("offsets as predicted")
    ax, words = drawn(plots_of_fragments.counts, MTUS, sizes, alone(predicted))
    assert "captured at the server" not in lines(ax) and words.endswith(NO_LAN)
    wrong = [*predicted[:2], predicted[2][:-1]]
    words = drawn(plots_of_fragments.counts, MTUS, sizes, both(predicted, wrong))[1]
    assert "88 fragments, measured" in words and words.endswith("offsets NOT as predicted")


def test_picture_of_a_datagram_cut_up():
    pieces = fragments.fragments(3000, MTUS)
    ax, words = drawn(plots_of_fragments.cut_up, 3000, MTUS, both(pieces))
    rows = [[p for p in ax.patches if p.get_y() == pytest.approx(row - 0.3)] for row in range(4)]
    assert [len(row) for row in rows] == [2, 3, 5, 5]  # row 0: the datagram and its UDP header
    assert [(p.get_x(), p.get_width()) for p in rows[3]] == [(piece.offset, piece.size) for piece in pieces]
    assert "at the server: 5 of 1376 at 0, 104 at 1376" in words
    assert "at the server" not in drawn(plots_of_fragments.cut_up, 3000, MTUS, alone(pieces))[1]


def test_picture_of_survival():
    sizes, odds = [100, 14_000], [journeys.odds(100, 0.05, 100), journeys.odds(14_000, 0.05, 100)]
    ax, words = drawn(plots_of_fragments.survival, sizes, 0.05, 100, Compared(odds, [95, 3]), you=50)
    assert list(lines(ax)["arrived (measured)"].get_ydata()) == [95, 3] and "you: 50" in lines(ax)
    assert lines(ax)["on average (predicted)"].get_ydata()[1] == pytest.approx(100 * 0.95**10)
    assert " 3 of 100 arrived" in words and words.endswith("what chance explains: 1 of 2")
    ax, words = drawn(plots_of_fragments.survival, sizes, 0.05, 100, alone(odds))
    assert "59.9 expected, chance allows 47 to 73" in words and words.endswith(NO_LAN)


def test_picture_of_a_search():
    search = probing.predict(MTUS, True)
    ax, words = drawn(plots.search, both(search), you=9)
    assert search.believed == 1500
    assert list(lines(ax)["no answer"].get_ydata()) == [1472, 1397, 1378, 1373]
    assert "predicted" in lines(ax) and "you: 9 steps" in lines(ax)
    assert "predicted" not in lines(drawn(plots.search, alone(search))[0])
    assert "Black hole" in words and words.endswith("\nas predicted")
    shorter = search._replace(steps=search.steps[:-1])
    assert drawn(plots.search, both(search, shorter))[1].endswith("NOT as predicted")


def test_picture_of_claims():
    predicted = [experiments.predict_claims(MTUS), experiments.predict_claims(MTUS, True)]
    ax, words = drawn(plots.claims, both(predicted))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1,400", "1,500"]
    assert list(lines(ax)["true"].get_xdata()) == [0, 0] and list(lines(ax)["listing"].get_xdata()) == [1]
    assert "1500, 1400, black hole           1500   1500    1400   1400" in words
    wrong = [predicted[0], dataclasses.replace(predicted[1], probed=777)]
    ax, words = drawn(plots.claims, both(predicted, wrong))
    assert "777" in words and words.endswith("NOT as predicted")
    assert drawn(plots.claims, alone(predicted))[0].get_title("left").startswith("Predicted: ")


# --- The panel, and a machine without a LAN ---


def no_lan(*_):
    raise lan.LanError(NO_LAN)


def test_panel_without_a_lan(monkeypatch):
    monkeypatch.setattr(lan, "path", no_lan)
    played = panel.journeys()
    assert played.stage.film.predicted == NO_LAN and len(played.stage.film) == 15
    assert "the server got it" in played.words.value


def fates(film):
    return [(flight.kind, flight.target[0], flight.fate) for flight in film]


LINK = "router1--router2"


@pytest.mark.parametrize("where", ["no LAN", pytest.param("LAN", marks=needs_lan)])
def test_the_stage_is_played_by_hand(monkeypatch, where):
    if where == "no LAN":
        monkeypatch.setattr(lan, "path", no_lan)
    played = panel.journeys()
    played.size.value = 1400
    played.whole.value = True
    told = [("UDP", "router1", "dropped"), ("ICMP", "client", "pending error")]
    assert fates(played.stage.film) == told and "the next MTU is 1400" in played.words.value
    played.heard({"type": "press", "name": "router1"})
    assert fates(played.stage.film) == told[:1] and "nobody says so" in played.words.value
    assert played.stage.pressed == ["router1"] and "speak again" in played.stage.buttons["router1"]
    played.heard({"type": "slide", "name": "MTU", "link": "router1--router2", "value": 1500})
    assert fates(played.stage.film)[-1] == ("ICMP", "client", "pending error"), "the second router speaks"
    played.heard({"type": "slide", "name": "MTU", "link": "router2--server", "value": 1428})
    assert [fate for *_, fate in fates(played.stage.film)] == ["forwarded", "forwarded", "delivered"]
    assert "Before: 1400 bytes over links of 1500, 1500, 1280, " in played.words.value
    played.delay.value = 5
    assert all(flight.arrived - flight.left >= 0.005 for flight in played.stage.film)
    played.heard({"type": "press", "name": "router1--router2"})
    assert played.stage.pressed == ["router1", "router1--router2"] and "Flip no bit" in played.stage.buttons[LINK]
    _, damaged, *rest = played.stage.film
    assert "1 bit flipped on the way" in damaged.why and [damaged, *rest][-1].fate == "dropped"
    assert "Predicted: the server's kernel drops it, since its checksum is wrong; but if the bit" in html.unescape(
        played.words.value
    )
    played.heard({"type": "press", "name": "router1--router2"})
    assert [fate for *_, fate in fates(played.stage.film)] == ["forwarded", "forwarded", "delivered"]


@pytest.mark.parametrize("noisy", [[0], [1], [2], [0, 2]])
@pytest.mark.parametrize("size", [1000, 3000])
def test_a_flipped_bit_is_found_where_it_is_predicted_to_be(size, noisy):
    """By the prediction's film; what the kernel does is seen in `test_mtu_lan`."""
    film = films.predict_film([1500, 1400, 1280], [size], "allow", noisy=noisy, reason="for a test")
    at_server = [each for each in film if each.target[0] == "server"]
    assert {each.fate for each in at_server} == {"dropped"} and "checksum" in at_server[-1].why
    assert all(each.cause is not None for each in at_server)
    flipped = {each.source[0] for each in film if "1 bit flipped" in each.why}
    assert flipped == {("client", "router1", "router2")[link] for link in noisy}


@pytest.mark.parametrize("error", [lan.LanError(NO_LAN), PermissionError(errno.EPERM, NO_LAN)])
def test_each_experiment_gives_its_prediction_and_the_reason(monkeypatch, error):
    """Also where a later step is refused (row 34)."""

    def fails(*_):
        raise error

    monkeypatch.setattr(lan, "path", fails)
    monkeypatch.setattr(lan, "switch", fails)
    for experiment, *arguments in (
        (experiments.sends, MTUS, SIZES),
        (messages.icmp_message, MTUS, 1472),
        (experiments.probe, MTUS),
        (experiments.claims, [MTUS]),
        (hosts.programs, MTUS, "--probe"),
        (journeys.travel, MTUS, 3000, False),
        (journeys.arriving, MTUS, [3000]),
        (journeys.survivors, [3000], 0.05, 5),
        (messages.in_flight, MTUS),
        (six.cutting, MTUS, 1440),
        (messages.forged, [1300]),
    ):
        found = experiment(*arguments)
        assert found.measured is None and NO_LAN in found.reason and found.predicted


@needs_lan
def test_a_lan_that_is_refused_a_later_step_is_no_traceback(monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    found = experiments.sends(MTUS, SIZES)
    assert found.measured is None and "Operation not permitted" in found.verdict


# --- The command line ---


def command(*arguments):
    return [sys.executable, "-X", "dev", "-W", "error", "-m", "udplab.mtu", *map(str, arguments)]


def run(*arguments):
    return subprocess.run(command(*arguments), cwd=REPO, capture_output=True, text=True, timeout=120)


def test_command_line_sends(port):
    for arguments in (["127.0.0.1", "-p", port, "--size", 100], ["-p", port, "--size", 100, "127.0.0.1"]):
        done = run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == "The big datagram was sent: 100 bytes. Whether it arrives, nobody tells.\n"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["127.0.0.1", "-p", "70000"], 2, "not a port"),
        (["127.0.0.1", "-p", "0"], 2, "1 to 65535"),
        (["127.0.0.1", "--size", "-1"], 2, "not a size"),
        (["127.0.0.1", "--size", "9999999"], 2, "not a size"),
        (["127.0.0.1", "--probe", "--answer"], 2, "not allowed with"),
        (["127.0.0.1", "--probe", "--size", "9"], 2, "not allowed with"),
        ([], 2, "needs HOST"),
        (["", "-p", "1060"], 1, "an empty name is nobody's"),
        (["no.such.host.invalid"], 1, "Unknown host 'no.such.host.invalid'"),
        (["a" * 70], 1, "Unknown host"),
        (["<broadcast>"], 1, "Cannot send to <broadcast>"),
    ],
)
def test_command_line_refuses(arguments, status, words):
    done = run(*arguments)
    assert done.returncode == status and words in done.stderr and done.stdout == ""
    assert "Traceback" not in done.stderr
    if status == 1:
        assert len(done.stderr.splitlines()) == 1


def test_command_line_on_an_unknown_platform():
    code = "import sys; sys.platform = 'sunos5'; from udplab.mtu.__main__ import main; main(['127.0.0.1'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == (
        "Cannot forbid fragmentation: no socket option for it is known on sunos5. "
        "What follows may be cut up. Probing by size (--probe) works here too."
    )


@pytest.mark.skipif(os.name != "posix", reason="needs a SIGINT that can be sent to one process")
def test_command_line_answers_and_probes(lasting_port):
    port = str(lasting_port)
    with subprocess.Popen(command("127.0.0.1", "--answer", "-p", port), cwd=REPO, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as server:  # fmt: skip
        assert server.stdout.readline() == f"Listening at ('127.0.0.1', {port})\n"
        done = run("127.0.0.1", "-p", port, "--probe")
        server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and "    40 bytes: confirmed\n" in done.stdout
    assert "Confirmed as received: up to" in done.stdout
    assert (server.returncode, errors) == (130, "")
    alone = run("127.0.0.1", "-p", port, "--probe")
    assert alone.returncode == 1 and alone.stderr.startswith(
        f"No answer from 127.0.0.1, port {port}, even to 40 bytes."
    )
    assert len(alone.stderr.splitlines()) == 1


def test_the_listing_imports_nothing_heavy():
    heavy = "numpy", "matplotlib", "ipywidgets", "dataclasses", "scapy", "udplab.lan"
    code = f"import sys, udplab.mtu.__main__; print([n for n in {heavy} if n in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=REPO, text=True) == "[]\n"


# --- Films ---


@pytest.mark.parametrize(("sizes", "choice", "black_hole"), [
    ([1472, 1472, 1372, 1372], "forbid", False), ([1472, 1372], "forbid", True), ([1472] * 3, "default", False),
    ([3000], "allow", False), ([1373], "forbid", False), ([100], "forbid", False),
])  # fmt: skip
@needs_lan
@pytest.mark.parametrize("mtus", [(1500, 1400), (1500, 1400, 1280)])
def test_a_predicted_film_shows_what_a_real_one_does(mtus, sizes, choice, black_hole):
    real, model = films.film(mtus, sizes, choice, black_hole), films.predict_film(mtus, sizes, choice, black_hole)
    assert real.predicted == "" and model.predicted
    assert sorted(fates(real)) == sorted(fates(model))
    assert [note.words for note in real.notes] == [note.words for note in model.notes]
    assert [flight.size for flight in real if flight.kind == "ICMP"] == [
        flight.size for flight in model if flight.kind == "ICMP"
    ]


def test_a_film_without_a_lan_says_why(monkeypatch):
    monkeypatch.setattr(lan, "path", no_lan)
    film = films.film(MTUS, SIZES)
    assert film.predicted == NO_LAN
    assert fates(film)[:2] == [("UDP", "router1", "dropped"), ("ICMP", "client", "pending error")]
    assert [note.words for note in film.notes] == [
        "1472 bytes refused: too big for the belief",
        "1372 bytes refused: old news",
    ]
