"""Tests of lesson 2-4 that need one machine only: listing, rules, plots, exercises, what is left without a LAN."""

import dataclasses
import errno
import itertools
import os
import random
import signal
import socket
import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import run_async

from udplab import lan
from udplab.broadcast import (
    cost,
    discovery,
    experiments,
    hearing,
    listing,
    multicast,
    panel,
    plots,
    reach,
    sending,
)
from udplab.kit import frames, header, picture, terminal
from udplab.kit.compared import Compared
from udplab.kit.paper import Clock, Paper
from udplab.kit.server import Record, Server
from udplab.lan.plan import plan_switch

PLAN = plan_switch(("alice", "bob", "carol"), ("dave",), ("carol",))
HOSTS = [host.name for host in PLAN]
BINDS = dict.fromkeys(HOSTS, hearing.EVERY)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="127.255.255.255 is known to work on Linux only")


def run(*arguments):
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "udplab.broadcast", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


# ---- The listing ----


class Refusing:
    """A socket whose sendto fails with a given error."""

    def __init__(self, error):
        self.error, self.options = error, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def setsockopt(self, *option):
        self.options.append(option)

    def sendto(self, data, address):
        raise self.error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "x"), "No permission (EACCES; with SO_BROADCAST): a rule of this system"),
        (PermissionError(errno.EPERM, "x"), "perhaps a firewall"),
        (OSError(errno.ENETUNREACH, "x"), "No route to 10.0.0.255"),
        (OSError(errno.EHOSTUNREACH, "x"), "No route to 10.0.0.255"),
        (OSError(errno.EADDRNOTAVAIL, "x"), "No route to 10.0.0.255"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "Unknown host '10.0.0.255': no such name is known. Give a host"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "no name server answers"),
        (OSError(errno.ENOBUFS, "no buffer"), "Cannot send to 10.0.0.255: this system has no room left"),
    ],
)
def test_fault_27_every_failure_is_one_line(error, words, capsys):
    sock = Refusing(error)
    with pytest.raises(SystemExit) as end:
        terminal.run(listing.client, "10.0.0.255", 1060, True, lambda *kind: sock)
    assert words in end.value.code and "\n" not in end.value.code
    assert sock.options == [(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)]
    assert capsys.readouterr().out == ""


@on_linux
def test_fault_27_no_permission_on_a_real_socket():
    with pytest.raises(OSError, match=r"No permission: 127\.255\.255\.255 is a broadcast address"):
        listing.client(experiments.LOOPBACK, 1060, permission=False)


@on_linux
@pytest.mark.parametrize(
    ("destination", "end"),
    [
        ("127.255.255.255", ": a broadcast, for every host of the subnet of 127.0.0.1."),
        ("127.0.0.1", "."),
        ("127.0.7.255", ", as to one host: it is not a broadcast address of this machine's own subnets."),
    ],
)
def test_the_client_says_whom_it_reached(destination, end, capsys):
    listing.client(destination, 1060)
    assert capsys.readouterr().out == f"Sent 18 bytes to {destination}, port 1060{end}\n"


def test_whether_it_is_a_broadcast_is_unknown_elsewhere(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert reach.is_broadcast("127.0.0.1") is None
    assert reach.whom("10.0.0.255") == reach.deaf("127.0.0.1") == ""


@on_linux
@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "127.255.255.255", "<broadcast>", "239.1.2.3", "no.such.invalid", "\0"]
)
def test_a_server_that_may_hear_broadcasts_is_not_told_otherwise(host):
    assert reach.deaf(host) == ""


@on_linux
def test_a_server_at_one_address_is_told_that_it_hears_no_broadcast():
    assert reach.deaf("127.0.0.1") == (
        "It hears what is sent to 127.0.0.1 alone, and no broadcast. For broadcasts, listen at 0.0.0.0."
    )


class Forbidding:
    """A socket of a machine where a rule forbids an address, whatever the options."""

    def __init__(self, *kind):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def setsockopt(self, *option):
        pass

    def connect(self, address):
        raise PermissionError(errno.EACCES, "x")


@on_linux
def test_an_address_that_a_rule_forbids_is_not_called_a_broadcast_address():
    assert reach.is_broadcast("10.0.0.9", Forbidding) is False
    assert reach.own_address("10.0.0.9", Forbidding) is None


