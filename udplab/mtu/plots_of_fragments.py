"""The plots of fragments in lesson 2-3, each with its text twin. `measured` and `reason`: see `plots`."""

import numpy as np
from matplotlib.patches import Rectangle

from udplab.kit.picture import BLUE, GREY, PURPLE, RED, axes, not_measured, plain, titled
from udplab.kit.sockets import UDP_HEADER
from udplab.mtu import fragments


def counts(mtus, sizes, predicted, measured=None, reason="", ax=None):
    """Draw the number of fragments against payload size. predicted, measured: a list of fragments for each size."""
    ax = axes(ax)
    every = np.unique(np.geomspace(sizes[0], sizes[-1], 400).astype(int))
    ax.plot(
        every,
        [len(fragments.fragments(int(size), mtus)) for size in every],
        color=PURPLE,
        linestyle="--",
        label="predicted",
    )
    if measured:
        ax.plot(sizes, list(map(len, measured)), "o", color=BLUE, label="captured at the server")
    else:
        ax.plot(
            sizes,
            list(map(len, predicted)),
            "o",
            color=PURPLE,
            markerfacecolor="white",
            label="predicted for these sizes",
        )
    ax.set(xscale="log", yscale="log", xlabel="payload in bytes", ylabel="fragments")
    ax.set_title(titled(f"Fragments after links of {' and '.join(map(str, mtus))} bytes", measured, reason))
    plain(ax.xaxis, [100, 300, 1000, 3000, 10_000, 30_000, 65_507])
    plain(ax.yaxis, [1, 2, 5, 10, 20, 50, 100])
    ax.legend(loc="upper left")
    return ax


def describe_counts(sizes, predicted, measured=None, reason=""):
    """Return the text twin of `counts`: a line for each size."""
    lines = []
    for number, (size, pieces) in enumerate(zip(sizes, predicted, strict=True)):
        line = f"{size:6} bytes: predicted {len(pieces):3}"
        if measured:
            same = "same offsets" if measured[number] == pieces else "NOT as predicted"
            line += f", captured {len(measured[number]):3}, {same}"
        lines.append(line)
    return "\n".join([*lines, *not_measured(measured, reason)])


def cut_up(size, mtus, measured=None, reason="", ax=None):
    """Draw how a datagram is cut up link by link, to scale; measured: the fragments that the server saw."""
    rows = [("the datagram", [fragments.Fragment(0, size + UDP_HEADER)])]
    for number, limit in enumerate(mtus, start=1):
        rows.append((f"link {number}, MTU {limit}\n(predicted)", fragments.fragments(size, mtus[:number])))
    if measured:
        rows.append(("at the server\n(captured)", measured))
    ax = axes(ax, figsize=(8, 1.2 + 0.8 * len(rows)))
    for row, (_, pieces) in enumerate(rows):
        captured = measured and row == len(rows) - 1
        for number, piece in enumerate(pieces):
            ax.add_patch(Rectangle((piece.offset, row - 0.3), piece.size, 0.6, edgecolor=GREY if captured else BLUE,
                                   facecolor=("#CFE6F3", "#F7E3B5")[number % 2] if captured else "white", linewidth=1.5,
                                   linestyle="-" if captured or not row else "--"))  # fmt: skip
            if len(pieces) <= 8 and piece.size > 0.05 * size:
                ax.text(piece.offset + piece.size / 2, row, str(piece.size), ha="center", va="center", fontsize=11)
    ax.add_patch(Rectangle((0, -0.3), UDP_HEADER, 0.6, facecolor=RED, edgecolor=RED))
    offsets = [piece.offset for piece in rows[-1][1]]
    if len(offsets) <= 8:
        end, shown = size + UDP_HEADER, []
        for at in offsets:
            if end - at > 0.08 * end and (not shown or at - shown[-1] > 0.08 * end):
                shown.append(at)
        ax.set_xticks([*shown, end])
    ax.set(xlim=(-0.01 * size, 1.01 * (size + UDP_HEADER)), ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)))
    ax.set_yticklabels([name for name, _ in rows])
    ax.set(xlabel="offset in bytes (the 8 bytes of the UDP header come first)")
    ax.set_title(titled(f"{size} bytes of payload, cut up (to scale)", measured, reason))
    ax.grid(False)
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax


def describe_cut_up(size, mtus, measured=None, reason=""):
    """Return the text twin of `cut_up`: a line for each row."""
    lines = [f"the datagram: {size} + {UDP_HEADER} bytes"]
    for number, limit in enumerate(mtus, start=1):
        lines.append(f"link {number} (MTU {limit}), predicted: {_spans(fragments.fragments(size, mtus[:number]))}")
    if measured:
        lines.append(f"captured at the server: {_spans(measured)}")
    return "\n".join([*lines, *not_measured(measured, reason)])


def _spans(pieces):
    return f"{len(pieces)} of " + ", ".join(f"{piece.size} at {piece.offset}" for piece in pieces)


def survival(mtus, sizes, total, every, predicted, measured=None, reason="", ax=None):
    """Draw which share of the datagrams arrives when every n-th fragment is lost, by the number of fragments."""
    ax = axes(ax)
    pieces = [len(fragments.fragments(size, mtus)) for size in sizes]
    curve = np.arange(1, max(pieces) + 1)
    ax.plot(curve, (1 - 1 / every) ** curve * 100, ":", color=GREY, label=f"lost by chance, 1 in {every} (predicted)")
    ax.plot(pieces, np.divide(predicted, total) * 100, "D--", color=PURPLE, markerfacecolor="white", markersize=11,
            label=f"every {every}th lost (predicted)")  # fmt: skip
    if measured:
        ax.plot(pieces, np.divide(measured, total) * 100, "o", color=BLUE, label=f"every {every}th lost (measured)")
    ax.set(xlabel="fragments in a datagram", ylabel="datagrams that arrive, in %", ylim=(-5, 105), xticks=pieces)
    ax.set_title(titled("One lost fragment loses the whole datagram", measured, reason))
    ax.legend(loc="upper right")
    return ax


def describe_survival(mtus, sizes, total, predicted, measured=None, reason=""):
    """Return the text twin of `survival`: a line for each size."""
    lines = []
    for number, size in enumerate(sizes):
        line = f"{size:6} bytes in {len(fragments.fragments(size, mtus)):2} fragments: of {total}, "
        line += f"predicted {predicted[number]:2}"
        lines.append(line + (f", arrived {measured[number]:2}" if measured else ""))
    return "\n".join([*lines, *not_measured(measured, reason)])
