"""The pictures of lesson 2-2: what is drawn, and what their words say, on records made by hand."""

import pytest
from matplotlib.figure import Figure

from udplab.retry import experiments, lossy, odds, plots, plots_of_many, policies
from udplab.retry.request import Attempt, Outcome

PEER = ("127.0.0.1", 9)
REFUSAL = (ConnectionRefusedError(),)


@pytest.fixture
def ax():
    return Figure(layout="constrained").subplots()


def attempt(at, wait, answered=False, errors=()):
    return Attempt(at, wait, at if answered else at + wait, True, errors, 0, answered)


OUTCOME = Outcome(b"q", b"a", [attempt(5, 0.1), attempt(5.1, 0.2), attempt(5.3, 0.4, answered=True)])
FATES = [lossy.Fate(PEER, False, 0), lossy.Fate(PEER, True, 0), lossy.Fate(PEER, True, 1)]
NONE = Outcome(b"q", None, [attempt(5, 0.1), attempt(5.1, 0.2, errors=REFUSAL)])


@pytest.fixture(scope="module")
def trials():
    return experiments.asked(200, list(policies.exponential()), 0.5, 0.5)


def crosses(ax):
    return [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "X"]


def legend(ax):
    [legend] = filter(None, (ax.get_legend(), *ax.figure.legends))
    return [text.get_text() for text in legend.get_texts()]


def test_tries_cross_out_what_was_lost(ax):
    words = plots.tries(ax, OUTCOME, FATES)
    assert crosses(ax) == [0.5, 0.5]
    texts = [text.get_text() for text in ax.texts]
    assert texts.count("waits 100 ms") == texts.count("waits 200 ms") == 1
    brackets = [text for text in ax.texts if getattr(text, "xyann", (0,))[0] == -0.07]
    assert [text.xy[1] - text.xyann[1] for text in brackets] == pytest.approx([100, 200]), "to scale"
    assert words.splitlines() == [
        "try 1: sent at 0 ms, request lost, waited 100 ms",
        "try 2: sent at 100 ms, answer lost, waited 200 ms",
        "try 3: sent at 300 ms, answered: b'a'",
    ]


def test_tries_of_a_silence(ax):
    words = plots.tries(ax, NONE)
    assert crosses(ax) == [] and "gives up" in [text.get_text() for text in ax.texts]
    assert "port refused" in words and "gave up at 300 ms" in words


def test_short_tries_are_drawn_in_ms(ax):
    assert plots.tries(ax, Outcome(b"q", None, [attempt(0, 0.01)])) and "ms" in ax.get_ylabel()


def test_tries_of_one_instant(ax):
    plots.tries(ax, Outcome(b"q", b"a", [Attempt(0, 0.1, 0, True, (), 0, True)]))
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_schedule(ax):
    words = plots.schedule(ax, [0.1, 0.2], NONE, you=250)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx([100, 200, 100, 200])
    assert [bar.get_x() for bar in ax.patches] == pytest.approx([0, 100, 0, 100])
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["0", "100", "300"]
    assert crosses(ax) == [pytest.approx(300)] and "you: gives up at 250 ms" in legend(ax)
    assert words.splitlines() == [
        "try 1: predicted at 0 ms, measured 0.0 ms",
        "try 2: predicted at 100 ms, measured 100.0 ms",
        "give up: predicted at 300 ms, measured 300.0 ms",
    ]


def test_silences(ax):
    words = plots.silences(ax, {"a": OUTCOME, "b": NONE})
    refused = [line for line in ax.lines if line.get_marker() == "v"]
    assert [len(line.get_xdata()) for line in refused] == [0, 1]
    assert words.splitlines()[1] == "b: sent 2 times, refused 1 times, no answer"


def test_how_often(ax, trials):
    words = plots_of_many.how_often(ax, trials, 0.75, 5, you=40)
    assert [bar.get_height() for bar in ax.patches] == plots_of_many.counted(trials, 5)
    assert sum(plots_of_many.counted(trials, 5)) == 200 and "you: 40 need one send" in legend(ax)
    assert "predicted 50" in words and words.splitlines()[-1].startswith("without an answer: ")


