"""Lesson 2-2: the bad network, the odds, the experiments, their plots and the playground."""

import errno
import itertools
import math
import os
import queue
import random
import select
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import needs_lan
from scripted import run_async

from udplab import lan
from udplab.broadcast import discovery
from udplab.kit.server import Server
from udplab.kit.sockets import arrivals, connect, udp_socket
from udplab.loopback import listing as loopback
from udplab.retry import experiments, films, listing, lossy, machines, odds, panel, policies, strangers
from udplab.retry.request import in_short, new_token, request, split

RATES = (0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1)


class Wire:
    """The server's real socket of a BadNetwork, replaced: what is sent is kept, what arrives is given."""

    def __init__(self, *_):
        self.inbox, self.sent, self.closed = [], [], False

    def getsockname(self):
        return "127.0.0.1", 7

    def recvfrom(self, size):
        return self.inbox.pop(0)

    def sendto(self, data, peer):
        self.sent.append((data, peer))
        return len(data)

    def close(self):
        self.closed = True


@pytest.fixture
def wired(monkeypatch):
    """Return a function that gives a network's socket and the wire below it."""
    monkeypatch.setattr(lossy.socket, "socket", Wire)

    def make(**settings):
        sock = lossy.BadNetwork(**settings).socket()
        return sock, sock._sock

    return make


PEER = ("127.0.0.1", 9)


def received(sock, seconds):
    """Return the next datagram, or None after so many seconds."""
    return next((data for data, _ in arrivals(sock, seconds)), None)


def exchange(sock, wire, count):
    """Let `count` requests arrive and be answered; return the answers that were sent on."""
    wire.inbox = [(b"%d" % n, PEER) for n in range(count)] + [(b"", ("127.0.0.1", 7))]
    while (got := sock.recvfrom(100))[1] == PEER:
        sock.sendto(*got)
    return [int(data) for data, _ in wire.sent]


# --- The network ---


def test_a_good_network_passes_all(wired):
    sock, wire = wired()
    assert exchange(sock, wire, 5) == [0, 1, 2, 3, 4]
    assert list(sock._network.fates) == [lossy.Fate(PEER, True, 1)] * 5


@pytest.mark.parametrize("fault", ["loss", "answer_loss"])
def test_loss_is_seeded(wired, fault):
    sock, wire = wired(**{fault: 0.3}, seed=5)
    passed = exchange(sock, wire, 1000)
    low, high = odds.interval(0.7, 1000)
    assert low <= len(passed) <= high
    again, wire = wired(**{fault: 0.3}, seed=5)
    assert exchange(again, wire, 1000) == passed
    other, wire = wired(**{fault: 0.3}, seed=6)
    assert exchange(other, wire, 1000) != passed
    request = fault == "answer_loss"
    assert [n for n, fate in enumerate(sock._network.fates) if fate == lossy.Fate(PEER, True, 1)] == passed
    assert all(fate.request == request for fate in sock._network.fates if not fate.answers)
    assert sock._network.lost == (0 if request else 1000 - len(passed))


def test_a_network_keeps_the_last_1000_fates_and_counts_all(wired):
    sock, wire = wired(loss=0.5, seed=1)
    passed = exchange(sock, wire, 3000)
    assert sock._network.lost == 3000 - len(passed)
    assert [n for n, fate in enumerate(sock._network.fates, 2000) if fate.request] == [n for n in passed if n >= 2000]


def test_duplicates_and_overtaking(wired):
    sock, wire = wired(duplicate=1)
    assert exchange(sock, wire, 3) == [0, 0, 1, 1, 2, 2]
    assert [fate.answers for fate in sock._network.fates] == [2, 2, 2]
    sock, wire = wired(reorder=0.5, seed=3)
    order = exchange(sock, wire, 200)
    assert len(set(order)) == len(order) >= 199, "each once; the last may still be held back"
    assert order != sorted(order)


def test_one_fault_leaves_the_lots_of_another(wired):
    plain, wire = wired(loss=0.5, seed=1)
    first = exchange(plain, wire, 100)
    mixed, wire = wired(loss=0.5, duplicate=0.5, reorder=0.5, seed=1)
    exchange(mixed, wire, 100)
    assert [n for n, fate in enumerate(mixed._network.fates) if fate.request] == first


