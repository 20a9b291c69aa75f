"""The plots of lesson 2-2 for one question, each with its text twin. Those for many are in `plots_of_many`."""

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D

from udplab.kit.picture import BLUE, GREEN, GREY, PURPLE, RED, axes, spread
from udplab.kit.words import shown
from udplab.retry import odds
from udplab.retry.experiments import spent

# --- One question ---

FATES = (  # words, and how an arrow looks
    ("request", BLUE, "-", ""),
    ("answer", GREEN, "-", ""),
    ("lost", RED, "--", "X"),
    ("request, nobody knows its fate", GREY, "--", ""),
)


def ladder(outcome, fates=None, ax=None):
    """Draw each try of a question (`request.Outcome`); time runs downwards, and the waits are to scale.

    fates: what became of each send, a list of `lossy.Fate`; None where nobody knows
    """
    zero = outcome.attempts[0].at
    # An answer at once takes no time to speak of: then a part of the wait that it was spared gives the scale.
    span = max(spent(outcome), 0.3 * outcome.attempts[0].wait)
    factor, name = (1, "s") if max(each.wait for each in outcome.attempts) >= 0.095 else (1e3, "ms")
    # A round trip is far shorter than a wait. Its arrows get a little height, so that both can be seen.
    ax = axes(ax, figsize=(8, 5))
    waits = []
    for number, attempt in enumerate(outcome.attempts):
        start, end = (attempt.at - zero) * factor, (attempt.ended - zero) * factor
        fate = fates[number] if fates and number < len(fates) else None
        height = min(0.03 * span, 0.3 * attempt.wait) * factor
        _arrows(ax, start, height, attempt, fate)
        if not attempt.answered:
            ax.annotate("", (-0.07, end), (-0.07, start), arrowprops={"arrowstyle": "|-|,widthA=0.3,widthB=0.3",
                        "color": GREY, "shrinkA": 0, "shrinkB": 0, "linewidth": 1.5})  # fmt: skip
            waits.append((start, end, f"waits {attempt.wait * factor:.3g} {name}"))
    bottom = max(span * factor, start + 2 * height) + 0.06 * span * factor
    line = 0.055 * bottom  # of text
    # A wait that is shorter than a line of text has no room for words: the text twin tells of it.
    words = [((start + end) / 2, text) for start, end, text in waits if end - start > 0.8 * line]
    if outcome.answer is None:
        words.append((span * factor + line / 2, "gives up"))
    places = np.array(spread([place for place, _ in words], line))
    places -= max(max(places, default=0) + line / 2 - bottom, 0)  # none below the picture
    places += max(0.02 * bottom - min(places, default=bottom), 0)  # nor above the first send: "client" is written there
    for place, (_, text) in zip(places, words, strict=True):
        weight = "bold" if text == "gives up" else "normal"
        ax.text(-0.1, place, text, ha="right", va="center", fontsize=11, fontweight=weight)
    for side in (0, 1):
        ax.plot([side, side], [-0.04 * bottom, bottom], color=GREY, linewidth=3, zorder=0)
    ax.set(xlim=(-0.5, 1.15), ylim=(bottom, -0.04 * bottom), xticks=[0, 1])
    ax.set_ylabel(f"{name} since the first send")
    ax.set_xticklabels(["client", "server"], fontsize=13, fontweight="bold")
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
    return ax


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


def describe_ladder(outcome, fates=None):
    """Return the text twin of `ladder`: a line for each try."""
    zero, lines = outcome.attempts[0].at, []
    for number, attempt in enumerate(outcome.attempts):
        fate = fates[number] if fates and number < len(fates) else None
        if attempt.answered:
            what = f"answered: {shown(outcome.answer, 60)}"
        elif attempt.refused:
            what = "port refused"
        elif fate is None:
            what = "no answer"
        else:
            what = "answer lost" if fate.request else "request lost"
        lines.append(f"try {number + 1}: sent at {(attempt.at - zero) * 1e3:.0f} ms, {what}")
        if not attempt.answered:
            lines[-1] += f", waited {attempt.wait * 1e3:.0f} ms"
    if outcome.answer is None:
        lines.append(f"gave up at {spent(outcome) * 1e3:.0f} ms")
    return "\n".join(lines)


