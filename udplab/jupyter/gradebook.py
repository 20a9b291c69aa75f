"""A class's results as a table, a picture and words."""

import csv
import textwrap

STATES = "not tried", "not yet", "right"  # in rising order: of several attempts the best counts

MARKS = {"right": "✓", "not yet": "~", "not tried": "", "near": "✓", "off": "~", "": ""}
SHADES = {"right": 2, "near": 2, "not yet": 1, "off": 1, "not tried": 0, "": 0}
COLOURS = ["#F2F2F2", "#E69F00", "#56B4E9"]  # grey, orange, sky blue: Okabe and Ito


def better(states, name, state):
    """Keep the better of two states of an exercise."""
    states[name] = max(states.get(name, STATES[0]), state, key=STATES.index)


def write(attempts, out):
    """Write the table of a list of `Graded`s to out.csv and out.png; return what they say, in lines.

    Raises OSError where they cannot be written.
    """
    columns, rows = table(attempts)
    # With a byte order mark: without it, spreadsheets take the names' umlauts for something else.
    with open(f"{out}.csv", "w", newline="", encoding="utf-8-sig") as file:
        lines = [["learner", *columns], *([learner, *cells] for learner, cells in rows.items())]
        csv.writer(file).writerows([inert(cell) for cell in line] for line in lines)
    picture(columns, rows).savefig(f"{out}.png")
    return "\n".join([*words(columns, rows), f"The table is in {out}.csv, its picture in {out}.png."])


def inert(cell):
    """Return a cell's text such that no spreadsheet takes it for a formula: with ' before one that could be one."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def table(attempts):
    """Return the names of the columns, exercises first, and a dict from learner to the cells of a row.

    An exercise's cell is one of STATES, a prediction's "near", "off", or "" where none was made.
    """
    states, near = {}, {}
    for attempt in attempts:
        for name, state in attempt.states.items():
            better(states.setdefault(attempt.learner, {}), name, state)
        near.setdefault(attempt.learner, {}).update(attempt.near)
    exercises = list(dict.fromkeys(name for each in states.values() for name in each))
    questions = list(dict.fromkeys(question for each in near.values() for question in each))
    said = {True: "near", False: "off", None: ""}
    rows = {
        learner: [states.get(learner, {}).get(name, STATES[0]) for name in exercises]
        + [said[guesses.get(question)] for question in questions]
        for learner, guesses in sorted(near.items())
    }
    return exercises + questions, rows


def words(columns, rows):
    """Return lines: how many got each exercise right, and which predictions were off for more than half."""
    lines, wrong = [], []
    for name, cells in zip(columns, zip(*rows.values(), strict=True), strict=True):
        if made := cells.count("near") + cells.count("off"):
            wrong.append((cells.count("off") / made, f"  {name}: {cells.count('off')} of {made}"))
        else:
            lines.append(f"{name}: " + ", ".join(f"{cells.count(state)} {state}" for state in reversed(STATES)))
    most = [line for share, line in sorted(wrong, reverse=True) if share > 0.5]
    return lines + (["Predictions that most of the class got wrong:", *most] if most else [])


def picture(columns, rows):
    """Return a Figure of the table: a mark and a shade for each cell."""
    from matplotlib.colors import ListedColormap  # here, since a command line starts without them
    from matplotlib.figure import Figure

    height, width = len(rows), max(len(columns), 1)
    figure = Figure(figsize=(4 + 0.4 * width, 4.5 + 0.3 * height), dpi=110, layout="constrained")
    axes = figure.subplots()
    cells = list(rows.values())
    shades = [[SHADES[cell] for cell in row] or [0] for row in cells]
    axes.pcolormesh(shades, cmap=ListedColormap(COLOURS), vmin=0, vmax=2, edgecolors="white")
    for y, row in enumerate(cells):
        for x, cell in enumerate(row):
            axes.text(x + 0.5, y + 0.5, MARKS[cell], ha="center", va="center", fontsize=13)
    labels = [textwrap.shorten(column, 40, placeholder=" ...") for column in columns]
    axes.set_xticks([x + 0.5 for x in range(len(columns))], labels, rotation=90, parse_math=False)
    axes.set_yticks([y + 0.5 for y in range(height)], rows, parse_math=False)
    axes.invert_yaxis()
    axes.set_title("✓ right, or near    ~ not yet, or off    empty: not tried", loc="left", fontsize=10)
    return figure
