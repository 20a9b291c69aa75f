"""The background server: what becomes of each datagram, and that nothing stays behind."""

import asyncio
import concurrent.futures
import contextlib
import errno
import gc
import os
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedSocket, held, interruptions

from udplab.kit import server as serving
from udplab.kit.answers import unanswerable
from udplab.kit.server import Server, hold, stop_all
from udplab.kit.sockets import udp_socket
from udplab.kit.words import reason, shown
from udplab.loopback import experiments as loopback_experiments
from udplab.loopback import listing as loopback

ALICE, BOB = ("127.0.0.1", 5001), ("127.0.0.1", 5002)


def serve(respond, *feed, **options):
    """Feed datagrams to a server with a scripted socket; return the stopped server and its socket."""
    sock = ScriptedSocket(*feed, **options)
    with Server(respond, make_socket=sock) as server:
        assert sock.idle.wait(60)
    assert sock.closed
    return server, sock


def adds_up(counts):
    return counts["received"] == counts["answered"] + counts["dropped"] + counts["bad"] + counts["errors"]


def test_answers_each_sender_and_notes_it():
    server, sock = serve(bytes.upper, (b"hello", ALICE), (b"", BOB))
    assert sock.sent == [(b"HELLO", ALICE), (b"", BOB)]
    assert server.counts == {"received": 2, "answered": 2, "dropped": 0, "bad": 0, "errors": 0}
    first, second = server.log
    assert (first.number, first.peer, first.data, first.size, first.done) == (1, ALICE, b"hello", 5, "answered")
    assert (first.answer, second.answer, first.why) == (b"HELLO", b"", "")
    assert first.time <= first.sent <= second.time


def test_no_answer_bad_request_and_error_are_told_apart_and_survived():
    def respond(data):
        if data == b"quiet":
            return None
        return data.decode("ascii").encode() if data != b"broken" else data / 2

    server, sock = serve(respond, (b"quiet", ALICE), (b"\xff", ALICE), (b"broken", ALICE), (b"fine", ALICE))
    assert sock.sent == [(b"fine", ALICE)]
    assert server.counts == {"received": 4, "answered": 1, "dropped": 1, "bad": 1, "errors": 1}
    assert [record.done for record in server.log] == ["dropped", "bad", "errors", "answered"]
    assert "UnicodeDecodeError" in server.log[1].why
    assert "Traceback" in server.log[2].why and "data / 2" in server.log[2].why


@pytest.mark.parametrize("wrong", ["text", 5, ["list"]])
def test_an_answer_that_is_not_bytes_is_our_error(wrong):
    server, sock = serve(lambda data: wrong, (b"x", ALICE), (b"y", BOB))
    assert sock.sent == []
    assert server.counts["errors"] == 2
    assert "TypeError" in server.log[0].why and server.log[0].answer is None


@pytest.mark.parametrize("answer", ["text", 3, np.uint8(3), np.frombuffer(b"abc", "u1"), bytearray(b"abc")])
def test_an_answer_that_is_not_bytes_is_an_error_of_ours(answer):
    server, sock = serve(lambda data: answer if data == b"odd" else data, (b"odd", ALICE), (b"fine", ALICE))
    assert server.counts == {"received": 2, "answered": 1, "dropped": 0, "bad": 0, "errors": 1}
    assert "respond() must return bytes or None, not " in server.log[0].why and sock.sent == [(b"fine", ALICE)]


def test_a_function_that_exits_does_not_end_the_server():
    server, _ = serve(lambda data: sys.exit(3) if data == b"exit" else data, (b"exit", ALICE), (b"fine", ALICE))
    assert server.counts == {"received": 2, "answered": 1, "dropped": 0, "bad": 0, "errors": 1}
    assert "SystemExit: 3" in server.log[0].why


@pytest.mark.parametrize("respond", [None, b"the answer"])
def test_what_is_no_function_is_told_at_once(respond):
    with pytest.raises(TypeError, match="the function itself"):
        Server(respond)


def test_a_peer_that_cannot_be_answered_is_counted():
    refuse = {ALICE: OSError(errno.ENETUNREACH, "Network is unreachable"), BOB: PermissionError(errno.EACCES, "no")}
    server, _ = serve(bytes.upper, (b"a", ALICE), (b"b", BOB), (b"c", ("127.0.0.1", 5003)), refuse=refuse)
    assert server.counts == {"received": 3, "answered": 1, "dropped": 0, "bad": 0, "errors": 2}
    assert "unreachable" in server.log[0].why
    assert [record.sent is None for record in server.log] == [True, True, False]


