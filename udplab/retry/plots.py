"""The pictures of lesson 2-2 for one question; those for many are in `plots_of_many`.

Each draws on the Axes that it is given, and returns in words what it shows.
"""

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D

from udplab.kit.picture import BLUE, GREEN, GREY, PURPLE, RED, below, resize, spread, your_line
from udplab.kit.words import shown, unit
from udplab.retry import odds
from udplab.retry.experiments import spent
from udplab.retry.lossy import Fate

FATES = (  # words, and how an arrow looks
    ("request", BLUE, "-", ""),
    ("answer", GREEN, "-", ""),
    ("lost", RED, "--", "X"),
    ("request, nobody knows its fate", GREY, "--", ""),
)


def tries(ax, outcome, fates=()):
    """Draw each try of a question (`request.Outcome`); time runs downwards, and the waits are to scale.

    fates: what became of each send, `lossy.Fate`s or a server's log; empty where nobody knows
    """
    resize(ax, 8, 5)
    fates = [each if isinstance(each, Fate) else Fate.of(each) for each in fates]
    fates += [None] * (len(outcome.attempts) - len(fates))
    zero = outcome.attempts[0].at
    # An answer at once takes no time to speak of: then a part of the wait that it was spared gives the scale.
    span = max(spent(outcome), 0.3 * outcome.attempts[0].wait)
    factor, name = (1, "s") if span >= 0.5 else (1e3, "ms")
    # A round trip is far shorter than a wait. Its arrows get a little height, so that both can be seen.
    waits = []
    for attempt, fate in zip(outcome.attempts, fates, strict=False):
        start, end = (attempt.at - zero) * factor, (attempt.ended - zero) * factor
        height = min(0.03 * span, 0.3 * attempt.wait) * factor
        _arrows(ax, start, height, attempt, fate)
        if not attempt.answered:
            ax.annotate("", (-0.07, end), (-0.07, start), arrowprops={"arrowstyle": "|-|,widthA=0.3,widthB=0.3",
                        "color": GREY, "shrinkA": 0, "shrinkB": 0, "linewidth": 1.5})  # fmt: skip
            waits.append((start, end, f"waits {attempt.wait * factor:.3g} {name}"))
    bottom = max(span * factor, start + 2 * height) + 0.06 * span * factor
    _waits_in_words(ax, waits, bottom, None if outcome.answer is not None else span * factor)
    _two_lines(ax, bottom, name)
    return _tries_in_words(outcome, fates, name, factor)


def _waits_in_words(ax, waits, bottom, given_up):
    """Write beside the client's line how long it waits (a list of start, end, words), and where it gives up."""
    line = max(0.055, 20 / ax.bbox.height) * bottom  # of text, which is 20 pixels high
    # A wait that is shorter than a line of text has no room for words: the words below the picture tell of it.
    words = [((start + end) / 2, text) for start, end, text in waits if end - start > 0.8 * line]
    if given_up is not None:
        words.append((given_up + line / 2, "gives up"))
    places = np.array(spread([place for place, _ in words], line))
    places -= max(max(places, default=0) + line / 2 - bottom, 0)  # none below the picture
    places += max(0.02 * bottom - min(places, default=bottom), 0)  # nor above the first send: "client" is written there
    for place, (_, text) in zip(places, words, strict=True):
        weight = "bold" if text == "gives up" else "normal"
        ax.text(-0.1, place, text, ha="right", va="center", fontsize=11, fontweight=weight)


def _two_lines(ax, bottom, name):
    """Draw the lines of client and server, down to `bottom`, and what the arrows mean."""
    for side in (0, 1):
        ax.plot([side, side], [-0.04 * bottom, bottom], color=GREY, linewidth=3, zorder=0)
    ax.set(xlim=(-0.5, 1.15), ylim=(bottom, -0.04 * bottom), xticks=[0, 1])
    ax.set_ylabel(f"{name} since the first send")
    ax.set_xticklabels(["client", "server"], fontsize=13, fontweight="bold")
    ax.set_title("Each try, and what became of it", pad=10)
    ax.xaxis.tick_top()
    ax.tick_params(axis="x", length=0)
    ax.spines[["top", "bottom", "right"]].set_visible(False)
    ax.grid(False)
    arrows = [text.arrow_patch for text in ax.texts if hasattr(text, "arrow_patch")]
    looks = {(*arrow.get_edgecolor(), arrow.get_linestyle()) for arrow in arrows}
    keys = [
        Line2D([], [], color=colour, linestyle=style, marker=mark, label=label)
        for label, colour, style, mark in FATES
        if (*to_rgba(colour), style) in looks
    ]
    ax.legend(handles=keys, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=len(keys), fontsize=11)


def _arrows(ax, start, height, attempt, fate):
    """Draw a request and its answer; the lost one ends half way in an X."""
    if fate is None and not attempt.answered:
        _arrow(ax, 0, start, 1, start + height, GREY, "--")
        return
    arrived = fate.request if fate else True
    _arrow(ax, 0, start, 1 if arrived else 0.5, start + height * (1 if arrived else 0.5), BLUE if arrived else RED,
           "-" if arrived else "--", lost=not arrived)  # fmt: skip
    if arrived:
        back = attempt.answered
        _arrow(ax, 1, start + height, 0 if back else 0.5, start + height * (2 if back else 1.5),
               GREEN if back else RED, "-" if back else "--", lost=not back)  # fmt: skip


