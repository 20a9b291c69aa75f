"""The stage and the still of a film, as far as they need no browser: places, words, pictures, the reader's hands."""

import itertools
import json
import re
import sys
import threading
import time

import matplotlib.image
import numpy as np
import pytest
import traitlets
from hypothesis import given
from hypothesis import strategies as st

from udplab.kit import picture
from udplab.kit.film import flight as fates
from udplab.kit.film.composed import Hop, Read, Sent, loopback, model
from udplab.kit.film.flight import Note
from udplab.kit.film.ladder import ladder
from udplab.kit.film.scene import WIDTH, layout, scene
from udplab.kit.film.stage import Stage, show
from udplab.kit.film.story import events, story, teller
from udplab.kit.slider import Slider
from udplab.lan.plan import plan_path, plan_switch


def exchange():
    return loopback(
        [Sent(0.0, "client", "server", b"hi"), Sent(40e-6, "server", "client", b"ok")],
        [Read(30e-6, "server", b"hi", 2), Read(68e-6, "client", b"ok", 2)],
    )


def retry():
    """A lost try, and 100 ms later one that is answered."""
    sends = [Sent(0.0, "client", "server", b"hi", lost="lost on purpose"), Sent(0.1, "client", "server", b"hi")]
    film = loopback(sends, [Read(0.1 + 30e-6, "server", b"hi", 2)])
    film.notes.append(Note(0.09, "client", "no answer: asks again"))
    return film


def too_big():
    hops = [
        Hop("client", "router1", 1500, fate=fates.DROPPED, why="too big"),
        Hop("router1", "client", 576, "ICMP", "ICMP: too big, MTU 1400", fates.PENDING, datagram=2),
    ]
    return model(plan_path((1500, 1400)), hops, "no LAN here")


def path_of_two():
    ways = [("client", "router1"), ("router1", "server")]
    return model(plan_path((1500, 1400)), [Hop(*way, 60, datagram=n) for n in (1, 2) for way in ways], "an example")


def herd(number):
    names = [f"host{n}" for n in range(number)]
    hops = [Hop("host0", name, 33, fate=fates.DELIVERED, at=0) for name in names[1:]]
    hops += [Hop(name, "host0", 33, fate=fates.QUEUED, datagram=n + 2) for n, name in enumerate(names[1:])]
    return model(plan_switch(names), hops, "an example", switched=True)


FILMS = {"exchange": exchange(), "retry": retry(), "too big": too_big(), "herd": herd(24), "long": herd(120)}


@pytest.fixture(autouse=True)
def look():
    with picture.style():
        yield


# --- Words ---


def test_the_words_of_an_exchange():
    assert story(exchange()).splitlines() == [
        "0.0 µs to 30.0 µs, client to server: 2 bytes of UDP: delivered, read at 30.0 µs",
        "40.0 µs to 68.0 µs, server to client: 2 bytes of UDP: delivered, read at 68.0 µs",
        "2 frames in 68.0 µs: 2 delivered.",
    ]


def test_the_words_of_a_prediction_say_so_first():
    first, *_ = story(too_big()).splitlines()
    assert first == "Predicted, not measured: no LAN here"


def test_what_leaves_together_is_one_line_and_a_long_film_is_told_in_part():
    lines = story(herd(5)).splitlines()
    assert lines[1].startswith("0.0 µs to 10.0 µs, host0 to host1, host2, host3, host4: UDP, 33 bytes: delivered")
    lines = story(herd(120)).splitlines()
    assert len(lines) == 43 and lines[21] == "... 80 more lines ..."


@given(st.permutations(range(6)))
def test_the_words_are_in_the_same_order_however_the_pieces_overtook_each_other(turns):
    """Three pieces on two links each; only when they left differs."""
    hops = [Hop("client", "router1", 600, "fragment", f"piece {n}", part=(n * 8, 8)) for n in range(3)]
    hops += [Hop("router1", "server", 600, "fragment", f"piece {n}", part=(n * 8, 8)) for n in range(3)]
    film = model(plan_path((1500, 1400)), hops, "")
    for number, flight in enumerate(film):
        flight.left += (turns[number] + 6 * (number > 2)) * 1e-6
        flight.cause = number - 3 if number > 2 else None
    moved = sorted(film, key=lambda each: each.left)
    for flight in moved:
        flight.cause = None if flight.cause is None else moved.index(film[flight.cause])
    film.flights = moved
    words = [re.sub(r"[0-9.]+ µs", "", line) for line in story(film.from_zero()).splitlines()]
    ways = ("client to router1", "router1 to server")
    assert words[1:-1] == [f" to , {way}: piece {n}: forwarded" for way in ways for n in range(3)]