@on_linux
def test_a_broadcast_address_is_named_as_the_cause_only_where_it_is_one():
    error = PermissionError(errno.EACCES, "x")
    assert "needs the option SO_BROADCAST" in reach.cannot_send(error, "127.255.255.255", permission=False)
    assert "a rule of this system" in reach.cannot_send(error, "127.255.255.255")
    assert "a rule of this system" in reach.cannot_send(error, "127.0.0.1", permission=False)


def test_the_listing_as_the_book_has_it(capsys):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ear, socket.socket(ear.family, ear.type) as mouth:
        ear.bind(("127.0.0.1", 0))
        ear.settimeout(0.1)
        for _ in range(2):
            listing.send(mouth, *ear.getsockname())
        assert mouth.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)
        with pytest.raises(TimeoutError):
            listing.serve(ear)
        line = f"The client at ('127.0.0.1', {mouth.getsockname()[1]}) says b'Broadcast datagram'"
        assert capsys.readouterr().out.splitlines() == [line, line]


@on_linux
def test_the_program_from_end_to_end():
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "udplab.broadcast"]
    with subprocess.Popen(
        [*command, "server", "127.255.255.255", "-p", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        port = server.stdout.readline().split(", ")[1].strip(")\n")
        busy = run("server", "127.255.255.255", "-p", port)
        assert (busy.returncode, busy.stderr) == (1, terminal.cannot_listen(OSError(98, ""), "", port) + "\n")
        assert run("-p", port, "client", "127.255.255.255").returncode == 0
        assert "says b'Broadcast datagram'\n" in server.stdout.readline()
        server.send_signal(signal.SIGINT)
        assert server.wait(60) == 130 and server.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["client", ""], 1, "Nobody to send to"),
        (["client", "10.0.0.256"], 1, "Unknown host"),
        (["client", "fe80::1"], 1, "is an IPv6 address"),
        (["server", "192.0.2.77"], 1, "192.0.2.77 is not an address of this machine"),
        (["client", "x", "-p", "0"], 2, "1 to 65535"),
        (["client", "x", "-p", "70000"], 2, "is not a port"),
        (["client"], 2, "a client needs HOST"),
    ],
)
def test_expected_failures_of_the_program(arguments, status, words):
    done = run(*arguments)
    assert done.returncode == status and words in done.stderr and "Traceback" not in done.stderr
    assert status == 2 or done.stderr.count("\n") == 1


def test_a_line_of_the_log_is_safe_and_says_what_was_cut():
    record = Record(1, 0.0, ("10.0.0.1", 5), b"\x1b[31m\n", 6, "dropped", None, None, "")
    assert listing.in_words(record) == "The client at ('10.0.0.1', 5) says b'\\x1b[31m\\n'"
    assert "(the first 6 of 900 bytes)" in listing.in_words(record._replace(size=900))
    assert listing.in_words(record._replace(data=b"\xff", size=1)).endswith(r"says b'\xff'")


# ---- Loopback ----


@on_linux
@pytest.mark.parametrize(
    ("bind", "destination", "permission", "outcome"),
    [
        (experiments.LOOPBACK, experiments.LOOPBACK, True, "heard"),
        (experiments.LOOPBACK, experiments.LOOPBACK, False, "EACCES"),
        ("127.0.0.1", experiments.LOOPBACK, True, "silence"),
        (experiments.LOOPBACK, "127.0.0.1", True, "silence"),
        ("127.0.0.1", "127.0.0.1", False, "heard"),
        ("192.0.2.77", "127.0.0.1", True, "EADDRNOTAVAIL"),
    ],
)
def test_who_hears_on_loopback(bind, destination, permission, outcome):
    """A silence ends by event: its test would last an hour otherwise."""
    assert experiments.over_loopback(bind, destination, permission, timeout=3600) == outcome


@on_linux
def test_fault_28_reuse_steals_unicast_and_shares_broadcast():
    assert experiments.two_receivers("127.0.0.1", patience=3600) == experiments.Share(0, 20)
    assert experiments.two_receivers(experiments.LOOPBACK, patience=3600) == experiments.Share(20, 20)