def _arrow(ax, x, y, tip, end, colour, style, lost=False):
    ax.annotate("", (tip, end), (x, y), arrowprops={"arrowstyle": "-" if lost else "-|>", "color": colour,
                "linestyle": style, "linewidth": 2, "shrinkA": 0, "shrinkB": 0})  # fmt: skip
    if lost:
        ax.plot([tip], [end], marker="X", color=RED, markersize=9, linestyle="none", zorder=3)


def _tries_in_words(outcome, fates, name, factor):
    """Return a line for each try. fates: `lossy.Fate`s, None for each that nobody knows; factor: of the unit `name`"""
    zero, lines = outcome.attempts[0].at, []

    def time(seconds):
        return f"{seconds * factor:.{0 if name == 'ms' else 2}f} {name}"

    for number, (attempt, fate) in enumerate(zip(outcome.attempts, fates, strict=False), 1):
        if attempt.answered:
            what = f"answered: {shown(outcome.answer, 60)}"
        elif attempt.refused:
            what = "port refused"
        elif fate is None:
            what = "no answer"
        else:
            what = "answer lost" if fate.request else "request lost"
        lines.append(f"try {number}: sent at {time(attempt.at - zero)}, {what}")
        if not attempt.answered:
            lines[-1] += f", waited {time(attempt.wait)}"
    if outcome.answer is None:
        lines.append(f"gave up at {time(spent(outcome))}")
    return "\n".join(lines)


def schedule(ax, delays, outcome, you=None):
    """Draw when each try was sent and how long it waited, predicted and measured: a bar for each, in a staircase.

    delays: the policy's waits in seconds; outcome: `request.Outcome`; you: when the client gives up, in ms
    """
    resize(ax, 8, 4)
    times, end = odds.schedule(delays)
    name, factor = unit(end)
    zero, rows = outcome.attempts[0].at, np.arange(len(times))
    sent = np.array([each.at - zero for each in outcome.attempts])
    waited = np.array([each.ended - each.at for each in outcome.attempts])
    bars = {"height": 0.36, "linewidth": 1.5}
    ax.barh(rows - 0.2, np.array(delays) * factor, left=np.array(times) * factor, color="white", edgecolor=PURPLE,
            hatch="//", label="predicted", **bars)  # fmt: skip
    ax.barh(rows[: len(sent)] + 0.2, waited * factor, left=sent * factor, color=BLUE, label="measured", **bars)
    if outcome.answer is None:
        ax.plot([spent(outcome) * factor], [len(sent) - 0.8], "X", color=RED, markersize=11, label="gave up (measured)")
    your_line(ax, you and you / 1e3 * factor, f"gives up at {you} ms", axis="x")
    ax.set_yticks(rows, [f"try {row + 1}" for row in rows])
    ax.set_xticks([time * factor for time in (*times, end)], [f"{time * factor:.3g}" for time in (*times, end)])
    ax.set(xlabel=f"{name} since the first send", title="Each try and its wait", xlim=(0, 1.08 * end * factor))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    below(ax)
    lines = [f"try {row + 1}: predicted at {time * factor:.3g} {name}, measured {each * factor:.1f} {name}"
             for row, time, each in zip(rows, times, sent, strict=False)]  # fmt: skip
    if outcome.answer is None:
        lines.append(f"give up: predicted at {end * factor:.3g} {name}, measured {spent(outcome) * factor:.1f} {name}")
    return "\n".join(lines)


def silences(ax, outcomes):
    """Draw the tries of several questions without an answer, a lane for each.

    outcomes: a dict from a name to a `request.Outcome`
    """
    resize(ax, 8, 2.8)
    lines = []
    for lane, (name, outcome) in enumerate(outcomes.items()):
        zero = outcome.attempts[0].at
        sent = np.array([each.at - zero for each in outcome.attempts]) * 1e3
        refused = [time for time, each in zip(sent, outcome.attempts, strict=True) if each.refused]
        first = lane == 0
        ax.plot([0, spent(outcome) * 1e3], [lane, lane], color=GREY, linewidth=1.5, zorder=1)
        ax.plot(sent, np.full(len(sent), lane), "o", color=BLUE, markersize=8, label="sent" if first else None)
        ax.plot(refused, np.full(len(refused), lane + 0.22), "v", color=RED, markersize=9,
                label="refused" if not first else None)  # fmt: skip
        ax.plot([spent(outcome) * 1e3], [lane], "X", color=PURPLE, markersize=11, label="gives up" if first else None)
        lines.append(f"{name}: sent {len(sent)} times, refused {len(refused)} times, no answer")
    ax.set_yticks(range(len(outcomes)), outcomes)
    ax.set(ylim=(-0.5, len(outcomes) - 0.3), xlabel="ms since the first send", title="Two different silences")
    ax.grid(axis="y", visible=False)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return "\n".join(lines)
