"""The pictures of lesson 2-2 for many questions; those for one are in `plots`.

Each draws on the Axes that it is given, and returns in words what it shows.
"""

import itertools

import numpy as np

from udplab.kit.picture import BLUE, GREEN, PURPLE, RED, YOU, plain, resize, split, your_line
from udplab.retry import odds
from udplab.retry.experiments import spent

# --- How many sends, and how many give up ---


def counted(trials, tries):
    """Return a list: how many of the `experiments.Trial` were sent once, twice, ... `tries` times."""
    return [sum(len(trial.outcome.attempts) == k for trial in trials) for k in range(1, tries + 1)]


def how_often(ax, trials, fail, tries, you=None):
    """Draw how many questions were sent once, twice ..., as bars, with theory and its 99 % interval over them.

    fail: the probability that a try fails; you: a learner's guess of how many need one send
    """
    k, theory = np.arange(1, tries + 1), odds.sends(fail, tries)
    counts = counted(trials, tries)
    ax.bar(k, counts, 0.7, color=BLUE, label="measured")
    expected = np.array(list(theory.values())) * len(trials)
    edges = np.array([odds.interval(share, len(trials)) for share in theory.values()])
    ax.errorbar(k, expected, np.abs(edges.T - expected), fmt="D", color=PURPLE, ecolor="black", capsize=7,
                markersize=7, label="predicted, with the range of chance (99 %)")  # fmt: skip
    your_line(ax, you, f"{you} need one send")
    ax.set(xlabel="sends", ylabel="questions", title="How often must a question be sent?", xticks=k)
    ax.set_ylim(0, 1.3 * max(1, ax.get_ylim()[1]))
    ax.legend(loc="upper right")
    lines = [
        f"sent {sends} {'time ' if sends == 1 else 'times'}: {count:4} of {len(trials)}, "
        f"predicted {mean:.0f} (chance allows {low:.0f} to {high:.0f})"
        for sends, count, mean, (low, high) in zip(theory, counts, expected, edges, strict=True)
    ]
    lost = sum(trial.outcome.answer is None for trial in trials)
    return "\n".join([*lines, f"without an answer: {lost}, predicted {odds.give_up(fail, tries) * len(trials):.0f}"])


def give_up(ax, one_way, both_ways, count, tries, you=None):
    """Draw the share of questions without an answer against the loss, predicted curves and measured points.

    one_way, both_ways: dicts from the loss (0 to 1) to the number among `count` questions that got no answer
    you: a learner's guess of the share in % when half is lost both ways
    """
    loss = np.linspace(0, 1, 201)
    for points, fail, colour, mark, size, style, label in (
        (one_way, loss, BLUE, "o", 11, "-", "requests lost"),
        (both_ways, odds.failure(loss, loss), RED, "s", 5, "--", "requests and answers lost"),
    ):
        ax.plot(loss * 100, odds.give_up(fail, tries) * 100, style, color=colour, label=f"{label}: predicted")
        x, shares = np.array(list(points)), np.array(list(points.values())) / count
        chance = np.array([odds.give_up(odds.failure(p, p if points is both_ways else 0), tries) for p in points])
        edges = np.array([odds.interval(share, count) for share in chance]).T / count
        errors = np.maximum(np.abs(edges - chance), 0) * 100
        ax.errorbar(x * 100, chance * 100, errors, fmt="none", ecolor=colour, capsize=6)
        # Circles larger than squares, so that both are seen where they meet.
        ax.plot(x * 100, shares * 100, mark, color=colour, markersize=size, label=f"{label}: measured")
    if you is not None:
        ax.plot([50], [you], "*", color="black", markersize=14, label=f"{YOU}{you:g} % (both, at 50 %)", zorder=5)
    ax.set(xlabel="loss in %", ylabel="no answer in %", title=f"How many give up after {tries} tries?", ylim=(-3, 105))
    ax.legend(loc="upper left", fontsize=11)
    return _give_up_in_words(one_way, both_ways, count, tries)


def _give_up_in_words(one_way, both_ways, count, tries):
    """Return a table."""
    lines = ["  loss   requests lost            requests and answers lost"]
    lines += ["         predicted  measured      predicted  measured"]
    for loss in one_way:
        cells = []
        for points, fail in ((one_way, loss), (both_ways, odds.failure(loss, loss))):
            cells.append(f"{odds.give_up(fail, tries):9.2%}  {points[loss] / count:8.1%}")
        lines.append(f"{loss:6.0%}   {'      '.join(cells)}")
    return "\n".join(lines)


