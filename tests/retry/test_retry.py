"""Lesson 2-2: the listing, its policies and its request loop. Rows are those of the project's list of faults."""

import contextlib
import errno
import itertools
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udplab.kit.server import Record, Server
from udplab.kit.sockets import LARGEST, arrivals, connect, queued
from udplab.kit.words import shown
from udplab.retry import experiments, listing, policies, strangers
from udplab.retry.request import END, ID, Attempt, in_short, new_token, request, send, split

TOKEN = ID + b"0123456789abcdef" + END


class Script:
    """A connected socket and its clock. Nothing waits: the clock moves as the script says.

    arrivals: (time, bytes or exception) in order of time; what a recv or a send meets
    send_errors: a list with an exception or None for each call of send
    """

    def __init__(self, arrivals=(), send_errors=()):
        self.now, self.timeout = 0, None
        self.arrivals, self.send_errors = iter(arrivals), iter(send_errors)
        self.coming = next(self.arrivals, None)
        self.sent_at, self.sent = [], []

    def clock(self):
        return self.now

    def settimeout(self, seconds):
        assert seconds > 0
        self.timeout = seconds

    def send(self, data):
        if error := next(self.send_errors, None):
            raise error
        self.sent_at.append(self.now)
        self.sent.append(data)

    def recv(self, size):
        until = self.now + self.timeout
        if self.coming is None or self.coming[0] >= until:
            self.now = until
            raise TimeoutError
        time, what = self.coming
        self.now = max(self.now, time)
        self.coming = next(self.arrivals, None)
        if isinstance(what, Exception):
            raise what
        return what


def ask(script, delays=None, token=TOKEN):
    return request(script, b"hello", policies.exponential() if delays is None else delays, token, script.clock)


# --- Rules ---


def test_respond_counts_the_message_and_echoes_the_id():
    assert listing.respond(b"hello") == b"Your data was 5 bytes long"
    assert listing.respond(TOKEN + b"hello") == TOKEN + b"Your data was 5 bytes long"
    assert listing.respond(b"") == b"Your data was 0 bytes long"
    assert listing.respond(b"\xff\xfe") == b"Your data was 2 bytes long"


@pytest.mark.parametrize("data", [b"hello", TOKEN + b"hello", b"", b"id=", bytes(70_000)])
def test_an_answer_gets_no_answer(data):
    """Row 8."""
    assert listing.respond(listing.respond(data)) is None


@pytest.mark.parametrize(
    "data", [b"", b"id=", b"id=0123", TOKEN[:-1], TOKEN.upper(), b"id=0123456789abcdeg: x", b"x" * 40]
)
def test_what_is_no_id_stays_in_the_message(data):
    assert split(data) == (b"", data)


def test_tokens_are_ids_and_differ(monkeypatch):
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    monkeypatch.setattr(os, "urandom", lambda count: bytes(range(count)))
    assert new_token() == b"id=0001020304050607: ", "from the system's source of what nobody can guess"
    assert all(split(token + b"x") == (token, b"x") for token in tokens)


@pytest.mark.parametrize("data", [b"\xff\x1b[31m\n", bytes(200)])
def test_strange_bytes_are_shown_in_one_short_line(data, capsys):
    line = listing.in_words(Record(1, 0.0, ("127.0.0.1", 9), data, len(data), "answered", b"", 0.0, ""))
    assert line.isprintable() and len(line) < 260
    with Server(lambda question: split(question)[0] + data) as server:
        listing.client(*server.address)
    assert capsys.readouterr().out.splitlines()[-1] == f"The server says {shown(data)}"


