"""All pictures of all lessons: nothing written in them is cut off or overlaps, with ordinary and with extreme data."""

import itertools

import numpy as np
import pytest
from lessons import LESSONS, gathered
from matplotlib.colors import to_rgb
from matplotlib.text import Text
from scripted import run_async

from udplab.kit import picture

NO_LAN = "this Linux does not let you make a user namespace (Operation not permitted), so there is no LAN here"
TALL = 600  # pixels: a picture and some of its words are seen together
PLOTS, PLAYGROUNDS = gathered("PLOTS"), gathered("PLAYGROUNDS")


@pytest.fixture(autouse=True)
def in_style():
    with picture.style():
        yield


def written(figure):
    """Return the (text, box) of everything written in a figure when it is laid out as it is drawn, in pixels."""
    figure.draw_without_rendering()
    found = [item for item in figure.findobj(Text) if item.get_visible() and item.get_text().strip()]
    ticks = [tick for ax in figure.axes for axis in (ax.xaxis, ax.yaxis) for tick in axis.get_major_ticks()]
    shown = {label for tick in ticks for label in (tick.label1, tick.label2) if inside(tick)}
    every = {label for tick in ticks for label in (tick.label1, tick.label2)}
    return [(item.get_text(), item.get_window_extent()) for item in found if item not in every or item in shown]


def inside(tick):
    """Return whether a tick is drawn: matplotlib keeps more than the axis has room for."""
    low, high = sorted(tick.get_view_interval())
    return low <= tick.get_loc() <= high


def covered(figure):
    """Return the names of lines and marks that a legend covers."""
    legends = [*figure.legends, *filter(None, (ax.get_legend() for ax in figure.axes))]
    boxes = [text.get_window_extent() for legend in legends for text in legend.get_texts()]
    found = []
    for line in (line for ax in figure.axes for line in ax.lines):
        way = line.get_path().transformed(line.get_transform())
        joined = line.get_linestyle() != "None"
        if any(way.intersects_bbox(box, filled=False) if joined else box.count_contains(way.vertices) for box in boxes):
            found.append(line.get_label())
    return found


def faults(figure):
    """Return what is cut off by the figure's edge, covered by a legend, or overlaps by more than a pixel."""
    texts, (width, height) = written(figure), figure.canvas.get_width_height()
    cut = [text for text, box in texts if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1]
    both = [
        (one, two)
        for (one, a), (two, b) in itertools.combinations(texts, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]
    return cut + both + covered(figure)


@pytest.mark.parametrize("name", PLOTS)
def test_a_picture_has_words_and_nothing_written_in_it_is_cut_off_or_overlaps(name):
    figure = picture.figure()
    words = PLOTS[name](figure.subplots())
    assert isinstance(words, str) and words.strip()
    assert faults(figure) == []
    assert figure.get_size_inches()[1] * figure.dpi <= TALL


WITHOUT_LAN = [
    pytest.param(f"{lesson}, {key}", NO_LAN, id=f"{lesson}, {key}, no LAN")
    for lesson, module in LESSONS.items()
    if module.NEEDS_LAN
    for key in module.PLAYGROUNDS
]


@pytest.mark.parametrize(("name", "reason"), [*((name, None) for name in PLAYGROUNDS), *WITHOUT_LAN])
def test_nothing_written_in_a_playground_is_cut_off_or_overlaps(name, reason, monkeypatch):
    if reason:
        monkeypatch.setattr("udplab.lan.unavailable", lambda: reason)
    make, changed = PLAYGROUNDS[name]
    drawn = []

    async def run():
        panel = make()
        values = {key: control.value for key, control in panel.controls.items()} | changed
        measured = [each for batch in panel.measure(**values) for each in batch]
        for before in (None, (measured, values)):
            figure = picture.figure(*panel.size, layout="none")
            figure.subplots_adjust(**panel.margins)
            drawn.append((figure, panel.draw(figure.subplots(), measured, values, before)))

    run_async(run)
    for figure, words in drawn:
        assert words.strip() and faults(figure) == []


# --- Colours ---

COLOURS = {name: getattr(picture, name) for name in ("BLUE", "PURPLE", "GREEN", "RED", "GREY")}
EYES = {  # what is left of (linear red, green, blue): Machado, Oliveira and Fernandes, 2009, table 1, severity 1.0
    "all cones": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def linear(colour):
    """Return red, green and blue as amounts of light (sRGB, IEC 61966-2-1)."""
    parts = np.array(to_rgb(colour))
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(light):
    """Return CIELAB coordinates, in which about 2 is a difference that one can just see."""
    xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]] @ np.clip(light, 0, 1)
    ratio = xyz / [0.9505, 1, 1.089]
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("name", COLOURS)
def test_a_colour_stands_out_from_white(name):
    luminance = linear(COLOURS[name]) @ [0.2126, 0.7152, 0.0722]
    assert 1.05 / (luminance + 0.05) >= 3  # WCAG 2.2, 1.4.11


@pytest.mark.parametrize("eyes", EYES)
def test_two_colours_are_told_apart_by_all_eyes(eyes):
    seen = [lab(EYES[eyes] @ linear(colour)) for colour in COLOURS.values()]
    assert min(np.linalg.norm(one - two) for one, two in itertools.combinations(seen, 2)) > 15