def test_port_0_and_itself_get_no_answer():
    server, sock = serve(bytes.upper, (b"a", ("127.0.0.1", 0)), (b"b", ("127.0.0.1", 1060)), (b"c", ("10.0.0.1", 1060)))
    assert sock.sent == [(b"C", ("10.0.0.1", 1060))]
    assert [record.why for record in server.log] == ["source port 0", "from this server itself", ""]
    assert [record.number for record in server.log] == [1, 2, 3]
    assert server.counts["dropped"] == 2


def test_a_server_on_every_address_knows_itself_by_any_loopback_address():
    for own in ("127.0.0.1", "127.9.9.9"):
        assert unanswerable((own, 1060), ("0.0.0.0", 1060)) == "from this server itself"
    for other in (("127.0.0.1", 1061), ("10.0.0.1", 1060)):
        assert unanswerable(other, ("0.0.0.0", 1060)) == ""


def test_goes_on_when_windows_reports_what_became_of_an_answer():
    too_long = OSError("its time to live ended")
    too_long.winerror = 10052
    server, _ = serve(bytes.upper, ConnectionResetError(), too_long, (b"a", ALICE))
    assert server.counts == {"received": 1, "answered": 1, "dropped": 0, "bad": 0, "errors": 0}


def test_log_keeps_the_last_1000_and_little_of_each():
    server, _ = serve(lambda data: data, *[(bytes(60_000), ALICE)] * 1200)
    log = server.log
    assert (len(log), log[0].number, log[-1].number) == (1000, 201, 1200)
    assert log[-1].size == 60_000 and len(log[-1].data) == len(log[-1].answer) == 200
    assert server.counts["received"] == 1200


def test_a_broken_function_does_not_end_a_real_server():
    with Server(lambda data: data[5:6] or data["x"]) as server, udp_socket() as sock:
        sock.sendto(b"no", server.address)
        assert loopback_experiments.ask(sock, server.address, b"hello!", timeout=5).answer == b"!"
        assert server.counts == {"received": 2, "answered": 1, "dropped": 0, "bad": 0, "errors": 1}
        assert "TypeError" in server.log[0].why


def test_whoever_holds_an_answer_finds_it_in_log_and_counts():
    with Server(loopback.respond) as server, udp_socket() as sock:
        for number in range(1, 301):
            loopback_experiments.ask(sock, server.address, b"x", timeout=60)
            assert server.log[-1].number == server.counts["answered"] == number


def test_counts_add_up_at_every_moment():
    with Server(bytes.upper) as server, udp_socket() as sock:
        for _ in range(2000):
            sock.sendto(b"x", server.address)
            assert adds_up(server.counts)


def test_no_option_lets_a_second_server_have_the_port():
    _, sock = serve(bytes.upper, (b"x", ALICE))
    assert socket.SO_REUSEADDR not in [option for _, option, _ in sock.options]


FATES = {"answered": b"yes", "dropped": None, "bad": ValueError("no"), "errors": KeyError("ours")}


@given(st.lists(st.sampled_from([*FATES, "refused", "from itself", "port 0"]), max_size=40))
def test_the_log_adds_up_for_any_fates(fates):
    """Each datagram is counted once and noted once, in order, whatever becomes of it."""
    coming = iter([fate for fate in fates if fate in FATES or fate == "refused"])

    def respond(data):
        result = FATES.get(next(coming), b"to nobody")
        if isinstance(result, Exception):
            raise result
        return result

    peers = {"refused": BOB, "from itself": ("127.0.0.1", 1060), "port 0": ("127.0.0.1", 0)}
    server, sock = serve(
        respond, *[(b"x", peers.get(fate, ALICE)) for fate in fates], refuse={BOB: OSError("unreachable")}
    )
    told = {"refused": "errors", "from itself": "dropped", "port 0": "dropped"}
    expected = [told.get(fate, fate) for fate in fates]
    assert [record.done for record in server.log] == expected
    assert server.counts == {"received": len(fates)} | {kind: expected.count(kind) for kind in FATES}
    assert len(sock.sent) == expected.count("answered")


