"""The plots of lesson 2-3, each with its text twin.

Where a function takes `measured` and `reason`, they are what `experiments.on_lan` returned. Without a measurement the
prediction is drawn alone, and the title says so, with the reason. Predictions are hollow or dashed.
"""

import numpy as np
from matplotlib.patches import Rectangle

from udplab.kit.picture import (
    BLUE,
    GREEN,
    GREY,
    PURPLE,
    RED,
    axes,
    below,
    hollow_and_full,
    no_measurement,
    not_measured,
    plain,
    spread,
    titled,
)
from udplab.kit.sockets import HEADERS, UDP_HEADER
from udplab.mtu import experiments, fragments, kernel, probing

# --- The path, and a datagram on it ---


def hops(mtus, journey=None, reason=None, ax=None, links=None):
    """Draw a path, hosts as boxes and links with their MTU; with a `fragments.Journey` also the datagram's fate.

    reason: "" for a measured journey, or why this one is only predicted
    links: how many links' worth of the fate to draw, by default all
    """
    ax = axes(ax, figsize=(8, 3) if journey else (8, 1.4))
    names = ["client", *(f"router {number}" for number in range(1, len(mtus))), "server"]
    half = 0.16 + 0.02 * len(mtus)  # of a box's width, in links
    for place, name in enumerate(names):
        ends = place in (0, len(mtus))
        ax.add_patch(Rectangle((place - half, -0.3), 2 * half, 0.6, facecolor="white" if ends else "#EEEEEE",
                               edgecolor=GREY, linewidth=2, zorder=2))  # fmt: skip
        ax.text(place, 0, name, ha="center", va="center", zorder=3)
    for link, limit in enumerate(mtus):
        ax.plot([link + half, link + 1 - half], [0, 0], color=GREY, linewidth=3, zorder=1)
        ax.text(link + 0.5, 0.2, f"MTU {limit}", ha="center", va="bottom", fontweight="bold")
    if journey:
        _fate(ax, journey, half, len(mtus) if links is None else links)
    ax.set(xlim=(-half - 0.1, len(mtus) + half + 0.1), ylim=(-2.7 if journey else -0.4, 0.7), xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if journey:
        how = "measured" if reason == "" else "predicted"
        heading = f"{journey.size} bytes, don't fragment {'on' if journey.dont_fragment else 'off'} ({how})"
        ax.set_title("\n".join([heading, *no_measurement(reason)]))
    return ax


def describe_path(mtus):
    """Return the text twin of `hops` without a journey: a line for each link."""
    names = [*(f"router {number}" for number in range(1, len(mtus))), "server"]
    ends = zip(["client", *names], names, mtus, strict=False)
    return "\n".join(f"{start} to {end}: MTU {limit}" for start, end, limit in ends)


def _fate(ax, journey, half, links):
    """Draw what each link carried, to scale, where the datagram ended, and what the client was told."""
    whole = journey.size + UDP_HEADER
    room = 0.96 - 2 * half  # between two boxes
    for link, pieces in enumerate(journey.links[:links]):
        left = link + (1 - room) / 2
        spans = [(left + room * piece.offset / whole, room * piece.size / whole) for piece in pieces]
        ax.broken_barh(spans, (-1.15, 0.4), facecolors=[BLUE, PURPLE], linewidth=0)  # the colours take turns
        ax.text(link + 0.5, -1.3, count(pieces), ha="center", va="top")
    if links < len(journey.links):
        return
    place, y = stopped(journey), -2.1
    if journey.arrived:
        ax.plot([len(journey.mtus)], [-0.6], "v", color=GREEN, markersize=14)
        ax.text(len(journey.mtus), -0.95, "arrived", ha="center", va="center", fontweight="bold")
        return
    ax.plot([place], [-0.6], "X", color=RED, markersize=14, zorder=4)
    if place == 0:
        ax.text(-half, y, "refused here: send() raises EMSGSIZE, nothing leaves", va="center")
    elif journey.told is None:
        ax.text(place + half, y, f"lost at router {place}, and nobody says so", ha="right", va="center")
    else:
        ax.annotate(
            "", (0, y), (place, y), arrowprops={"arrowstyle": "-|>", "color": RED, "linewidth": 2, "linestyle": "--"}
        )
        ax.text(place / 2, y - 0.12, f"ICMP: too big, the next MTU is {journey.told}", ha="center", va="top")


def stopped(journey):
    """Return where a datagram ended: 0 is the client, then come the routers; None if it arrived."""
    return None if journey.arrived else sum(map(bool, journey.links))


def count(pieces):
    """Return how many pieces there are, in words."""
    return {0: "nothing", 1: "in one piece"}.get(len(pieces), f"{len(pieces)} fragments")


def describe_journey(journey, reason=None):
    """Return the text twin of `hops` with a journey: a line for each link, how it ended, and if that was predicted."""
    lines = [f"link {n} (MTU {limit}): {count(pieces)}" for n, (limit, pieces) in
             enumerate(zip(journey.mtus, journey.links, strict=True), start=1)]  # fmt: skip
    place = stopped(journey)
    if journey.arrived:
        end = "the server got it"
    elif place == 0:
        end = "the client's own kernel refused it, nothing was sent"
    else:
        told = "nobody says so" if journey.told is None else f"it says so by ICMP: the next MTU is {journey.told}"
        end = f"router {place} dropped it, and {told}"
    lines.append(end)
    if reason == "":
        predicted = fragments.predict_journey(*journey[:4])
        lines.append("as predicted" if journey == predicted else "NOT as predicted")
    return "\n".join([*lines, *not_measured(None, reason)])


# --- Sends with don't-fragment ---

MARKS = {  # (outcome, arrived) -> mark, colour, words
    (experiments.SENT, True): ("o", GREEN, "sent, received"),
    (experiments.SENT, False): ("X", RED, "sent, lost"),
    (experiments.TOO_BIG, False): ("s", PURPLE, "error: over the belief"),
    (experiments.OLD_NEWS, False): ("^", BLUE, "error: old news"),
}


def sends(mtus, predicted, measured=None, reason="", ax=None):
    """Draw what became of each `experiments.Send`, and what the kernel believed after it."""
    ax = axes(ax, figsize=(8, 4.6))
    numbers = np.arange(1, len(predicted) + 1)
    for number, limit in enumerate(mtus, start=1):
        ax.axhline(limit, color=GREY, linestyle=":", linewidth=1.5)
        ax.text(
            1.01, limit, f"link {number}:\nMTU {limit}", transform=ax.get_yaxis_transform(), va="center", fontsize=11
        )
    beliefs = [mtus[0], *(send.believed for send in predicted)]
    ax.step(
        np.arange(len(beliefs)) + 0.5, beliefs, where="post", color=GREY, linestyle="--", label="belief (predicted)"
    )
    if measured:
        beliefs = [mtus[0], *(send.believed for send in measured)]
        ax.step(
            np.arange(len(beliefs)) + 0.5,
            beliefs,
            where="post",
            color="black",
            linewidth=1.2,
            label="belief (measured)",
        )
    for (outcome, arrived), (mark, colour, words) in MARKS.items():
        for results, how in ((predicted, "hollow"), (measured or [], "full")):
            at = [
                n
                for n, send in zip(numbers, results, strict=False)
                if (send.outcome, send.arrived) == (outcome, arrived)
            ]
            if at:
                sizes = [results[n - 1].size + HEADERS for n in at]
                look = (
                    {"markerfacecolor": "white", "markersize": 17 if measured else 11}
                    if how == "hollow"
                    else {"markersize": 9}
                )
                ax.plot(at, sizes, mark, color=colour, markeredgewidth=2, zorder=3 + (how == "full"),
                        label=None if how == "hollow" and measured else words, **look)  # fmt: skip
    ax.set(xlim=(0.5, len(predicted) + 0.5), xticks=numbers, ylabel="packet in bytes (payload + 28)",
           title=titled("Sends with don't-fragment", measured, reason))  # fmt: skip
    ax.set_xticklabels([f"send {n}\n{send.size} bytes" for n, send in zip(numbers, predicted, strict=True)])
    low, high = min(send.size for send in predicted) + HEADERS, max(mtus)
    ax.set_ylim(low - 0.25 * (high - low) - 10, high + 0.25 * (high - low) + 10)
    below(ax, hollow_and_full() if measured else [])
    return ax


def describe_sends(predicted, measured=None, reason=""):
    """Return the text twin of `sends`: a table."""
    lines = []
    for name, results in (("predicted", predicted), ("measured", measured)):
        if results:
            lines.append(f"{name:10} size  send()                  received  belief after it")
            for number, send in enumerate(results, start=1):
                got = "yes" if send.arrived else "no"
                lines.append(f"{number:9} {send.size:5}  {send.outcome:23} {got:8}  {send.believed}")
    return "\n".join([*lines, *not_measured(measured, reason)])


# --- Probing ---

OUTCOMES = {
    probing.CONFIRMED: ("o", GREEN),
    probing.LOST: ("X", RED),
    probing.REFUSED: ("s", PURPLE),
}


def search(predicted, measured=None, reason="", ax=None):
    """Draw a `probing.Search` step by step; the band is what is still possible."""
    ax = axes(ax, figsize=(8, 4.4))
    steps = (measured or predicted).steps
    numbers = np.arange(1, len(steps) + 1)
    later = [step.size for step in steps[1:]]
    span = max(later) - min(later)
    bottom, top = (
        min(later) - 0.62 * span,
        max(later) + 0.3 * span,
    )  # the first step is far below: it stands at the edge
    heights = [min(later) - 0.25 * span, *later]
    ax.fill_between(numbers, [max(step.low, bottom) for step in steps], [min(step.high, top) for step in steps],
                    step="post", color="#DDDDDD", label="still possible after this step")  # fmt: skip
    if measured:
        ahead = [heights[0], *(step.size for step in predicted.steps[1:])]
        ax.plot(np.arange(1, len(predicted.steps) + 1), ahead, "D", color=GREY, markersize=15, markerfacecolor="none",
                label="predicted")  # fmt: skip
    for outcome, (mark, colour) in OUTCOMES.items():
        at = [n for n in numbers if steps[n - 1].outcome == outcome]
        if at:
            look = {} if measured else {"markerfacecolor": "white", "markeredgewidth": 2}
            ax.plot(at, [heights[n - 1] for n in at], mark, color=colour, markersize=10, label=outcome, **look)
    for n, step, height in zip(numbers, steps, heights, strict=True):
        text = str(step.size) if n > 1 else f"{step.size}\n(below)"
        under = step.outcome == probing.CONFIRMED
        ax.annotate(text, (n, height), (0, -13 if under else 11), textcoords="offset points", ha="center",
                    va="top" if under else "bottom", fontsize=10.5)  # fmt: skip
    ax.set(xlabel="step", ylabel="payload in bytes", xticks=numbers, ylim=(bottom, top))
    ax.set_title(titled("The search, step by step", measured, reason))
    below(ax)
    return ax


def describe_search(predicted, measured=None, reason=""):
    """Return the text twin of `search`: a line for each step."""
    steps = (measured or predicted).steps
    lines = [f"step {number:2}: {probing.in_words(step)}" for number, step in enumerate(steps, start=1)]
    if measured:
        lines.append("as predicted" if measured == predicted else "NOT as predicted")
    return "\n".join([*lines, *not_measured(measured, reason)])


# --- Whom to believe? ---

WAYS = {"listing": ("s", RED), "told": ("^", PURPLE), "probed": ("o", GREEN)}


def answers(predicted, measured=None, reason="", ax=None):
    """Draw for several paths what each way of asking says (`experiments.Answers`), beside the truth and known sizes."""
    rows = len(predicted) * 4
    ax = axes(ax, figsize=(8, 2.4 + 0.23 * rows))
    sizes = [size for size, kind, _, _ in kernel.SIZES if kind == "packet"]
    for size, place in zip(sizes, 10 ** np.array(spread(np.log10(sizes), 0.3)), strict=True):
        label = None if size != sizes[0] else "packets one meets"
        ax.plot([place, size, size], [-2.2, -1.2, rows], color=GREY, linestyle=":", linewidth=1, label=label, zorder=1)
        ax.text(place, -2.3, f"{size:,}", ha="center", va="bottom", fontsize=11)
    for group, result in enumerate(predicted):
        top = 4 * group
        label = None if group else "true"
        ax.plot([min(result.mtus)] * 2, [top - 0.5, top + 2.5], color="black", linewidth=1.5, label=label, zorder=6)
        for row, (name, (mark, colour)) in enumerate(WAYS.items(), start=top):
            values = getattr(result, name), getattr(measured[group], name) if measured else None
            ax.plot(values[0], row, mark, color=colour, markersize=13, markerfacecolor="white", zorder=3,
                    label=None if group or measured else f"{name} (predicted)")  # fmt: skip
            if measured:
                ax.plot(values[1], row, mark, color=colour, markersize=7, zorder=4, label=None if group else name)
            ax.annotate(f"{values[bool(measured)]:,} {name}", (values[0], row), (13, 0), textcoords="offset points",
                        va="center", fontsize=10.5, zorder=5,
                        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})  # fmt: skip
    names = [", ".join(map(str, result.mtus)) + ("\n(black hole)" if result.black_hole else "") for result in predicted]
    ax.set(xscale="log", xlim=(50, 110_000), ylim=(rows - 0.8, -3.4), xlabel="packet in bytes")
    ax.set_yticks(np.arange(1, rows, 4), names)
    ax.set_ylabel("links of the path")
    plain(ax.xaxis, [100, 1000, 10_000, 100_000])
    ax.grid(False)
    ax.tick_params(axis="y", length=0)
    ax.set_title(titled("Which MTU?", measured, reason))
    below(ax, hollow_and_full() if measured else [])
    return ax


def describe_answers(predicted, measured=None, reason=""):
    """Return the text twin of `answers`: a table."""
    lines = ["links, black hole?            listing   told  probed   true"]
    for result in measured or predicted:
        links = ", ".join(map(str, result.mtus)) + (", black hole" if result.black_hole else "")
        lines.append(f"{links:28} {result.listing:8} {result.told:6} {result.probed:7} {min(result.mtus):6}")
    if measured:
        lines.append("as predicted" if measured == predicted else "NOT as predicted")
    return "\n".join([*lines, *not_measured(measured, reason)])
