"""Part 4: what a plot of each lesson costs, in CPU, against matplotlib's usual way into a notebook."""

import contextlib
import io
import time

import matplotlib
from IPython.core.pylabtools import print_figure
from matplotlib import pyplot

from udplab.kit import picture

from ..lessons import LESSONS
from .rounds import compare, interleaved, seconds
from .workers import core

TITLE = "Pictures"


def measure():
    matplotlib.use("agg")
    goals = {"matplotlib's inline backend": ("at most", 0.5)}
    with core(0):
        for lesson in LESSONS.values():
            contenders = {
                "udplab": lambda lesson=lesson: cost(picture.show, lesson.PLOTS.values()),
                "matplotlib's inline backend": lambda lesson=lesson: cost(inline, lesson.PLOTS.values()),
                "the same with the margins left as they are": lambda lesson=lesson: cost(bare, lesson.PLOTS.values()),
            }
            what = f"CPU of a plot of `{lesson.NOTEBOOK.removesuffix('.ipynb')}`: {{}}"
            yield from compare(interleaved(contenders), "udplab", seconds, goals, what)


def cost(show, plots):
    """Return the CPU time to show a plot, in seconds: the mean of all. What is shown and printed goes nowhere."""
    begin = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        for draw in plots:
            show(draw)
    return (time.process_time() - begin) / len(plots)


def inline(draw):
    """Show a plot as a notebook's own pyplot does: of the same size and look, with constrained layout."""
    with picture.style():
        figure, ax = pyplot.subplots()
        words = draw(ax)
        image = print_figure(figure, bbox_inches="tight", base64=True)  # as matplotlib_inline.config sets it
        pyplot.close(figure)
    print(image, words)


def bare(draw):
    """Make the same picture, but work out no margins: what is left when layout costs nothing."""
    figure = picture.figure(layout="none")
    with picture.style():
        words = draw(figure.subplots())
    print(picture.png(figure), words)