def test_fault_28_our_servers_refuse_a_second_one():
    with pytest.raises(OSError) as refused:
        experiments.two_receivers("127.0.0.1", reuse=False)
    assert refused.value.errno == errno.EADDRINUSE
    with Server(listing.listen) as server:
        assert server._sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0
        with pytest.raises(OSError) as refused:
            Server(listing.listen, port=server.address[1]).start()
        assert refused.value.errno == errno.EADDRINUSE


# ---- Prediction ----


@pytest.mark.parametrize(
    ("sender", "destination", "options", "result"),
    [
        ("alice", "10.0.0.255", {}, (None, ("alice", "bob", "carol", "router"))),
        ("alice", "10.0.0.255", {"permission": False}, ("EACCES", ())),
        ("alice", "<broadcast>", {}, (None, ("alice", "bob", "carol", "router"))),
        ("alice", "10.0.1.255", {"permission": False}, (None, ("router",))),
        ("alice", "10.0.1.1", {}, (None, ("dave",))),
        ("alice", "10.0.0.77", {}, (None, ())),
        ("dave", "10.0.1.255", {}, (None, ("dave", "router"))),
        ("carol", "<broadcast>", {"permission": False}, ("ENETUNREACH", ())),
        ("carol", "<broadcast>", {"source": "10.0.0.3"}, (None, ("alice", "bob", "carol", "router"))),
        ("carol", "10.0.1.1", {}, ("ENETUNREACH", ())),
        ("router", "<broadcast>", {}, ("ENETUNREACH", ())),
        ("router", "<broadcast>", {"source": "10.0.1.254"}, (None, ("dave", "router"))),
        ("router", "<broadcast>", {"device": "eth0"}, (None, ("alice", "bob", "carol", "router"))),
        ("router", "<broadcast>", {"device": "eth1", "permission": False}, ("EACCES", ())),
        ("alice", "10.0.1.255", {"forwards": True}, (None, ("dave",))),
        ("alice", "10.0.1.1", {"forwards": True}, (None, ("dave",))),
    ],
)
def test_delivery(sender, destination, options, result):
    assert hearing.delivery(PLAN, sender, destination, **options) == result


def test_a_socket_hears_its_own_address_only():
    assert hearing.accepts(("", 1060), "10.0.0.255", 1060)
    assert hearing.accepts(("10.0.0.255", 1060), "10.0.0.255", 1060)
    assert not hearing.accepts(("10.0.0.2", 1060), "10.0.0.255", 1060)
    assert not hearing.accepts(("", 1061), "10.0.0.255", 1060)
    assert not hearing.accepts(("10.0.0.255", 1060), hearing.LIMITED, 1060)


def test_predicted_costs_and_members():
    assert cost.predict_costs(8, wanted=2) == [
        cost.Cost("broadcast", 1, 0, 1),
        cost.Cost("unicast, first time", 2, 2, 2),
        cost.Cost("unicast, again", 2, 0, 0),
    ]
    assert multicast.predict_members(PLAN, "alice", ("bob", "dave")) == ("bob",)
    everyone = ("alice", "bob", "dave", "router")
    assert multicast.predict_members(PLAN, "alice", everyone) == ("alice", "bob", "router")
    assert multicast.predict_members(PLAN, "alice", everyone, ttl=0) == ("alice",)
    assert multicast.predict_members(PLAN, "alice", everyone, ttl=9, loop=False) == ("bob", "router")
    assert multicast.predict_members(PLAN, "alice", everyone, ttl=0, loop=False) == ()
    assert multicast.predict_members(PLAN, "router", everyone, interface="eth1") == ("dave", "router")


def test_the_hardware_address_of_a_group():
    assert multicast.hardware_address("239.1.2.3") == multicast.hardware_address("224.129.2.3") == "01:00:5e:01:02:03"
    assert multicast.hardware_address("ff02::1") == "33:33:00:00:00:01"
    for nobody in ("10.0.0.255", "fe80::1", "bob"):
        with pytest.raises(ValueError):
            multicast.hardware_address(nobody)