def test_follow_tells_all_and_what_was_missed():
    sock = ScriptedSocket(*[(b"x", ALICE)] * 1500)
    server = Server(bytes.upper, make_socket=sock).start()
    assert sock.idle.wait(60)
    news = server.follow()
    missed, records = next(news)
    assert (missed, len(records), records[0].number) == (500, 1000, 501)
    sock.feed.put((b"y", BOB))
    missed, records = next(news)
    assert (missed, [record.data for record in records]) == (0, [b"y"])
    server.stop()
    assert list(news) == []


def test_follow_ends_when_its_patience_does():
    with Server(bytes.upper) as server:
        assert next(server.follow(patience=0.05), None) is None
        with udp_socket() as sock:
            loopback_experiments.ask(sock, server.address, b"x", timeout=60)
        assert [len(records) for _, records in server.follow(patience=0.05)] == [1]


@pytest.fixture
def before():
    """Return what this process holds, without what earlier tests have left in cycles."""
    gc.collect()
    return held()


def test_a_busy_port_is_an_error_and_nothing_stays_open():
    with Server(bytes.upper) as server:
        before = held()
        with pytest.raises(OSError) as caught:
            Server(bytes.upper, port=server.address[1]).start()
        assert caught.value.errno == errno.EADDRINUSE
        advice = "Stop what has it, or take port 0: any free one."
        assert caught.value.__notes__ == [f"Port {server.address[1]} is in use. {advice}"]
        assert held() == before
        assert server._sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 0


def test_start_and_stop_a_thousand_times_on_one_port(lasting_port, before):
    server = Server(loopback.respond, port=lasting_port)
    with udp_socket() as sock:
        for _ in range(1000):
            with server:
                loopback_experiments.ask(sock, server.address, b"x", timeout=60)
    assert held() == before
    assert server.counts["answered"] == 1000


def test_start_twice_is_an_error_and_stop_twice_is_not():
    server = Server(bytes.upper).start()
    with pytest.raises(RuntimeError, match="already running"):
        server.start()
    server.stop()
    server.stop()
    assert not server.running


def test_stops_quickly_under_a_flood():
    stopping, over = [], threading.Event()
    for _ in range(5):
        server = Server(loopback.respond).start()

        def flood(address=server.address):
            with udp_socket() as sock:
                while not over.is_set():
                    sock.sendto(b"flood", address)

        over.clear()
        flooder = threading.Thread(target=flood)
        flooder.start()
        while server.counts["received"] < 1000:
            time.sleep(0)
        begin = time.perf_counter()
        server.stop()
        stopping.append(time.perf_counter() - begin)
        over.set()
        flooder.join()
    assert sorted(stopping)[2] < 0.25, "a busy machine may be slow, but not most times"


def test_an_interrupt_at_any_line_of_start_leaves_nothing(before):
    server = Server(bytes.upper)
    for number, _ in enumerate(interruptions(server.start, serving, threading)):
        assert held() == before, f"after line {number + 1}"
    assert server.running and number > 10
    server.stop()


def test_a_thread_that_cannot_be_started_is_an_error_and_nothing_stays_open(monkeypatch, before):
    def refused(thread):
        raise RuntimeError("can't start new thread")  # as Python says where the system has none left

    server = Server(bytes.upper)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="new thread"):
        patch.setattr(threading.Thread, "start", refused)
        server.start()
    assert held() == before and not server.running
    with server:
        assert server.running


def test_an_interrupt_at_any_line_of_stop_is_mended_by_the_next_stop(lasting_port, before):
    """Also inside Thread.join, which then no longer waits for the thread's very end."""
    server = Server(bytes.upper, port=lasting_port).start()
    for number, _ in enumerate(interruptions(server.stop, serving, threading)):
        server.stop()
        until = time.monotonic() + 60
        while held() != before and time.monotonic() < until:
            time.sleep(0)
        assert held() == before, f"after line {number + 1}"
        assert server.start().address[1] == lasting_port
    assert held() == before and number > 20


def test_an_interrupt_at_any_line_of_follow_leaves_a_server_that_answers_and_stops(before):
    """Each time another server, with an empty log: each of its records would be another line to interrupt."""
    lines = interruptions(lambda: list(servers[-1].follow(patience=0)), serving, threading)
    servers = [Server(bytes.upper).start()]
    with udp_socket() as sock:
        for _ in lines:
            assert loopback_experiments.ask(sock, servers[-1].address, b"x", timeout=60).answer == b"X"
            assert [len(records) for _, records in servers[-1].follow(patience=0)] == [1]
            servers[-1].stop()
            servers.append(Server(bytes.upper).start())
    servers[-1].stop()
    assert held() == before and len(servers) > 10