def test_times_have_digits_enough_to_tell_one_flight_from_the_next():
    assert teller(exchange())(37.84e-6) == "37.8 µs"
    assert teller(retry())(0.10003) == "100.03 ms"


def test_events_tell_all_that_happens_in_order():
    told = events(retry())
    assert [time for time, _ in told] == sorted(time for time, _ in told)
    words = " ".join(words for _, words in told)
    for part in ("lost (lost on purpose)", "client: no answer: asks again.", "read by the program on server."):
        assert part in words


# --- The still ---


@pytest.mark.parametrize("film", FILMS.values(), ids=FILMS)
def test_the_still_is_small_and_nothing_is_clipped(film, tmp_path):
    figure = picture.figure()
    words = ladder(figure.subplots(), film)
    (tmp_path / "still.png").write_bytes(picture.png(figure))
    pixels = matplotlib.image.imread(tmp_path / "still.png")
    assert pixels.shape[0] <= 600 and pixels.shape[1] <= 880
    edges = [pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]
    assert all(np.all(edge[..., :3] == 1) for edge in edges)  # what is cut off would reach an edge
    assert words == story(film)
    [ax] = figure.axes
    assert ax.get_title("left").startswith("Predicted" if film.predicted else f"{len(film)} frame")


def test_the_still_shows_each_flight_where_it_belongs():
    film = exchange()
    figure = picture.figure()
    [ax] = [figure.subplots()]
    ladder(ax, film)
    lines = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_xdata()[0] != line.get_xdata()[1]]
    scale = 8.0 / 68e-6
    assert [list(line.get_xdata()) for line in lines] == [[0, 1], [1, 0]]
    assert np.concatenate([line.get_ydata() for line in lines]) == pytest.approx([0, 30e-6 * scale, 40e-6 * scale, 8.0])
    assert [text.get_text() for text in ax.get_xticklabels()] == ["client", "server"]


def test_a_larger_packet_has_a_thicker_line_and_what_died_has_a_cross():
    ax = picture.figure().subplots()
    ladder(ax, too_big())
    big, small = [line for line in ax.lines if list(line.get_xdata()) in ([0, 1], [1, 0])]
    assert big.get_linewidth() > small.get_linewidth() and small.get_linestyle() == "--"
    assert [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "X"] == [1]


def test_no_datagram_is_told_from_another_by_its_colour_alone():
    for film, numbers in ((exchange(), ["1", "2"]), (path_of_two(), ["1", "1", "2", "2"]), (too_big(), [])):
        ax = picture.figure().subplots()
        ladder(ax, film)
        assert sorted(text.get_text() for text in ax.texts if text.get_text().isdigit()) == numbers
        [legend] = ax.figure.legends
        udp, *_ = [text.get_text() for text in legend.get_texts()]
        assert udp.startswith("UDP, thicker: larger") and ("which datagram" in udp) == bool(numbers)


def test_the_legend_names_what_occurs_and_nothing_else():
    expected = {"too big": ["UDP", "ICMP", "lost or dropped"], "herd": ["UDP"], "retry": ["UDP", "lost or dropped"]}
    for name, kinds in expected.items():
        ax = picture.figure().subplots()
        ladder(ax, FILMS[name])
        assert [text.get_text().split(",")[0] for text in ax.figure.legends[0].get_texts()] == kinds


def test_where_the_axis_is_broken_the_picture_says_for_how_long():
    ax = picture.figure().subplots()
    ladder(ax, retry())
    texts = [text.get_text() for text in ax.texts]
    assert "... 90 ms ..." in texts and "... 10 ms ..." in texts and "no answer: asks again" in texts


def test_names_with_dollars_are_drawn_as_they_are():
    film = loopback([Sent(0.0, "$cli$ent", "ser$ver", b"x", lost="$\\frac$")], [])
    film.notes.append(Note(1e-6, "$cli$ent", "$\\undefined$"))
    figure = picture.figure()
    ladder(figure.subplots(), film)
    picture.png(figure)


# --- The scene ---


@pytest.mark.parametrize("film", FILMS.values(), ids=FILMS)
def test_boxes_stand_in_the_picture_and_apart(film):
    places, height = layout(film)
    boxes = [(x - half, x + half, y) for x, y, half in places.values()]
    assert all(left >= 0 and right <= WIDTH and 0 < y < height for left, right, y in boxes)
    for row in {y for _, _, y in boxes}:
        inside = sorted(box for box in boxes if box[2] == row)
        assert all(one[1] < other[0] for one, other in itertools.pairwise(inside))


