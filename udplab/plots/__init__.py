"""Pictures of records: what all lessons share. Each lesson's own plots are in the module of its name.

Every plot takes records and an optional `ax`, draws, and returns the Axes. Beside each stands its text twin, a
function `describe_...` that tells in words and numbers what the picture shows.
"""

import collections
import textwrap

import matplotlib
import matplotlib.pyplot as plt

# Of Okabe and Ito's colours, which colour-blind people can tell apart ("Color Universal Design", 2008), those that
# stand out from white 3:1 (WCAG 2.2, 1.4.11). Lines and marks differ in shape as well: no meaning hangs on colour
# alone. What is written is dark.
BLUE, PURPLE, GREEN, RED, GREY = "#0072B2", "#CC79A7", "#009E73", "#D55E00", "#5A5A5A"

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
    "axes.prop_cycle": matplotlib.cycler(color=[BLUE, RED, GREEN, PURPLE, GREY]),
}


def use_style():
    """Give the plots of this kernel the look of the lessons.

    It loads Matplotlib's backend too, which would else be loaded by the first plot: an interrupt just then leaves
    half a backend, and no plot works until the kernel is restarted.
    """
    plt.switch_backend(plt.get_backend())
    plt.rcParams.update(STYLE)


def style():
    """Return a context manager in which plots have that look, for figures that are drawn outside of a cell."""
    return plt.rc_context(STYLE)


def axes(ax=None, **size):
    """Return `ax`, or the Axes of a new figure."""
    return ax or plt.subplots(**size)[1]


def below(ax, more=()):
    """Put the legend under the plot, where it covers nothing. more: further entries, as handles."""
    handles = [*ax.get_legend_handles_labels()[0], *more]
    ax.figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=11)


def titled(text, measured, reason=None):
    """Return a plot's title, which says where a prediction stands alone, and why. measured: None in that case."""
    return text if measured is not None else "\n".join([f"Predicted: {text}", *no_measurement(reason)])


def no_measurement(reason):
    """Return the lines of a title that say why nothing was measured, short enough to stand over a plot."""
    return textwrap.wrap(f"No measurement: {reason}", 54) if reason else []


def unit(seconds):
    """Return the (name, factor) of the unit that suits a span of `seconds`: value * factor is in that unit."""
    if seconds < 1e-3:
        return "µs", 1e6
    return ("ms", 1e3) if seconds < 1 else ("s", 1)


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


def spread(places, gap):
    """Return sorted `places` moved as little as it takes to keep them `gap` apart."""
    groups = []  # of places that must share their room: [sum, number]
    for place in places:
        groups.append([place, 1])
        while len(groups) > 1 and top(groups[-1], gap) < top(groups[-2], gap) + groups[-2][1] * gap:
            total, number = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += number
    return [top(group, gap) + index * gap for group in groups for index in range(group[1])]


def top(group, gap):
    """Return the first place of a group (sum, number) that is laid out around its mean."""
    total, number = group
    return total / number - (number - 1) * gap / 2


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