def test_what_a_frame_says_of_a_group():
    igmp = (
        bytes.fromhex("01005e000016")
        + bytes(6)
        + b"\x08\x00\x45"
        + bytes(8)
        + b"\x02"
        + bytes(6)
        + bytes([224, 0, 0, 22])
    )
    assert multicast.read(igmp) == multicast.Sighting("IGMP", "224.0.0.22", "01:00:5e:00:00:16")
    assert multicast.read(bytes(12) + b"\x08\x06" + bytes(28)) is None
    assert multicast.read(bytes(12) + b"\x86\xdd" + bytes(6) + b"\x3a" + bytes(33)) is None


def fates(film):
    return [(flight.source[0], flight.target[0], flight.fate) for flight in film]


def test_the_film_that_the_rules_make():
    film, heard = sending.predict_film(
        PLAN, "alice", "10.0.0.255", {"bob": hearing.SUBNET, "carol": hearing.OWN}, reason="why"
    )
    assert fates(film) == [("alice", "bob", "queued"), ("alice", "carol", "ignored"), ("alice", "router", "ignored")]
    assert heard.heard == ("bob",) and film.predicted == "why" and {flight.left for flight in film} == {0.0}
    film, heard = sending.predict_film(PLAN, "alice", "10.0.0.255", {"alice": hearing.EVERY}, reason="why")
    assert fates(film)[0] == ("alice", "alice", "queued") and film[0].arrived == film[0].left
    film, heard = sending.predict_film(PLAN, "alice", "10.0.1.1", BINDS, reason="why")
    assert fates(film) == [("alice", "router", "forwarded"), ("router", "dave", "queued")] and heard.heard == ("dave",)
    film, heard = sending.predict_film(PLAN, "alice", "10.0.1.255", BINDS, reason="why")
    assert fates(film) == [("alice", "router", "queued")]
    film, heard = sending.predict_film(PLAN, "alice", "<broadcast>", BINDS, permission=False, reason="why")
    assert fates(film) == [] and [note.words for note in film.notes] == ["EACCES: nothing was sent"]


def test_the_film_of_an_implosion_that_the_rules_make():
    film = discovery.predict_film(plan_switch(("asker", "a", "b", "c", "d", "e", "f")), "why")
    assert [flight.fate for flight in film] == ["delivered"] * 6 + ["queued"] * 4 + ["dropped"] * 2


@st.composite
def plans(draw):
    """A network with hosts on one or two subnets, some without a default route."""
    names = [f"host{number}" for number in range(draw(st.integers(1, 6)))]
    beyond = [f"far{number}" for number in range(draw(st.integers(0, 4)))]
    stray = draw(st.lists(st.sampled_from([*names, *beyond]), unique=True))
    return plan_switch(tuple(names), tuple(beyond), tuple(stray))


@given(plans())
def test_who_hears_a_subnets_broadcast_is_the_same_whoever_sends(plan):
    """Everyone on a link hears it, the sender too: so it is symmetric. Nobody hears one without permission."""
    heard = {}
    for host in plan:
        own = host.interfaces[0]
        error, heard[host.name] = hearing.delivery(plan, host.name, own.broadcast)
        assert error is None and host.name in heard[host.name]
        assert hearing.delivery(plan, host.name, own.broadcast, permission=False) == ("EACCES", ())
        assert hearing.delivery(plan, host.name, hearing.LIMITED, source=own.address) == (None, heard[host.name])
    ends = {host.name: host for host in plan if len(host.interfaces) == 1}
    for one in ends:
        for two in ends:
            assert (
                (two in heard[one])
                == (one in heard[two])
                == (ends[one].interfaces[0].link == ends[two].interfaces[0].link)
            )


@given(plans())
def test_unicast_reaches_one_and_back_unless_somebody_has_no_route(plan):
    gone = {host.name for host in plan if not host.routes and len(host.interfaces) == 1}
    for one in plan:
        for two in plan:
            there = hearing.delivery(plan, one.name, two.interfaces[0].address)
            assert there in ((None, (two.name,)), ("ENETUNREACH", ()))
            back = hearing.delivery(plan, two.name, one.interfaces[0].address)
            if not gone & {one.name, two.name}:
                assert (there[0] is None) == (back[0] is None)


