"""Listing 2-1, its experiments, plots, exercises and playground."""

import errno
import inspect
import math
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest

from udplab.kit import picture
from udplab.kit.paper import Clock, Paper
from udplab.kit.server import Server
from udplab.kit.sockets import LARGEST, answer_from, connect, own_address, receive_cut, udp_socket
from udplab.loopback import __main__, experiments, listing, panel, plots

SERVER, STRANGER = ("127.0.0.1", 1060), ("127.0.0.1", 6666)


# --- The rule ---


def test_respond_counts_bytes():
    assert listing.respond(b"") == b"Your data was 0 bytes long"
    assert listing.respond("Grüße".encode()) == b"Your data was 7 bytes long"


def test_every_record_can_be_told_in_a_line():
    with Server(listing.respond) as server, udp_socket() as sock:
        sock.sendto(b"Your data was 5 bytes long", server.address)
        experiments.ask(sock, server.address, b"hello", timeout=60)
    dropped, answered = map(listing.in_words, server.log)
    assert dropped.endswith("says b'Your data was 5 bytes long' - dropped: no answer wanted")
    assert answered.endswith("says b'hello'")
    broken = server.log[0]._replace(done="errors", why="Traceback ...\n  line 1\nKeyError: 'x'\n")
    assert listing.in_words(broken).endswith(" - errors: KeyError: 'x'")


def test_two_servers_do_not_answer_each_other_for_ever():
    answer = listing.respond(b"forged")
    assert listing.respond(answer) is None


# --- The client's waiting, on a scripted clock ---


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_a_server_may_be_asked_by_name_or_by_the_address_it_gives(host):
    with Server(listing.respond, host) as server, udp_socket() as sock:
        for address in (server.address, ("localhost", server.address[1])):
            assert experiments.ask(sock, address, b"hi", timeout=60).answer == b"Your data was 2 bytes long"
    with pytest.raises(OSError, match="Unknown host"):
        experiments.ask(sock, ("no.such.host.invalid", 1), b"hi")


WAITS = [0, -1, math.nan, math.inf, None, "1"]
COUNTS = [0, -1, 2.5, None, math.nan, math.inf]


@pytest.mark.parametrize(
    ("name", "value"),
    [("size", value) for value in (-1, 65_508, 0.5, None)]
    + [("timeout", value) for value in WAITS]
    + [(name, value) for name in ("count", "batch") for value in COUNTS]
    + [("pause", value) for value in (-1, math.nan, math.inf, None)],
)
def test_round_trips_that_cannot_be_are_told_before_anything_is_sent(name, value):
    with pytest.raises(ValueError, match=f"^{name} is a .*, not "):
        next(experiments.round_trips(("127.0.0.1", 1), **{name: value}))


@pytest.mark.parametrize("value", WAITS)
def test_a_timeout_that_is_none_is_told_before_anything_is_asked(value):
    client = Paper(clock=Clock())
    with pytest.raises(ValueError, match=r"^timeout is a number from 0 to 86,400 "):
        experiments.ask(client, SERVER, b"?", timeout=value)
    assert client.sent == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", -1),
        ("size", 65_508),
        ("queue_bytes", 0),
        ("queue_bytes", 1 << 40),
        *(("count", each) for each in COUNTS),
    ],
)
def test_a_burst_that_cannot_be_is_told(name, value):
    with pytest.raises(ValueError, match=f"^{name} is a "):
        experiments.burst(**{"size": 1, name: value})


def test_the_answer_of_the_server_counts_and_strangers_do_not():
    client = Paper([(0.2, b"forged", STRANGER), (0.5, b"true", SERVER)], clock=Clock())
    exchange = experiments.ask(client, SERVER, b"?", timeout=1.0, clock=client.clock.read)
    assert (exchange.question, exchange.answer) == (b"?", b"true") and client.sent == [(b"?", SERVER)]
    assert [exchange.sent, exchange.received] == pytest.approx([0, 0.5], abs=1e-3)


