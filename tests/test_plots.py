"""All plots: nothing written in them is cut off or overlaps, with ordinary and with extreme data; their colours."""

import itertools
import random
import types

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from udplab.broadcast import cost as costs
from udplab.broadcast import discovery, hearing
from udplab.broadcast import panel as broadcast_panel
from udplab.broadcast import plots as broadcast_plots
from udplab.kit import picture
from udplab.kit.server import Record
from udplab.kit.sockets import LARGEST, PORT
from udplab.lan.plan import plan_switch
from udplab.loopback import experiments as loopback_experiments
from udplab.loopback import panel as loopback_panel
from udplab.loopback import plots as loopback_plots
from udplab.mtu import experiments as mtu_experiments
from udplab.mtu import fragments, plots_of_fragments, probing
from udplab.mtu import panel as mtu_panel
from udplab.mtu import plots as mtu_plots
from udplab.retry import experiments as retry_experiments
from udplab.retry import panel as retry_panel
from udplab.retry import plots as retry_plots
from udplab.retry import plots_of_many
from udplab.retry import policies as waits_of
from udplab.retry.request import Attempt, Outcome

NO_LAN = "this Linux does not let you make a user namespace (Operation not permitted), so there is no LAN here"


def exchange(gap, question, answer):
    """Return an exchange and the server's record of it; gap: seconds from one moment to the next."""
    record = Record(1, gap, ("127.0.0.1", 1060), question, len(question), "answered", answer, 2 * gap, "")
    return loopback_experiments.Exchange(0, 3 * gap, question, answer), record


def asked(loss, first=0.1, limit=2.0):
    """Return the `Trial` of one question through a network that loses `loss` of what is sent."""
    return next(iter(retry_experiments.ask_often(1, lambda rng: waits_of.exponential(first, limit), loss, 0, seed=1)))[
        0
    ]


def ladder(loss, first, limit):
    return lambda: retry_plots.ladder(*asked(loss, first, limit))


def schedule(loss):
    outcome, delays = asked(loss).outcome, list(waits_of.exponential())
    left, right = plt.subplots(1, 2, figsize=(9, 4))[1]
    retry_plots.waits(delays, outcome, left)
    retry_plots.elapsed(delays, outcome, right)


def policies():
    names = ("exponential", "fixed", "full jitter", "Internet")
    left, right = plt.subplots(1, 2, figsize=(9.5, 4))[1]
    plots_of_many.policies({name: [asked(0)] for name in names}, left)
    plots_of_many.datagrams({name: [asked(0)] for name in names}, dict(zip(names, (5, 31, 5, 5), strict=True)), right)


def herd(sizes):
    each = retry_experiments.Herd(0.01, sizes, 0, 0, 0)
    return lambda: plots_of_many.herd({"without jitter": each, "with jitter": each})


def adaptive(delays):
    track = retry_experiments.follow(delays, waits_of.Rto(lowest=0))
    return lambda: plots_of_many.adaptive(delays, track, track, 0.01)


def search(mtus, black_hole, alone):
    found = probing.predict(mtus, black_hole)
    return lambda: mtu_plots.search(found, None if alone else found, NO_LAN if alone else "")


def sends(mtus, sizes, alone=False):
    found = mtu_experiments.predict_sends(mtus, sizes)
    return lambda: mtu_plots.sends(mtus, found, None if alone else found, NO_LAN if alone else "")


def answers(cases, alone):
    found = [mtu_experiments.predict_answers(*case) for case in cases]
    return lambda: mtu_plots.answers(found, None if alone else found, NO_LAN if alone else "")


def counts(mtus, alone):
    sizes = [100, 1372, 1373, 1473, 3000, 65_507]
    found = [fragments.fragments(size, mtus) for size in sizes]
    return lambda: plots_of_fragments.counts(mtus, sizes, found, None if alone else found, NO_LAN if alone else "")


def survival(sizes, alone):
    found = fragments.predict_survivors((1500, 1500), sizes, 20, 20)
    measured, reason = (None, NO_LAN) if alone else (found, "")
    return lambda: plots_of_fragments.survival((1500, 1500), sizes, 20, 20, found, measured, reason)


def cut_up(size, mtus, alone=False):
    found = None if alone else fragments.fragments(size, mtus)
    return lambda: plots_of_fragments.cut_up(size, mtus, found, NO_LAN if alone else "")