@given(plans(), st.data(), st.booleans(), st.sampled_from([1060, 1061]))
def test_only_who_takes_a_datagram_and_has_a_fitting_socket_hears_it(plan, data, permission, port):
    names = [host.name for host in plan]
    sender = data.draw(st.sampled_from(names))
    binds = data.draw(st.dictionaries(st.sampled_from(names), st.sampled_from(hearing.KINDS)))
    own = [interface for host in plan for interface in host.interfaces]
    addresses = [each.address for each in own] + [each.broadcast for each in own] + [hearing.LIMITED, "<broadcast>"]
    destination = data.draw(st.sampled_from(addresses))
    error, taken = hearing.delivery(plan, sender, destination, permission)
    [hears] = hearing.predict(plan, sender, [destination], binds, permission, port=port)
    assert hears.error == error and set(hears.heard) <= set(taken) & set(binds) and not (error and taken)
    for name in set(taken) & set(binds):
        there = binds[name] == (hearing.OTHER if port == 1061 else hearing.EVERY)
        assert name in hears.heard or not there
        assert name not in hears.heard or (binds[name] == hearing.OTHER) == (port == 1061)


@given(plans(), st.data())
def test_a_group_reaches_its_members_of_one_link_and_nobody_else(plan, data):
    names = [host.name for host in plan]
    sender, members = data.draw(st.sampled_from(names)), data.draw(st.sets(st.sampled_from(names)))
    heard = multicast.predict_members(plan, sender, members)
    on_link = hearing.delivery(plan, sender, next(h for h in plan if h.name == sender).interfaces[0].broadcast)[1]
    assert set(heard) == members & set(on_link)


@pytest.mark.parametrize(("hosts", "wanted"), [(2, 0), (2, 2), (0, 0), (8, 9)])
def test_a_cost_needs_somebody_wanted_and_a_bystander(hosts, wanted):
    with pytest.raises(ValueError, match=f"of {hosts} hosts"):
        cost.predict_costs(hosts, wanted)


# ---- Discovery ----


EVERYBODY = "10.0.0.255", 1060


def on_paper(arrivals):
    """Return a socket on paper to which something comes each tenth of a second: (data, peer), or (an error,)."""
    return Paper([(number / 10, *each) for number, each in enumerate(arrivals, 1)], clock=Clock(most=100))


words = st.binary(min_size=1, max_size=10).filter(lambda word: b" " not in word)


@given(words, words, words, words)
def test_a_question_finds_exactly_its_own_service(service, other, token, name):
    answer = discovery.responder(service, name)(discovery.question(other, token))
    assert answer == (b"here %b %b %b" % (service, token, name) if service == other else None)
    script = on_paper([(answer or b"junk", "server")])
    found = discovery.find(script, EVERYBODY, service, token=token, wait=1, clock=script.clock.read)
    assert found.servers == ({"server": name} if service == other else {})


@given(st.lists(st.floats(0, 10), max_size=30), st.floats(0.001, 2), st.integers(1, 10))
def test_a_predicted_queue_loses_only_what_has_no_room(delays, work, room):
    answers = discovery.predict_answers(delays, work, room)
    heard = [answer.heard for answer in answers if answer.heard is not None]
    assert [answer.sent for answer in answers] == sorted(delays) and heard == sorted(heard)
    assert all(answer.heard is None or answer.heard >= answer.sent for answer in answers)
    assert all(after - before >= work * 0.999 for before, after in itertools.pairwise(heard))
    assert len(heard) >= min(room, len(delays)) and (len(delays) > room or not discovery.lost(answers))


def test_a_server_answers_only_its_own_question():
    respond = discovery.responder(b"time", b"bob")
    assert respond(discovery.question(b"time", b"77")) == b"here time 77 bob"
    assert respond(b"find print 77") is None and respond(b"here time 77") is None
    for data in (b"", b"find", b"here time 77 bob"):  # four words: an answer is no question
        with pytest.raises(ValueError):
            respond(data)


def test_find_believes_answers_with_its_token_only():
    script = on_paper([(b"here time 5 bob", 1), (b"here time 6 eve", 2), (b"\xff", 3), (b"here time 5 carol", 4)])
    found = discovery.find(script, EVERYBODY, b"time", wait=1, token=b"5", clock=script.clock.read)
    assert found == discovery.Found({1: b"bob", 4: b"carol"}) and script.sent == [(b"find time 5", EVERYBODY)]


def test_find_goes_on_when_windows_reports_a_host_without_a_server():
    script = on_paper([(ConnectionResetError(),), (b"here time 5 bob", 1)])
    found = discovery.find(script, EVERYBODY, b"time", wait=1, token=b"5", clock=script.clock.read)
    assert found.servers == {1: b"bob"}