def test_the_listings_loop_on_a_real_socket(capsys):
    """What waits in its queue is served; then a socket with a timeout ends the loop."""
    coins = random.Random(3)
    falls = [coins.random() < 0.5 for _ in range(6)]
    with silent_socket() as sock, connect(*sock.getsockname()) as client:
        for number in range(6):
            client.send(bytes(number))
        sock.settimeout(0.01)
        with pytest.raises(TimeoutError):
            listing.serve(sock, random.Random(3))
        answers = queued(client)
        own = client.getsockname()
    kept = [number for number, lost in enumerate(falls) if not lost]
    assert answers == [b"Your data was %d bytes long" % number for number in kept] and 0 < len(kept) < 6
    assert capsys.readouterr().out == f"Pretending to drop packet from {own}\n" * (6 - len(kept))


def test_forgetful_loses_as_the_coins_fall():
    coins = random.Random(9)
    respond = listing.forgetful(listing.respond, random.Random(9))
    for _ in range(100):
        assert (respond(b"hello") is None) == (coins.random() < 0.5)


@pytest.mark.parametrize(
    ("done", "data", "why", "line"),
    [
        ("answered", b"hi\n", "", "The client at ('127.0.0.1', 9) says b'hi\\n'"),
        ("dropped", b"hi", "", "Pretending to drop packet from ('127.0.0.1', 9)"),
        ("dropped", TOKEN + b"Your data was 5 bytes long", "", "No answer to an answer from ('127.0.0.1', 9)"),
        ("dropped", b"hi", "source port 0", "From ('127.0.0.1', 9): dropped: source port 0"),
        ("errors", b"hi", "Traceback\n  x\nOSError: no\n", "From ('127.0.0.1', 9): errors: OSError: no"),
    ],
)
def test_the_server_says_what_it_did(done, data, why, line):
    assert listing.in_words(Record(1, 0.0, ("127.0.0.1", 9), data, len(data), done, None, None, why)) == line


# --- Policies ---


def test_policies():
    assert list(policies.exponential()) == [0.1, 0.2, 0.4, 0.8, 1.6]
    assert list(policies.exponential(1, 1)) == [1]
    assert list(policies.exponential(3, 2)) == []
    assert list(policies.fixed(0.3, 2)) == [0.3, 0.3]
    assert list(policies.internet()) == [1, 2, 4, 8, 16]
    assert list(policies.internet(first=0.1)) == [1, 2, 4, 8, 16]


def test_full_jitter_stays_below_the_exponential_and_varies():
    draws = [list(policies.full_jitter(random.Random(seed))) for seed in range(200)]
    for column, cap in zip(zip(*draws, strict=True), policies.exponential(), strict=True):
        assert 0 <= min(column) < 0.1 * cap and 0.9 * cap < max(column) <= cap


def test_rto_follows_rfc_6298():
    rto = policies.Rto(granularity=0.001, lowest=0)
    assert rto.value == 1.0
    assert rto.sample(0.2) == pytest.approx(0.2 + 4 * 0.1)
    # RTTVAR = 3/4 * 0.1 + 1/4 * |0.2 - 0.4|, with the old SRTT; SRTT = 7/8 * 0.2 + 1/8 * 0.4
    assert rto.sample(0.4) == pytest.approx(0.225 + 4 * 0.125)
    assert rto.sample(9.0, sends=2) == pytest.approx(0.725), "Karn's rule"


def test_rto_bounds_and_backoff():
    rto = policies.Rto()
    assert rto.sample(0.001) == 1.0
    assert list(rto.delays(3)) == [1.0, 2.0, 4.0]
    assert rto.value == 8.0, "the doubled value stays until the next sample"
    rto.sample(0.5, sends=3)
    assert rto.value == 8.0
    assert rto.sample(0.001) == 1.0
    assert rto.sample(100) == 60.0
    steady = policies.Rto(granularity=0.01, lowest=0)
    for _ in range(200):
        steady.sample(0.1)
    assert steady.value == pytest.approx(0.11), "never closer to the round trip than the clock's step"