def test_a_servers_own_datagram_is_never_lost(wired):
    sock, wire = wired(loss=1, answer_loss=1)
    wire.inbox = [(b"x", PEER), (b"", ("127.0.0.1", 7))]
    assert sock.recvfrom(9) == (b"", ("127.0.0.1", 7))
    sock.sendto(b"", ("127.0.0.1", 7))
    assert wire.sent == [(b"", ("127.0.0.1", 7))]
    sock.close()
    assert wire.closed


@pytest.mark.parametrize("name", ["loss", "answer_loss", "duplicate", "reorder"])
@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_is_from_0_to_1(name, share):
    with pytest.raises(ValueError, match=name):
        lossy.BadNetwork(**{name: share})


@pytest.mark.parametrize("delay", [(0, 0), (0.001, 0.001)])
def test_an_answer_that_is_too_long_is_an_error_and_the_network_goes_on(delay):
    network = lossy.BadNetwork(delay=delay)
    with (
        Server(lambda data: bytes(70_000) if data == b"much" else data, make_socket=network.socket) as server,
        connect(*server.address) as sock,
    ):
        sock.send(b"much")
        sock.send(b"little")
        assert received(sock, 60) == b"little"
        assert server.counts["errors"] == server.counts["answered"] == 1
        assert os.strerror(errno.EMSGSIZE) in server.log[0].why


def test_a_late_answer_that_cannot_be_sent_keeps_no_other():
    class Wire:
        sent = queue.SimpleQueue()

        def sendto(self, data, peer):
            if peer == "forbidden":
                raise PermissionError
            self.sent.put(data)

    post = lossy._Post(Wire())
    for peer in ("forbidden", "bob"):
        post.put(0, peer.encode(), peer)
    assert Wire.sent.get(timeout=60) == b"bob"
    post.stop()


def test_the_network_knows_the_server_by_its_whole_address():
    """A client elsewhere may have the same port; what it sends is lost like anything else."""
    network = lossy.BadNetwork(loss=1)
    with Server(listing.respond, make_socket=network.socket) as server:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind(("127.0.0.2", server.address[1]))
            except OSError:
                pytest.skip("127.0.0.2 is not an address of this machine")
            sock.sendto(b"hello", server.address)
            assert received(sock, 0.05) is None
            while network.lost < 1:
                time.sleep(0)
        assert len(network.fates) == network.lost == 1


def test_a_delay_does_not_hold_up_the_server():
    """The late answer is still on its way when the server has counted all the questions that followed."""
    network = lossy.BadNetwork(delay=(1, 1))
    with Server(listing.respond, make_socket=network.socket) as server, connect(*server.address) as sock:
        sock.send(b"late")
        while server.counts["received"] < 1:
            pass
        network.delay = (0, 0)
        for _ in range(10):
            sock.send(b"soon!")
        answers = [received(sock, 5) for _ in range(11)]
    assert answers == [b"Your data was 5 bytes long"] * 10 + [b"Your data was 4 bytes long"]


def test_stopping_leaves_no_thread_and_drops_the_late():
    before = threading.active_count()
    network = lossy.BadNetwork(delay=(60, 60))
    for _ in range(20):
        with Server(listing.respond, make_socket=network.socket) as server, connect(*server.address) as sock:
            sock.send(b"x")
            while server.counts["received"] < 1:
                pass
    assert threading.active_count() == before


@pytest.mark.parametrize("loss", RATES)
def test_bad_networks_give_no_wrong_answer(loss):
    """Row 14: loss each way, duplicates, reordering and delay; each question gets its own answer or none."""
    network = lossy.BadNetwork(loss, loss / 2, duplicate=0.3, reorder=0.3, delay=(0, 0.0005), seed=loss)
    with Server(experiments.echo, make_socket=network.socket) as server:
        pairs = experiments.ask_in_turn(server.address, [[0.001] * 5] * 100, ids=True)
    assert len(pairs) == 100 and experiments.wrong(pairs) == 0
    if loss == 1:
        assert all(each.answer is None for each in pairs)


def test_1000_questions_on_a_reused_socket_with_and_without_ids():
    """Row 14. Each answer comes twice: without IDs the second one is taken for the next question's."""
    network = lossy.BadNetwork(duplicate=1)
    with Server(experiments.echo, make_socket=network.socket) as server:
        naive = experiments.ask_in_turn(server.address, [[5.0]] * 20, ids=False)
        pairs = experiments.ask_in_turn(server.address, [[5.0]] * 1000, ids=True)
    assert experiments.wrong(naive) == 19
    assert experiments.wrong(pairs) == 0 and all(each.answer for each in pairs)


# --- Odds ---