def test_find_notes_an_error_and_goes_on():
    down = OSError(errno.ENETDOWN, "Network is down")
    script = on_paper([(down,), (b"here time 5 bob", 1), (down,)])
    found = discovery.find(script, EVERYBODY, b"time", wait=1, token=b"5", clock=script.clock.read)
    assert found == discovery.Found({1: b"bob"}, 0, ("Network is down",))


def test_find_remembers_so_many_servers_and_counts_the_others():
    script = on_paper([(b"here time 5 forged", port) for port in [*range(50), 3]])
    found = discovery.find(script, EVERYBODY, b"time", wait=60, token=b"5", clock=script.clock.read, most=10)
    assert list(found.servers) == [*range(10)] and found.more == 40


def test_find_says_in_words_why_it_cannot_ask():
    with pytest.raises(OSError, match="perhaps a firewall"):
        discovery.find(Refusing(PermissionError(errno.EPERM, "x")), ("10.0.0.255", 1060), b"time")


def test_find_keeps_its_deadline_while_junk_arrives():
    script = on_paper([(b"junk", 9)] * 100)
    assert discovery.find(script, EVERYBODY, b"time", wait=0.35, clock=script.clock.read) == discovery.Found({})
    assert script.clock.now == pytest.approx(0.35, abs=1e-3)


def test_each_question_has_a_token_of_its_own(monkeypatch):
    def sent():
        script = on_paper([])
        discovery.find(script, EVERYBODY, b"time", clock=script.clock.read)
        return script.sent

    assert sent() != sent()
    monkeypatch.setattr(os, "urandom", lambda count: bytes(range(count)))
    assert sent() == [(b"find time 00010203", EVERYBODY)], "from the system's source of what nobody can guess"


def test_the_predicted_queue():
    together = discovery.predict_answers([0.0] * 5, work=1.0, room=2)
    assert [answer.heard for answer in together] == [0.0, 1.0, None, None, None]
    apart = discovery.predict_answers([4.0, 0.0, 2.0], work=1.0, room=1)
    assert [answer.heard for answer in apart] == [0.0, 2.0, 4.0] and discovery.lost(apart) == 0
    assert discovery.lost(discovery.predict_answers([0.0, 0.5, 0.6, 1.7], work=1.0, room=1)) == 1


def test_delays_are_drawn_from_the_given_lots():
    lots = discovery.delays(100, 0.2, random.Random(4))
    assert lots == discovery.delays(100, 0.2, random.Random(4)) and 0 <= min(lots) < 0.05 < 0.15 < max(lots) <= 0.2


def test_a_forged_packet_names_the_sender_that_was_asked_for():
    ends = ("10.0.0.2", 5000), ("10.0.0.255", 1060)
    packet = header.packet(*ends, header.datagram(*ends, b"hi", checked=False))
    assert packet[12:16] == bytes([10, 0, 0, 2]) and packet[16:20] == bytes([10, 0, 0, 255])
    assert packet[20:28] == bytes.fromhex("1388 0424 000a 0000") and packet[28:] == b"hi"


@given(st.tuples(st.ip_addresses(v=4).map(str), st.integers(0, 65535)), st.binary(max_size=2000))
def test_a_forged_packet_reads_back(source, data):
    ends = source, ("10.0.0.255", 1060)
    read = frames.parse_ip(header.packet(*ends, header.datagram(*ends, data, checked=False)))
    assert (read.protocol, read.source, read.offset) == (socket.IPPROTO_UDP, source[0], 0)
    assert struct.unpack("!HHHH", read.body[:8]) == (source[1], 1060, 8 + len(data), 0) and read.body[8:] == data


# ---- Without a LAN ----

WHY = "no namespaces on this machine"


@pytest.fixture
def no_lan(monkeypatch):
    monkeypatch.setattr(lan, "switch", refuse)
    monkeypatch.setattr(experiments, "_kept", [])


def refuse(*names, beyond=()):
    raise lan.LanError(WHY)


