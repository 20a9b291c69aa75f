"""The plots of lesson 2-1, each with its text twin."""

import numpy as np

from udplab.plots import BLUE, GREEN, PURPLE, RED, Arrow, axes, below, describe_ladder, ladder
from udplab.serving import shown


def exchange(exchange, record, ax=None):
    """Draw a question as the client saw it (`loopback.Exchange`) and the server (`serving.Record`) as a ladder."""
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


def plain(axis, ticks):
    """Put ticks with plain numbers on a logarithmic axis."""
    axis.set_ticks(ticks, [f"{tick:,}" for tick in ticks])
    axis.set_ticks([], minor=True)


def micros(axis, values):
    """Put plain ticks on a logarithmic axis of times: 1, 2, 5, 10 ... as far as the values reach."""
    low, high = np.nanmin(values), np.nanmax(values)
    ticks = [step * 10**power for power in range(7) for step in (1, 2, 5)]
    inside = [tick for tick in ticks if low / 2 <= tick <= high * 2]
    plain(axis, inside if len(inside) <= 8 else [tick for tick in inside if str(tick)[0] == "1"])