@pytest.mark.parametrize("act", [lambda: hold("test", Server(bytes.upper)), stop_all])
def test_an_interrupt_at_any_line_of_a_cell_is_mended_by_stop_all(before, act):
    hold("test", Server(bytes.upper))
    for _ in interruptions(act, serving):
        stop_all()
        assert held() == before
        hold("test", Server(bytes.upper))
    stop_all()
    assert held() == before


FORKED = """
import os
from udplab.kit.server import Server
from udplab.kit.sockets import udp_socket
from udplab.loopback import experiments

with Server(bytes.upper) as server, udp_socket() as sock:
    if os.fork() == 0:
        server.stop()
        os._exit(server.running)
    assert os.wait()[1] == 0
    assert experiments.ask(sock, server.address, b"x", timeout=60).answer == b"X"
    print(server.counts["received"])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")
def test_a_forked_child_lets_go_of_its_parents_server():
    """It sends nothing to it."""
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


def test_a_slow_stop_forgets_no_server_that_another_thread_has_started_again(monkeypatch):
    server = Server(bytes.upper).start()
    join, others = threading.Thread.join, [lambda: (server.stop(), server.start())]

    def slow(thread, timeout=None):
        join(thread, 60 if timeout else timeout)
        if others:
            others.pop()()

    monkeypatch.setattr(threading.Thread, "join", slow)
    server.stop()
    monkeypatch.undo()
    assert server.running
    server.stop()
    assert not server.running


def test_several_threads_may_stop_a_server():
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for _ in range(100):
            server = Server(bytes.upper).start()
            assert list(pool.map(lambda _, stop=server.stop: stop(), range(3))) == [None] * 3
            assert not server.running


def test_stop_says_when_respond_does_not_return(monkeypatch):
    entered, leave = threading.Event(), threading.Event()

    def respond(data):
        entered.set()
        leave.wait(60)

    server = Server(respond).start()
    with udp_socket() as sock:
        sock.sendto(b"x", server.address)
    assert entered.wait(60)
    with pytest.raises(TimeoutError, match="has not come back"):
        server.stop(patience=0.05)
    monkeypatch.setattr(server, "stop", lambda: Server.stop(server, patience=0.05))
    monkeypatch.setattr(server, "start", lambda: server)
    hold("stuck", server)
    other = hold("other", Server(bytes.upper))
    with pytest.raises(TimeoutError, match="has not come back"):
        stop_all()
    assert not other.running, "one that is stuck keeps no other"
    leave.set()
    monkeypatch.undo()
    assert stop_all() == ["stuck"]


def test_no_patience_is_enough_for_a_server_that_waits():
    server = Server(bytes.upper).start()
    until = time.monotonic() + 60
    while server.running and time.monotonic() < until:
        with contextlib.suppress(TimeoutError):  # a busy machine may need more than one try
            server.stop(patience=0)
    assert not server.running


def test_follow_without_patience_ends_at_once():
    with Server(bytes.upper) as server:
        spans = []
        for _ in range(5):
            begin = time.perf_counter()
            assert list(server.follow(patience=0)) == []
            spans.append(time.perf_counter() - begin)
        assert sorted(spans)[2] < 0.5, "a busy machine may be slow, but not most times"


def test_hold_wants_a_server():
    with pytest.raises(TypeError, match="wants a Server"):
        hold("test", bytes.upper)
    assert stop_all() == []


@pytest.mark.parametrize("host", ["", "127.255.255.255"])
def test_stops_where_it_listens_on_every_or_a_broadcast_address(host):
    try:
        server = Server(bytes.upper, host).start()
    except OSError as error:
        pytest.skip(f"cannot listen on {host}: {error}")
    server.stop()
    assert not server.running


def test_hold_stops_the_old_server_of_that_name():
    first = hold("test", Server(bytes.upper))
    second = hold("test", Server(bytes.upper))
    assert (first.running, second.running) == (False, True)
    assert stop_all() == ["test"]
    assert not second.running and stop_all() == []


def test_shown_is_one_short_printable_line():
    assert shown(b'it\'s "x"\n\x1b[31m') == "b'it\\'s \"x\"\\n\\x1b[31m'"
    assert len(shown(bytes(1000))) == 200 and shown(bytes(1000)).endswith("...")
    assert shown(b"x" * 300).isprintable()


@given(st.binary(max_size=400), st.integers(10, 300))
def test_shown_is_printable_and_bounded(data, limit):
    text = shown(data, limit)
    assert text.isascii() and text.isprintable() and len(text) <= max(limit, 3)
    if len(repr(data)) <= limit:
        assert text == repr(data)


def test_the_rules_of_who_gets_no_answer():
    own = ("127.0.0.1", 1060)
    assert unanswerable(own, own) and unanswerable(("10.0.0.1", 0), own)
    assert unanswerable(("10.0.0.1", 1060), own) == ""


# --- Nothing that respond raises ends the thread, and no setting of the process ---


class Evil(Exception):
    """An error whose text cannot be made."""

    def __str__(self):
        raise KeyboardInterrupt


class Odd(bytes):
    """Bytes that cannot be looked at."""

    def __getitem__(self, place):
        raise ValueError("no")

    __len__ = __getitem__


@pytest.mark.parametrize(
    "error",
    [
        asyncio.CancelledError(),
        GeneratorExit(),
        KeyboardInterrupt(),
        SystemExit(3),
        StopIteration(),
        Evil(),
        ExceptionGroup("two", [ValueError("a"), KeyError("b")]),
        BaseExceptionGroup("three", [KeyboardInterrupt()]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_respond_raises_is_counted_and_the_server_goes_on(error):
    def respond(data):
        if data == b"fail":
            raise error
        return data.upper()

    with Server(respond) as server, udp_socket(5) as sock:
        sock.sendto(b"fail", server.address)
        sock.sendto(b"hello", server.address)
        assert sock.recv(100) == b"HELLO"
        assert server.counts == {"received": 2, "answered": 1, "dropped": 0, "bad": 0, "errors": 1}
        assert type(error).__name__ in reason(server.log[0], "?")


def test_odd_bytes_are_answered_and_a_clock_that_fails_is_an_error():
    with Server(lambda data: Odd(b"odd")) as server, udp_socket(5) as sock:
        sock.sendto(b"x", server.address)
        assert sock.recv(100) == b"odd" and server.log[0].answer == b"odd"
    ticks = iter([1.0, 2.0])
    with Server(bytes.upper, clock=lambda: next(ticks)) as server, udp_socket(5) as sock:
        sock.sendto(b"x", server.address)
        assert sock.recv(100) == b"X"
        sock.sendto(b"y", server.address)
        news = server.follow(patience=5)
        while server.counts["received"] < 2:
            next(news)
        assert server.counts["errors"] == 1 and server.log[1].time is None


@pytest.mark.parametrize("seconds", [0, 0.01, 5])
def test_a_default_timeout_of_the_process_does_not_reach_the_server(seconds):
    socket.setdefaulttimeout(seconds)
    try:
        server = Server(bytes.upper).start()
    finally:
        socket.setdefaulttimeout(None)
    with contextlib.ExitStack() as stack:
        stack.callback(server.stop)
        sock = stack.enter_context(udp_socket(5))
        assert server._sock.gettimeout() is None
        sock.sendto(b"x", server.address)
        assert sock.recv(100) == b"X"


def test_counts_and_log_come_back_while_an_answer_waits_for_a_slow_link():
    scripted = ScriptedSocket()
    held, go = threading.Event(), threading.Event()

    def sendto(data, peer):
        held.set()
        go.wait(60)

    scripted.sendto = sendto
    server = Server(bytes.upper, make_socket=scripted).start()
    scripted.feed.put((b"x", ("10.0.0.1", 5)))
    assert held.wait(60)
    begin = time.monotonic()
    assert server.counts["received"] == 0 and server.log == []
    assert time.monotonic() - begin < 30, "it returned; how soon depends on what else the machine does"
    go.set()
    server.stop()
    assert server.counts["answered"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a server is woken by a datagram")
@pytest.mark.parametrize("host", ["127.0.0.1", "", "127.255.255.255"])
def test_stop_needs_no_network_on_linux(host, monkeypatch):
    """With lo down or filtered, a datagram to oneself would not arrive."""

    class Filtered(socket.socket):
        def sendto(self, *_):
            raise PermissionError(1, "Operation not permitted")

    server = Server(bytes.upper, host, make_socket=Filtered).start()
    begin = time.monotonic()
    server.stop()
    assert not server.running and time.monotonic() - begin < 5


def test_elsewhere_a_server_is_woken_by_a_datagram(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    server = Server(bytes.upper, "").start()
    server.stop()
    assert not server.running