@pytest.mark.parametrize(
    "experiment",
    [
        lambda: experiments.hears("alice", ["10.0.0.2", "<broadcast>"]),
        lambda: experiments.binds("alice", "10.0.0.255"),
        lambda: experiments.costs(8, 2),
        lambda: experiments.implosion([0.0] * 40),
        lambda: experiments.members("alice", ["bob"]),
        lambda: experiments.all_nodes("alice"),
        lambda: experiments.amplification(),
        lambda: experiments.devices(),
        lambda: experiments.own("router"),
        lambda: experiments.asks(lambda sock, address: {}),
        lambda: experiments.joining("239.1.2.3"),
        lambda: experiments.neighbours(),
        lambda: experiments.forwarded("alice", ["10.0.1.255"]),
    ],
)
def test_without_a_network_the_prediction_stands_alone_with_the_reason(experiment, no_lan):
    result = experiment()
    assert (result.measured, result.reason, result.result) == (None, WHY, result.predicted) and result.predicted


def test_without_a_network_the_films_are_predicted(no_lan):
    assert experiments.film("alice", "10.0.0.255").predicted == experiments.implosion_film().predicted == WHY


@pytest.mark.parametrize("problem", [OSError(errno.EAFNOSUPPORT, "no IPv6"), PermissionError(errno.EPERM, "refused")])
def test_a_network_that_is_there_and_then_refuses_leaves_the_prediction(problem, monkeypatch):
    class Refusing(dict):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def __iter__(self):
            return iter(self.values())

    class Host:
        def __init__(self, name):
            self.name = name

        def socket(self, *kind):
            raise problem

    monkeypatch.setattr(lan, "switch", lambda *names, beyond=(): Refusing({name: Host(name) for name in names}))
    monkeypatch.setattr(experiments, "_kept", [])
    for result in (experiments.all_nodes("alice"), experiments.hears("alice", ["10.0.0.2"])):
        assert result.measured is None and problem.strerror in result.reason


def test_the_playground_without_a_lan_shows_the_prediction(no_lan):
    playground = panel.who_hears()
    assert playground.words == f"alice sends to 10.0.0.255, heard by: alice, bob, carol, router\nonly predicted: {WHY}"
    assert playground.stage.film.predicted == WHY


def press(playground, name):
    playground.pressed({"type": "press", "name": name})


def test_a_pressed_host_sends_or_listens_in_another_way(no_lan):
    playground = panel.who_hears()
    press(playground, "dave")
    assert playground.words.startswith("dave sends to 10.0.0.255, heard by: router")
    film, words = playground.stage.film, playground.text.value
    playground.action.value = panel.BIND
    assert (playground.stage.film, playground.text.value) == (film, words), "nothing is sent"
    assert "Before: alice to 10.0.0.255, port 1060, heard by: alice, bob, carol, router" in words
    assert playground.stage.buttons["bob"] == "bob listens at: every address. Change it"
    kinds = []
    for _ in panel.BINDS:
        press(playground, "router")
        kinds.append(playground.binds["router"])
    assert kinds == [*panel.BINDS[1:], panel.BINDS[0]] and playground.sender == "dave"
    press(playground, "router")
    assert "heard by: nobody" in playground.words
    boxes = {node.name: node.addresses for node in playground.stage.film.nodes}
    assert boxes["router"] == ("10.0.0.254", "10.0.1.254", "own address") and boxes["dave"][-1] == "sends"
    before = playground.words
    press(playground, "switch0")
    assert playground.words == before
    playground.port.value = 1061
    assert "heard by: nobody" in playground.words


def test_the_still_of_the_playground(no_lan, capsys):
    run_async(panel.who_hears().still)
    assert "alice sends to 10.0.0.255, heard by: alice, bob, carol, router" in capsys.readouterr().out


# ---- Plots ----


def drawn(draw, *records, **options):
    """Return the Axes that a picture was drawn on, and its words."""
    with picture.style():
        ax = picture.figure().subplots()
        return ax, draw(ax, *records, **options)


def marks(ax, marker):
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines if line.get_marker() == marker]


