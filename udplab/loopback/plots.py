"""The plots of lesson 2-1, each with its text twin."""

import collections

import numpy as np

from udplab.kit.picture import BLUE, GREEN, GREY, PURPLE, RED, axes, below, micros, plain, spread, unit
from udplab.kit.words import shown

Arrow = collections.namedtuple("Arrow", "start end rightward text", defaults=("",))
Arrow.__doc__ = """One datagram in a ladder diagram.

start, end: when it was sent and received, in seconds
rightward: True from the client to the server
text: what to write along the arrow
"""


def ladder(arrows, ax=None):
    """Draw datagrams between client and server; time runs downwards and starts at the first arrow. Returns the Axes."""
    zero, span = extent(arrows)
    name, factor = unit(span)
    height = span * factor
    ax = axes(ax, figsize=(8, min(1 + 1.3 * len(arrows), 9)))
    moments = ([], [])  # for each lifeline, when something left or arrived there
    for arrow in arrows:
        side, tip, colour = (0, 1, BLUE) if arrow.rightward else (1, 0, GREEN)
        start, end = (arrow.start - zero) * factor, (arrow.end - zero) * factor
        moments[side].append(start)
        moments[tip].append(end)
        line = {"arrowstyle": "-|>", "color": colour, "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (tip, end), (side, start), arrowprops=line)
        box = {"facecolor": "white", "edgecolor": "none", "pad": 2}
        ax.text(0.5, (start + end) / 2, arrow.text, ha="center", va="center", fontsize=11, bbox=box)
    for side, times in enumerate(moments):
        ax.plot([side, side], [-0.12 * height, 1.12 * height], color=GREY, linewidth=3, zorder=0)
        beside, align = (side + 0.06, "left") if side else (side - 0.06, "right")
        for time, place in zip(sorted(times), spread(sorted(times), 0.3 * height / len(arrows)), strict=True):
            label = f"{time:.0f} {name}" if height >= 10 else f"{time:.3g} {name}"
            pointer = {"arrowstyle": "-", "color": GREY, "shrinkA": 0, "shrinkB": 0}
            ax.annotate(label, (side, time), (beside, place), ha=align, va="center", arrowprops=pointer)
    ax.set(xlim=(-0.3, 1.3), ylim=(1.15 * height, -0.15 * height), yticks=[])
    ax.set_xticks([0, 1], ["client", "server"], fontsize=13, fontweight="bold")
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.grid(False)
    return ax


def extent(arrows):
    """Return (when the first datagram was sent, how long it all took), in seconds."""
    times = [time for arrow in arrows for time in (arrow.start, arrow.end)]
    return min(times), max(times) - min(times)


def describe_ladder(arrows):
    """Return the text twin of `ladder`: a line for each datagram."""
    zero, span = extent(arrows)
    name, factor = unit(span)
    lines = []
    for arrow in arrows:
        way = "client -> server" if arrow.rightward else "server -> client"
        start, end = (f"{(time - zero) * factor:.3g} {name}" for time in (arrow.start, arrow.end))
        lines.append(f"{way}: sent at {start}, received at {end}: {arrow.text}")
    return "\n".join(lines)


def exchange(exchange, record, ax=None):
    """Draw a question as the client saw it (`Exchange`) and the server (`kit.server.Record`), as a ladder."""
    return ladder(_arrows(exchange, record), ax=ax)


def describe_exchange(exchange, record):
    """Return the text twin of `exchange`."""
    return describe_ladder(_arrows(exchange, record))


def _arrows(exchange, record):
    return [
        Arrow(exchange.sent, record.time, True, shown(exchange.question, 40)),
        Arrow(record.sent, exchange.received, False, shown(exchange.answer, 40)),
    ]


def over_time(times, ax=None):
    """Draw round-trip times (seconds, nan for a lost one) as dots in the order they were measured."""
    ax = axes(ax)
    times = np.asarray(times) * 1e6
    ax.plot(np.arange(1, len(times) + 1), times, ".", color=BLUE, markersize=4, label="round trip")
    lost = np.flatnonzero(np.isnan(times)) + 1
    if len(lost):
        ax.plot(lost, np.full(len(lost), 0.04), "x", color=RED, transform=ax.get_xaxis_transform(), label="no answer")
        # Above the dots, beside the title: a slow round trip can lie anywhere.
        ax.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0, handletextpad=0.2, columnspacing=1
        )
    ax.set(xlabel="datagram number", ylabel="round trip in µs", title="Round-trip times, one after another (log scale)")
    if np.isfinite(times).any():
        ax.set_yscale("log")
        micros(ax.yaxis, times)
    return ax


