"""The playground of lesson 2-2: questions through a network as bad as the reader likes."""

import time

from udplab.kit.picture import split
from udplab.kit.playground import Playground, choice, number, tick
from udplab.retry import experiments, odds, plots, plots_of_many, policies

POLICIES = ("exponential", "fixed", "Internet (1 s at least)")


def policy(name, first, limit, jitter):
    """Return a function of a generator of random numbers that gives the policy's delays (seconds)."""

    def delays(rng):
        if name == "fixed":
            waits = policies.fixed(first, 5)
        elif name == "exponential":
            waits = policies.exponential(first, limit)
        else:
            waits = policies.internet(first, limit)
        return (rng.uniform(0, wait) for wait in waits) if jitter else waits

    return delays


def questions():
    """Return a `Playground` that asks through a lossy network of its own, which runs as long as the experiment."""
    controls = {
        "loss": number("requests lost", 50, 0, 100, "%"),
        "answer_loss": number("answers lost", 0, 0, 100, "%"),
        "name": choice("policy", POLICIES),
        "first": number("first wait", 0.1, 0.05, 2, "s", step=0.05),
        "limit": number("longest wait", 2, 0.1, 16, "s", step=0.1),
        "jitter": tick("jitter (random waits)"),
        "questions": number("questions", 1000, 50, 10_000, step=50),
    }

    def measure(loss, answer_loss, name, first, limit, jitter, questions):
        delays = policy(name, first, limit, jitter)
        if not list(policy(name, first, limit, False)(None)):
            raise ValueError("the first wait is longer than the longest, so nothing would be sent.")
        yield from experiments.ask_often(questions, delays, loss / 100, answer_loss / 100, time.time_ns(), batch=20)

    def draw(ax, measured, values, before):
        left, right = split(ax, 1.3, 1)
        again = [trial for trial in measured if len(trial.outcome.attempts) > 1]
        last = (again or measured)[-1]
        plots.ladder(last.outcome, last.fates, left)
        settings = [values[name] for name in ("name", "first", "limit")]
        tries = len(list(policy(*settings, False)(None)))
        fail = odds.failure(values["loss"] / 100, values["answer_loss"] / 100)
        plots_of_many.sends(measured, fail, tries, right)
        left.set_xlim(-0.85, 1.15)  # room for the waits' lengths in half a figure
        left.set_title("The last one sent again" if again else "The last question", pad=24)
        right.set_title("Sends (◆ predicted)", pad=24)
        right.get_legend().remove()
        right.set_ylim(0, 1.15 * right.get_ylim()[1] / 1.3)
        return plots_of_many.describe_sends(measured, fail, tries)

    return Playground(controls, measure, draw, (8, 4.6), {"top": 0.82, "right": 0.95})