def test_a_stranger_with_another_port_is_not_heard():
    """Row 15, on real sockets: both have the server's address, 127.0.0.1."""
    with udp_socket() as server, udp_socket() as stranger, udp_socket() as client:
        for sock in (server, stranger, client):
            sock.bind(("127.0.0.1", 0))
        stranger.sendto(b"forged", client.getsockname())
        server.sendto(b"true", client.getsockname())
        assert answer_from(client, server.getsockname(), timeout=60) == b"true"


def test_the_deadline_is_absolute_under_a_flood_of_junk():
    client = Paper([(0.3 * number, b"junk", STRANGER) for number in range(100)], clock=Clock())
    with pytest.raises(TimeoutError, match=r"No answer from 127.0.0.1, port 1060, within 1 s"):
        answer_from(client, SERVER, timeout=1.0, clock=client.clock.read)
    assert client.clock.now == pytest.approx(1, abs=1e-3)


def test_a_refused_port_on_windows_is_waited_for():
    client = Paper([(0.0, ConnectionResetError()), (0.1, b"late", SERVER)], clock=Clock())
    assert answer_from(client, SERVER, timeout=1.0, clock=client.clock.read) == b"late"


# --- The experiments, on real sockets ---


def test_round_trips_come_in_batches_of_the_right_number():
    with Server(listing.respond) as server:
        batches = list(experiments.round_trips(server.address, size=9, count=105, batch=50, timeout=60))
    assert [len(batch) for batch in batches] == [50, 50, 5]
    assert all(0 < value < 1 for batch in batches for value in batch)
    assert {record.size for record in server.log} == {9} and server.counts["answered"] == 105


def test_a_lost_round_trip_is_nan_and_its_late_answer_is_not_taken_for_the_next():
    numbers = iter(range(10))

    def respond(data):
        return b"" if next(numbers) != 3 else None

    with Server(respond) as server:
        (times,) = experiments.round_trips(server.address, count=10, timeout=2)
    assert [index for index, value in enumerate(times) if math.isnan(value)] == [3]
    assert len({record.peer for record in server.log}) == 2


def test_round_trips_wait_between_datagrams_and_close_their_socket_when_stopped():
    pauses = []
    with Server(listing.respond) as server:
        batches = experiments.round_trips(server.address, count=100, batch=10, pause=0.5, sleep=pauses.append)
        next(batches)
        batches.close()
    assert pauses == [0.5] * 10


def test_round_trips_to_a_dead_port_are_nan(lasting_port):
    (times,) = experiments.round_trips(("127.0.0.1", lasting_port), count=3, timeout=0.05)
    assert np.isnan(times).all()


def test_round_trips_that_are_all_lost_end_soon_and_say_so(lasting_port):
    """Row 48: what was measured is handed out, then the words come."""
    trips = experiments.round_trips(("127.0.0.1", lasting_port), count=1000, batch=50, timeout=0.05)
    assert np.isnan(next(trips)).tolist() == [True] * 20
    with pytest.raises(TimeoutError, match=f"^20 datagrams in a row to 127.0.0.1, port {lasting_port} got no answer"):
        next(trips)


def test_a_size_for_which_the_system_has_no_room_does_not_end_the_measurement(monkeypatch):
    """Row 58: such as 65,507 bytes over a loopback with an MTU of 68."""

    class Sock(socket.socket):
        def send(self, data):
            raise OSError(errno.ENOBUFS, "No buffer space available")

    monkeypatch.setattr(socket, "socket", Sock)
    (times,) = experiments.round_trips(("127.0.0.1", 9), count=200, batch=200)
    assert len(times) == 200 and np.isnan(times).all()


def test_any_error_of_a_send_is_a_lost_round_trip(monkeypatch):
    """Row 38: such as a firewall's EPERM."""

    class Sock(socket.socket):
        tried = 0

        def send(self, data):
            Sock.tried += 1
            if Sock.tried == 2:
                raise PermissionError(errno.EPERM, "Operation not permitted")
            return super().send(data)

    monkeypatch.setattr(socket, "socket", Sock)
    with Server(listing.respond) as server:
        (times,) = experiments.round_trips(server.address, count=4, timeout=60)
    assert np.isnan(times).tolist() == [False, True, False, False]


