"""The pictures of fragments in lesson 2-3. Each draws on an Axes and returns its words."""

import numpy as np
from matplotlib.patches import Rectangle

from udplab.kit.picture import BLUE, GREEN, GREY, PURPLE, RED, below, plain, resize, your_line
from udplab.kit.sockets import UDP_HEADER
from udplab.mtu.fragments import Fragment, fragments
from udplab.mtu.plots import boxes, count

# --- One datagram, hop by hop ---


def journey(ax, compared, links=None):
    """Draw a path and the fate of a datagram on it (`journeys.Journey`).

    links: how many links' worth of the fate to draw, by default all
    """
    each = compared.result
    resize(ax, 8, 2.4 if each.arrived else 3)
    half = boxes(ax, each.mtus)
    ax.set(xlim=(-half - 0.1, len(each.mtus) + half + 0.1), ylim=(-1.9 if each.arrived else -2.7, 0.7))
    _fate(ax, each, half, len(each.mtus) if links is None else links)
    ax.set_title(compared.title(f"{each.size} bytes, don't fragment {'on' if each.dont_fragment else 'off'}"))
    lines = [f"link {n} (MTU {limit}): {count(pieces)}" for n, (limit, pieces) in
             enumerate(zip(each.mtus, each.links, strict=True), start=1)]  # fmt: skip
    return "\n".join([*lines, ending(each), compared.verdict])


def _fate(ax, each, half, links):
    """Draw what each link carried, to scale, where the datagram ended, and what the client was told."""
    whole = each.size + UDP_HEADER
    room = 0.96 - 2 * half  # between two boxes
    for link, pieces in enumerate(each.links[:links]):
        left = link + (1 - room) / 2
        spans = [(left + room * piece.offset / whole, room * piece.size / whole) for piece in pieces]
        ax.broken_barh(spans, (-1.15, 0.4), facecolors=[BLUE, PURPLE], linewidth=0)  # the colours take turns
        ax.text(link + 0.5, -1.3, count(pieces), ha="center", va="top")
    if links < len(each.links):
        return
    place, y = stopped(each), -2.1
    if each.arrived:
        ax.plot([len(each.mtus)], [-0.6], "v", color=GREEN, markersize=14)
        ax.text(len(each.mtus), -0.95, "arrived", ha="center", va="center", fontweight="bold")
        return
    ax.plot([place], [-0.6], "X", color=RED, markersize=14, zorder=4)
    if place == 0:
        ax.text(-half, y, "refused here: send() raises EMSGSIZE, nothing leaves", va="center")
    elif each.told is None:
        ax.text(place + half, y, f"lost at router{place}, and nobody says so", ha="right", va="center")
    else:
        ax.annotate(
            "", (0, y), (place, y), arrowprops={"arrowstyle": "-|>", "color": RED, "linewidth": 2, "linestyle": "--"}
        )
        ax.text(place / 2, y - 0.12, f"ICMP: too big, the next MTU is {each.told}", ha="center", va="top")


def stopped(each):
    """Return where a datagram ended: 0 is the client, then come the routers; None if it arrived."""
    return None if each.arrived else sum(map(bool, each.links))


def ending(each, noisy=()):
    """Return a line that says how a journey ends; noisy: the numbers of the links on which a bit is flipped."""
    place = stopped(each)
    found = [f"router{link + 1}" if link + 1 < len(each.mtus) else "the server" for link in noisy if each.links[link]]
    if found:
        if found[0] == "the server":
            return "the server's kernel drops it, since a checksum is wrong"
        whole = "the server's kernel drops it, since its checksum is wrong" if each.arrived else ending(each)
        return (
            f"{whole}; but if the bit, another one each time, is in the IP header, {found[0]} drops it without a word"
        )
    if each.arrived:
        return "the server got it"
    if place == 0:
        return "the client's own kernel refused it, nothing was sent"
    told = "nobody says so" if each.told is None else f"it says so by ICMP: the next MTU is {each.told}"
    return f"router{place} dropped it, and {told}"


# --- How a datagram is cut up ---


def counts(ax, mtus, sizes, compared):
    """Draw the number of fragments against payload size; compared: of a list of fragments for each size."""
    every = np.unique(np.geomspace(sizes[0], sizes[-1], 400).astype(int))
    numbers = [len(fragments(int(size), mtus)) for size in every]
    ax.plot(every, numbers, color=PURPLE, linestyle="--", label="predicted")
    look = {"color": PURPLE, "markerfacecolor": "white"} if compared.alone else {"color": BLUE}
    label = "predicted for these sizes" if compared.alone else "captured at the server"
    ax.plot(sizes, list(map(len, compared.result)), "o", label=label, **look)
    ax.set(xscale="log", yscale="log", xlabel="payload in bytes (log scale)", ylabel="fragments (log scale)")
    ax.set_title(compared.title(f"Fragments after links of {' and '.join(map(str, mtus))} bytes"))
    plain(ax.xaxis, [100, 300, 1000, 3000, 10_000, 30_000, 65_507])
    plain(ax.yaxis, [1, 2, 3, 5, 10, 20, 50, 100])
    ax.legend(loc="upper left")
    lines = [f"{size:6} bytes: {len(pieces):3} {'fragment' if len(pieces) == 1 else 'fragments'}, {compared.how}"
             for size, pieces in zip(sizes, compared.result, strict=True)]  # fmt: skip
    return "\n".join([*lines, "number, sizes and offsets " * (not compared.alone) + compared.verdict])


