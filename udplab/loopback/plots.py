"""The pictures of lesson 2-1. Each draws on the Axes it is given, and returns what it shows in words."""

import math

import numpy as np

from udplab.kit.picture import BLUE, GREEN, GREY, PURPLE, RED, below, micros, plain, your_line
from udplab.kit.sockets import LARGEST


def over_time(ax, times, before=()):
    """Draw round-trip times (seconds, nan for a lost one) as dots in the order they were measured.

    before: those of an earlier run, to be drawn in grey
    """
    micro, old = np.asarray(times) * 1e6, np.asarray(before) * 1e6
    if np.isfinite(old).any():
        ax.plot(np.arange(1, len(old) + 1), old, ".", color="#BBBBBB", markersize=3)
    ax.plot(np.arange(1, len(micro) + 1), micro, ".", color=BLUE, markersize=4, label="round trip")
    lost = np.flatnonzero(np.isnan(micro)) + 1
    if len(lost):
        ax.plot(lost, np.full(len(lost), 0.04), "x", color=RED, transform=ax.get_xaxis_transform(), label="no answer")
        # Above the dots, beside the title: a slow round trip can lie anywhere.
        ax.legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0, handletextpad=0.2, columnspacing=1
        )
    ax.set(xlabel="datagram number", ylabel="round trip in µs", title="Round-trip times in order (log scale)")
    if np.isfinite(both := np.concatenate([micro, old])).any():
        ax.set_yscale("log")
        micros(ax.yaxis, both)
    return in_words(times)


def cumulative(ax, times, you=None):
    """Draw which share of the round trips (seconds) took at most so long; median and 99th percentile are marked.

    you: a learner's prediction of the median, in µs
    """
    words, times = in_words(times), answered(times) * 1e6
    if not len(times):
        ax.set_title("No answer came")
        return words
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
    your_line(ax, you, f"{you} µs", axis="x")
    below(ax)
    return words


def in_words(times):
    """Return what `over_time` and `cumulative` show, in words."""
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
    return f"{size:,} byte{'' if size == 1 else 's'}"


def by_size(ax, results):
    """Draw the median round trip against payload size: a fixed price, and what the bytes add to it.

    results: a dict from size in bytes to round-trip times in seconds
    """
    medians = {size: median(times) * 1e6 for size, times in results.items() if len(answered(times))}
    lines = [f"{in_bytes(size):>12}: {f'median {medians[size]:.1f} µs' if size in medians else 'no answer'}"
             for size in results]  # fmt: skip
    if not medians:
        ax.set_title("No answer came")
        return "\n".join(lines)
    sizes, heights = list(medians), list(medians.values())
    ax.fill_between(sizes, min(heights), color=GREY, alpha=0.2, label="the fixed price of a round trip")
    ax.fill_between(sizes, min(heights), heights, color=PURPLE, alpha=0.4, label="what the bytes add")
    ax.plot(sizes, heights, "o-", color=BLUE, label="median of the round trips")
    ax.set(xlabel="payload in bytes", ylabel="round trip in µs", title="Round trip and payload size")
    ax.set(xlim=(0, None), ylim=(0, 1.1 * max(heights)))
    ticks = [size for index, size in enumerate(sizes) if index == 0 or size - sizes[index - 1] > sizes[-1] / 12]
    ax.set_xticks(ticks, [f"{size:,}" for size in ticks])
    below(ax)
    if len(medians) > 1:
        lines.append(f"{sizes[-1]:,} bytes took {heights[-1] / heights[0]:.1f} times as long as {sizes[0]:,}")
    return "\n".join(lines)


def kept(ax, bursts, you=None):
    """Draw how many datagrams of each `Burst` the full queue kept, against payload size.

    you: a learner's prediction of how many of the smallest are kept
    """
    sizes, numbers = [burst.size for burst in bursts], [burst.kept for burst in bursts]
    ax.plot(sizes, numbers, "s-", color=BLUE, label="kept (measured)")
    ax.axhline(bursts[0].sent, linestyle="--", color=PURPLE, label=f"sent: {bursts[0].sent:,}")
    your_line(ax, you, f"{you:,}" if you is not None else "")
    ax.set(xlabel="payload in bytes", ylabel="datagrams", title="What a full receive queue keeps (log scales)")
    ax.set(xscale="log", yscale="log", ylim=(1, 2 * max(bursts[0].sent, you or 0)))
    plain(ax.xaxis, [1, 10, 100, 1000, 10_000, LARGEST])
    plain(ax.yaxis, [1, 10, 100, bursts[0].sent])
    below(ax)
    return "\n".join(map(fate, bursts))


def queue(ax, burst, before=None):
    """Draw what became of a `Burst`: a bar of the datagrams that were kept, and those that were dropped.

    before: an earlier one, to be drawn in grey
    """
    rows = [("now", burst, (BLUE, "white"), RED)] + [("before", before, (GREY, "#EEEEEE"), GREY)] * (before is not None)
    for place, (_, each, (kept_colour, lost_colour), edge) in enumerate(rows):
        lost = each.sent - each.kept
        ax.barh(-place, each.kept, 0.6, color=kept_colour)
        ax.barh(-place, lost, 0.6, left=each.kept, color=lost_colour, edgecolor=edge, hatch="//")
        ax.text(each.sent * 0.5, -place, f" {each.kept:,} kept, {lost:,} dropped ", va="center", ha="center",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    ax.set_yticks([-place for place in range(len(rows))], [name for name, *_ in rows])
    ax.set(xlabel="datagrams", ylim=(-1.5, 0.5), xlim=(0, max(each.sent for _, each, *_ in rows)))
    ax.set_title("What the queue has kept (full) and dropped (hatched)")
    ax.grid(False)
    return fate(burst)


def fate(burst):
    """Return the line that says what became of a `Burst`."""
    if burst.dropped is None:
        known = f"kept {burst.kept}, so {burst.sent - burst.kept} are missing (this system does not count them)"
    else:
        known = f"kept {burst.kept} + dropped by the kernel {burst.dropped} = {burst.kept + burst.dropped}"
    refused = f" ({burst.refused} more were refused by the system)" if burst.refused else ""
    return f"{in_bytes(burst.size):>12}: sent {burst.sent}, {known}{refused}"


def median(times):
    """Return the median of those times that are not nan; nan where there are none."""
    return float(np.median(answered(times))) if len(answered(times)) else math.nan


def answered(times):
    """Return the times that are not nan, sorted, as an array."""
    times = np.asarray(times, dtype=float)
    return np.sort(times[~np.isnan(times)])