@given(st.floats(0.001, 10), st.floats(0.001, 100), st.integers(0, 20), st.randoms())
def test_policies_are_bounded(first, limit, tries, rng):
    delays = list(policies.exponential(first, limit))
    assert all(first <= delay <= limit for delay in delays)
    assert all(after == 2 * before for before, after in itertools.pairwise(delays))
    assert (not delays and first > limit) or 2 * delays[-1] > limit, "it ends no earlier than it must"
    assert all(0 <= wait <= cap for wait, cap in zip(policies.full_jitter(rng, first, limit), delays, strict=True))
    assert list(policies.fixed(first, tries)) == [first] * tries
    assert all(1 <= delay <= max(limit, 1) for delay in policies.internet(first, limit))


@given(st.lists(st.tuples(st.floats(0, 1000), st.integers(1, 3)), max_size=30), st.floats(0, 5), st.floats(5, 100))
def test_an_rto_stays_in_its_bounds(samples, lowest, highest):
    rto = policies.Rto(lowest=lowest, highest=highest)
    for round_trip, sends in samples:
        value = rto.sample(round_trip, sends)
        assert value == rto.value and (rto.smoothed is None or lowest <= value <= highest)
        assert all(wait <= max(highest, value) for wait in rto.delays(3))


@given(st.binary(max_size=80))
def test_a_request_id_and_its_message_come_apart_as_they_were_put_together(message):
    token = new_token()
    assert split(token + message) == (token, message)
    assert b"".join(split(message)) == message


# --- The request loop, with a scripted clock ---


arriving = st.lists(
    st.tuples(
        st.integers(0, 8).map(lambda eighth: eighth / 8),
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([TOKEN + b"right", TOKEN[:-1], TOKEN, TOKEN.replace(b"0", b"1") + b"wrong"]),
            st.just(b"x" + TOKEN + b"wrong"),
            st.builds(ConnectionRefusedError),
        ),
    ),
    max_size=30,
)


@given(arriving, st.lists(st.sampled_from([0.25, 0.5, 1, 2]), min_size=1, max_size=5), st.lists(st.booleans()))
def test_whatever_arrives_the_answer_is_the_right_one_and_the_end_is_on_time(arriving, delays, refusals):
    """Row 14: any mixture of old, forged, cut and refused, in any order."""
    at, script = 0, []
    for gap, what in arriving:
        at += gap
        script.append((at, what))
    sock = Script(script, [ConnectionRefusedError() if refused else None for refused in refusals])
    outcome = ask(sock, delays)
    assert outcome.answer in (
        None,
        *(what[len(TOKEN) :] for _, what in script if str(what).startswith(str(TOKEN)[:-1])),
    )
    assert sock.now <= sum(delays) and len(outcome.attempts) <= len(delays)
    assert (sock.now == sum(delays)) or outcome.answer is not None
    assert len(sock.sent) == sum(each.sent for each in outcome.attempts)


def test_a_round_trip_begins_before_its_send():
    """A machine that has other things to do first comes back from the send when the answer is there."""

    class Slow(Script):
        def send(self, data):
            super().send(data)
            self.now += 0.25

    [attempt] = ask(Slow([(0.125, TOKEN + b"soon")]), [1]).attempts
    assert (attempt.at, attempt.ended, attempt.answered) == (0, 0.25, True)


def test_silent_server_keeps_the_schedule():
    """Row 12."""
    script = Script()
    outcome = ask(script)
    assert script.sent_at == pytest.approx([0, 0.1, 0.3, 0.7, 1.5], abs=1e-12)
    assert script.now == pytest.approx(3.1, abs=1e-12)
    assert outcome.answer is None
    exact = Script()
    ask(exact, policies.exponential(1, 20))
    assert (exact.sent_at, exact.now) == ([0, 1, 3, 7, 15], 31)
    assert in_short(outcome) == "No reply in 5 tries (3.1 s). Nothing came back."


