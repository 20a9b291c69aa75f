"""The arithmetic: rounds in turn, ratios within a round, quartiles, growth.

A machine is now faster, now slower. So contenders take turns within a round, each round begins with another one, and
only what was measured in the same round is divided by one another.
"""

import collections
import math
import re
import statistics

ROUNDS = 7

Line = collections.namedtuple("Line", "what ours theirs ratios goal", defaults=(None,))
Line.__doc__ = """One line of a table.

what: words
ours, theirs: texts with units
ratios: a number for each round; [] where the figure is compared with nothing
goal: ("at most" or "at least", number) for the median of the ratios, or None
"""


def interleaved(contenders, rounds=ROUNDS):
    """Call each contender in each round, in an order that rotates; return {name: [result of each round]}.

    contenders: {name: a function without arguments}. A round before the first warms up and does not count.
    """
    names = list(contenders)
    results = {name: [] for name in names}
    for number in range(1 + rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            results[name].append(contenders[name]())
    return {name: values[1:] for name, values in results.items()}


def ratios(ours, theirs):
    """Return our result over theirs, for each round."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def compare(results, ours, unit, goals, what="{}"):
    """Yield a `Line` for each contender but `ours`. goals: {name: goal}; what: a text with the name's place."""
    for name, values in results.items():
        if name != ours:
            middle = [unit(statistics.median(each)) for each in (results[ours], values)]
            yield Line(what.format(name), *middle, ratios(results[ours], values), goals.get(name))


def alone(what, values):
    """Return a `Line` for times that are compared with nothing: their median, and their quartiles behind it."""
    low, median, high = map(seconds, quartiles(values))
    return Line(what, f"{median} ({low} to {high})", "", [])


def quartiles(values):
    """Return the lower quartile, the median and the upper quartile."""
    return statistics.quantiles(values, n=4, method="inclusive")


def met(line):
    """Return whether the median of the line's ratios reaches its goal."""
    kind, limit = line.goal
    median = round(quartiles(line.ratios)[1], 2)  # as shown
    return median <= limit if kind == "at most" else median >= limit


def exponent(sizes, costs):
    """Return b of the least-squares fit cost = a * size**b: 1 is linear growth."""
    x, y = ([math.log(value) for value in values] for values in (sizes, costs))
    return statistics.linear_regression(x, y).slope


def seconds(value):
    """Return a time as text, with three digits and a unit that suits it."""
    for unit, factor in (("s", 1), ("ms", 1e3)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"


def lasted(text):
    """Return the seconds in a time as uv writes it: "395ms", "3.21s", "1m 02s"."""
    units = {"m": 60, "s": 1, "ms": 1e-3}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|m|s)", text))


def per_second(value):
    return f"{value:,.0f}/s"


def megabytes(value):
    """Return a number of bytes as text, in MB or GB."""
    return f"{value / 1e9:.3g} GB" if value >= 1e9 else f"{value / 1e6:.3g} MB"
