"""The playground: it follows its controls, shows what the last run was, and tells of everything that goes wrong."""

import asyncio

import pytest
from scripted import run_async

from udplab.kit import playground
from udplab.kit.playground import Playground, number


@pytest.fixture(autouse=True)
def calm(monkeypatch):
    """However slow the machine, no run is a long one here, and each is drawn once."""
    for name in ("FRAME", "SHORT", "LONG"):
        monkeypatch.setattr(playground, name, float("inf"))


def scripted(measure, words="3 < 4"):
    """Return a Playground with one control, and a list of what it drew: (measured, value, value of the run before)."""
    drawn = []

    def draw(ax, measured, values, before):
        drawn.append((list(measured), values["count"], before and before[1]["count"]))
        return words

    return Playground({"count": number("how many", 2, 0, 100)}, measure, draw), drawn


def batches(count):
    """Yield `count` batches of one measurement each."""
    for turn in range(count):
        yield [turn]


async def rest(panel):
    """Wait until a panel has nothing more to do."""
    while not panel.task.done():
        await asyncio.sleep(0.001)


def test_it_measures_when_it_is_shown_and_whenever_a_control_moves():
    panel, drawn = scripted(batches)

    async def play():
        panel._repr_mimebundle_()
        await rest(panel)
        assert drawn == [([0, 1], 2, None)] and panel.said == "Measured."
        assert bytes(panel.picture.value).startswith(b"\x89PNG")
        assert panel.text.value == playground.told("3 < 4")
        panel.controls["count"].value = 3
        await rest(panel)
        assert drawn[-1] == ([0, 1, 2], 3, 2), "the last run, with another setting, is shown too"
        panel.again.click()
        await rest(panel)
        assert drawn[-1] == ([0, 1, 2], 3, 2), "measured again with the same setting, it is still that one"

    run_async(play)


def test_a_control_that_moves_meanwhile_is_never_forgotten(monkeypatch):
    monkeypatch.setattr(playground, "SHORT", 0.0)
    ended = []

    def measure(count):
        try:
            for number in range(count):
                if number == 1 and count == 50:
                    panel.controls["count"].value = 3
                yield [number]
        finally:
            ended.append(count)

    panel, drawn = scripted(measure)

    async def play():
        panel.controls["count"].value = 50
        await rest(panel)

    run_async(play)
    assert ended == [50, 3], "the long run was cut off and closed"
    assert drawn[-1] == ([0, 1, 2], 3, None)


def test_a_short_run_ends_before_the_next_begins_so_that_the_picture_moves_with_the_control():
    def measure(count):
        if count > 2:
            panel.controls["count"].value = count - 1
        yield [count]

    panel, drawn = scripted(measure)

    async def play():
        panel.controls["count"].value = 5
        await rest(panel)

    run_async(play)
    assert [count for _, count, _ in drawn] == [5, 4, 3, 2]


def test_a_long_run_is_drawn_while_it_lasts_and_says_so(monkeypatch):
    monkeypatch.setattr(playground, "FRAME", 0.0)
    monkeypatch.setattr(playground, "LONG", 0.0)
    told = []

    def measure(count):
        for turn in range(9):
            told.append(panel.said if turn else "")
            yield [turn]

    panel, drawn = scripted(measure)

    async def play():
        panel.run()
        await rest(panel)

    run_async(play)
    lengths = [len(measured) for measured, *_ in drawn]
    assert len(lengths) >= 2 and lengths == sorted(lengths) and lengths[-1] == 9
    assert told[-1] == "Measuring ..." and panel.said == "Measured."


@pytest.mark.parametrize("kind", [OSError, ValueError])
def test_it_says_what_did_not_work(kind):
    panel, drawn = scripted(lambda count: (_ for _ in ()).throw(kind("no <sockets> left")))

    async def play():
        panel.run()
        await rest(panel)

    run_async(play)
    assert panel.said == "That did not work: no <sockets> left" and drawn == []
    assert panel.status.value == '<span role="status">That did not work: no &lt;sockets&gt; left</span>'


@pytest.mark.parametrize("where", ["measure", "draw"])
def test_it_tells_of_a_mistake_in_it_and_runs_again(where):
    panel, drawn = scripted(batches)
    right = getattr(panel, where)

    async def play():
        setattr(panel, where, lambda *_, **values: {}["<name>"])
        panel.run()
        await rest(panel)
        assert panel.said == "That broke off: KeyError('<name>')"
        assert "Traceback" in panel.text.value and "&lt;name&gt;" in panel.text.value
        with pytest.raises(KeyError):  # in a cell
            await panel.still()
        setattr(panel, where, right)
        panel.run()
        await rest(panel)

    run_async(play)
    assert panel.said == "Measured." and len(drawn) == 1


def test_the_still_is_one_run_with_its_words(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(playground, "display", lambda bundle, raw: shown.append(bundle["text/html"]))
    panel, drawn = scripted(batches)
    run_async(panel.still)
    assert len(drawn) == 1 and capsys.readouterr().out == "One run with the first settings:\n3 < 4\n"
    assert shown[0].startswith('<img alt="Picture of the playground.')


def test_the_panel_says_what_to_do_when_nothing_moves():
    """A page cannot always know that its kernel has gone."""
    panel, _ = scripted(batches)
    assert "run this cell again" in panel.widget.children[1].children[-1].words