def waits(delays, outcome, ax=None):
    """Draw the waits of a policy (seconds) as bars, predicted beside measured (`request.Outcome`)."""
    ax = axes(ax)
    tries = np.arange(1, len(delays) + 1)
    measured = [each.ended - each.at for each in outcome.attempts]
    ax.bar(tries - 0.2, delays, 0.38, color="white", edgecolor=PURPLE, hatch="//", linewidth=1.5, label="predicted")
    ax.bar(tries[: len(measured)] + 0.2, measured, 0.38, color=BLUE, label="measured")
    ax.set(xlabel="try", ylabel="wait in s", title="How long each try waits", xticks=tries)
    ax.legend(loc="upper left")
    return ax


def elapsed(delays, outcome, ax=None):
    """Draw when each try was sent and when the client gave up, predicted and measured (`request.Outcome`)."""
    ax = axes(ax)
    times, end = odds.schedule(delays)
    tries = np.arange(1, len(times) + 2)
    ax.step(tries, [*times, end], "--", where="post", color=PURPLE, label="predicted")
    zero = outcome.attempts[0].at
    measured = [each.at - zero for each in outcome.attempts]
    ax.plot(tries[: len(measured)], measured, "o", color=BLUE, markersize=8, label="sent (measured)")
    if outcome.answer is None:
        ax.plot([len(measured) + 1], [spent(outcome)], "X", color=RED, markersize=11, label="gave up (measured)")
    ax.set(xlabel="try", ylabel="s since the first send", title="When each try is sent")
    ax.set_xticks(tries, [*map(str, tries[:-1]), "end"])
    ax.legend(loc="upper left")
    return ax


def describe_schedule(delays, outcome):
    """Return the text twin of `waits` and `elapsed`."""
    times, end = odds.schedule(delays)
    zero, lines = outcome.attempts[0].at, []
    for number, (time, attempt) in enumerate(zip(times, outcome.attempts, strict=False), 1):
        lines.append(f"try {number}: predicted at {time:.2f} s, measured {(attempt.at - zero) * 1e3:.1f} ms")
    if outcome.answer is None:
        lines.append(f"give up: predicted at {end:.2f} s, measured {spent(outcome) * 1e3:.1f} ms")
    return "\n".join(lines)


def silences(outcomes, ax=None):
    """Draw the tries of several questions without an answer, a lane for each.

    outcomes: a dict from a name to a `request.Outcome`
    """
    ax = axes(ax, figsize=(8, 2.8))
    for lane, outcome in enumerate(outcomes.values()):
        zero = outcome.attempts[0].at
        sent = np.array([each.at - zero for each in outcome.attempts]) * 1e3
        refused = [time for time, each in zip(sent, outcome.attempts, strict=True) if each.refused]
        first = lane == 0
        ax.plot([0, spent(outcome) * 1e3], [lane, lane], color=GREY, linewidth=1.5, zorder=1)
        ax.plot(sent, np.full(len(sent), lane), "o", color=BLUE, markersize=8, label="sent" if first else None)
        ax.plot(refused, np.full(len(refused), lane + 0.22), "v", color=RED, markersize=9,
                label="refused" if not first else None)  # fmt: skip
        ax.plot([spent(outcome) * 1e3], [lane], "X", color=PURPLE, markersize=11, label="gives up" if first else None)
    ax.set_yticks(range(len(outcomes)), outcomes)
    ax.set(ylim=(-0.5, len(outcomes) - 0.3), xlabel="ms since the first send", title="Two different silences")
    ax.grid(axis="y", visible=False)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def describe_silences(outcomes):
    """Return the text twin of `silences`."""
    lines = []
    for name, outcome in outcomes.items():
        refused = sum(bool(each.refused) for each in outcome.attempts)
        lines.append(f"{name}: sent {len(outcome.attempts)} times, refused {refused} times, no answer")
    return "\n".join(lines)