def test_give_up_curves(ax):
    words = plots_of_many.give_up(ax, {0: 0, 0.5: 31, 1: 1000}, {0: 0, 0.5: 240, 1: 1000}, 1000, 5, you=6)
    curves = [line for line in ax.lines if "predicted" in str(line.get_label())]
    assert [line.get_ydata()[100] for line in curves] == pytest.approx([3.125, 23.73], abs=0.01)
    assert words.splitlines()[3].split() == ["50%", "3.12%", "3.1%", "23.73%", "24.0%"]
    assert "you: 6 % (both, at 50 %)" in legend(ax)


def test_policies(ax, trials):
    figure = ax.figure
    words = plots_of_many.policies(ax, {"one": trials, "two": trials}, {"one": 5, "two": 31})
    left, right = figure.axes
    assert len(left.lines) == 2
    mean = sum(len(trial.outcome.attempts) for trial in trials) / 200
    assert [bar.get_width() for bar in right.patches] == pytest.approx([mean, mean, 5, 31])
    assert "(31 to a silent server)" in words


def test_the_words_of_policies_by_hand(ax):
    lost = experiments.Trial(NONE, [])
    quick, slow = (
        experiments.Trial(Outcome(b"", b"", [Attempt(0, 1, ended, True, (), 0, True)]), []) for ended in (0.25, 0.75)
    )
    said = plots_of_many.policies(ax, {"a": [quick, slow], "b": [lost]}, {"a": 5, "b": 5}).splitlines()
    assert said[0].endswith("mean time 0.50 s, longest 0.75 s") and "mean time" not in said[1]


def test_herd(ax):
    herds = {"a": experiments.Herd(0.01, [0, 7], [0, 5], 2, 1), "b": experiments.Herd(0.01, [1, 0], [1, 0], 0, 0)}
    words = plots_of_many.herd(ax, herds)
    marks = [line for line in ax.lines if line.get_marker() in ("o", "s")]
    assert [list(line.get_ydata()) for line in marks] == [[7], [1]]
    assert words.splitlines()[0] == "a: sent 7, dropped by the full queue 2, most at once 7, clients that gave up 1"


def test_adaptive(ax):
    steps = [0.002, 0.002, 0.015]
    track = experiments.follow(steps, policies.Rto(lowest=0))
    assert plots_of_many.in_vain(steps, track) == 1
    assert plots_of_many.in_vain([1.0, 1.0, 1.0], [(0, 0.9), (0, 1.0), (0, 1.1)]) == 1
    words = plots_of_many.adaptive(ax, steps, track, track, 0.01, steps)
    assert list(ax.lines[0].get_ydata()) == [2, 2, 15]
    assert "set to 15 ms: median round trip 15.0 ms" in words and "fixed wait: 1 of 3" in words


def test_a_log_tells_a_fate_too(ax):
    with experiments.Server(lambda data: None if data == b"q" else data) as server:
        with experiments.connect(*server.address) as sock:
            outcome = experiments.request(sock, b"q", [0.01], token=b"")
        while not server.counts["received"]:
            pass
        log = server.log
    assert plots.tries(ax, outcome, log).splitlines()[0].startswith("try 1: sent at 0 ms, request lost")


def test_losses_in_bursts_are_as_many_and_hurt_more():
    """Of the requests, one in ten is lost either way; all five tries of a question far more often in bursts."""
    delays = list(policies.exponential())
    chance = odds.give_up_in_bursts(0.1, delays, 1.0)
    assert odds.give_up(0.1, 5) == pytest.approx(1e-5) and chance == pytest.approx(0.0236, abs=1e-4)
    assert odds.give_up_in_bursts(0.1, delays, 1e-6) == pytest.approx(1e-5), "short bursts: each loss by its own lot"
    trials = experiments.asked(3000, delays, 0.1, burst=1.0)
    low, high = odds.interval(chance, 3000)
    assert low <= sum(trial.outcome.answer is None for trial in trials) <= high
    first = sum(not trial.fates[0].request for trial in trials)
    low, high = odds.interval(0.1, 3000)
    assert low <= first <= high