PLAN = plan_switch(broadcast_panel.NAMES, broadcast_panel.BEYOND)
HOSTS = [host.name for host in PLAN]
BINDS = dict.fromkeys(HOSTS, hearing.EVERY)
PLACES = ["10.0.0.2", "10.0.0.255", "<broadcast>", "10.0.1.255"]


def matrix(alone):
    heard = hearing.predict(PLAN, "alice", PLACES, BINDS)
    return lambda: broadcast_plots.matrix(heard, None if alone else heard, HOSTS, reason=NO_LAN if alone else None)


def network(place, kind, alone=False, permission=True):
    binds = dict.fromkeys(HOSTS, kind) if kind else {}
    heard = hearing.predict(PLAN, "alice", [place], binds, permission)[0]
    return lambda: broadcast_plots.network(
        PLAN, "alice", heard, None if alone else heard, reason=NO_LAN if alone else None
    )


def cost(field, numbers, alone):
    found = [costs.predict_cost(n, n, way) for way in ("unicast", "broadcast") for n in numbers]
    return lambda: broadcast_plots.cost(found, None if alone else found, field, "A title", NO_LAN if alone else None)


def timeline(spread, alone):
    found = discovery.predict_answers(discovery.delays(40, spread, random.Random(4)), 0.002, 19)
    title = "The same 40, each after a random delay"
    return lambda: broadcast_plots.timeline(found, None if alone else found, title, NO_LAN if alone else None)


def losses(lost, alone):
    return lambda: broadcast_plots.losses(lost, None if alone else lost, 40, NO_LAN if alone else None)


SPREAD, FEW = [16e-6, 20e-6, 300e-6], [20e-6]
BURSTS = [
    loopback_experiments.Burst(size, 2000, kept, 2000 - kept) for size, kept in ((1, 256), (1000, 92), (65_507, 1))
]
PATHS = [((1500,), False), ((1500, 1400), False), ((1500, 1400, 1280), False), ((9000, 1500, 9000), False),
         ((1500, 576), False), ((1500, 1400), True)]  # fmt: skip
PLOTS = {
    "exchange": lambda: loopback_plots.exchange(*exchange(50e-6, b"Is anybody there?", b"Your data was 17 bytes long")),
    "exchange, long words": lambda: loopback_plots.exchange(*exchange(0.4, b"\xff" * 40, b"\x00" * 4000)),
    "over time": lambda: loopback_plots.over_time(SPREAD * 300),
    "over time, lost": lambda: loopback_plots.over_time([float("nan")] * 20_000),
    "over time, wide": lambda: loopback_plots.over_time([1e-6, 1.0, float("nan")] * 6000),
    "over time, slow in the end": lambda: loopback_plots.over_time([float("nan"), *np.geomspace(1e-5, 1e-3, 3000)]),
    "over time, one": lambda: loopback_plots.over_time(FEW),
    "cumulative": lambda: loopback_plots.cumulative(SPREAD * 300),
    "cumulative, wide": lambda: loopback_plots.cumulative([1e-6, 1.0]),
    "by size": lambda: loopback_plots.by_size({1: SPREAD, 1000: SPREAD, 65_507: SPREAD}),
    "by size, slow": lambda: loopback_plots.by_size({1: FEW, 65_507: [1.0, 2.0]}),
    "kept": lambda: loopback_plots.kept(BURSTS),
    "tries": ladder(0.6, 0.1, 2),
    "tries, none answered": ladder(1, 0.1, 2),
    "tries, many": ladder(1, 0.05, 16),
    "tries, at once": ladder(0, 0.01, 0.16),
    "schedule": lambda: schedule(0.6),
    "schedule, none answered": lambda: schedule(1),
    "silences": lambda: retry_plots.silences({"silent": asked(1).outcome, "dead port": asked(1).outcome}),
    "how often sent": lambda: plots_of_many.sends([asked(0.5)] * 1000, 0.5, 5),
    "how often sent, all fail": lambda: plots_of_many.sends([asked(1)] * 10_000, 1, 9),
    "give up": lambda: plots_of_many.give_up({0: 0, 0.5: 31, 1: 1000}, {0: 0, 0.5: 237, 1: 1000}, 1000, 5),
    "policies": policies,
    "herd": herd([0] * 10 + [100] + [0] * 19 + [81] + [0] * 39 + [62] + [0] * 79 + [43]),
    "herd, small": herd([1] * 10),
    "adaptive": adaptive([0.002] * 30 + [0.015] * 30 + [0.002] * 30),
    "adaptive, slow": adaptive([1.0, 0.1, 3.0]),
    "path": lambda: mtu_plots.hops((1500, 1400)),
    "path, long": lambda: mtu_plots.hops((9000, 1500, 1280, 9000)),
    "sends": sends((1500, 1400), [1472, 1472, 1372, 1372]),
    "sends, far apart": sends((9000, 576), [8972, 100, 548, 8972], alone=True),
    "search": search((1500, 1400), True, alone=False),
    "search, at once": search((1500,), False, alone=False),
    "search, jumbo": search((9000, 1500, 9000), True, alone=True),
    "which MTU": answers(PATHS, alone=False),
    "which MTU, predicted": answers(PATHS, alone=True),
    "which MTU, one": answers(PATHS[:1], alone=False),
    "counts": counts((1500, 1400), alone=False),
    "counts, predicted": counts((1500, 1400, 1280), alone=True),
    "survival": survival([100, 2000, 5000, 7000, 14_000, 29_000], alone=False),
    "survival, predicted": survival([100, 29_000], alone=True),
    "cut up": cut_up(3000, (1500, 1400)),
    "cut up, many": cut_up(65_507, (1500, 576), alone=True),
    "cut up, one": cut_up(0, (1500,)),
    "matrix": matrix(alone=False),
    "matrix, predicted": matrix(alone=True),
    "network": network("10.0.0.255", hearing.EVERY),
    "network, refused": network("<broadcast>", hearing.SUBNET, permission=False),
    "network, predicted": network("10.0.1.255", None, alone=True),
    "cost": cost("sent", [2, 4, 8, 16], alone=False),
    "cost, predicted": cost("interrupted", [2, 64], alone=True),
    "timeline": timeline(0, alone=False),
    "timeline, predicted": timeline(0.2, alone=True),
    "losses": losses({0.0: 21, 0.02: 12, 0.1: 0, 0.2: 0}, alone=False),
    "losses, all": losses({0.0: 40, 0.2: 40}, alone=True),
}