def test_answer_ends_the_wait_and_the_record_says_so():
    script = Script([(4, TOKEN + b"Your data was 5 bytes long")])
    outcome = ask(script, policies.exponential(1, 20))
    assert outcome.answer == b"Your data was 5 bytes long"
    assert outcome.attempts == [
        Attempt(0, 1, 1, True, (), 0, False),
        Attempt(1, 2, 3, True, (), 0, False),
        Attempt(3, 4, 4, True, (), 0, True),
    ]
    assert script.sent == [TOKEN + b"hello"] * 3


@pytest.mark.parametrize("error", [ConnectionRefusedError(), ConnectionResetError()])
def test_refusals_do_not_shorten_the_schedule(error):
    """Row 10."""
    script = Script([(0, error), (1, error), (3, error), (7, error), (15, error)])
    outcome = ask(script, policies.exponential(1, 20))
    assert (script.sent_at, script.now) == ([0, 1, 3, 7, 15], 31)
    assert [each.refused for each in outcome.attempts] == [1, 1, 1, 1, 1]
    assert "in 5 tries" in in_short(outcome) and "refused 5 times" in in_short(outcome)


def test_server_that_starts_late_is_found():
    """Row 10."""
    script = Script([(0, ConnectionRefusedError()), (1, ConnectionRefusedError()), (3, TOKEN + b"here")])
    outcome = ask(script, policies.exponential(1, 20))
    assert outcome.answer == b"here"
    assert [each.refused for each in outcome.attempts] == [1, 1, 0]


def test_refused_send_is_sent_again():
    """Row 11."""
    script = Script(send_errors=[None, ConnectionRefusedError(), None])
    outcome = ask(script, [1, 1])
    assert script.sent_at == [0, 1]
    assert [(each.sent, each.refused) for each in outcome.attempts] == [(True, 0), (True, 1)]


def test_send_that_is_always_refused_ends():
    script = Script(send_errors=itertools.repeat(ConnectionRefusedError()))
    outcome = ask(script, [1, 2])
    assert script.sent == []
    assert [(each.sent, each.refused) for each in outcome.attempts] == [(False, 3), (False, 3)]
    assert script.now == 3


def test_junk_moves_no_deadline():
    """Row 17: a datagram every 0.01 s for ever, and each attempt still ends on time."""
    junk = ((n / 100, b"junk") for n in itertools.count())
    script = Script(junk)
    outcome = ask(script, [1, 2, 4])
    assert script.sent_at == pytest.approx([0, 1, 3], abs=0.02)
    assert script.now == pytest.approx(7, abs=0.02)
    assert sum(each.ignored for each in outcome.attempts) == pytest.approx(700, abs=3)
    assert "not the answer came" in in_short(outcome)


def test_only_the_right_token_counts():
    """Row 16."""
    other = ID + b"0123456789abcdee" + END
    lies = b"lie", other + b"lie", TOKEN[:-1], b"", b"x" + TOKEN + b"lie"
    script = Script([*((0, lie) for lie in lies), (0.5, TOKEN + b"truth")])
    outcome = ask(script, [1])
    assert outcome.answer == b"truth"
    assert outcome.attempts[0].ignored == len(lies)


def test_empty_and_strange_answers_are_answers():
    assert ask(Script([(0, TOKEN)]), [1]).answer == b""
    empty = ask(Script([(0, b"")]), [1, 1], token=b"")
    assert empty.answer == b"" and len(empty.attempts) == 1, "an empty answer is an answer"
    assert ask(Script([(0, TOKEN + b"\xff\x1b")]), [1]).answer == b"\xff\x1b"


