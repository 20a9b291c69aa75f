"""The plots of lesson 2-2, each with its text twin."""

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D

from udplab import odds
from udplab.plots import BLUE, GREEN, GREY, PURPLE, RED, axes, spread
from udplab.plots.loopback import plain
from udplab.serving import shown
from udplab.trials import spent

# --- One question ---

FATES = (  # words, and how an arrow looks
    ("request", BLUE, "-", ""),
    ("answer", GREEN, "-", ""),
    ("lost", RED, "--", "X"),
    ("request, nobody knows its fate", GREY, "--", ""),
)


def ladder(outcome, fates=None, ax=None):
    """Draw each try of a question (`retry.Outcome`); time runs downwards, and the waits are to scale.

    fates: what became of each send, a list of `lossy.Fate`; None where nobody knows
    """
    zero = outcome.attempts[0].at
    # An answer at once takes no time to speak of: then a part of the wait that it was spared gives the scale.
    span = max(spent(outcome), 0.3 * outcome.attempts[0].wait)
    factor, name = (1, "s") if max(each.wait for each in outcome.attempts) >= 0.095 else (1e3, "ms")
    # A round trip is far shorter than a wait. Its arrows get a little height, so that both can be seen.
    ax = axes(ax, figsize=(8, 5))
    ends = []
    for number, attempt in enumerate(outcome.attempts):
        start, end = (attempt.at - zero) * factor, (attempt.ended - zero) * factor
        fate = fates[number] if fates and number < len(fates) else None
        height = min(0.03 * span, 0.3 * attempt.wait) * factor
        _arrows(ax, start, height, attempt, fate)
        if not attempt.answered:
            ax.annotate("", (-0.07, end), (-0.07, start), arrowprops={"arrowstyle": "|-|,widthA=0.3,widthB=0.3",
                        "color": GREY, "shrinkA": 0, "shrinkB": 0, "linewidth": 1.5})  # fmt: skip
            ends.append(((start + end) / 2, f"waits {attempt.wait * factor:.3g} {name}"))
    bottom = max(span * factor, start + 2 * height) + 0.06 * span * factor
    line = 0.055 * bottom  # of text
    if outcome.answer is None:
        ends.append((span * factor + line / 2, "gives up"))
    places = np.array(spread([place for place, _ in ends], line))
    places -= max(max(places, default=0) + line / 2 - bottom, 0)  # none below the picture
    places += max(0.02 * bottom - min(places, default=bottom), 0)  # nor above the first send: "client" is written there
    for place, (_, text) in zip(places, ends, strict=True):
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
    """Draw the waits of a policy (seconds) as bars, predicted beside measured (`retry.Outcome`)."""
    ax = axes(ax)
    tries = np.arange(1, len(delays) + 1)
    measured = [each.ended - each.at for each in outcome.attempts]
    ax.bar(tries - 0.2, delays, 0.38, color="white", edgecolor=PURPLE, hatch="//", linewidth=1.5, label="predicted")
    ax.bar(tries[: len(measured)] + 0.2, measured, 0.38, color=BLUE, label="measured")
    ax.set(xlabel="try", ylabel="wait in s", title="How long each try waits", xticks=tries)
    ax.legend(loc="upper left")
    return ax


def elapsed(delays, outcome, ax=None):
    """Draw when each try was sent and when the client gave up, predicted and measured (`retry.Outcome`)."""
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

    outcomes: a dict from a name to a `retry.Outcome`
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


# --- Many questions ---


def counted(trials, tries):
    """Return a list: how many of the `trials.Trial` were sent once, twice, ... `tries` times."""
    return [sum(len(trial.outcome.attempts) == k for trial in trials) for k in range(1, tries + 1)]


def sends(trials, fail, tries, ax=None):
    """Draw how many questions were sent once, twice ..., as bars, with theory and its 99 % interval over them.

    fail: the probability that a try fails
    """
    ax = axes(ax)
    k = np.arange(1, tries + 1)
    ax.bar(k, counted(trials, tries), 0.7, color=BLUE, label="measured")
    expected = np.array(list(odds.sends(fail, tries).values())) * len(trials)
    edges = np.array([odds.interval(share, len(trials)) for share in odds.sends(fail, tries).values()])
    errors = np.abs(edges.T - expected)
    ax.errorbar(k, expected, errors, fmt="D", color=PURPLE, ecolor="black", capsize=7, markersize=7,
                label="predicted, with the range of chance (99 %)")  # fmt: skip
    ax.set(xlabel="sends", ylabel="questions", title="How often must a question be sent?", xticks=k)
    ax.set_ylim(0, 1.3 * max(1, ax.get_ylim()[1]))
    ax.legend(loc="upper right")
    return ax


