"""Pictures of records: what all lessons share. Each lesson's own plots are in the module of its name.

Every plot takes records and an optional `ax`, draws, and returns the Axes. Beside each stands its text twin, a
function `describe_...` that tells in words and numbers what the picture shows.
"""

import collections

import matplotlib
import matplotlib.pyplot as plt

# Okabe and Ito's colours, which colour-blind people can tell apart ("Color Universal Design", 2008). Lines and
# marks differ in shape as well: no meaning hangs on colour alone.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#5A5A5A"

STYLE = {
    "figure.figsize": (8, 4),
    "figure.dpi": 110,
    "figure.facecolor": "white",  # a light card, in the dark theme too
    "savefig.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "axes.axisbelow": True,
    "lines.linewidth": 2,
    "legend.frameon": False,
    "axes.prop_cycle": matplotlib.cycler(color=[BLUE, RED, GREEN, ORANGE, GREY]),
}


def use_style():
    """Give the plots of this kernel the look of the lessons."""
    plt.rcParams.update(STYLE)


def style():
    """Return a context manager in which plots have that look, for figures that are drawn outside of a cell."""
    return plt.rc_context(STYLE)


def axes(ax=None, **size):
    """Return `ax`, or the Axes of a new figure."""
    return ax or plt.subplots(**size)[1]


def unit(seconds):
    """Return the (name, factor) of the unit that suits a span of `seconds`: value * factor is in that unit."""
    if seconds < 1e-3:
        return "µs", 1e6
    return ("ms", 1e3) if seconds < 1 else ("s", 1)


Arrow = collections.namedtuple("Arrow", "start end rightward text", defaults=("",))
Arrow.__doc__ = """One datagram in a ladder diagram.

start, end: when it was sent and received, in seconds; end is None for a datagram that was lost
rightward: True from the left lifeline to the right one
text: what to write along the arrow
"""


def ladder(arrows, left="client", right="server", ax=None):
    """Draw datagrams between two hosts; time runs downwards and starts at the first arrow. Returns the Axes."""
    times = [time for arrow in arrows for time in (arrow.start, arrow.end) if time is not None]
    zero, span = min(times), max(times) - min(times)
    name, factor = unit(span)
    rows = max(4, len(arrows) + 2)
    ax = axes(ax, figsize=(8, min(0.9 * rows, 9)))
    labels = {0: [], 1: []}
    for arrow in arrows:
        start, end, side = arrow.start - zero, arrow.end, 0 if arrow.rightward else 1
        labels[side].append(start)
        if end is not None:
            end -= zero
            labels[1 - side].append(end)
            colour, tip, drop = (BLUE if arrow.rightward else GREEN), 1 - side, end
        else:
            colour, tip, drop = RED, 0.5, start
            ax.plot([tip], [start * factor], marker="X", color=RED, markersize=12, zorder=3)
        ax.annotate(
            "",
            (tip, drop * factor),
            (side, start * factor),
            arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2, "shrinkA": 0, "shrinkB": 0,
                        "linestyle": "-" if end is not None else "--"},
        )  # fmt: skip
        ax.annotate(
            arrow.text, (0.5 if end is not None else 0.25 + 0.5 * side, (start + drop) / 2 * factor), (0, 0),
            textcoords="offset points", ha="center", va="center", fontsize=11, color=colour,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
        )  # fmt: skip
    margin = 0.12 * span
    for side, ends in labels.items():
        ax.plot([side, side], [-margin * factor, (span + margin) * factor], color=GREY, linewidth=3, zorder=0)
        for time, place in zip(sorted(ends), spread(sorted(ends), 0.7 * (span + 2 * margin) / rows / 1.5), strict=True):
            ax.text(
                side + (0.03 if side else -0.03), place * factor, f"{time * factor:.3g} {name}",
                ha="left" if side else "right", va="center",
            )  # fmt: skip
    ax.set(xlim=(-0.25, 1.25), ylim=((span + margin) * factor, -margin * factor), xticks=[0, 1], yticks=[])
    ax.set_xticklabels([left, right], fontsize=13, fontweight="bold")
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.grid(False)
    return ax


def spread(places, gap):
    """Return sorted `places` moved down as little as it takes to keep them `gap` apart."""
    result = []
    for place in places:
        result.append(place if not result else max(place, result[-1] + gap))
    return result


def describe_ladder(arrows, left="client", right="server"):
    """Return the text twin of `ladder`: a line for each datagram."""
    zero = min(arrow.start for arrow in arrows)
    span = max(arrow.end or arrow.start for arrow in arrows) - zero
    name, factor = unit(span)
    lines = []
    for arrow in arrows:
        way = f"{left} -> {right}" if arrow.rightward else f"{right} -> {left}"
        fate = "lost" if arrow.end is None else f"received at {(arrow.end - zero) * factor:.3g} {name}"
        lines.append(f"{way}: sent at {(arrow.start - zero) * factor:.3g} {name}, {fate}: {arrow.text}")
    return "\n".join(lines)