def policies(ax, results, silent):
    """Draw which share of the questions had its answer after so many seconds, and how often each was sent.

    results: a dict from a policy's name to its `experiments.Trial`; silent: to its sends for a silent server
    """
    resize(ax, 8, 4)
    left, right = split(ax, 1, 1)
    styles, lines = itertools.cycle(("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)))), []
    for (name, trials), style in zip(results.items(), styles, strict=False):
        times = np.sort([spent(trial.outcome) for trial in trials if trial.outcome.answer is not None])
        share = np.arange(1, len(times) + 1) / len(trials) * 100
        left.step([0, *times, 3.3], [0, *share, max(share, default=0)], linestyle=style, where="post", label=name)
        mean = np.mean([len(trial.outcome.attempts) for trial in trials])
        lines.append(
            f"{name:12} answered {len(times) / len(trials):6.1%}, {mean:.2f} sends ({silent[name]} to a silent server)"
        )
        lines[-1] += f", mean time {np.mean(times):.2f} s, longest {max(times):.2f} s" if len(times) else ""
    left.set(xlabel="s since the first send", ylabel="answered in %", title="Served in the first 3.3 s")
    left.set(xlim=(0, 3.3), ylim=(0, 105))
    left.legend(loc="lower right")
    _price(right, results, silent)
    return "\n".join(lines)


def _price(ax, results, silent):
    """Draw how often each policy sends a question on average, as bars, and how often to a server that is silent."""
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


# --- The herd, the adaptive wait ---


def herd(ax, herds, capacity=10):
    """Draw how many datagrams reach a server in each step of time, for each `experiments.Herd` of a dict by name.

    capacity: how many the server can read in a step
    """
    ax.set_xscale("symlog", linthresh=0.1, linscale=1.5)  # room for the short time in which jitter spreads them
    looks, lines = itertools.cycle([(RED, "o"), (BLUE, "s"), (GREEN, "^"), (PURPLE, "D")]), []
    for (name, each), (colour, mark) in zip(herds.items(), looks, strict=False):
        steps = np.flatnonzero(each.arrived)
        numbers = np.array(each.arrived)[steps]
        ax.vlines(steps * each.step, 0, numbers, color=colour, linewidth=2)
        ax.plot(steps * each.step, numbers, mark, color=colour, markersize=7, label=name)
        lines.append(
            f"{name}: sent {sum(each.arrived)}, dropped by the full queue {each.dropped}, "
            f"most at once {max(each.arrived)}, clients that gave up {each.left}"
        )
    ax.axhline(capacity, linestyle="--", color="black", label="what the server can read")
    ax.set(xlabel="s since all failed (log scale from 0.1 s on)", ylabel=f"datagrams in {each.step:g} s")
    most = max(100, *(max(each.arrived) for each in herds.values()))  # clients: the lesson has 100
    ax.set(title="The herd comes back", xlim=(-0.01, 2.5), ylim=(0, 1.2 * most))
    plain(ax.xaxis, [0, 0.05, 0.1, 0.3, 0.7, 1.5])
    ax.legend(loc="upper right")
    return "\n".join(lines)


def in_vain(round_trips, track):
    """Return how many questions would have been sent again although their answer was on its way."""
    return sum(round_trip > wait for round_trip, (_, wait) in zip(round_trips, track, strict=True))


def adaptive(ax, round_trips, track, predicted, fixed, delays):
    """Draw round trips, and the waits that follow them.

    round_trips: measured, in seconds; track, predicted: what `experiments.follow` made of the measured ones and of
    those that the network was set to; fixed: a wait that does not follow, in seconds
    delays: the round trips that the network was set to, in seconds
    """
    number = np.arange(1, len(round_trips) + 1)
    ax.plot(number, np.array(round_trips) * 1e3, ".", color=BLUE, markersize=8, label="round trip (measured)")
    ax.plot(number, [smoothed * 1e3 for smoothed, _ in track], "-.", color=GREEN, label="smoothed")
    # The first wait is the 1 s of a client that knows nothing; it would flatten all the others.
    for each, line, colour, label in ((track, "-", RED, "adaptive wait"), (predicted, ":", "black", "as predicted")):
        ax.plot(number[1:], [wait * 1e3 for _, wait in each[1:]], line, color=colour, label=label)
    ax.axhline(fixed * 1e3, linestyle="--", color=PURPLE, label=f"fixed wait: {fixed * 1e3:g} ms")
    ax.set(xlabel="question", ylabel="time in ms", title="A wait that follows the round trips")
    ax.set_ylim(0, 1.5 * ax.get_ylim()[1])
    ax.legend(loc="upper right", ncols=2, fontsize=11)
    lines = []
    for delay in dict.fromkeys(delays):
        times = [time for time, at in zip(round_trips, delays, strict=True) if at == delay]
        lines.append(f"set to {delay * 1e3:g} ms: median round trip {np.median(times) * 1e3:.1f} ms")
    lines.append(f"last adaptive wait: measured {track[-1][1] * 1e3:.1f} ms, predicted {predicted[-1][1] * 1e3:.1f} ms")
    vain = sum(delay > fixed for delay in delays)
    lines.append(f"sent again for nothing (predicted), fixed wait: {vain} of {len(delays)}")
    lines.append(f"sent again for nothing (predicted), adaptive wait: {in_vain(delays, predicted)} of {len(delays)}")
    return "\n".join(lines)