def cut_up(ax, size, mtus, compared):
    """Draw how a datagram is cut up link by link, to scale; compared: of the fragments that the server sees."""
    rows = [("the datagram", [Fragment(0, size + UDP_HEADER)])]
    for number, limit in enumerate(mtus, start=1):
        rows.append((f"link {number}, MTU {limit}\n(predicted)", fragments(size, mtus[:number])))
    if not compared.alone:
        rows.append(("at the server\n(captured)", compared.measured))
    resize(ax, 8, 1.2 + 0.8 * len(rows))
    for row, (_, pieces) in enumerate(rows):
        captured = not compared.alone and row == len(rows) - 1
        for number, piece in enumerate(pieces):
            ax.add_patch(Rectangle((piece.offset, row - 0.3), piece.size, 0.6, edgecolor=GREY if captured else BLUE,
                                   facecolor=("#CFE6F3", "#F7E3B5")[number % 2] if captured else "white", linewidth=1.5,
                                   linestyle="-" if captured or not row else "--"))  # fmt: skip
            if len(pieces) <= 8 and piece.size > 0.05 * size:
                ax.text(piece.offset + piece.size / 2, row, str(piece.size), ha="center", va="center", fontsize=11)
    ax.add_patch(Rectangle((0, -0.3), UDP_HEADER, 0.6, facecolor=RED, edgecolor=RED))
    offsets, end = [piece.offset for piece in rows[-1][1]], size + UDP_HEADER
    if len(offsets) <= 8:
        _place_ticks(ax, [*offsets, end])
    ax.set(xlim=(-0.01 * size, 1.01 * end), ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)))
    ax.set_yticklabels([name for name, _ in rows])
    ax.set_xlabel("offset in bytes (the 8 bytes of the UDP header come first)", labelpad=ax.xaxis.labelpad)
    ax.set_title(compared.title(f"{size} bytes of payload, cut up (to scale)"))
    ax.grid(False)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    lines = [f"the datagram: {size} + {UDP_HEADER} bytes"]
    lines += [f"{name.splitlines()[0]}: {_spans(pieces)}" for name, pieces in rows[1:]]
    return "\n".join([*lines, compared.verdict])


def _place_ticks(ax, offsets):
    """Put a tick at each offset; a number that has no room beside the last one stands a line lower."""
    depths, before = [], -offsets[-1]
    for at in offsets:
        depths.append(depths[-1] + 1 if at - before < 0.08 * offsets[-1] else 0)
        before = at
    ax.set_xticks(offsets, ["" if depth else str(at) for at, depth in zip(offsets, depths, strict=True)])
    ax.tick_params(axis="x", labelsize=11)
    for at, depth in zip(offsets, depths, strict=True):
        if depth:
            ax.annotate(str(at), (at, 0), (0, -6 - 14 * depth), ("data", "axes fraction"), "offset points",
                        ha="center", va="top", fontsize=11)  # fmt: skip
    ax.xaxis.labelpad = 4 + 14 * max(depths)


def _spans(pieces):
    return f"{len(pieces)} of " + ", ".join(f"{piece.size} at {piece.offset}" for piece in pieces)


# --- What one lost fragment does ---


def survival(ax, sizes, loss, total, compared, you=None):
    """Draw how many of `total` datagrams of each size arrive on a link of 1500 that loses packets by chance.

    compared: of `journeys.Odds`, and of numbers; you: the learner's guess, in datagrams
    """
    pieces = [len(fragments(size, [1500])) for size in sizes]
    lows, means, highs = zip(*((each.low, each.mean, each.high) for each in compared.predicted), strict=True)
    ax.fill_between(pieces, lows, highs, color="#DDDDDD", label="99 of 100 times (predicted)")
    ax.plot(pieces, means, "D--", color=PURPLE, markerfacecolor="white", markersize=9, label="on average (predicted)")
    if not compared.alone:
        ax.plot(pieces, compared.measured, "o", color=BLUE, label="arrived (measured)")
    your_line(ax, you, f"{you}")
    ax.set(xlabel="fragments in a datagram", ylabel=f"datagrams that arrive, of {total}", ylim=(0, 1.05 * total))
    ax.set_xticks(pieces)
    ax.set_title(compared.title(f"One lost fragment loses the datagram ({loss:.0%} lost on average)"))
    below(ax)
    lines = []
    for size, number, each in zip(sizes, pieces, compared.predicted, strict=True):
        odds = f"{each.mean:5.1f} expected, chance allows {each.low} to {each.high}"
        lines.append(f"{size:6} bytes in {number:2} fragments: {odds}")
    if compared.alone:
        return "\n".join([*lines, compared.verdict])
    lines = [f"{line}; {arrived:2} of {total} arrived" for line, arrived in zip(lines, compared.measured, strict=True)]
    inside = sum(arrived in each for arrived, each in zip(compared.measured, compared.predicted, strict=True))
    return "\n".join([*lines, f"inside of what chance explains: {inside} of {len(sizes)}"])