@pytest.mark.parametrize(
    "number",
    [
        errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EMSGSIZE, errno.EACCES, errno.EPERM, errno.ENOBUFS,
        errno.ENETDOWN, errno.ENOPROTOOPT, errno.EAGAIN,
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["send", "recv"])
def test_an_error_of_one_try_is_noted_and_the_schedule_goes_on(number, where):
    """Row 38."""
    error = OSError(number, os.strerror(number))
    script = Script([(1.5, error)] if where == "recv" else [], [None, error] if where == "send" else [])
    outcome = ask(script, [1, 2, 4])
    assert (script.sent_at, script.now) == ([0, 1, 3], 7)
    assert [each.errors for each in outcome.attempts] == [(), (error,), ()]
    said = in_short(outcome, "bob", 1060)
    assert said.startswith("No reply from bob, port 1060, in 3 tries (7.0 s). The system reported ")
    assert f'"{os.strerror(number)}" once: ' in said and "Errno" not in said
    found = ask(Script([(1.5, error), (3.5, TOKEN + b"here")]), [1, 2, 4])
    assert found.answer == b"here" and len(found.attempts) == 3


def test_an_error_at_every_call_ends_on_time_and_fills_no_memory():
    """Row 38: a clock that moves a little with each call, and errors for ever."""

    class Down(Script):
        def recv(self, size):
            self.now += 1 / 1024
            raise OSError(errno.ENETDOWN, "Network is down")

    script = Down(send_errors=itertools.repeat(OSError(errno.ENETUNREACH, "Network is unreachable")))
    outcome = ask(script, [1, 2])
    assert script.now == 3 and [len(each.errors) for each in outcome.attempts] == [100, 100]
    assert not any(each.sent for each in outcome.attempts)
    assert "Network is down" in in_short(outcome) and '"Network is unreachable" 6 times: there is no' in in_short(
        outcome
    )


def test_an_error_without_a_number_is_told_too():
    assert 'reported "odd" once: the next try may pass.' in in_short(ask(Script([(0, OSError("odd"))]), [1]))


def test_a_socket_that_no_try_can_use_is_an_error_at_once():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as alone, pytest.raises(OSError, match="estination"):
        request(alone, b"hello", [1.0])
    with pytest.raises(OSError) as caught:
        request(alone, b"hello", [1.0])
    assert caught.value.errno == errno.EBADF


@pytest.mark.parametrize("wait", [math.inf, math.nan, -1, None, "1", 86_401])
def test_a_wait_that_is_none_is_refused_before_anything_is_sent(wait):
    """Row 50."""
    script = Script()
    with pytest.raises(ValueError, match="a wait is a number of seconds from 0 to 86,400, not "):
        ask(script, [1, wait])
    with pytest.raises(ValueError, match="a wait is a number"):
        ask(script, iter([wait]))
    with pytest.raises(ValueError, match="one delay at least"):
        ask(script, [])
    assert script.sent == []


def test_a_question_that_is_too_long_is_refused_before_anything_is_sent():
    """Row 4."""
    script, room = Script([(0, TOKEN)]), LARGEST - len(TOKEN)
    with pytest.raises(ValueError, match="65,507 bytes at most, with its request ID: not 65,508"):
        request(script, bytes(room + 1), [1], TOKEN, script.clock)
    assert script.sent == [] and request(script, bytes(room), [1], TOKEN, script.clock).answer == b""


def test_the_echo_of_a_question_is_not_its_answer():
    """Row 49."""
    script = Script([(0, TOKEN + b"hello"), (0, TOKEN + b"hello you")])
    outcome = ask(script, [1])
    assert (outcome.answer, outcome.attempts[0].ignored) == (b"hello you", 1)
    assert ask(Script([(0, b"hello")]), [1], token=b"").answer is None


def test_in_short_counts_in_words():
    script = Script([(0, b"junk"), (0, ConnectionRefusedError())])
    text = in_short(ask(script, [1]))
    assert text == (
        "No reply in 1 try (1.0 s). The port was refused once: no program had it then. "
        "Datagrams that were not the answer came once and were ignored."
    )


# --- Real sockets ---


def received(sock, seconds=5.0):
    """Return the next datagram, or None after so many seconds."""
    return next((data for data, _ in arrivals(sock, seconds)), None)


def silent_socket():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


def test_connect_sends_nothing():
    with Server(listing.respond) as server, connect(*server.address) as sock:
        assert sock.getpeername() == server.address
        outcome = request(sock, b"hello", [2.0])
        assert outcome.answer == b"Your data was 5 bytes long"
        assert server.counts["received"] == 1, "the question only"


def test_dead_port_is_refused_and_a_late_server_is_found(lasting_port):
    """Rows 10 and 11 on real sockets: the server starts when the policy asks for the second wait."""
    address = ("127.0.0.1", lasting_port)
    server = Server(listing.respond, *address)

    def delays():
        yield 0.5
        server.start()
        yield 5.0

    try:
        with connect(*address) as client:
            outcome = request(client, b"hello", delays())
    finally:
        server.stop()
    assert outcome.answer == b"Your data was 5 bytes long"
    assert len(outcome.attempts) == 2 and outcome.attempts[1].sent
    if sys.platform != "win32":
        assert outcome.attempts[0].refused == 1


def test_a_dead_port_is_a_free_one(monkeypatch, lasting_port):
    with Server(listing.respond) as server:
        lots = [server.address[1], lasting_port]
        monkeypatch.setattr(experiments.random, "sample", lambda ports, count: lots)
        assert experiments.dead_port() == lots.pop()
        with pytest.raises(OSError, match="none of 100 ports from 20000 to 29999 is free"):
            experiments.dead_port()


@pytest.mark.skipif(sys.platform != "linux", reason="how a pending refusal meets a send is Linux' way")
def test_a_pending_refusal_costs_no_send(lasting_port):
    """Row 11: the error is not read by a recv, so that the next send meets it."""
    address = ("127.0.0.1", lasting_port)
    with connect(*address) as client:
        client.send(b"nobody is there")
        with Server(listing.respond, *address) as server:
            sent, [error] = send(client, b"hello")
            assert sent and isinstance(error, ConnectionRefusedError)
            assert received(client) == b"Your data was 5 bytes long"
            assert server.counts["received"] == 1


def test_strangers_are_filtered():
    """Row 15."""
    with silent_socket() as server, silent_socket() as stranger, connect(*server.getsockname()) as client:
        stranger.sendto(b"lie", client.getsockname())
        server.sendto(b"truth", client.getsockname())
        assert received(client) == b"truth"


def test_forged_source_needs_the_token():
    """Row 16: what comes from the server's own socket, byte for byte like a forgery."""
    sockets = []
    with (
        Server(listing.respond, make_socket=strangers.kept_socket(sockets)) as server,
        connect(*server.address) as client,
    ):
        sockets[0].sendto(b"lie", client.getsockname())
        assert request(client, b"one", [5.0], token=b"").answer == b"lie"
        sockets[0].sendto(new_token() + b"lie", client.getsockname())
        outcome = request(client, b"three", [5.0])
        assert outcome.answer == b"Your data was 5 bytes long"
        assert outcome.attempts[0].ignored == 2, "the late answer to one, and the lie"


@pytest.mark.skipif(sys.platform != "linux", reason="which address answers is known for Linux")
def test_second_address_of_the_server():
    """Row 18."""
    with Server(listing.respond, host="") as server:
        with connect("127.0.0.2", server.address[1]) as client:
            assert request(client, b"hello", [0.05]).answer is None
        with connect("127.0.0.1", server.address[1]) as client:
            assert request(client, b"hello", [5.0]).answer is not None
        assert server.counts["answered"] == 2
    with Server(listing.respond) as server, connect(*server.address) as client:  # the default binds one address
        assert request(client, b"hello", [5.0]).answer is not None


def test_junk_on_a_real_socket_moves_no_deadline():
    """Row 17: whoever junk comes from, the last wait ends."""
    with silent_socket() as server, connect(*server.getsockname()) as client:
        over, begun = threading.Event(), threading.Event()

        def flood():
            while not over.is_set():
                with contextlib.suppress(OSError):
                    for _ in range(10):
                        server.sendto(b"junk", client.getsockname())
                begun.set()

        thread = threading.Thread(target=flood)
        thread.start()
        begun.wait(60)
        try:
            outcome = request(client, b"hello", [0.05, 0.1])
        finally:
            over.set()
            thread.join()
    assert outcome.answer is None
    assert len(outcome.attempts) == 2 and sum(each.ignored for each in outcome.attempts) > 2


# --- The command line ---

COMMAND = [sys.executable, "-X", "dev", "-W", "error", "-m", "udplab.retry"]


def run(*arguments):
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "arguments",
    [
        ["client", "127.0.0.1", "-p", "0"],
        ["client", "127.0.0.1", "-p", "70000"],
        ["server", "127.0.0.1", "-p", "-1"],
        ["server", "127.0.0.1", "-p", "x"],
        ["client"],
        ["juggler", "127.0.0.1"],
    ],
)
def test_bad_arguments(arguments):
    """Row 19."""
    done = run(*arguments)
    assert done.returncode == 2 and "usage:" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["client", ""], "an empty name is nobody's"),
        (["client", "no.such.host.invalid"], "Unknown host"),
        (["server", "192.0.2.1"], "not an address of this machine"),
        (["server", "no.such.host.invalid"], "Unknown host"),
        (["client", "<broadcast>"], "It is a broadcast address: this program asks one host."),
    ],
)
def test_expected_failures_are_one_line(arguments, words):
    """Row 21."""
    done = run(*arguments)
    assert done.returncode == 1 and done.stdout == ""
    assert words in done.stderr and done.stderr.count("\n") == 1