def test_the_echo_of_ones_own_question_is_no_answer():
    """Row 49. (An echo of somebody else, with the same bytes, is an answer.)"""
    with udp_socket() as alone, Server(bytes) as echo:
        alone.bind(("127.0.0.1", 0))
        with pytest.raises(TimeoutError, match="of this socket itself"):
            experiments.ask(alone, alone.getsockname(), b"hi", timeout=60)
        assert experiments.ask(alone, echo.address, b"there", timeout=60).answer == b"there"


def test_the_loop_of_the_listing_answers_on_a_real_socket():
    """What waits in the queue is answered in order; an answer gets none; the loop itself never ends."""
    with udp_socket(0.2) as server, udp_socket(60) as client:
        server.bind(("127.0.0.1", 0))
        for data in (b"hello", b"Your data was 5 bytes long", b""):
            client.sendto(data, server.getsockname())
        with pytest.raises(TimeoutError):  # of the socket, after 0.2 s of silence
            listing.serve(server)
        assert client.recvfrom(100) == (b"Your data was 5 bytes long", server.getsockname())
        assert client.recvfrom(100)[0] == b"Your data was 0 bytes long"
    assert len(inspect.getsource(listing.serve).splitlines()) <= 7, "a loop that fits on a slide"


def test_connect_never_takes_the_servers_own_port():
    class Odd:
        names = iter([("127.0.0.1", 7), ("127.0.0.1", 8)])

        def __init__(self):
            self.name, self.closed = next(self.names), False

        def connect(self, address):
            self.peer = address

        def getsockname(self):
            return self.name

        def getpeername(self):
            return self.peer

        def close(self):
            self.closed = True

    made = []

    def make():
        made.append(Odd())
        return made[-1]

    assert connect("127.0.0.1", 7, make) is made[1]
    assert [sock.closed for sock in made] == [True, False]


@pytest.mark.parametrize("host", ["no.such.host.invalid", "x" * 300, "a..b"])
def test_unknown_host_is_one_line(host):
    with pytest.raises(OSError, match="Unknown host") as caught:
        connect(host, 1060)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, 1, 1400, LARGEST])
def test_a_burst_is_accounted_for(size):
    result = experiments.burst(size, count=500)
    assert 0 < result.kept <= result.sent == 500
    if size > 1 or sys.platform == "linux":  # Linux's queue also pays for what a datagram's bookkeeping takes
        assert result.kept < result.sent
    if result.dropped is not None:
        assert result.kept + result.dropped == result.sent


def untold(*_):
    raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))


@pytest.mark.parametrize("untold", [untold, lambda *_: b"", "another system"])
def test_where_the_kernel_does_not_count_a_burst_goes_on_without(monkeypatch, untold):
    """Row 37: SO_MEMINFO may be missing, whatever the system's name promises."""

    class Sock(socket.socket):
        def getsockopt(self, level, option, *size):
            return untold() if option == 55 else super().getsockopt(level, option, *size)

    if callable(untold):
        monkeypatch.setattr(socket, "socket", Sock)
    else:
        monkeypatch.setattr(sys, "platform", "darwin")
    result = experiments.burst(60_000, count=50)
    assert result.dropped is None and 0 < result.kept < 50
    assert "does not count" in plots.fate(result)


def test_sends_that_the_system_refuses_are_counted_apart(monkeypatch):
    """Row 38: macOS refuses to send to a full queue."""

    class Sock(socket.socket):
        tried = 0

        def send(self, data):
            Sock.tried += 1
            if Sock.tried > 3:
                raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
            return super().send(data)

    monkeypatch.setattr(socket, "socket", Sock)
    result = experiments.burst(10, count=50)
    assert (result.sent, result.kept, result.refused) == (3, 3, 47)
    assert "47 more were refused" in plots.fate(result)


def test_the_largest_payload_and_one_more():
    with Server(listing.respond) as server, udp_socket() as sock:
        exchange = experiments.ask(sock, server.address, bytes(LARGEST), timeout=60)
        assert exchange.answer == b"Your data was 65507 bytes long"
        with pytest.raises(OSError):
            sock.sendto(bytes(LARGEST + 1), server.address)


