"""The plots of lesson 2-2 for many questions, each with its text twin. Those for one are in `plots`."""

import itertools

import numpy as np

from udplab.kit.picture import BLUE, GREEN, PURPLE, RED, axes, plain
from udplab.retry import odds
from udplab.retry.experiments import spent

# --- How many sends, and how many give up ---


def counted(trials, tries):
    """Return a list: how many of the `experiments.Trial` were sent once, twice, ... `tries` times."""
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

    results: a dict from a policy's name to its `experiments.Trial`
    """
    ax = axes(ax)
    styles = itertools.cycle(("-", "--", "-.", ":"))
    for (name, trials), style in zip(results.items(), styles, strict=False):
        times = np.sort([spent(trial.outcome) for trial in trials if trial.outcome.answer is not None])
        share = np.arange(1, len(times) + 1) / len(trials) * 100
        ax.step([0, *times, 3.3], [0, *share, max(share, default=0)], style, where="post", label=name)
    ax.set(xlabel="s since the first send", ylabel="answered in %", title="Who is served in the first 3.3 s?")
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
        line = (
            f"{name:12} answered {len(times) / len(trials):6.1%}, {mean:.2f} sends ({silent[name]} to a silent server)"
        )
        lines.append(line + (f", mean time {np.mean(times):.2f} s, longest {max(times):.2f} s" if times else ""))
    return "\n".join(lines)


# --- The herd, the adaptive wait ---


def herd(herds, capacity=10, ax=None):
    """Draw how many datagrams reach a server in each step of time, for each `experiments.Herd` of a dict by name.

    capacity: how many the server can read in a step
    """
    ax = axes(ax)
    ax.set_xscale("symlog", linthresh=0.1, linscale=1.5)  # room for the short time in which jitter spreads them
    looks = itertools.cycle([(RED, "o"), (BLUE, "s"), (GREEN, "^"), (PURPLE, "D")])
    for (name, each), (colour, mark) in zip(herds.items(), looks, strict=False):
        steps = np.flatnonzero(each.arrived)
        numbers = np.array(each.arrived)[steps]
        ax.vlines(steps * each.step, 0, numbers, color=colour, linewidth=2)
        ax.plot(steps * each.step, numbers, mark, color=colour, markersize=7, label=name)
    ax.axhline(capacity, linestyle="--", color="black", label="what the server can read")
    ax.set(xlabel="s since all failed (log scale from 0.1 s on)", ylabel=f"datagrams in {each.step:g} s")
    most = max(100, *(max(each.arrived) for each in herds.values()))  # clients: the lesson has 100
    ax.set(title="The herd comes back", xlim=(-0.01, 2.5), ylim=(0, 1.2 * most))
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

    round_trips: measured, in seconds; track, predicted: what `experiments.follow` made of the measured ones and of
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
    ax.set(xlabel="question", ylabel="time in ms", title="A wait that follows the round trips")
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