PLAYGROUNDS = {
    "2-1, first settings": (loopback_panel.round_trips, {}),
    "2-1, least": (loopback_panel.round_trips, {"size": 0, "count": 100}),
    "2-1, most": (loopback_panel.round_trips, {"size": LARGEST, "count": 20_000}),
    "2-2, first settings": (retry_panel.questions, {}),
    "2-2, all is lost": (retry_panel.questions, {"loss": 100, "answer_loss": 100, "questions": 100}),
    "2-2, nothing is lost": (retry_panel.questions, {"loss": 0, "first": 2, "limit": 16, "questions": 50}),
    "2-2, most tries": (retry_panel.questions, {"loss": 100, "first": 0.05, "limit": 16}),
    "2-2, longest waits": (retry_panel.questions, {"loss": 99, "first": 2, "limit": 16, "jitter": True}),
    "2-2, fixed": (retry_panel.questions, {"name": "fixed", "loss": 90, "answer_loss": 50}),
    "2-3, first settings": (mtu_panel.journeys, {}),
    "2-3, most fragments": (mtu_panel.journeys, {"link1": 200, "link2": 200, "link3": 200, "size": 65_507}),
    "2-3, least": (mtu_panel.journeys, {"size": 0, "link1": 9000, "link2": 9000, "link3": 9000}),
    "2-3, refused": (mtu_panel.journeys, {"size": 65_507, "dont_fragment": True}),
    "2-3, told": (mtu_panel.journeys, {"size": 1400, "dont_fragment": True}),
    "2-3, told late": (mtu_panel.journeys, {"size": 1300, "dont_fragment": True}),
    "2-3, black hole": (mtu_panel.journeys, {"size": 1400, "dont_fragment": True, "black_hole": True}),
    "2-3, black hole late": (mtu_panel.journeys, {"size": 1300, "dont_fragment": True, "black_hole": True}),
    "2-4, first settings": (broadcast_panel.who_hears, {}),
    "2-4, refused": (broadcast_panel.who_hears, {"destination": "<broadcast>", "permission": False}),
    "2-4, wrong port": (broadcast_panel.who_hears, {"destination": "10.0.1.255", "port": PORT + 1}),
}


@pytest.fixture(autouse=True)
def in_style():
    with picture.style():
        yield
    plt.close("all")


def written(figure):
    """Return the (text, box) of everything written in a drawn figure, in pixels."""
    figure.canvas.draw()
    found = [item for item in figure.findobj(Text) if item.get_visible() and item.get_text().strip()]
    ticks = [tick for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for tick in axis.get_major_ticks()]
    shown = {label for tick in ticks for label in (tick.label1, tick.label2) if inside(tick)}
    every = {label for tick in ticks for label in (tick.label1, tick.label2)}
    return [(item.get_text(), item.get_window_extent()) for item in found if item not in every or item in shown]


