"""Lesson 2-1 beyond the loopback: a learner's programs on two hosts, the header and its checksum, films."""

import json
import re
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import needs_lan

from udplab.__main__ import NOTEBOOKS
from udplab.kit import header
from udplab.kit.answers import is_itself
from udplab.kit.server import Server
from udplab.kit.sockets import own_address, udp_socket
from udplab.loopback import experiments, hosts, listing

ENDS = ("10.0.0.1", 5000), ("10.0.0.2", 1060)

# --- The header, without a socket ---


def test_the_four_fields():
    udp = header.datagram(*ENDS, b"hello")
    assert header.FIELDS.unpack(udp[:8])[:3] == (5000, 1060, 13) and udp[8:] == b"hello"
    assert header.datagram(*ENDS, b"hello", checked=False) == udp[:6] + b"\0\0hello"


def test_the_checksum_by_hand():
    """0a00 + 0001 + 0a00 + 0002 + 0011 + 000a (addresses, protocol, length) + 1388 + 0424 + 000a + 6162 = 8d36."""
    assert header.checksum(*ENDS, struct.pack("!HHHH", 5000, 1060, 10, 0) + b"ab") == 0xFFFF - 0x8D36


@given(st.binary(max_size=100))
def test_what_was_not_changed_is_accepted_and_no_checksum_is_zero(data):
    udp = header.datagram(*ENDS, data)
    assert header.accepted(*ENDS, udp) == data and udp[6:8] != b"\0\0"
    assert header.accepted(*ENDS, header.datagram(*ENDS, data, checked=False)) == data


@given(st.binary(min_size=1, max_size=100), st.data())
def test_any_one_flipped_bit_of_the_payload_is_found(data, drawn):
    udp = bytearray(header.datagram(*ENDS, data))
    udp[drawn.draw(st.integers(8, len(udp) - 1))] ^= 1 << drawn.draw(st.integers(0, 7))
    assert header.accepted(*ENDS, bytes(udp)) is None
    udp[6:8] = b"\0\0"
    assert header.accepted(*ENDS, bytes(udp)) == bytes(udp[8:]) != data


def test_a_datagram_for_somebody_else_is_found_and_two_words_that_changed_places_are_not():
    udp = header.datagram(*ENDS, b"hello")
    assert header.accepted(ENDS[0], ("10.0.0.3", 1060), udp) is None
    assert header.accepted(*ENDS, udp[:8] + b"llheo") == b"llheo"


# --- Between two hosts ---


@needs_lan
def test_one_bit_as_predicted():
    assert [each.heard for each in hosts.one_bit().measured] == [b"hello", None, b"helln"]
    for arrives in (b"", b"hello", b"llheo", b"hellooo", bytes(1472)):
        both = hosts.one_bit(b"hello", arrives)
        assert both.verdict == "as predicted", arrives
    assert not any(each.told for each in both.measured)


@pytest.mark.parametrize("arrives", ["helln", None, bytes(1473)])
def test_what_is_no_payload_is_told(arrives):
    with pytest.raises(ValueError, match=r"^0 to 1,472 bytes were wanted, such as b'hello', not "):
        hosts.one_bit(b"hello", arrives)


def files():
    """Return the two files that the lesson has the learner write, from its cells."""
    text = (NOTEBOOKS / "2-1-loopback.ipynb").read_text(encoding="utf-8")
    sources = ["".join(cell["source"]) for cell in json.loads(text)["cells"]]
    found = [re.fullmatch(r"%%writefile (\w+\.py)\n(.*)", source, re.DOTALL) for source in sources]
    return {match[1]: match[2] for match in found if match}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files of the lesson, which is the working directory."""
    for name, text in files().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@needs_lan
def test_the_learners_programs_on_two_hosts(folder):
    both = hosts.on_two_hosts()
    assert both.verdict == "as predicted"
    assert hosts.printed_in_words(both).splitlines() == [
        "bob, the server:",
        "    Listening at ('10.0.0.2', 1060)",
        "    10.0.0.1 says b'Is anybody there?'",
        "alice, the client:",
        "    The server replied b'Your data was 17 bytes long'",
        "as predicted",
    ]


@needs_lan
def test_programs_that_fail_or_do_not_end_are_told(folder):
    (folder / "endless.py").write_text("import time\nprint('on')\ntime.sleep(1000)")
    assert hosts.on_two_hosts("no.py").measured.server[-1].endswith("[Errno 2] No such file or directory")
    printed = hosts.run_on_two_hosts("endless.py", "endless.py", patience=1.0)
    assert printed == hosts.Printed(("on",), ("on", "(no end after 1 s, so it was ended)"))
    assert hosts.on_two_hosts("endless.py").measured.client[-1] == "TimeoutError: timed out"


def test_without_a_lan_the_predictions_stand_alone(monkeypatch):
    monkeypatch.setattr("udplab.lan.process.unavailable", lambda: "there is no LAN here")
    for both, words in ((hosts.one_bit(), hosts.landings_in_words), (hosts.on_two_hosts(), hosts.printed_in_words)):
        assert both.measured is None and words(both).endswith("only predicted: there is no LAN here")
    assert hosts.heard(hosts.one_bit().result) == {"whole", "unchecked"}


# --- On this machine ---


def test_a_film_of_an_exchange_has_question_and_answer():
    with Server(listing.respond) as server:
        exchange = experiments.ask_once(server.address, b"hello", timeout=60)
        film = experiments.filmed(exchange, server.log[-1])
    assert [(flight.source[0], flight.target[0], flight.size) for flight in film] == [
        ("client", "server", 33),
        ("server", "client", 54),
    ]
    assert film.length == pytest.approx(exchange.received - exchange.sent)


def test_a_film_of_a_burst_has_what_was_kept_first_and_then_what_was_dropped():
    film = experiments.overflow(count=16, size=1000, queue_bytes=4096)
    taken = [flight.taken is not None for flight in film]
    assert len(film) == 16 and 0 < sum(taken) < 16 and taken == sorted(taken, reverse=True)


@pytest.mark.parametrize("wrong", [{"count": 0}, {"size": 1}, {"size": 65_508}, {"queue_bytes": 0}])
def test_a_film_that_cannot_be_is_told(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        experiments.overflow(**wrong)


def test_ports_of_udp_and_tcp_are_apart():
    assert experiments.tcp_beside_udp()


def test_over_ipv6_or_the_reason_why_not(monkeypatch):
    both = experiments.over_ipv6(b"hello")
    assert both.result == b"Your data was 5 bytes long" and (both.verdict == "as predicted" or both.reason)

    def refuses(*_):
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuses)
    assert "not supported" in experiments.over_ipv6(b"hello").verdict


def test_an_own_address_is_known_before_and_after_connect():
    with udp_socket() as sock:
        sock.bind(("127.0.0.1", 0))
        assert is_itself(own_address(sock), sock.getsockname())
        assert not is_itself(own_address(sock), ("10.0.0.1", sock.getsockname()[1]))