def describe_sends(trials, fail, tries):
    """Return the text twin of `sends`: a line for each number of sends."""
    lines = []
    for (k, share), count in zip(odds.sends(fail, tries).items(), counted(trials, tries), strict=True):
        low, high = odds.interval(share, len(trials))
        lines.append(
            f"sent {k} {'time ' if k == 1 else 'times'}: {count:4} of {len(trials)}, "
            f"predicted {share * len(trials):.0f} (chance allows {low:.0f} to {high:.0f})"
        )
    lost = sum(trial.outcome.answer is None for trial in trials)
    return "\n".join([*lines, f"without an answer: {lost}, predicted {odds.give_up(fail, tries) * len(trials):.0f}"])


def give_up(one_way, both_ways, count, tries, ax=None):
    """Draw the share of questions without an answer against the loss, predicted curves and measured points.

    one_way, both_ways: dicts from the loss (0 to 1) to the number among `count` questions that got no answer
    """
    ax = axes(ax)
    loss = np.linspace(0, 1, 201)
    for points, fail, colour, mark, style, label in (
        (one_way, loss, BLUE, "o", "-", "requests lost"),
        (both_ways, odds.failure(loss, loss), RED, "s", "--", "requests and answers lost"),
    ):
        ax.plot(loss * 100, odds.give_up(fail, tries) * 100, style, color=colour, label=f"{label}: predicted")
        x, shares = np.array(list(points)), np.array(list(points.values())) / count
        chance = [odds.give_up(odds.failure(p, p if points is both_ways else 0), tries) for p in points]
        edges = np.array([odds.interval(share, count) for share in chance]).T / count
        errors = np.maximum(np.abs(edges - np.array(chance)), 0) * 100
        ax.errorbar(x * 100, shares * 100, errors, fmt=mark, color=colour, capsize=5, label=f"{label}: measured")
    ax.set(xlabel="loss in %", ylabel="no answer in %", title=f"How many give up after {tries} tries?", ylim=(-3, 105))
    ax.legend(loc="upper left", fontsize=11)
    return ax


def describe_give_up(one_way, both_ways, count, tries):
    """Return the text twin of `give_up`: a table."""
    lines = ["  loss   requests lost            requests and answers lost"]
    lines += ["         predicted  measured      predicted  measured"]
    for loss in one_way:
        cells = []
        for points, fail in ((one_way, loss), (both_ways, odds.failure(loss, loss))):
            cells.append(f"{odds.give_up(fail, tries):9.2%}  {points[loss] / count:8.1%}")
        lines.append(f"{loss:6.0%}   {'      '.join(cells)}")
    return "\n".join(lines)


def policies(results, ax=None):
    """Draw which share of the questions had its answer after so many seconds, a line for each policy.

    results: a dict from a policy's name to its `trials.Trial`
    """
    ax = axes(ax)
    styles = ("-", "--", "-.", ":")
    for (name, trials), style in zip(results.items(), styles, strict=False):
        times = np.sort([spent(trial.outcome) for trial in trials if trial.outcome.answer is not None])
        share = np.arange(1, len(times) + 1) / len(trials) * 100
        ax.step([0, *times, 3.3], [0, *share, share[-1]], style, where="post", label=name)
    ax.set(xlabel="s since the first send", ylabel="answered in %", title="Who is served, and when?")
    ax.set(xlim=(-0.1, 3.3), ylim=(0, 105))
    ax.legend(loc="lower right")
    return ax


def datagrams(results, silent, ax=None):
    """Draw how often each policy sends a question on average, as bars, and how often to a server that is silent.

    results: as for `policies`; silent: a dict from the policy's name to its sends for a question without an answer
    """
    ax = axes(ax)
    means = [np.mean([len(trial.outcome.attempts) for trial in trials]) for trials in results.values()]
    for shift, numbers, colour, hatch, label in (
        (-0.2, means, BLUE, "", "half is lost"),
        (0.2, [silent[name] for name in results], PURPLE, "//", "server is silent"),
    ):
        places = np.arange(len(numbers)) + shift
        ax.barh(places, numbers, 0.38, color=colour, hatch=hatch, edgecolor="white", label=label)
        for place, number in zip(places, numbers, strict=True):
            ax.text(number + 0.4, place, f"{number:.3g}", va="center", fontsize=11)
    ax.set_yticks(range(len(means)), results)
    ax.set(xlabel="sends for a question", title="The price", xlim=(0, 1.2 * max(silent.values())))
    ax.invert_yaxis()
    ax.grid(axis="y", visible=False)
    ax.legend(loc="lower right")
    return ax