def inside(tick):
    """Return whether a tick is drawn: matplotlib keeps more than the axis has room for."""
    low, high = sorted(tick.get_view_interval())
    return low <= tick.get_loc() <= high


def covered(figure):
    """Return the names of lines and marks that a legend covers."""
    legends = [*figure.legends, *filter(None, (ax.get_legend() for ax in figure.axes))]
    boxes = [text.get_window_extent() for legend in legends for text in legend.get_texts()]
    found = []
    for line in (line for ax in figure.axes for line in ax.lines):
        way = line.get_path().transformed(line.get_transform())
        joined = line.get_linestyle() != "None"
        if any(way.intersects_bbox(box, filled=False) if joined else box.count_contains(way.vertices) for box in boxes):
            found.append(line.get_label())
    return found


def faults(figure):
    """Return what is cut off by the figure's edge, covered by a legend, or overlaps by more than a pixel."""
    texts, (width, height) = written(figure), figure.canvas.get_width_height()
    cut = [text for text, box in texts if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1]
    both = [
        (one, two)
        for (one, a), (two, b) in itertools.combinations(texts, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
    return cut + both + covered(figure)


@pytest.mark.parametrize("name", PLOTS)
def test_nothing_written_in_a_plot_is_cut_off_or_overlaps(name):
    PLOTS[name]()
    assert faults(plt.gcf()) == []


WITHOUT_LAN = [pytest.param(name, NO_LAN, id=f"{name}, no LAN") for name in PLAYGROUNDS if name > "2-3"]


@pytest.mark.parametrize(("name", "reason"), [*((name, None) for name in PLAYGROUNDS), *WITHOUT_LAN])
def test_nothing_written_in_a_playground_is_cut_off_or_overlaps(name, reason, monkeypatch):
    if reason:
        monkeypatch.setattr("udplab.lan.unavailable", lambda: reason)
    monkeypatch.setattr(retry_panel, "time", types.SimpleNamespace(time_ns=lambda: 1))  # the seed of lesson 2-2's lots
    make, changed = PLAYGROUNDS[name]
    playground = make()
    values = {key: control.value for key, control in playground.controls.items()} | changed
    _, batches = playground.prepare(**values)
    figure = plt.figure(figsize=playground.SIZE)
    playground.draw(figure.subplots(), [each for batch in batches for each in batch], values)
    assert faults(figure) == []


def test_nothing_written_beside_a_ladder_overlaps_however_short_a_wait_is():
    """With jitter any wait can be short, the last one too."""

    def short(rng):
        return (wait * rng.random() ** rng.choice([1, 6]) for wait in waits_of.exponential(2, 16))

    for batch in retry_experiments.ask_often(40, short, loss=0.9, seed=1):
        for trial in batch:
            left, _ = plt.subplots(1, 2, figsize=(8, 4.6), width_ratios=[1.3, 1])[1]
            retry_plots.ladder(*trial, left)
            left.set_xlim(-0.85, 1.15)  # as in the playground
            assert faults(plt.gcf()) == [], trial.outcome
            plt.close()


# --- Colours ---

COLOURS = {name: getattr(picture, name) for name in ("BLUE", "PURPLE", "GREEN", "RED", "GREY")}
EYES = {  # what is left of (linear red, green, blue): Machado, Oliveira and Fernandes, 2009, table 1, severity 1.0
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def linear(colour):
    """Return red, green and blue as amounts of light (sRGB, IEC 61966-2-1)."""
    parts = np.array(to_rgb(colour))
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(light):
    """Return CIELAB coordinates, in which about 2 is a difference that one can just see."""
    xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]] @ np.clip(light, 0, 1)
    ratio = xyz / [0.9505, 1, 1.089]
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("name", COLOURS)
def test_a_colour_stands_out_from_white(name):
    luminance = linear(COLOURS[name]) @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) >= 3  # WCAG 2.2, 1.4.11


@pytest.mark.parametrize("eyes", EYES)
def test_two_colours_are_told_apart_by_all_eyes(eyes):
    seen = [lab(EYES[eyes] @ linear(colour)) for colour in COLOURS.values()]
    assert min(np.linalg.norm(one - two) for one, two in itertools.combinations(seen, 2)) > 15


# --- Text twins tell of what was measured, and say so where it is not what was predicted ---


def changed(record, **fields):
    return record._replace(**fields)


