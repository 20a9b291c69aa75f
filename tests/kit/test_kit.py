"""The small parts of the kit: quick waits, predictions beside measurements, a learner's guesses, pictures."""

import errno
import itertools
import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udplab.kit import picture, prediction
from udplab.kit.compared import Compared, compared
from udplab.kit.paper import Clock, Paper
from udplab.kit.prediction import foretold
from udplab.kit.quick import FastForward
from udplab.kit.sockets import arrivals, queued
from udplab.kit.words import unit


@pytest.fixture
def pair():
    """Two connected sockets."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one, socket.socket(one.family, one.type) as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        one.connect(two.getsockname())
        two.connect(one.getsockname())
        yield one, two


# --- Waits that are skipped ---


def test_a_wait_in_vain_is_skipped_and_no_other(pair):
    ours, theirs = pair
    answers = iter([0, 1, 2])

    def serve():
        count = next(answers)
        for _ in range(count):
            theirs.send(theirs.recv(100) if _ == 0 else b"again")
        if not count:
            theirs.recv(100)
        return count

    quick = FastForward(ours, serve)
    quick.settimeout(1e9)
    quick.send(b"lost")
    with pytest.raises(TimeoutError):
        quick.recv(100)
    assert quick.clock() == 1e9
    quick.send(b"hello")
    assert quick.recv(100) == b"hello"
    quick.send(b"twice")
    assert (quick.recvfrom(100), quick.recv(100)) == ((b"twice", theirs.getsockname()), b"again")
    assert quick.clock() == 1e9


def test_an_error_of_the_socket_is_no_silence(pair):
    ours, theirs = pair
    theirs.close()
    quick = FastForward(ours, lambda: 0)
    quick.settimeout(1)
    quick.send(b"hello")
    with pytest.raises(ConnectionRefusedError):
        quick.recv(100)
    assert quick.clock() == 0


def test_an_answer_that_never_comes_is_not_waited_for_for_ever(pair):
    quick = FastForward(pair[0], lambda: 1, patience=0.01)
    quick.settimeout(1)
    quick.send(b"hello")
    with pytest.raises(TimeoutError):
        quick.recv(100)


# --- What arrives ---


def test_arrivals_end_at_the_deadline_however_much_arrives():
    client = Paper([(0.3 * number, b"junk", ("10.0.0.9", 9)) for number in range(1, 100)], clock=Clock())
    assert len(list(arrivals(client, 1.0, client.clock.read))) == 3
    assert client.clock.now == pytest.approx(1, abs=1e-3)


def test_a_refusal_ends_no_wait():
    peer = "127.0.0.1", 9
    errors = [(0.0, ConnectionRefusedError()), (0.0, ConnectionResetError())]
    client = Paper([*errors, (0.5, b"late", peer)], clock=Clock())
    assert list(arrivals(client, 1.0, client.clock.read)) == [(b"late", peer)]


def test_any_other_error_is_raised():
    client = Paper([(0.0, OSError(errno.EHOSTUNREACH, "no route"))], clock=Clock())
    with pytest.raises(OSError, match="no route"):
        list(arrivals(client, 1.0, client.clock.read))


def test_queued_takes_what_is_there_and_waits_for_nothing(pair):
    ours, theirs = pair
    for number in range(5):
        ours.send(b"%d" % number)
    assert queued(theirs, 2) == [b"0", b"1"]
    assert queued(theirs) == [b"2", b"3", b"4"]
    assert queued(theirs) == [] and queued(theirs, 0) == []


# --- A prediction beside a measurement ---


def test_compared():
    good, bad, alone = Compared(1, 1), Compared(1, 2), Compared(1, None, "no LAN here")
    assert [each.result for each in (good, bad, alone)] == [1, 2, 1]
    assert [each.how for each in (good, alone)] == ["measured", "predicted"]
    assert good.title("T") == bad.title("T") == "T" and alone.title("T") == "Predicted: T\nNo measurement: no LAN here"
    assert [each.verdict for each in (good, bad, alone)] == [
        "as predicted",
        "NOT as predicted",
        "only predicted: no LAN here",
    ]
    assert bad.map(str) == Compared("1", "2") and alone.map(str) == Compared("1", None, "no LAN here")


def test_what_cannot_be_measured_has_the_reason_and_a_mistake_is_raised():
    def fails(error):
        raise error

    assert compared([], list) == Compared([], []), "an empty result is one"
    assert compared(1, fails, PermissionError(1, "Operation not permitted")).reason == ("Operation not permitted")
    with pytest.raises(KeyError):
        compared(1, fails, KeyError())


# --- A learner's guesses ---


@pytest.fixture(autouse=True)
def no_guesses():
    prediction._guesses.clear()


def test_three_dots_change_nothing_and_say_nothing(capsys):
    assert foretold("kept", ..., came=256) is None
    assert capsys.readouterr().out == "" and prediction.guesses() == []
    assert prediction.summary().startswith("No predictions were made.")


@pytest.mark.parametrize(
    ("guess", "came", "model", "words"),
    [
        (256, 256, None, "you: 256, kernel: 256.\nYou were right."),
        (1000, 256, 2000, "you: 1,000, model: 2,000, kernel: 256.\nYou were off by 744, 3.91 times: too high."),
        (0.5, 0.25, None, "you: 0.5, kernel: 0.25.\nYou were off by 0.25, 2 times: too high."),
        (0.26, 0.25, None, "you: 0.26, kernel: 0.25.\nNear enough."),
        (31, 26, 31, "you: 31, model: 31, kernel: 26.\nYou were right, as the model is: the rest is chance."),
        (0, 4, None, "You were off by 4: too low."),
        (-3, 4, None, "You were off by 7: too low."),
        ("Lost", "lost", "lost", "You were right."),
        ("arrived", "lost", None, "Not what came"),
        (True, True, None, "you: yes, kernel: yes.\nYou were right."),
        ("no", True, None, "Not what came"),
        (["Bob", "carol"], {"bob", "dave"}, {"bob"}, "Not quite: too many carol, missing dave."),
        ("bob, dave", ["dave", "bob"], None, "You were right."),
        ("nobody", (), None, "you: nobody, kernel: nobody.\nYou were right."),
    ],
)
def test_you_the_model_and_the_kernel(guess, came, model, words, capsys):
    assert foretold("question", guess, came, model) is not None
    said = capsys.readouterr().out.strip()
    assert (said.startswith("question: you: ") and said.endswith(words)) or words in said


@pytest.mark.parametrize(
    ("guess", "came", "words"),
    [
        ("many", 256, "a number was wanted"),
        (True, 256, "a number was wanted"),
        (float("nan"), 256, "a number was wanted"),
        (7, "lost", 'a text in quotes was wanted, such as "lost"'),
        (7, True, "True or False was wanted"),
        (7, {"bob"}, "names were wanted"),
        ([1], {"bob"}, "names were wanted"),
    ],
)
def test_a_guess_of_another_kind_is_told_so_and_not_kept(guess, came, words, capsys):
    assert foretold("question", guess, came) is None
    said = capsys.readouterr().out
    assert said.startswith("Your prediction was not kept: ") and words in said and said.count("\n") == 1
    assert prediction.guesses() == []


def test_the_table_at_the_end(capsys):
    foretold("kept", 1000, 256)
    foretold("who", {"bob"}, {"bob"}, {"bob"})
    foretold("gone", 1, 1)
    foretold("gone", ..., 1)
    foretold("kept", 300, 256)
    assert prediction.summary().splitlines() == [
        "      you  model  came",
        "kept  300         256",
        "who   bob  bob    bob",
        "1 of 2 right.",
        "Farthest off: kept. Why?",
    ]


@given(st.one_of(st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9)), st.integers(-(10**9), 10**9))
def test_any_number_can_be_guessed(guess, came):
    made = prediction.Guess("question", prediction.cleaned(guess, came), came)
    assert made.words.count("\n") == 1 and (made.off == 0) == (guess == came)


# --- Pictures ---


def test_show_displays_a_picture_with_words_and_prints_them(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(picture, "display", lambda bundle, raw: shown.append(bundle))

    def draw(ax, what, more):
        picture.resize(ax, 4, 2)
        left, right = picture.split(ax, 2, 1)
        left.set_title(what)
        right.plot([more], label="x")
        picture.your_line(right, None, "nothing")
        picture.your_line(right, 3, "3")
        return "three words here"

    picture.show(draw, 'from "outside" $\\x$ <b>', more=1)
    assert capsys.readouterr().out == "three words here\n"
    [bundle] = shown
    alt, data = re.match(
        r'<img alt="(.*?)" width="440" height="220" src="data:image/png;base64,(.*?)"><script>', bundle["text/html"]
    ).groups()
    assert alt == "Picture: from &quot;outside&quot; $\\x$ &lt;b&gt;. The words below say the same."
    assert data.startswith("iVBORw0KGgo") and "<" not in bundle["text/plain"].replace("<b>", "")


@pytest.mark.parametrize("text", ["$$", "$x", "a$b$", "\\alpha $\\frac{"])
def test_what_strangers_sent_is_drawn_as_it_is(text):
    figure = picture.figure()
    with picture.style():
        figure.subplots().set_title(text)
    assert len(picture.png(figure)) > 1000


def test_a_picture_has_the_size_it_asked_for():
    figure = picture.figure()
    picture.resize(figure.subplots(), 8, 2)
    assert picture.png(figure)[16:24] == (880).to_bytes(4, "big") + (220).to_bytes(4, "big")
    half, _ = picture.figure().subplots(1, 2)
    picture.resize(half, 1, 1)
    assert half.figure.get_size_inches().tolist() == [8, 4], "what it shares, it does not resize"


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30).map(sorted), st.floats(0.001, 10))
def test_labels_that_are_spread_are_apart_in_order_and_around_their_places(places, gap):
    spread = picture.spread(places, gap)
    assert len(spread) == len(places)
    assert all(after - before >= gap * 0.999 for before, after in itertools.pairwise(spread))
    assert sum(spread) == pytest.approx(sum(places), abs=1e-6)
    if all(after - before >= gap for before, after in itertools.pairwise(places)):
        assert spread == pytest.approx(places), "what is apart already stays"


def test_units():
    assert [unit(seconds)[0] for seconds in (0.0009, 0.001, 0.9, 1)] == ["µs", "ms", "ms", "s"]
