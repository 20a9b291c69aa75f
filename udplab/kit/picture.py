"""Pictures of records: what all lessons share. Each lesson's own are in its `plots`.

A picture and its words are one function: `draw(ax, *records)` draws on the Axes and returns what the picture says, in
words and numbers. `show(draw, *records)` puts both under a notebook's cell. A rule is in no picture, and no socket.
"""

import base64
import html
import io
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import matplotlib
import numpy as np
from IPython.display import display
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

# Of Okabe and Ito's colours, which colour-blind people can tell apart ("Color Universal Design", 2008), those that
# stand out from white 3:1 (WCAG 2.2, 1.4.11). Lines and marks differ in shape as well: no meaning hangs on colour
# alone. What is written is dark.
BLUE, PURPLE, GREEN, RED, GREY = "#0072B2", "#CC79A7", "#009E73", "#D55E00", "#5A5A5A"

YOU = "you: "  # so begins the name of a learner's prediction in a picture

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
    "text.parse_math": False,  # what strangers sent may have dollar signs in it
    "axes.prop_cycle": matplotlib.cycler(color=[BLUE, RED, GREEN, PURPLE, GREY]),
}

# After Shift + Enter JupyterLab brings the next cell into view, and not this one's picture, most of which would be out
# of sight; until nothing has changed its size for three seconds it does so again. This brings the picture back whenever
# something has scrolled, until three seconds after the cell's end or the reader's next key, click or turn of the wheel.
# It does so for a cell that was run alone, and never when a stored notebook is opened: only a running cell has a star.
IN_VIEW = """<script>(script => {
const cell = script.closest(".jp-CodeCell"), active = ".jp-mod-active", star = cell?.querySelector(".jp-InputPrompt");
if (!star?.textContent.includes("*") || !(cell.matches(active) || cell.nextElementSibling?.matches(active))) return;
const picture = script.previousElementSibling, show = () => picture.scrollIntoView({block: "nearest"});
const over = new AbortController(), on = {capture: true, passive: true, signal: over.signal};
show();
document.addEventListener("scroll", show, on);
for (const hand of ["keydown", "pointerdown", "wheel"]) document.addEventListener(hand, () => over.abort(), on);
new MutationObserver((_, ended) => {
    ended.disconnect();
    setTimeout(() => over.abort(), 3000);
}).observe(star, {childList: true});
})(document.currentScript);</script>"""


def style() -> AbstractContextManager[None]:
    """Return a context manager in which plots have that look, for figures that are drawn outside of a cell."""
    return matplotlib.rc_context(STYLE)


def figure(width: float = 8.0, height: float = 4.0, layout: str = "constrained") -> Figure:
    """Return a new Figure in that look; width, height: in inches of 110 pixels. It belongs to no notebook's cell.

    layout: who works out the margins; "none" leaves them as they are set, which takes half the time
    """
    with style():
        new = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(new)
    return new


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG."""
    file = io.BytesIO()
    with style():
        figure.canvas.print_png(file, pil_kwargs={"compress_level": 2})  # a little larger than by 6, and sooner there
    return file.getvalue()


def show(draw: Callable[..., str], *records: object, **options: object) -> None:
    """Draw a picture, display it under the cell, and print its words.

    draw: called with an Axes, the records and the options; returns the words. It may change its figure's size
        (`resize`) or split it (`split`).

    The alternative text is the picture's title, and a learner's prediction as the picture names it ("you: 3"); the
    words, which say all that it shows, stand under it. The picture is an <img> in HTML, since JupyterLab drops the
    alternative text of image/png.
    """
    new = figure()
    with style():
        words = draw(new.subplots(), *records, **options)
        image = png(new)
    title = ". ".join(" ".join(ax.get_title("left").split()) for ax in new.axes if ax.get_title("left"))
    yours = [text.get_text() for text in new.findobj(Text) if text.get_text().startswith(YOU)]
    source = "data:image/png;base64," + base64.b64encode(image).decode("ascii")
    parts = [title or draw.__name__.replace("_", " "), *yours, "The words below say the same."]
    text = f"Picture: {'. '.join(parts)}"
    width, height = new.canvas.get_width_height()
    image = f'<img alt="{html.escape(text)}" width="{width}" height="{height}" src="{source}">'
    display({"text/html": image + IN_VIEW, "text/plain": text}, raw=True)
    print(words)


def resize(ax: Axes, width: float, height: float) -> None:
    """Give the figure of `ax` a size in inches of 110 pixels, if the picture has it for itself."""
    if ax.figure.axes == [ax]:
        ax.figure.set_size_inches(width, height)


def split(ax: Axes, *widths: float) -> list[Axes]:
    """Put as many Axes side by side in the place of `ax` as there are relative widths; return them."""
    grid = ax.get_subplotspec().subgridspec(1, len(widths), width_ratios=widths)
    whole = ax.figure
    ax.remove()
    return [whole.add_subplot(part) for part in grid]


def your_line(ax: Axes, value: float | None, words: str, axis: str = "y") -> None:
    """Draw a learner's prediction (None: nothing) as a dotted black line across the picture, named in the legend.

    axis: the one on which the value is, "y" or "x"; words: the value as the legend says it
    """
    if value is not None:
        line = ax.axhline if axis == "y" else ax.axvline
        line(value, linestyle=":", color="black", linewidth=2.5, label=f"{YOU}{words}", zorder=4)


def below(ax: Axes, more: Iterable[Artist] = ()) -> None:
    """Put the legend under the plot, where it covers nothing. more: further entries, as handles."""
    handles = [*ax.get_legend_handles_labels()[0], *more]
    ax.figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=11)


def spread(places: Iterable[float], gap: float) -> list[float]:
    """Return sorted `places` moved as little as it takes to keep them `gap` apart."""
    groups = []  # of places that must share their room: [sum, number]
    for place in places:
        groups.append([place, 1])
        while len(groups) > 1 and top(groups[-1], gap) < top(groups[-2], gap) + groups[-2][1] * gap:
            total, number = groups.pop()
            groups[-1][0] += total
            groups[-1][1] += number
    return [top(group, gap) + index * gap for group in groups for index in range(group[1])]


def top(group: Sequence[float], gap: float) -> float:
    """Return the first place of a group (sum, number) that is laid out around its mean."""
    total, number = group
    return total / number - (number - 1) * gap / 2


def plain(axis: Axis, ticks: Sequence[float]) -> None:
    """Put ticks with plain numbers on a logarithmic axis."""
    axis.set_ticks(ticks, [f"{tick:,}" for tick in ticks])
    axis.set_ticks([], minor=True)


def micros(axis: Axis, values: Sequence[float]) -> None:
    """Put plain ticks on a logarithmic axis of times: 1, 2, 5, 10 ... as far as the values reach."""
    low, high = np.nanmin(values), np.nanmax(values)
    ticks = [step * 10**power for power in range(7) for step in (1, 2, 5)]
    inside = [tick for tick in ticks if low / 2 <= tick <= high * 2]
    plain(axis, inside if len(inside) <= 8 else [tick for tick in inside if str(tick)[0] == "1"])


# --- What they share ---


def hollow_and_full() -> list[Line2D]:
    """Return the legend's entries that say which marks are predicted and which are measured."""
    look = {"marker": "o", "linestyle": "", "color": GREY, "markersize": 9}
    hollow = Line2D([], [], markerfacecolor="white", markeredgewidth=2, label="hollow: predicted", **look)
    return [hollow, Line2D([], [], label="full: measured", **look)]