SENDS = mtu_experiments.predict_sends((1500, 1400), [1472, 1372])
SEARCH = probing.predict((1500, 1400))
ANSWERS = [mtu_experiments.predict_answers((1500, 1400))]
COSTS = costs.predict_costs([2])
HEARD = [hearing.Trial("10.0.0.2", {"bob": hearing.EVERY}, None, ("bob",))]
TWINS = {
    "sends": (mtu_plots.describe_sends, SENDS, [changed(SENDS[0], arrived=True), SENDS[1]], "yes"),
    "search": (mtu_plots.describe_search, SEARCH, changed(SEARCH, steps=SEARCH.steps[:1]), "NOT as predicted"),
    "answers": (mtu_plots.describe_answers, ANSWERS, [changed(ANSWERS[0], probed=777)], "777"),
    "costs": (broadcast_plots.describe_cost, COSTS, [changed(COSTS[0], sent=77), COSTS[1]], "frames sent 77"),
    "matrix": (broadcast_plots.describe_matrix, HEARD, [changed(HEARD[0], heard=("eve",))], "eve"),
}


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_tells_what_was_measured_and_if_it_was_predicted(name):
    describe, predicted, measured, words = TWINS[name]
    assert words in describe(predicted, measured) and words not in describe(predicted, predicted)
    if name != "sends":  # its twin has both, one below the other
        verdicts = {"Predicted and measured are the same: False", "NOT as predicted"}
        assert describe(predicted, measured).splitlines()[-1] in verdicts
        assert describe(predicted, predicted).splitlines()[-1] not in verdicts


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30).map(sorted), st.floats(0.001, 10))
def test_labels_that_are_spread_are_apart_in_order_and_around_their_places(places, gap):
    spread = picture.spread(places, gap)
    assert len(spread) == len(places)
    assert all(after - before >= gap * 0.999 for before, after in itertools.pairwise(spread))
    assert sum(spread) == pytest.approx(sum(places), abs=1e-6)
    if all(after - before >= gap for before, after in itertools.pairwise(places)):
        assert spread == pytest.approx(places), "what is apart already stays"


def test_the_twin_of_survivors_tells_of_those_that_arrived():
    assert "predicted 19, arrived  3" in plots_of_fragments.describe_survival((1500,), [100], 20, [19], [3])


def test_twins_of_times_by_hand():
    times = [micro * 1e-6 for micro in range(1, 102)]
    assert loopback_plots.describe_round_trips(times) == (
        "101 round trips, 0 without an answer\n"
        "shortest 1.0 µs, median 51.0 µs, 99th percentile 100.0 µs, longest 101.0 µs"
    )
    assert loopback_plots.describe_bursts([loopback_experiments.Burst(1, 10, 3, 6)]) == (
        "      1 byte: sent 10, kept 3 + dropped by the kernel 6 = 9"
    ), "what is missing is not made up"


def test_twins_of_questions_by_hand():
    trial = retry_experiments.Trial
    attempt = Attempt(0.0, 1.0, 1.0, True, 3, 0, False)
    lost = trial(Outcome(b"", None, [attempt, attempt._replace(at=1.5, ended=2.5, refused=0)]), [])
    quick = trial(Outcome(b"", b"", [attempt._replace(ended=0.25, answered=True)]), [])
    slow = trial(Outcome(b"", b"", [attempt._replace(ended=0.75, answered=True)]), [])
    assert plots_of_many.describe_sends([lost] * 4, 0.5, 2).endswith("without an answer: 4, predicted 1")
    assert "mean time 0.50 s, longest 0.75 s" in plots_of_many.describe_policies({"a": [quick, slow]}, {"a": 5})
    assert "mean time" not in plots_of_many.describe_policies({"a": [lost]}, {"a": 5})
    assert retry_plots.describe_silences({"a": lost.outcome}) == "a: sent 2 times, refused 1 times, no answer"
    assert retry_plots.describe_schedule([1.0, 1.0], lost.outcome).splitlines() == [
        "try 1: predicted at 0.00 s, measured 0.0 ms",
        "try 2: predicted at 1.00 s, measured 1500.0 ms",
        "give up: predicted at 2.00 s, measured 2500.0 ms",
    ]
    assert plots_of_many.in_vain([1.0, 1.0, 1.0], [(0, 0.9), (0, 1.0), (0, 1.1)]) == 1


def test_units():
    assert [picture.unit(seconds)[0] for seconds in (0.0009, 0.001, 0.9, 1)] == ["µs", "ms", "ms", "s"]