def test_schedule():
    times, end = odds.schedule(policies.exponential())
    assert times == pytest.approx([0, 0.1, 0.3, 0.7, 1.5]) and end == pytest.approx(3.1)


def test_known_odds():
    assert odds.sends(0.5, 5) == {1: 0.5, 2: 0.25, 3: 0.125, 4: 0.0625, 5: 0.0625}
    assert odds.give_up(0.5, 5) == 1 / 32
    assert odds.mean_sends(0.5, 5) == 1.9375
    assert odds.mean_wait(0.5, list(policies.exponential())) == pytest.approx(0.25)
    assert odds.failure(0.5, 0.5) == 0.75
    assert odds.give_up(0.75, 5) == pytest.approx(0.2373, abs=1e-4)
    assert odds.give_up(0.9, 5) == pytest.approx(0.59049)
    assert odds.mean_wait(1, [1, 2]) == 3 and odds.mean_sends(1, 5) == 5 and odds.mean_sends(0, 5) == 1


@pytest.mark.parametrize("chance", [0, 0.001, 0.1, 0.5, 0.7, 0.999, 1])
@pytest.mark.parametrize("count", [1, 10, 100])
def test_interval_against_exact_sums(chance, count):
    def share(numbers):
        return sum(math.comb(count, k) * chance**k * (1 - chance) ** (count - k) for k in numbers)

    low, high = odds.interval(chance, count)
    assert 0 <= low <= high <= count
    assert share(range(low)) <= 0.005 + 1e-12 and share(range(high + 1, count + 1)) <= 0.005 + 1e-12
    if chance not in (0, 1):
        assert share(range(low + 1)) > 0.005 and share(range(high, count + 1)) > 0.005


probability = st.floats(0, 1)
chances = probability | st.floats(5e-324, 1e-12) | st.floats(1e-16, 1e-9).map(lambda chance: 1 - chance)


@given(chances, st.integers(0, 300))
def test_an_interval_lies_within_all_numbers_around_the_mean(chance, count):
    low, high = odds.interval(chance, count)
    assert 0 <= low <= chance * count + 1 and chance * count - 1 <= high <= count and low <= high


@given(probability, probability, st.integers(1, 20))
def test_predictions_are_probabilities(loss, answer_loss, tries):
    fail = odds.failure(loss, answer_loss)
    shares = odds.sends(fail, tries)
    assert max(loss, answer_loss) - 1e-9 <= fail <= min(1, loss + answer_loss) + 1e-9
    assert list(shares) == list(range(1, tries + 1)) and all(0 <= share <= 1 for share in shares.values())
    assert sum(shares.values()) == pytest.approx(1)
    assert 0 <= odds.give_up(fail, tries) <= shares[tries] <= 1
    assert 1 - 1e-9 <= odds.mean_sends(fail, tries) <= tries + 1e-9


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=10), probability)
def test_times_are_in_order_and_no_wait_is_longer_than_all(delays, fail):
    times, end = odds.schedule(delays)
    assert times == sorted(times) and len(times) == len(delays) and times[0] == 0 and times[-1] < end
    assert end == pytest.approx(sum(delays)) and 0 <= odds.mean_wait(fail, delays) <= end * (1 + 1e-9)


# --- Experiments ---


@pytest.mark.parametrize(
    ("both", "expected"),
    [(False, [0, 0, 1, 26, 253, 602, 957, 1000]), (True, [0, 0, 17, 234, 734, 947, 999, 1000])],
)
def test_give_ups_are_within_chance_and_repeatable(both, expected):
    measured = [experiments.give_ups(loss, both) for loss in RATES]
    for loss, count in zip(RATES, measured, strict=True):
        low, high = odds.interval(odds.give_up(odds.failure(loss, loss if both else 0), 5), 1000)
        assert low <= count <= high
    assert measured == expected, "the seed alone decides, on every machine"


def test_live_server_that_loses_half_is_found_by_nearly_all():
    """Row 13."""
    trial_list = experiments.asked(1000, list(policies.exponential()))
    counts = Counter(len(trial.outcome.attempts) for trial in trial_list)
    for k, share in odds.sends(0.5, 5).items():
        low, high = odds.interval(share, 1000)
        assert low <= counts[k] <= high
    failed = [trial.outcome for trial in trial_list if trial.outcome.answer is None]
    assert failed and all(in_short(outcome).startswith("No reply in 5 tries (3.1 s).") for outcome in failed)
    for trial in trial_list:
        assert len(trial.fates) == len(trial.outcome.attempts)
        assert [fate.answers > 0 for fate in trial.fates] == [each.answered for each in trial.outcome.attempts]
        assert experiments.spent(trial.outcome) == pytest.approx(
            sum(each.wait for each in trial.outcome.attempts if not each.answered)
        )