def test_client_uses_the_parsed_host_and_says_what_it_saw():
    """Rows 13 and 20, with a silent server: options may come first."""
    with silent_socket() as sock:
        port = str(sock.getsockname()[1])
        done = run("-p", port, "client", "127.0.0.1")
        sock.settimeout(1)
        tries = [sock.recv(100) for _ in range(5)]
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert (
        re.search(r"No reply from 127.0.0.1, port \d+, in 5 tries \(\d+\.\d s\)\.", done.stderr)
        and "Nothing came back." in done.stderr
    )
    assert "is down" not in done.stderr
    assert len(set(tries)) == 1 and tries[0].endswith(b": This is another message")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Client socket name is ('127.0.0.1', ")
    assert lines[1:] == [f"Waiting up to {delay} seconds for a reply" for delay in (0.1, 0.2, 0.4, 0.8, 1.6)]


def test_port_in_use():
    with silent_socket() as sock:
        done = run("server", "127.0.0.1", "-p", str(sock.getsockname()[1]))
    assert done.returncode == 1 and "is in use" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_server_and_client_together():
    """Row 23 too: Ctrl-C is quiet."""
    server = subprocess.Popen(
        [*COMMAND, "server", "", "-p", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with server:
        try:
            first = server.stdout.readline()
            port = first.strip(")\n").rsplit(" ", 1)[1]
            assert first == f"Listening at ('0.0.0.0', {port})\n"
            for _ in range(5):  # 1 client in 32 has bad luck
                client = run("client", "127.0.0.1", "-p", port)
                if client.returncode == 0:
                    break
            assert client.stdout.endswith("The server says b'Your data was 23 bytes long'\n")
            lines = []
            while not lines or "drop" in lines[-1]:  # the program tells a little later than it answers
                lines.append(server.stdout.readline())
        finally:
            server.send_signal(signal.SIGINT)
        _, errors = server.communicate(timeout=60)
    assert server.returncode == 130 and errors == ""
    assert lines[-1].startswith("The client at ")
    assert all(line.startswith("Pretending to drop packet from ") for line in lines[:-1])
