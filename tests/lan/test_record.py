"""Films of what really happened on the LAN: its frames, its sockets, and that nothing stays behind."""

import contextlib
import socket
import threading
import time

import pytest
from machines import files, needs_lan

from udplab import lan
from udplab.kit.film import flight as fates
from udplab.kit.server import Server

pytestmark = needs_lan

UDP = "UDP", "fragment"


@pytest.fixture
def path():
    """Return a function that builds a path, with a socket on the server and one that is connected to it."""
    opened = contextlib.ExitStack()

    def build(*mtus, forbid=False):
        net = opened.enter_context(lan.path(*mtus))
        server, client = (opened.enter_context(net[name].socket()) for name in ("server", "client"))
        server.bind(("", 1060))
        client.connect((net["server"].address, 1060))
        client.send(b"so that nobody has to ask by ARP")
        net["client"].settle()
        server.recv(100)
        if forbid:
            client.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER, IP_PMTUDISC_DO
        return net, server, client

    with opened:
        yield build


def test_every_piece_of_3000_bytes_over_two_routers(path):
    net, _, client = path(1500, 1400, 1280)
    with net.record() as film:
        client.send(bytes(3000))
    film = film.only(*UDP)
    assert len(film) == 15 and {each.datagram for each in film} == {1}
    assert [each.part for each in film if each.target[0] == "server"] == [
        (0, 1256), (1256, 120), (1376, 104), (1480, 1256), (2736, 120), (2856, 104), (2960, 48),
    ]  # fmt: skip
    assert all(each.left < each.arrived for each in film) and film.length < 0.1
    assert film[-1].fate == fates.QUEUED
    kept = [each for each in film if each.target[0] == "server"][:-1]
    assert {each.taken for each in kept} == {film[-1].arrived}
    assert {each.fate for each in film if each.target[0] != "server"} == {fates.FORWARDED}


def test_all_of_65507_bytes(path):
    net, _, client = path(1500, 1400, 1280)
    with net.record() as film:
        client.send(bytes(65507))
    film = film.only(*UDP)
    assert {each.fate for each in film} == {fates.FORWARDED, fates.TAKEN, fates.QUEUED}
    assert sum(each.part[1] for each in film if each.target[0] == "server") == 65515


def test_the_four_sends_and_the_message_that_waits_at_the_socket(path):
    net, server, client = path(1500, 1400, forbid=True)
    with net.record() as film:
        for size in (1472, 1472, 1372, 1372):
            try:
                client.send(bytes(size))
            except OSError as error:
                film.error("client", f"{size} bytes: {error.strerror}")
            net["client"].settle()
        film.read("server", server.recv(2000))
    assert len(film.notes) == 2
    film = film.only("UDP", "ICMP")
    assert [(each.source[0], each.target[0], each.kind, each.fate) for each in film][:2] == [
        ("client", "router1", "UDP", fates.DROPPED), ("router1", "client", "ICMP", fates.PENDING),
    ]  # fmt: skip
    assert film[1].cause == 0 and film[1].taken == pytest.approx(film.notes[0].time)
    assert film[-1].fate == fates.DELIVERED and film[-1].taken > film[-1].arrived


def test_an_error_that_waits_at_a_socket_is_still_there_after_the_film(path):
    net, server, client = path(1500)
    server.close()
    with net.record() as film:
        client.send(b"anybody?")
    assert [each.fate for each in film.only("UDP", "ICMP")] == [fates.DROPPED, fates.PENDING]
    with pytest.raises(ConnectionRefusedError):
        client.send(b"the film has not taken it away")


def test_a_black_hole(path):
    net, _, client = path(1500, 1400, forbid=True)
    net["router1"].send_icmp(False)
    with net.record() as film:
        client.send(bytes(1472))
    [flight] = film.only("UDP", "ICMP")
    assert flight.fate == fates.DROPPED and "no ICMP message says so" in flight.why


def test_a_datagram_that_a_wire_loses(path):
    net, _, client = path(1500, 1500)
    net.wire("router1", "eth1", loss=1)
    with net.record() as film:
        client.send(b"one")
        net["client"].settle()
        net.wire("router1", "eth1")
        client.send(b"two")
    fate = {each.datagram: each.fate for each in film.only("UDP") if each.source[0] == "router1"}
    assert fate == {1: fates.LOST, 2: fates.QUEUED}