def test_ask_often_can_be_left_early():
    before = threading.active_count()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batches = experiments.ask_often(1000, [0.1, 0.2], batch=7)
        assert len(next(batches)) == 7
        batches.close()
    assert threading.active_count() == before


def test_late_answers_are_taken_for_the_next_question():
    """Row 14, with a scripted order instead of a clock: the server is always one answer behind."""
    held = []

    def behind(data):
        held.append(experiments.echo(data))
        return held[-2] if len(held) > 1 else b"answer to question 0"

    with Server(behind) as server:
        pairs = experiments.ask_in_turn(server.address, [[5.0]] * 5, ids=False)
    assert [each.answer for each in pairs] == [b"answer to question %d" % n for n in range(5)]
    assert experiments.wrong(pairs) == 5


def test_herd_with_and_without_jitter():
    together = experiments.herd(lambda rng: policies.exponential())
    apart = experiments.herd(policies.full_jitter)
    assert together.arrived[10] == 100 == sum(together.arrived[:11])
    assert together.dropped > 0 == apart.dropped and together.left > 0 == apart.left
    for each in (together, apart):
        assert max(each.served) <= 10
        assert sum(each.arrived) == sum(each.served) + each.dropped
        assert sum(each.served) >= 100 - each.left


def test_round_trips_and_follow():
    measured = list(experiments.round_trips([0.001, 0.02]))
    assert measured[0] >= 0.001 and measured[1] >= 0.02
    track = experiments.follow([0.2, 0.2], policies.Rto(lowest=0))
    assert track[0] == (0.2, 1.0) and track[1] == (0.2, pytest.approx(0.6))


def test_the_loop_and_its_end():
    """Row 8."""
    numbers = itertools.count(1)
    assert strangers.loop(lambda data: strangers.naive(data) if next(numbers) < 100 else None, 3600) == 100
    assert strangers.loop(listing.respond, 3600) == 2, "it ends when nothing is left to answer, and waits for nothing"


def test_servers_of_different_lessons_do_not_loop():
    """Row 8: 2-1's server does not know request IDs, and answers an answer that has one. 2-2's then ends it."""
    sockets = []
    with (
        Server(listing.respond, make_socket=strangers.kept_socket(sockets)) as one,
        Server(loopback.respond) as two,
        udp_socket(5) as probe,
    ):
        sockets[0].sendto(new_token() + b"hello", two.address)
        while one.counts["received"] < 1:
            pass
        for server in (one, two):  # an answer to a probe shows that nothing else is under way
            probe.sendto(b"probe", server.address)
            probe.recv(100)
        assert one.counts["answered"] + two.counts["answered"] <= 2 + 2
        assert one.counts["dropped"] == 1


RESPONDERS = [loopback.respond, listing.respond, experiments.echo, discovery.responder(b"time", b"bob")]


@given(
    st.sampled_from(RESPONDERS),
    st.sampled_from(RESPONDERS),
    st.sampled_from([b"", new_token(), b"Your data was ", b"find time ", b"here time "]),
    st.binary(max_size=30),
)
def test_no_two_servers_answer_each_other_for_ever(one, two, start, end):
    """Row 8: any datagram, any two servers of the lessons; of one kind they exchange one answer at most."""
    data, answers = start + end, 0
    for respond in itertools.chain.from_iterable(itertools.repeat((one, two))):
        try:
            data = respond(data)
        except ValueError:  # counted as bad, and not answered
            break
        if data is None:
            break
        answers += 1  # noqa: SIM113
        assert answers <= (1 if one is two else 3)


def test_a_datagram_from_itself_gets_no_answer():
    """Row 8."""
    sockets = []
    with Server(listing.respond, make_socket=strangers.kept_socket(sockets)) as server:
        sockets[0].sendto(b"hello", server.address)
        with connect(*server.address) as sock:
            assert request(sock, b"probe", [5.0]).answer
        assert server.counts == {"received": 2, "answered": 1, "dropped": 1, "bad": 0, "errors": 0}


def test_lesson_modules_stay_light():
    code = "import sys, udplab.retry.__main__; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"matplotlib", "numpy", "ipywidgets", "IPython", "dataclasses", "random", "secrets"} & set(modules)


# --- The playgrounds ---