def describe_policies(results, silent):
    """Return the text twin of `policies` and `datagrams`: a line for each policy."""
    lines = []
    for name, trials in results.items():
        times = [spent(trial.outcome) for trial in trials if trial.outcome.answer is not None]
        mean = np.mean([len(trial.outcome.attempts) for trial in trials])
        lines.append(
            f"{name:12} answered {len(times) / len(trials):6.1%}, {mean:.2f} sends "
            f"({silent[name]} to a silent server), mean time {np.mean(times):.2f} s, longest {max(times):.2f} s"
        )
    return "\n".join(lines)


# --- The herd, the adaptive wait ---


def herd(herds, capacity=10, ax=None):
    """Draw how many datagrams reach a server in each step of time, for each `trials.Herd` of a dict by name.

    capacity: how many the server can read in a step
    """
    ax = axes(ax)
    ax.set_xscale("symlog", linthresh=0.1, linscale=1.5)  # room for the short time in which jitter spreads them
    for (name, each), colour, mark in zip(herds.items(), (RED, BLUE), ("o", "s"), strict=True):
        steps = np.flatnonzero(each.arrived)
        numbers = np.array(each.arrived)[steps]
        ax.vlines(steps * each.step, 0, numbers, color=colour, linewidth=2)
        ax.plot(steps * each.step, numbers, mark, color=colour, markersize=7, label=name)
    ax.axhline(capacity, linestyle="--", color="black", label="what the server can read")
    ax.set(xlabel="s since all failed (log scale from 0.1 s on)", ylabel=f"datagrams in {each.step:g} s")
    ax.set(title="The herd comes back", xlim=(-0.01, 2.5), ylim=(0, 120))
    plain(ax.xaxis, [0, 0.05, 0.1, 0.3, 0.7, 1.5])
    ax.legend(loc="upper right")
    return ax


def describe_herd(herds):
    """Return the text twin of `herd`."""
    lines = []
    for name, each in herds.items():
        lines.append(
            f"{name}: sent {sum(each.arrived)}, dropped by the full queue {each.dropped}, "
            f"most at once {max(each.arrived)}, clients that gave up {each.left}"
        )
    return "\n".join(lines)


def adaptive(round_trips, track, predicted, fixed, ax=None):
    """Draw round trips, and the waits that follow them.

    round_trips: measured, in seconds; track, predicted: what `trials.follow` made of the measured ones and of
    those that the network was set to; fixed: a wait that does not follow, in seconds
    """
    ax = axes(ax, figsize=(8, 4.4))
    number = np.arange(1, len(round_trips) + 1)
    ax.plot(number, np.array(round_trips) * 1e3, ".", color=BLUE, markersize=8, label="round trip (measured)")
    ax.plot(number, [smoothed * 1e3 for smoothed, _ in track], "-.", color=GREEN, label="smoothed")
    # The first wait is the 1 s of a client that knows nothing; it would flatten all the others.
    ax.plot(number[1:], [wait * 1e3 for _, wait in track[1:]], "-", color=RED, label="adaptive wait")
    ax.plot(
        number[1:], [wait * 1e3 for _, wait in predicted[1:]], ":", color="black", label="adaptive wait (predicted)"
    )
    ax.axhline(fixed * 1e3, linestyle="--", color=PURPLE, label=f"fixed wait: {fixed * 1e3:g} ms")
    ax.set(xlabel="question", ylabel="ms", title="A wait that follows the round trips")
    ax.set_ylim(0, 1.5 * ax.get_ylim()[1])
    ax.legend(loc="upper right", ncols=2, fontsize=11)
    return ax


def in_vain(round_trips, track):
    """Return how many questions would have been sent again although their answer was on its way."""
    return sum(round_trip > wait for round_trip, (_, wait) in zip(round_trips, track, strict=True))


def describe_adaptive(round_trips, track, predicted, fixed, delays):
    """Return the text twin of `adaptive`. delays: the round trips that the network was set to, in seconds."""
    lines = []
    for delay in dict.fromkeys(delays):
        times = [time for time, at in zip(round_trips, delays, strict=True) if at == delay]
        lines.append(f"set to {delay * 1e3:g} ms: median round trip {np.median(times) * 1e3:.1f} ms")
    lines.append(f"last adaptive wait: measured {track[-1][1] * 1e3:.1f} ms, predicted {predicted[-1][1] * 1e3:.1f} ms")
    vain = sum(delay > fixed for delay in delays)
    lines.append(f"sent again for nothing (predicted), fixed wait: {vain} of {len(delays)}")
    lines.append(f"sent again for nothing (predicted), adaptive wait: {in_vain(delays, predicted)} of {len(delays)}")
    return "\n".join(lines)