@pytest.mark.skipif(not hasattr(socket.socket, "recvmsg"), reason="Windows tells it in another way")
def test_a_buffer_that_is_too_small_is_noticed():
    with udp_socket(1) as receiver, udp_socket() as sender:
        receiver.bind(("127.0.0.1", 0))
        sender.sendto(b"0123456789", receiver.getsockname())
        sender.sendto(b"next", receiver.getsockname())
        assert receive_cut(receiver, 4) == (b"0123", True)
        assert receive_cut(receiver, 4) == (b"next", False)


def test_a_buffer_that_is_too_small_is_noticed_on_windows():
    class WindowsSocket:
        def recv(self, size):
            error = OSError("a message was larger than the buffer")
            error.winerror = 10040
            raise error

        def getsockname(self):
            error = OSError("an invalid argument was supplied")
            error.winerror = 10022
            raise error

    assert receive_cut(WindowsSocket(), 4) == (b"", True)
    assert own_address(WindowsSocket()) == ("0.0.0.0", 0)


# --- The command line ---


def program(*arguments, **options):
    command = [sys.executable, "-X", "dev", "-W", "error", "-m", "udplab.loopback", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def finish(process):
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.fixture
def running():
    """A server program on a free port: (process, port)."""
    process = program("server", "-p", "0")
    line = process.stdout.readline()
    yield process, int(line.rpartition(", ")[2].rstrip(")\n"))
    process.kill()
    process.communicate()


def test_server_and_client_talk(running):
    process, port = running
    code, out, err = finish(program("client", "-p", str(port)))
    assert (code, err) == (0, "")
    first, second = out.splitlines()
    assert first.startswith("The OS assigned me the address ('0.0.0.0', ")
    assert second.startswith(f"The server ('127.0.0.1', {port}) replied b'Your data was ")
    line = process.stdout.readline()
    assert line.startswith("The client at ('127.0.0.1', ") and "says b'The time is " in line


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send SIGINT to one process")
def test_ctrl_c_ends_the_server_quietly(running):
    process, _ = running
    process.send_signal(signal.SIGINT)
    assert finish(process) == (130, "", "")


def test_bad_datagrams_are_shown_in_one_line_and_survived(running):
    process, port = running
    with udp_socket() as sock:
        for data in (b"\xff\n\x1b[31m", b"", bytes(65_507)):
            experiments.ask(sock, ("127.0.0.1", port), data, timeout=60)
    lines = [process.stdout.readline() for _ in range(3)]
    assert "says b'\\xff\\n\\x1b[31m'" in lines[0] and "says b''" in lines[1]
    assert lines[2].endswith("(the first 200 of 65507 bytes)\n") and len(lines[2]) < 300


def test_answers_although_nobody_reads_the_output(running):
    _, port = running
    with udp_socket() as sock:
        for _ in range(2000):  # several times what a pipe holds
            assert experiments.ask(sock, ("127.0.0.1", port), b"x" * 150, timeout=10).answer


def test_a_client_without_a_server_says_so_in_one_line():
    with udp_socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        code, _, err = finish(program("client", "-p", str(port)))
    assert code == 1
    assert err == f"No answer from 127.0.0.1, port {port}, within 1 s. Is a server running there?\n"


def test_an_answer_that_is_not_text_is_shown_safely():
    with Server(lambda data: b"\xff\n\x1b[31m") as server:
        code, out, err = finish(program("client", "-p", str(server.address[1])))
    assert (code, err) == (0, "")
    assert out.endswith("replied b'\\xff\\n\\x1b[31m'\n")


def test_a_port_in_use_is_one_line(running):
    _, port = running
    code, out, err = finish(program("server", "-p", str(port)))
    assert (code, out) == (1, "")
    assert err.startswith(f"Port {port} is in use") and err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["client", "-p", "0"], ["server", "-p", "70000"], ["server", "-p", "-1"], ["server", "-p", "x"], []]
)
def test_wrong_arguments_are_explained(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        __main__.main(arguments)
    assert caught.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_the_port_may_stand_before_the_role(capsys):
    with udp_socket() as silent, pytest.raises(SystemExit) as caught:
        silent.bind(("127.0.0.1", 0))
        __main__.main(["-p", str(silent.getsockname()[1]), "client"])
    assert "No answer" in caught.value.code


# --- The pictures, on their artists and in their words ---


@pytest.fixture
def ax():
    """Axes of a figure of their own, as `show` makes them."""
    with picture.style():
        yield picture.figure().subplots()


def test_over_time_shows_every_time_and_marks_the_lost(ax):
    words = plots.over_time(ax, [20e-6, math.nan, 40e-6])
    assert ax.lines[0].get_ydata() == pytest.approx([20, math.nan, 40], nan_ok=True)
    assert list(ax.lines[1].get_xdata()) == [2]
    assert words == (
        "3 round trips, 1 without an answer\nshortest 20.0 µs, median 30.0 µs, 99th percentile 39.8 µs, longest 40.0 µs"
    )


def test_pictures_without_an_answer_say_so(ax):
    lost = [math.nan] * 3
    assert plots.over_time(ax, lost) == "3 round trips, 3 without an answer"
    for draw, records in ((plots.cumulative, lost), (plots.by_size, {1: lost})):
        draw(ax, records)
        assert ax.get_title("left") == "No answer came"


def test_cumulative_marks_median_99th_percentile_and_what_you_said(ax):
    words = plots.cumulative(ax, np.arange(1, 102) * 1e-6, you=7)
    assert ax.lines[0].get_ydata()[-1] == 100
    assert [line.get_xdata()[0] for line in ax.lines[1:]] == pytest.approx([51, 100, 7])
    assert ax.lines[-1].get_label() == "you: 7 µs" and "median 51.0 µs" in words


def test_by_size_draws_medians_over_the_fixed_price(ax):
    words = plots.by_size(ax, {1: [1e-6, 2e-6, 3e-6], 10: [math.nan], 1000: [4e-6, 5e-6, 9e-6]})
    assert list(ax.lines[0].get_ydata()) == pytest.approx([2, 5])
    assert words.splitlines() == [
        "      1 byte: median 2.0 µs",
        "    10 bytes: no answer",
        " 1,000 bytes: median 5.0 µs",
        "1,000 bytes took 2.5 times as long as 1",
    ]


def test_kept_draws_what_was_measured_and_what_you_said(ax):
    bursts = [experiments.Burst(1, 2000, 256, 1744), experiments.Burst(1000, 2000, 92, None, 5)]
    words = plots.kept(ax, bursts, you=1000).splitlines()
    assert list(ax.lines[0].get_ydata()) == [256, 92] and ax.lines[2].get_ydata()[0] == 1000
    assert words[0] == "      1 byte: sent 2000, kept 256 + dropped by the kernel 1744 = 2000"
    assert words[1].endswith("1908 are missing (this system does not count them) (5 more were refused by the system)")
    assert plots.fate(experiments.Burst(1, 10, 3, 6)).endswith("6 = 9"), "what is missing is not made up"


def test_a_connect_that_fails_leaves_no_socket_open():
    made = []
    with pytest.raises(OSError, match=r"Cannot send to 255\.255\.255\.255, port 9: "):
        connect("255.255.255.255", 9, lambda: made.append(udp_socket()) or made[0])
    assert made[0].fileno() == -1


def test_the_playground_has_room_for_an_answer_that_took_seconds_and_one_that_did_not_come():
    playground = panel.round_trips()
    with picture.style():
        figure = picture.figure(*playground.size, layout="none")
        figure.subplots_adjust(**playground.margins)
        ax = figure.subplots()
        playground.draw(ax, [22e-6, 3.0, math.nan], {"count": 3}, None)
        figure.canvas.draw()
        assert ax.yaxis.label.get_window_extent().x0 >= 0
        assert ax.title.get_window_extent().x1 <= ax.get_legend().get_window_extent().x0