def play(make, **values):
    playground = make()

    async def go():
        for name, value in values.items():
            playground.controls[name].value = value  # it runs at each, and once with all
        await playground.task

    run_async(go)
    return playground


@pytest.mark.parametrize("name", panel.POLICIES)
@pytest.mark.parametrize("jitter", [False, True])
def test_playground(name, jitter):
    before = threading.active_count()
    playground = play(panel.questions, name=name, jitter=jitter, answer_loss=20, limit=4)
    assert playground.said == "Measured."
    assert "of 300, predicted" in playground.text.value and bytes(playground.picture.value[:4]) == b"\x89PNG"
    assert threading.active_count() == before


@pytest.mark.parametrize(("make", "values", "words"), [
    (panel.herds, {"jitter": 100, "clients": 50}, "jitter 100 %: sent "),
    (panel.adaptive, {"one": 1, "two": 3}, "set to 3 ms: median round trip "),
])  # fmt: skip
def test_playgrounds_of_many(make, values, words):
    before = threading.active_count()
    playground = play(make, **values)
    assert playground.said == "Measured." and words in playground.words
    assert threading.active_count() == before


@pytest.mark.parametrize(("name", "first", "limit", "start"), [
    ("exponential", 2, 0.1, "2 s"), ("Internet (1 s at least)", 0.1, 0.5, "1 s")
])  # fmt: skip
def test_playground_says_when_nothing_would_be_sent(name, first, limit, start):
    said = play(panel.questions, name=name, first=first, limit=limit).said
    assert said == f"That did not work: the first wait, {start}, is longer than the longest: nothing would be sent."


def test_the_playground_loses_what_its_controls_say(monkeypatch):
    given = []
    monkeypatch.setattr(experiments, "ask_often", lambda *settings, **more: given.append(settings) or [])
    values = {"name": "fixed", "first": 0.5, "limit": 2, "jitter": True}
    assert list(panel.questions().measure(loss=10, answer_loss=30, **values)) == []
    [(questions, delays, loss, answer_loss, _)] = given
    assert (questions, loss, answer_loss) == (300, 0.1, 0.3)
    waits = list(delays(random.Random(1)))
    assert len({*waits}) == len(waits) == 5, "jitter"


def test_a_late_answer_is_sent_again_where_windows_reports_an_earlier_one():
    class Reset:
        def __init__(self):
            self.sent, self.done = [], threading.Event()

        def sendto(self, data, peer):
            self.sent.append(data)
            if len(self.sent) == 1:
                raise ConnectionResetError
            self.done.set()

    sock = Reset()
    post = lossy._Post(sock)
    post.put(0, b"late", PEER)
    assert sock.done.wait(60) and sock.sent == [b"late", b"late"]
    post.stop()


def test_panel_policies():
    rng = random.Random(1)
    assert list(panel.policy("fixed", 0.5, 2, False)(rng)) == [0.5] * 5
    assert list(panel.policy("exponential", 0.5, 2, False)(rng)) == [0.5, 1, 2]
    assert list(panel.policy("Internet (1 s at least)", 0.5, 2)(rng)) == [1, 2]
    assert all(0 <= wait <= 0.5 for wait in panel.policy("fixed", 0.5, 2, True)(rng))


# --- Sent again, executed twice; budgets ---


def pay(executed):
    def respond(data):
        token, message = split(data)
        executed.append(message)
        return token + b"paid"

    return respond


def test_what_is_sent_again_is_executed_again_but_for_a_server_with_a_memory():
    twice, once = [], []
    for respond in (pay(twice), experiments.at_most_once(pay(once), {})):
        orders = experiments.asked(100, [0.1] * 30, loss=0, answer_loss=0.5, respond=respond)
        assert all(trial.outcome.answer == b"paid" for trial in orders)
    assert len(twice) == 202 and len(once) == 100, "the seed alone decides"


def test_a_budget_limits_all_repeats_together():
    """Ten tokens at first and a tenth for each question: of 1,000 in vain, 109 repeats; of few, all."""
    waits = list(policies.exponential())
    budget = policies.Budget()
    sends = [list(budget.delays(waits)) for _ in range(1000)]
    assert sum(map(len, sends)) == pytest.approx(1000 + 10 + 99.9, abs=1)
    assert sends[0] == waits and sends[-1] in ([0.1], [0.1, 0.2])
    fresh = policies.Budget(most=1)
    assert [len(list(fresh.delays(waits))) for _ in range(3)] == [2, 1, 1]
    saved = policies.Budget(share=1, most=3)
    for _ in range(100):
        next(saved.delays(waits))  # answered at once: no repeat, no token
    assert list(saved.delays(waits)) == waits[:4], "a bucket holds no more than its most"