def test_the_scene_is_plain_data():
    for film in FILMS.values():
        assert json.loads(json.dumps(scene(film)))["length"] == film.length


@given(st.integers(1, 30), st.integers(0, 30))
def test_any_switch_has_a_place_for_everybody(near, beyond):
    hosts = plan_switch([f"a{n}" for n in range(near)], [f"b{n}" for n in range(beyond)])
    film = model(hosts, [], "", switched=True)
    assert layout(film)[0].keys() == {node.name for node in film.nodes}


def test_a_router_holds_what_it_forwards_until_the_last_piece_has_left():
    film = model(plan_path((1500, 1400)), [Hop("client", "router1", 1500), Hop("router1", "server", 1400, at=3)], "")
    film.flights[1].cause = 0
    drawn = scene(film)["flights"][0]
    assert drawn[-2:] == ["held", film[1].left]


# --- The widgets ---


def test_the_stage_calls_what_python_wants_and_then_says_that_it_is_done(monkeypatch):
    stage, heard, sent = Stage(exchange()), [], []
    monkeypatch.setattr(stage, "send", sent.append)
    stage.on(heard.append)
    stage._handle_custom_msg({"type": "press", "name": "server"}, [])
    assert heard == [{"type": "press", "name": "server"}] and sent == [{"type": "done"}]


@pytest.mark.parametrize("first", ["stage", "control"])
def test_handlers_take_turns_whatever_threads_the_stage_and_the_controls_come_in(first):
    """JupyterLab has messages handled in a thread of their own: no film gets the words of another."""
    stage, control, said, inside, go = Stage(exchange()), Slider("payload", 1, 0, 9), [], threading.Event(), []

    def handler(who):
        said.append(f"{who} begins")
        if not go:  # the first one: it lets the other start, and stays until that one waits
            go.append(True)
            inside.set()
            assert waits(other)
        said.append(f"{who} ends")

    stage.on(lambda event: handler("stage"))
    stage.follow(control, lambda change: handler("control"))
    calls = {
        "stage": lambda: stage._handle_custom_msg({"type": "press", "name": "server"}, []),
        "control": lambda: control.set_trait("value", 5),
    }
    second = next(name for name in calls if name != first)
    one, other = threading.Thread(target=calls[first]), threading.Thread(target=calls[second])
    one.start()
    assert inside.wait(20)
    other.start()
    one.join(20)
    other.join(20)
    assert said == [f"{first} begins", f"{first} ends", f"{second} begins", f"{second} ends"]


def waits(thread):
    """Return whether a thread comes to stand in a handler's turn: its frames stay in stage.py."""
    for _ in range(2000):
        frame = sys._current_frames().get(thread.ident)
        if frame and frame.f_code.co_filename.endswith("stage.py") and frame.f_code.co_name in ("_heard", "in_turn"):
            return True
        time.sleep(0.01)
    return False


def test_a_handler_may_move_a_control_itself():
    stage, control, said = Stage(exchange()), Slider("payload", 1, 0, 9), []
    stage.on(lambda event: control.set_trait("value", 5))
    stage.follow(control, lambda change: said.append(change["new"]))
    stage._handle_custom_msg({"type": "press", "name": "server"}, [])
    assert said == [5]


def test_a_new_film_is_a_new_scene():
    stage = Stage(exchange(), seconds=4.0)
    assert stage._scene["knots"][-1][1] == pytest.approx(4.0)
    stage.film = too_big()
    assert stage._scene["predicted"] == "no LAN here"
    with pytest.raises(traitlets.TraitError):
        stage.film = [1, 2]


def test_without_a_kernel_the_page_has_the_still_and_its_words(monkeypatch, capsys):
    shown = []
    for place in ("udplab.kit.film.stage.display", "udplab.kit.picture.display"):
        monkeypatch.setattr(place, lambda what, **options: shown.append(what))
    show(exchange())
    still, stage = shown
    assert re.match(r'<img alt="Picture: 2 frames in 68\.0 µs', still["text/html"])
    assert capsys.readouterr().out.strip() == story(exchange())
    assert stage._repr_mimebundle_()[0]["text/plain"].startswith("The moving picture needs a running kernel")


def test_the_slider_keeps_its_value_within_its_ends():
    slider, seen = Slider("payload", 3000, 0, 65507, "bytes"), []
    slider.observe(lambda change: seen.append(change["new"]), "value")
    for value in (70_000, -1, 12.4, 12):
        slider.value = value
    assert seen == [65507, 0, 12]
    for junk in (float("nan"), "many", None):
        with pytest.raises(traitlets.TraitError):
            slider.value = junk
    assert Slider("loss", 0.25, 0, 1, step=0.01).value == 0.25
