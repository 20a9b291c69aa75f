"""The playgrounds of lesson 2-2: a network as bad as the reader likes, a herd, and a wait that follows the network."""

import time

import numpy as np

from udplab.kit.picture import BLUE, GREY, RED, split
from udplab.kit.playground import Playground, choice, number, tick
from udplab.retry import experiments, odds, plots, plots_of_many, policies

POLICIES = ("exponential", "fixed", "Internet (1 s at least)")
QUESTIONS, STEPS = 300, 12  # for a picture within a moment: questions; round trips for each delay
BEFORE = {"color": GREY, "alpha": 0.6, "zorder": 0}  # how the last run is drawn beside this one


def policy(name, first, limit, jitter=False):
    """Return a function of a generator of random numbers that gives the policy's delays (seconds).

    Raises ValueError, in words, for a policy that has none.
    """
    start = max(first, 1.0) if name.startswith("Internet") else first
    if name != "fixed" and start > limit:
        raise ValueError(f"the first wait, {start:g} s, is longer than the longest: nothing would be sent.")

    def delays(rng):
        waits = policies.fixed(first, 5) if name == "fixed" else policies.exponential(start, limit)
        return (rng.uniform(0, wait) for wait in waits) if jitter else waits

    return delays


def tries(name, first, limit, **_):
    """Return how often such a policy sends."""
    return len(list(policy(name, first, limit)(None)))


def questions():
    """Return a `Playground`: questions through a network that loses what its controls say."""
    controls = {
        "loss": number("requests lost", 50, 0, 100, "%"),
        "answer_loss": number("answers lost", 0, 0, 100, "%"),
        "name": choice("policy", POLICIES),
        "first": number("first wait", 0.1, 0.05, 2, "s", step=0.05),
        "limit": number("longest wait", 2, 0.1, 16, "s", step=0.1),
        "jitter": tick("jitter (random waits)"),
    }

    def measure(loss, answer_loss, name, first, limit, jitter):
        delays, seed = policy(name, first, limit, jitter), time.time_ns()
        yield from experiments.ask_often(QUESTIONS, delays, loss / 100, answer_loss / 100, seed, batch=20)

    def draw(ax, measured, values, before):
        left, middle, right = split(ax, 1.25, 1, 1)
        again = [trial for trial in measured if len(trial.outcome.attempts) > 1]
        last = (again or measured)[-1]
        plots.tries(left, last.outcome, last.fates)
        left.set_xlim(-1.3, 1.15)  # room for the waits' lengths in a part of the picture
        left.set_title("One that was sent again" if again else "A question", pad=24)
        words = _bars(middle, measured, values, before)
        _curve(right, measured, values, before)
        return words

    return Playground(controls, measure, draw, (8, 3.15), {"left": 0.1, "right": 0.98, "top": 0.8, "wspace": 0.35})


def _bars(ax, measured, values, before):
    """Draw how often the questions were sent, and return it in words."""
    if before:
        trials, last = before
        most = tries(**last)
        ax.bar(range(1, most + 1), plots_of_many.counted(trials, most), 0.9, fill=False, edgecolor=GREY, zorder=0)
    fail = odds.failure(values["loss"] / 100, values["answer_loss"] / 100)
    words = plots_of_many.how_often(ax, measured, fail, tries(**values))
    ax.get_legend().remove()
    ax.set(ylim=(0, 1.15 * len(measured)))
    ax.set_title(f"Sends of {len(measured)}\n(◆ predicted)", fontsize=12)
    return words


def _curve(ax, measured, values, before):
    """Draw how many give up, against the loss of requests: predicted for this policy, and what was measured."""
    loss = np.linspace(0, 1, 101)
    sides = [(measured, values, {"color": BLUE}, {"color": RED, "zorder": 3})]
    for trials, each, line, mark in [(*before, BEFORE, BEFORE), *sides] if before else sides:
        curve = odds.give_up(odds.failure(loss, each["answer_loss"] / 100), tries(**each))
        lost = np.mean([trial.outcome.answer is None for trial in trials])
        ax.plot(loss * 100, curve * 100, **line)
        ax.plot([each["loss"]], [lost * 100], "o", markersize=9, **mark)
    ax.set(xlim=(-4, 104), ylim=(-4, 104), xlabel="requests lost in %", xticks=(0, 50, 100), yticks=(0, 50, 100))
    ax.set_title("No answer, in %\n(line: predicted)", fontsize=12)


def herds():
    """Return a `Playground`: clients that failed together come back, with as much jitter as one likes."""
    controls = {
        "jitter": number("jitter", 0, 0, 100, "%"),
        "clients": number("clients", 100, 10, 300, step=10),
        "capacity": number("reads in 0.01 s", 10, 1, 50),
    }

    def measure(jitter, clients, capacity):
        def delays(rng):
            return (rng.uniform((1 - jitter / 100) * wait, wait) for wait in policies.exponential())

        yield [experiments.herd(delays, clients, capacity, seed=time.time_ns())]

    def draw(ax, measured, values, before):
        if before:
            [last], _ = before
            steps = np.flatnonzero(last.arrived)
            ax.vlines(steps * last.step, 0, np.array(last.arrived)[steps], linewidth=6, label="before", **BEFORE)
        words = plots_of_many.herd(ax, {f"jitter {values['jitter']} %": measured[0]}, values["capacity"])
        ax.set_ylim(0, 1.4 * values["clients"])
        return words

    return Playground(controls, measure, draw)


def adaptive():
    """Return a `Playground`: round trips through a network whose delay changes twice, and the wait that follows."""
    controls = {
        "one": number("delay first and last", 2, 1, 20, "ms"),
        "two": number("delay between", 15, 1, 20, "ms"),
        "fixed": number("fixed wait", 10, 1, 60, "ms"),
    }

    def delays(one, two, **_):
        return [delay / 1000 for delay in (one, two, one) for _ in range(STEPS)]

    def measure(**values):
        return ([round_trip] for round_trip in experiments.round_trips(delays(**values)))

    def draw(ax, measured, values, before):
        steps = delays(**values)[: len(measured)]
        measured_track, track = (experiments.follow(each, policies.Rto(lowest=0)) for each in (measured, steps))
        if before:
            waits = [wait * 1e3 for _, wait in experiments.follow(before[0], policies.Rto(lowest=0))]
            ax.plot(range(2, len(waits) + 1), waits[1:], label="adaptive wait before", **BEFORE)
        words = plots_of_many.adaptive(ax, measured, measured_track, track, values["fixed"] / 1000, steps)
        ax.set(xlim=(0, 3 * STEPS + 1), ylim=(0, max(130, ax.get_ylim()[1])))  # more only on a busy machine
        return words

    return Playground(controls, measure, draw, (8, 3.3))