def test_noise_ends_with_its_block():
    before = threading.active_count()
    with strangers.noisy(60, every=0.001) as sock:
        assert received(sock, 5) == b"junk"
    assert threading.active_count() == before and sock.fileno() == -1


def test_what_is_forged_comes_from_the_servers_address():
    with strangers.forgeable() as (server, forge), udp_socket(5) as victim:
        victim.bind(("127.0.0.1", 0))
        forge(b"lie", victim.getsockname())
        assert victim.recvfrom(9) == (b"lie", server.address)


# --- Films ---


def of(film, kind=None):
    return [(each.source[0], each.target[0], each.fate) for each in film if kind in (None, each.fate)]


def test_a_film_of_tries():
    with (
        Server(listing.forgetful(listing.respond, random.Random(7))) as server,
        connect(*server.address) as sock,
    ):
        outcome = request(sock, b"hello", [0.01, 0.01, 5.0])
        film = films.of_tries(outcome, server.log)
    lost = ("client", "server", "lost")
    assert of(film) == [lost, lost, ("client", "server", "delivered"), ("server", "client", "delivered")]
    assert [(note.host, note.words) for note in film.notes] == [("client", "nothing for 0.01 s")] * 2
    first = outcome.attempts[0].at
    assert [note.time for note in film.notes] == [each.ended - first for each in outcome.attempts[:2]]
    assert 0.01 <= film.notes[0].time < film.notes[1].time < max(each.end for each in film) and not film.predicted


def test_a_film_of_turns_shows_what_each_question_got():
    """The first answer is late by the order of events, not by a clock: it leaves when the question has come again."""
    socks = []

    def make_socket(*kind):
        socks.append(socket.socket(*kind))
        return socks[0]

    def late(data):
        if not server.log:
            assert select.select(socks, [], [], 60)[0]
        return experiments.echo(data)

    with Server(late, make_socket=make_socket) as server:
        turns = experiments.ask_in_turn(server.address, [[0.01, 60], [60], [60]], ids=False)
        while server.counts["answered"] < 4:
            time.sleep(0)
        film = films.of_turns(turns, server.log)
    assert [note.words for note in film.notes] == [
        "question 1: answer to question 1", "question 2: answer to question 1", "question 3: answer to question 2",
    ]  # fmt: skip
    assert len(of(film, "delivered")) == 4 + 3 and of(film, "lost") == [("server", "client", "lost")]


def test_a_film_of_a_herd_shows_each_datagram():
    herd = experiments.herd(lambda rng: policies.exponential(), clients=40)
    film = films.of_herd(herd)
    assert len(film) == sum(herd.arrived) and len(of(film, "dropped")) == herd.dropped > 0
    assert len(of(film, "delivered")) == sum(herd.served)


# --- Two machines ---


@needs_lan
def test_the_listing_on_two_machines():
    visit = machines.on_two_machines(delay=0.01, loss=0)
    assert visit.how == "measured" and visit.result.said.startswith("Client socket name is ('10.0.0.1', ")
    assert visit.result.said.splitlines()[-1].startswith(("The server says b'Your data was 23 bytes long'", "No reply"))
    assert all(each.arrived - each.left > 0.009 for each in visit.result.film)
    fates = {each.fate for each in visit.result.film if each.target[0] == "alice"}
    assert fates == ({"delivered"} if machines.HEARD in visit.result.said else set())


def test_the_listing_on_two_machines_where_there_is_no_lan(monkeypatch):
    def switch(*names):
        raise lan.LanError("no LAN here")

    monkeypatch.setattr(lan, "switch", switch)
    visit = machines.on_two_machines()
    assert (visit.how, visit.reason) == ("predicted", "no LAN here")
    assert visit.result.film.predicted == "no LAN here" and "The server says" in visit.result.said


def test_the_fastest_policy_and_what_each_sends_to_a_silent_server():
    results = {name: experiments.asked(50, waits) for name, waits in (("slow", [1.0] * 5), ("fast", [0.1] * 5))}
    assert experiments.fastest(results) == "fast"
    assert [experiments.sends_in_vain(waits) for waits in ([1.0], [0.1] * 5, policies.full_jitter)] == [1, 5, 5]
    assert experiments.unanswered(results["fast"]) == experiments.unanswered(results["slow"]) < 50
