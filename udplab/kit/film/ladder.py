"""The still of a film: a line for each host, time downwards, an arrow for each frame, the thicker the larger.

Where there are several datagrams, each has its colour and its number, as on the stage. Where nothing moves for
long, the axis is broken, and the picture says how long that took.
"""

import itertools
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from udplab.kit import picture
from udplab.kit.film import flight as fates
from udplab.kit.film.flight import Film, Flight, landing
from udplab.kit.film.story import lasting, story, teller

SIZE = 8, 5.2  # inches: 572 pixels tall
TICKS = 12  # times on the axis, at most
NAMED = 14  # arrows that can have words beside them
ROWS = 24  # numbers of datagrams that find room, one below the other
NEAR = 0.1  # of the way to the next host: so far from its start an arrow has its datagram's number
COLOURS = "#0072B2", "#007A59", "#9C4F7C", "#6B6B00"  # of datagrams, in turn, as on the stage
ERROR, LITTLE = "#B84F00", "#6A6A6A"
DATA = "UDP", "fragment"  # what belongs to a datagram that the film numbers


def ladder(ax: Axes, film: Film) -> str:
    """Draw a film; return its words (see `story`). `picture.show(ladder, film)` displays it."""
    picture.resize(ax, *SIZE)
    knots = film.schedule()
    whole = knots[-1][1] or 1.0
    columns = {name: number for number, name in enumerate(film.hosts)}
    usual = film.usual()
    for column in columns.values():
        ax.plot([column, column], [0, whole], color=picture.GREY, linewidth=2.5, zorder=1)
    for flight in film:
        _arrow(ax, flight, columns, knots, usual, min(1, (60 / len(film)) ** 0.5))
    numbered = len({flight.datagram for flight in film if flight.kind in DATA}) > 1
    if numbered:
        _numbers(ax, film, columns, knots, usual, whole)
    if len(film) <= NAMED:
        _names(ax, film, columns, knots, usual, whole)
    _notes(ax, film, columns, knots, whole)
    _times(ax, film, knots, whole)
    ax.set_xticks(list(columns.values()), list(columns), fontsize=12 if len(columns) < 10 else 8, fontweight="bold")
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    aside = len(columns) == 2 and any(columns[note.host] == 0 for note in film.notes)  # room for them, at the left
    ax.set(xlim=(-0.8 if aside else -0.35, len(columns) - 0.65), ylim=(1.03 * whole, -0.03 * whole))
    ax.spines[:].set_visible(False)
    ax.grid(False)
    title = f"{len(film)} frame{'s' * (len(film) != 1)} in {teller(film)(film.length)}"
    ax.set_title(film.title(title), pad=14)
    ax.figure.legend(handles=_legend(film, numbered), loc="outside lower center", ncols=4, fontsize=10)
    return story(film)


def shown_at(knots: Sequence[tuple[float, float]], time: float) -> float:
    """Return where a time of the film is on the stage, by its schedule."""
    for (x0, y0), (x1, y1) in itertools.pairwise(knots):
        if time <= x1:
            return y0 + (time - x0) / ((x1 - x0) or 1) * (y1 - y0)
    return knots[-1][1]


def look(flight: Flight) -> tuple[str, str]:
    """Return (colour, line style) of a flight's arrow."""
    if flight.kind == "ICMP":
        return ERROR, "--"
    return (COLOURS[flight.datagram % len(COLOURS)], "-") if flight.kind in DATA else (LITTLE, ":")


def _arrow(ax, flight, columns, knots, usual, scale):
    """scale: how much smaller than usual to draw it, of a film with many."""
    colour, style = look(flight)
    start, end = columns[flight.source[0]], columns[flight.target[0]]
    top, bottom = shown_at(knots, flight.left), shown_at(knots, landing(flight, usual))
    if flight.arrived is None:
        end = (start + end) / 2
    width = (1 + 4 * min(flight.size, 1500) / 1500) * scale
    ax.plot(
        [start, end], [top, bottom], color=colour, linestyle=style, linewidth=width, solid_capstyle="butt", zorder=2
    )
    if flight.fate in fates.DEAD:
        ax.plot(end, bottom, "X", color=picture.RED, markersize=max(11 * scale, 6), markeredgecolor="white", zorder=6)
    elif flight.fate == fates.IGNORED:
        ax.plot(end, bottom, "o", color=colour, markerfacecolor="white", markersize=max(7 * scale, 4), zorder=3)
    else:
        ax.plot(end, bottom, ">" if end > start else "<", color=colour, markersize=5 * scale + width, zorder=3)