def test_the_matrix_shows_predictions_and_measurements():
    predicted = hearing.predict(PLAN, "alice", ["10.0.0.2", "10.0.1.255"], BINDS)
    measured = [predicted[0], dataclasses.replace(predicted[1], heard=("dave",))]
    ax, words = drawn(plots.matrix, Compared(predicted, measured))
    assert marks(ax, "s") == [(1, 0), (4, 1)] and marks(ax, "o") == [(1, 0), (3, 1)]
    assert len(marks(ax, "x")) == 8 and ax.get_title("left") == "Who hears?"
    assert words.splitlines() == ["10.0.0.2    bob", "10.0.1.255  dave", "NOT as predicted"]
    assert drawn(plots.matrix, Compared(predicted, predicted))[1].endswith("\nas predicted")


def test_the_matrix_shows_what_the_learner_said():
    predicted = hearing.predict(PLAN, "alice", ["10.0.0.2", "10.0.1.255"], BINDS)
    guesses = {"10.0.1.255": frozenset({"dave"}), "10.0.0.2": None}
    ax, words = drawn(plots.matrix, Compared(predicted, predicted), you=guesses)
    assert marks(ax, "D") == [(3, 1)] and "you, for 10.0.1.255: dave" in words
    assert "you: hears it" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_the_matrix_alone_says_that_it_is_a_prediction_and_why():
    predicted = hearing.predict(PLAN, "alice", ["10.0.0.2"], BINDS)
    ax, words = drawn(plots.matrix, Compared(predicted, None, "no namespaces"))
    assert ax.get_title("left") == "Predicted: Who hears?\nNo measurement: no namespaces"
    assert marks(ax, "o") == marks(ax, "x") == []
    assert words.endswith("only predicted: no namespaces")


def test_the_cost_plot():
    predicted = cost.predict_costs(8, 2)
    measured = [dataclasses.replace(predicted[0], bystander=77), *predicted[1:]]
    ax, words = drawn(plots.cost, Compared(predicted, measured), you=5)
    assert [bar.get_width() for bar in ax.patches] == [1, 2, 2, 0, 2, 0, 77, 2, 0]
    assert "2 + 2" in [text.get_text() for text in ax.texts]
    assert marks(ax, "D") == [(5, 1.18)]
    assert words.splitlines()[0] == "broadcast            out: 1 with UDP, 0 with ARP; at a bystander: 77"
    assert words.endswith("\nNOT as predicted")


def test_the_film_of_a_broadcast_shows_one_frame_that_the_switch_copies():
    film, _ = sending.predict_film(PLAN, "alice", "10.0.0.255", dict.fromkeys(HOSTS, hearing.EVERY), reason="why")
    ax, words = drawn(plots.by_switch, film)
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names == ["alice", "switch0", "bob", "carol", "router", "dave"]
    ways = [tuple(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2]
    assert [way for way in ways if way[0] != way[1]] == [(0, 1), (1, 2), (1, 3), (1, 4)]
    assert words.endswith("\nFrames: 1 sent, 3 passed on by the switch, 1 for itself.")


def test_the_timeline():
    answers = discovery.predict_answers([0.0, 0.0, 0.0], work=0.001, room=2)
    late = [dataclasses.replace(answer, sent=answer.sent + 0.001) for answer in answers]
    ax, words = drawn(plots.timeline, Compared(answers, late), "t")
    assert [line.get_label() for line in ax.lines[2:]] == ["sent", "read by the asker", "sent, and lost"]
    assert list(ax.lines[-1].get_ydata()) == [3]
    assert words.splitlines() == [
        "measured: kept 2 + dropped 1 = 3",
        "predicted: kept 2 + dropped 1 = 3",
        "as predicted",
    ]
    ax, words = drawn(plots.timeline, Compared(answers, None, "why"), "t")
    assert ax.get_title("left") == "Predicted: t\nNo measurement: why"
    assert words.splitlines() == ["predicted: kept 2 + dropped 1 = 3", "only predicted: why"]


@pytest.mark.parametrize("destination", ["bob", "10.0.0.256", ""])
def test_a_destination_is_an_address(destination):
    with pytest.raises(ValueError):
        hearing.predict(plan_switch(("alice", "bob")), "alice", [destination], {})


def test_the_lesson_modules_import_nothing_slow():
    slow = "{'matplotlib', 'numpy', 'IPython', 'ipywidgets', 'dataclasses', 'typing'}"
    code = "import sys; before = {*sys.modules}; import udplab.broadcast.__main__;"
    code += f"print(*{slow} & {{*sys.modules}} - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "\n"