def test_a_queue_that_spills(path):
    net, server, client = path(1500)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with net.record() as film:
        for number in range(40):
            client.send(b"%d" % number)
    found = [each.fate for each in film.only("UDP")]
    kept = found.index(fates.DROPPED)
    assert 0 < kept < 40 and found == [fates.QUEUED] * kept + [fates.DROPPED] * (40 - kept)
    server.setblocking(False)
    assert [server.recv(10) for _ in range(kept)] == [b"%d" % number for number in range(kept)]  # they are all there
    with pytest.raises(BlockingIOError):
        server.recv(10)


def test_what_a_server_in_a_thread_reads_during_the_film(path):
    net, server, client = path(1500)
    with net.record() as film:
        reader = threading.Thread(target=lambda: [film.read("server", server.recv(10), 1060) for _ in range(3)])
        reader.start()
        for number in range(3):
            client.send(b"%d" % number)
        reader.join()
    assert [each.fate for each in film.only("UDP")] == [fates.DELIVERED] * 3
    assert all(each.taken > each.arrived for each in film.only("UDP"))


def test_who_hears_a_broadcast():
    with lan.switch("alice", "bob", "carol", beyond=["dave"]) as net:
        for name, address in (("alice", ""), ("bob", ""), ("carol", net["carol"].address), ("dave", "")):
            net[name].ear = net[name].socket()
            net[name].ear.bind((address, 1060))
        mouth = net["alice"].socket()
        mouth.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        with net.record() as film:
            mouth.sendto(b"hello", (net["alice"].broadcast, 1060))
        film = film.only("UDP")
    assert {each.target[0]: each.fate for each in film} == {
        "alice": fates.QUEUED, "bob": fates.QUEUED, "carol": fates.IGNORED, "router": fates.IGNORED,
    }  # fmt: skip
    assert [node.name for node in film.nodes if node.kind == "switch"] == ["switch0", "switch1"]


def test_a_wire_that_delays_and_flips_a_bit_of_every_frame():
    with lan.switch("alice", "bob") as net:
        bob, alice = net["bob"].socket(), net["alice"].socket()
        bob.bind(("", 1060))
        alice.connect((net["bob"].address, 1060))
        net.wire("alice", direction="out", delay=0.005, corrupt=1.0, seed=1)
        with net.record() as film:
            for number in range(10):
                alice.send(bytes([number]) * 1000)  # nearly all of the frame is payload
        film = film.only("UDP")
    came = [each for each in film if each.fate != fates.LOST]  # with a damaged IP header it may not
    assert len(film) == 10 and len(came) > 5
    for flight in came:
        assert flight.arrived - flight.left >= 0.005 and flight.fate == fates.DROPPED
        assert flight.why.startswith("1 bit flipped on the way; its checksum is wrong")


def test_a_kernel_that_tells_nothing_of_its_sockets(path, monkeypatch):
    net, server, client = path(1500)
    monkeypatch.setattr("udplab.lan.record._BY_FAMILY", 99)  # as where the module udp_diag is missing: it refuses
    with net.record() as film:
        client.send(b"one")
        film.read("server", server.recv(10))
    [flight] = film.only("UDP")
    assert flight.fate == fates.DELIVERED  # the program's own word
    server.close()
    with net["client"].socket() as stranger, net.record() as film:
        stranger.sendto(b"two", (net["server"].address, 1060))
    assert [each.fate for each in film.only("UDP", "ICMP")] == [fates.DROPPED, fates.TAKEN]  # ICMP says so


def test_nothing_stays_behind(path):
    net, _, client = path(1500, 1400)
    with net.record():
        client.send(bytes(100))
    before = files("self")
    with net.record():
        client.send(bytes(100))
    with pytest.raises(ZeroDivisionError), net.record():
        client.send(bytes(1 // 0))
    assert files("self") == before


def test_a_film_that_is_too_long_says_so(path):
    net, _, client = path(1500)
    with pytest.raises(OSError, match="more room"), net.record(room=1 << 17):
        for number in range(200):
            client.send(bytes(1000 + number))


def test_the_log_of_a_server_tells_when_it_read(path):
    net, server, client = path(1500, 1400)
    server.close()
    answering = Server(lambda data: b"answer", "", 1060, make_socket=net["server"].socket, clock=time.monotonic)
    with answering, net.record() as film:
        client.send(b"question")
        film.read("client", client.recv(100))
        film.log("server", answering)
    film = film.only("UDP")
    assert [(each.target[0], each.fate) for each in film] == [
        ("router1", fates.FORWARDED), ("server", fates.DELIVERED), ("router1", fates.FORWARDED),
        ("client", fates.DELIVERED),
    ]  # fmt: skip
    asked, answered = film[1], film[3]
    assert asked.arrived < asked.taken < film[2].left < answered.arrived < answered.taken