def _numbers(ax, film, columns, knots, usual, whole):
    """Write on each arrow, near its start, which datagram it is, as the stage does; not where another stands there."""
    last = {}  # where the number before stands, of each way
    for flight in film:
        start, end = columns[flight.source[0]], columns[flight.target[0]]
        side = (end > start) - (end < start)
        top = shown_at(knots, flight.left)
        if flight.kind not in DATA or not side or top - last.get((start, side), -whole) < whole / ROWS:
            continue
        last[start, side] = top
        way = (end - start) / (2 if flight.arrived is None else 1)
        place = top + NEAR / abs(way) * (shown_at(knots, landing(flight, usual)) - top)
        box = {"boxstyle": "round,pad=0.2", "facecolor": look(flight)[0], "edgecolor": "white"}
        ax.text(start + NEAR * side, place, str(flight.datagram), color="white", fontsize=8, fontweight="bold",
                ha="center", va="center", bbox=box, zorder=5)  # fmt: skip


def _names(ax, film, columns, knots, usual, whole):
    """Write beside each arrow how large it is, or what it says."""
    for flight in film:
        if flight.source == flight.target:
            continue
        words = flight.words.removeprefix("ICMP: ") if flight.kind == "ICMP" else f"{flight.size} bytes"
        words = flight.kind if flight.kind not in ("UDP", "fragment", "ICMP") else words
        start, end = columns[flight.source[0]], columns[flight.target[0]]
        x = start + (end - start) * (0.25 if flight.arrived is None else 0.5)
        y = (shown_at(knots, flight.left) + shown_at(knots, landing(flight, usual))) / 2
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.85}
        ax.text(x, y - 0.012 * whole, words, ha="center", va="bottom", fontsize=9, bbox=box, zorder=5)


def _notes(ax, film, columns, knots, whole):
    places = picture.spread([shown_at(knots, note.time) for note in film.notes], whole / 22)
    for note, place in zip(film.notes, places, strict=True):
        column = columns[note.host]
        right = len(columns) == 1 or (column < (len(columns) - 1) / 2 if len(columns) > 2 else column == 1)
        ax.annotate(note.words, (column, place), (8 if right else -8, 0), fontsize=9,
                    textcoords="offset points", ha="left" if right else "right", va="center", zorder=6,
                    bbox={"facecolor": "#FFF6D6", "edgecolor": picture.GREY, "pad": 2})  # fmt: skip


def _times(ax, film, knots, whole):
    """Write moments at the left, and mark where the axis is broken."""
    moments, ticks, at = film.moments(), [], teller(film)
    for moment in moments:
        place = shown_at(knots, moment)
        if not ticks or place - ticks[-1][0] >= whole / TICKS:
            ticks.append((place, at(moment)))
    ax.set_yticks([place for place, _ in ticks], [words for _, words in ticks], fontsize=10)
    steps = [((y1 - y0) / (x1 - x0), x0, x1, y0, y1) for (x0, y0), (x1, y1) in itertools.pairwise(knots)]
    fastest = max((step[0] for step in steps), default=0)
    for slope, x0, x1, y0, y1 in steps:
        if slope < fastest / 2 and y1 - y0 > whole / 40:
            ax.axhspan(y0 + 0.15 * (y1 - y0), y1 - 0.15 * (y1 - y0), color="white", zorder=1.5)
            ax.text(0.5, (y0 + y1) / 2, f"... {lasting(x1 - x0)} ...", ha="center", va="center", fontsize=9,
                    transform=ax.get_yaxis_transform(), color=picture.GREY, zorder=5)  # fmt: skip


def _legend(film, numbered):
    kinds = {flight.kind for flight in film}
    others = ", ".join(sorted(kinds - {*DATA, "ICMP"}))
    dead, ignored = (any(each.fate in which for each in film) for which in (fates.DEAD, (fates.IGNORED,)))
    udp = "UDP, thicker: larger" + "; number and colour: which datagram" * numbered
    entries = (
        (kinds & {*DATA}, udp, {"color": COLOURS[1], "linewidth": 4}),
        ("ICMP" in kinds, "ICMP", {"color": ERROR, "linestyle": "--"}),
        (others, others, {"color": LITTLE, "linestyle": ":"}),
        (dead, "lost or dropped", {"linestyle": "", "marker": "X", "markersize": 9, "color": picture.RED}),
        (
            ignored,
            "ignored",
            {"linestyle": "", "marker": "o", "markersize": 9, "color": picture.GREY, "markerfacecolor": "white"},
        ),
    )
    return [Line2D([], [], label=words, **look) for shown, words, look in entries if shown]