def cumulative(times, ax=None):
    """Draw which share of the round trips (seconds) took at most so long; median and 99th percentile are marked."""
    ax = axes(ax)
    times = answered(times) * 1e6
    if not len(times):
        ax.set_title("No answer came")
        return ax
    ax.step(times, np.arange(1, len(times) + 1) / len(times) * 100, where="post", color=BLUE)
    for share, style, colour in ((50, "--", GREEN), (99, ":", RED)):
        value = np.percentile(times, share)
        label = "median" if share == 50 else "99th percentile"
        ax.axvline(value, linestyle=style, color=colour, label=f"{label}: {value:.1f} µs")
    ax.set(
        xlabel="time in µs (log scale)",
        ylabel="share in %",
        title="Share of answers that came within a time",
        xscale="log",
    )
    micros(ax.xaxis, times)
    below(ax)
    return ax


def describe_round_trips(times):
    """Return the text twin of `over_time` and `cumulative`."""
    good = answered(times) * 1e6
    text = f"{len(times)} round trips, {len(times) - len(good)} without an answer"
    if not len(good):
        return text
    median, high = np.percentile(good, [50, 99])
    return (
        f"{text}\nshortest {good[0]:.1f} µs, median {median:.1f} µs, "
        f"99th percentile {high:.1f} µs, longest {good[-1]:.1f} µs"
    )


def in_bytes(size):
    """Return "1 byte" or "N bytes"."""
    return f"{size} byte{'' if size == 1 else 's'}"


def by_size(results, ax=None):
    """Draw the median round trip against payload size, with the quartiles as a band.

    results: a dict from size in bytes to round-trip times in seconds
    """
    ax = axes(ax)
    results = {size: times for size, times in results.items() if len(answered(times))}
    if not results:
        ax.set_title("No answer came")
        return ax
    sizes = list(results)
    low, median, high = np.transpose([np.percentile(answered(times), [25, 50, 75]) for times in results.values()]) * 1e6
    ax.fill_between(sizes, low, high, color=PURPLE, alpha=0.4, label="from the first to the third quartile")
    ax.plot(sizes, median, "o-", color=BLUE, label="median")
    ax.set(
        xlabel="payload in bytes (log scale)",
        ylabel="round trip in µs",
        title="Round trip and payload size",
        xscale="log",
    )
    ax.set_ylim(0, 1.5 * high.max())
    plain(ax.xaxis, [1, 10, 100, 1000, 10_000, 65_507])
    ax.legend(loc="upper left")
    return ax


def describe_sizes(results):
    """Return the text twin of `by_size`: a line for each size, and how the last compares with the first."""
    lines, medians = [], []
    for size, times in results.items():
        if not len(answered(times)):
            lines.append(f"{in_bytes(size):>12}: no answer")
            continue
        low, median, high = np.percentile(answered(times), [25, 50, 75]) * 1e6
        lines.append(f"{in_bytes(size):>12}: median {median:.1f} µs, quartiles {low:.1f} µs and {high:.1f} µs")
        medians.append((size, median))
    if len(medians) > 1:
        (first, short), *_, (last, long) = medians
        lines.append(f"{last} bytes took {long / short:.1f} times as long as {first}")
    return "\n".join(lines)


def kept(bursts, ax=None):
    """Draw how many datagrams of each `Burst` the full queue kept, against payload size."""
    ax = axes(ax)
    sizes, numbers = [burst.size for burst in bursts], [burst.kept for burst in bursts]
    ax.plot(sizes, numbers, "s-", color=BLUE, label="kept (measured)")
    ax.axhline(bursts[0].sent, linestyle="--", color=PURPLE, label=f"sent: {bursts[0].sent:,}")
    ax.set(xlabel="payload in bytes", ylabel="datagrams", title="What a full receive queue keeps (log scales)")
    ax.set(xscale="log", yscale="log", ylim=(1, bursts[0].sent * 2))
    plain(ax.xaxis, [1, 10, 100, 1000, 10_000, 65_507])
    plain(ax.yaxis, [1, 10, 100, 1000])
    ax.legend(loc="lower left")
    return ax


def describe_bursts(bursts):
    """Return the text twin of `kept`: a line for each burst."""
    lines = []
    for burst in bursts:
        if burst.dropped is None:
            fate = f"kept {burst.kept}, so {burst.sent - burst.kept} are missing (this system does not count them)"
        else:
            fate = f"kept {burst.kept} + dropped by the kernel {burst.dropped} = {burst.kept + burst.dropped}"
        lines.append(f"{in_bytes(burst.size):>12}: sent {burst.sent}, {fate}")
    return "\n".join(lines)


def answered(times):
    """Return the times that are not nan, sorted, as an array."""
    times = np.asarray(times, dtype=float)
    return np.sort(times[~np.isnan(times)])
