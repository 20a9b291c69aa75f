"""`udplab grade`: a class made up of learners who are right, wrong, slow, careless and sly."""

import csv
import itertools
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from nbformat import v4

from udplab.__main__ import NOTEBOOKS
from udplab.jupyter import grade, gradebook

SETUP = "from udplab.kit.prediction import foretold\nfrom udplab.loopback import exercises"
NAMES = ["loopback.count", "loopback.shout"]
COUNT, SHOUT = "exercises.count.check({})", "def respond(data):\n    {}\n\n\nexercises.shout.check(respond)"
NOT_TRIED, NOT_YET, RIGHT = gradebook.STATES

# From what the cells hold to the states of the two exercises, and words of the line about the notebook
LEARNERS = {
    "right": ([COUNT.format(11), SHOUT.format("return data.upper() or None")], [RIGHT, RIGHT], None),
    "wrong": ([COUNT.format(7), SHOUT.format("return data")], [NOT_YET, NOT_YET], None),
    "untouched": ([COUNT.format("..."), SHOUT.format("...")], [NOT_TRIED, NOT_TRIED], None),
    "late": ([COUNT.format(7), COUNT.format(11), COUNT.format("...")], [RIGHT, NOT_TRIED], None),
    "endless function": ([SHOUT.format("while True: pass"), COUNT.format(11)], [RIGHT, NOT_YET], None),
    "with errors": (["1 / 0", "exit()", "input()", "%no_magic", "def", COUNT.format(11)], [RIGHT, NOT_TRIED], None),
    "awaits": (["import asyncio", "await asyncio.sleep(0)\n" + COUNT.format(11)], [RIGHT, NOT_TRIED], None),
    "says so himself": (['print("Right.")', COUNT.format(7)], [NOT_YET, NOT_TRIED], None),
    "changes the test": (["exercises.count.test = lambda answer: None", COUNT.format(7)], [NOT_YET, NOT_TRIED], None),
    "changes the check": (["exercises.count.check = print", COUNT.format(11)], [NOT_TRIED, NOT_TRIED], None),
    "changes the class": (
        ["type(exercises.count).verdict = lambda *_: True", COUNT.format(7)], [NOT_YET, NOT_TRIED], None
    ),
    "leaves a thread": (
        ["import threading, time\nthreading.Thread(target=time.sleep, args=[600]).start()", COUNT.format(11)],
        [RIGHT, NOT_TRIED], None
    ),
    "endless cell": ([COUNT.format(11), "while True: pass", SHOUT.format("x")], [RIGHT, NOT_TRIED], "3; what came"),
    "quits": ([COUNT.format(11), "import os\nos._exit(0)"], [RIGHT, NOT_TRIED], "ended in code cell 3; what"),
    "another notebook": (None, [NOT_TRIED, NOT_TRIED], "cannot be read: it imports no exercises"),
    "broken": (b'{"cells": ', [NOT_TRIED, NOT_TRIED], "cannot be read: "),
    "empty": (b"", [NOT_TRIED, NOT_TRIED], "cannot be read: "),
}  # fmt: skip


def write(path, cells):
    """Write a notebook of these cells after the usual first one, or these bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(cells, bytes):
        path.write_bytes(cells)
    else:
        sources = ["print(1)"] if cells is None else [SETUP, *cells]
        nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources]), path)


def read(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def run(folder, out, *options):
    command = [sys.executable, "-m", "udplab", "grade", str(folder), "--out", str(out), *options]
    return subprocess.run(command, capture_output=True, encoding="utf-8", timeout=500)


@pytest.mark.heavy
@pytest.mark.parametrize("size", [len(LEARNERS), pytest.param(30, marks=pytest.mark.long)])
def test_learners_of_every_kind_are_told_apart(tmp_path, size):
    learners = {
        f"{i} {name}": LEARNERS[name] for i, name in enumerate(itertools.islice(itertools.cycle(LEARNERS), size))
    }
    for name, (cells, _, _) in learners.items():
        write(tmp_path / "class" / name / "2-1-loopback.ipynb", cells)
    before = {path: path.stat().st_mtime_ns for path in sorted((tmp_path / "class").rglob("*"))}
    result = run(tmp_path / "class", tmp_path / "grades", "--seconds", "25", "--at-once", "4")
    assert result.returncode == 1  # since some could not be read
    rows = {row["learner"]: row for row in read(tmp_path / "grades.csv")}
    assert {name: [rows[name][each] for each in NAMES] for name in learners} == {
        name: states for name, (_, states, _) in learners.items()
    }
    lines = result.stderr.splitlines()
    told = {name: words for name, (_, _, words) in learners.items() if words}
    assert len(lines) == len(told)
    for name, words in told.items():
        assert [line for line in lines if f"{os.sep}{name}{os.sep}" in line and words in line], (name, lines)
    assert (tmp_path / "grades.png").read_bytes().startswith(b"\x89PNG")
    right = sum(states[0] == RIGHT for _, states, _ in learners.values())
    assert f"loopback.count: {right} right, " in result.stdout
    assert {path: path.stat().st_mtime_ns for path in sorted((tmp_path / "class").rglob("*"))} == before


def test_a_function_to_be_mended_that_is_as_it_was_was_not_tried(tmp_path):
    (original,) = NOTEBOOKS.glob("*-loopback.ipynb")
    cells = nbformat.read(original, as_version=4).cells
    (given,) = [cell.source for cell in cells if "exercises.client.check(" in cell.source]
    states = []
    for source in (given, given.replace("return data", "return data[:3]")):
        write(tmp_path / "ann.ipynb", [source])
        attempt = grade.tried("ann", tmp_path / "ann.ipynb", 60, grade.Processes())
        assert attempt.problem is None
        states.append(attempt.states["loopback.client"])
    assert states == [NOT_TRIED, NOT_YET]


def test_predictions_and_which_most_got_wrong(tmp_path):
    for i, guess in enumerate((90, 150, 2000, 1999, "...")):
        cells = [f'foretold("kept", {guess}, came=92)', f'foretold("who", ["bob"], came={["bob"]})']
        write(tmp_path / "class" / f"{i}.ipynb", cells)
    result = run(tmp_path / "class", tmp_path / "grades")
    assert result.returncode == 0 and result.stderr == ""
    assert [row["loopback: kept"] for row in read(tmp_path / "grades.csv")] == ["near", "near", "off", "off", ""]
    assert {row["loopback: who"] for row in read(tmp_path / "grades.csv")} == {"near"}
    assert "most of the class" not in result.stdout  # two of four are not most


def attempt(learner, states=(), near=()):
    return grade.Graded(learner, None, dict(states), dict(near))


def test_the_table_and_its_words():
    attempts = [
        attempt("bea", {"a": NOT_YET, "b": RIGHT}, {"q": False}),
        attempt("bea", {"a": RIGHT, "b": NOT_TRIED}),  # of two notebooks the better counts
        attempt("ann", {"a": NOT_TRIED, "c": NOT_YET}, {"q": False}),
        attempt("cem"),
    ]
    columns, rows = gradebook.table(attempts)
    assert columns == ["a", "b", "c", "q"]
    assert rows == {
        "ann": [NOT_TRIED, NOT_TRIED, NOT_YET, "off"],
        "bea": [RIGHT, RIGHT, NOT_TRIED, "off"],
        "cem": [NOT_TRIED, NOT_TRIED, NOT_TRIED, ""],
    }
    lines = gradebook.words(columns, rows)
    assert lines[0] == "a: 1 right, 0 not yet, 2 not tried"
    assert lines[-2:] == ["Predictions that most of the class got wrong:", "  q: 2 of 2"]
    (axes,) = gradebook.picture(columns, rows).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == list(rows)
    marks = [text.get_text() for text in axes.texts]
    assert marks == ["", "", "~", "~", "✓", "✓", "", "~", "", "", "", ""]


def test_an_unreadable_class_still_makes_a_table(tmp_path):
    text = gradebook.write([attempt("$x$"), attempt("ä")], tmp_path / "g")
    assert str(tmp_path / "g.csv") in text and read(tmp_path / "g.csv") == [{"learner": "$x$"}, {"learner": "ä"}]


def test_which_notebooks_are_whose(tmp_path):
    for name in ("ann/2-1.ipynb", "ann/deep/2-2.ipynb", "bob.ipynb", "ann/.ipynb_checkpoints/2-1.ipynb", ".x.ipynb",
                 "ann/notes.txt"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [(learner, path.relative_to(tmp_path).as_posix()) for learner, path in grade.found(tmp_path)]
    assert found == [("ann", "ann/2-1.ipynb"), ("ann", "ann/deep/2-2.ipynb"), ("bob", "bob.ipynb")]


@pytest.mark.parametrize(("name", "words"), [("nowhere", "is no folder"), ("", "there are no notebooks")])
def test_nothing_to_grade(tmp_path, name, words):
    with pytest.raises(SystemExit, match=words):
        grade.main([str(tmp_path / name)])


def test_a_line_that_was_cut_when_its_process_was_killed():
    lines = [b'{"exercises": ["a"]}\n', b'{"cell": 4}\n', b'{"exercise": "a", "sta']
    attempt = grade.summed_up("ann", "x", lines, "ran for more than 1 s")
    assert attempt.states == {"a": NOT_TRIED}
    assert attempt.problem == "ran for more than 1 s in code cell 4; what came after it was not tried"


@pytest.mark.parametrize(
    "line",
    [b"1", b"[]", b"{}", b"x", b"\xff", b"[" * 100_000, b'{"exercise": "a", "state": "best"}', b'{"exercise": "a"}',
     b'{"exercise": ["a"], "state": "right"}', b'{"prediction": "q", "near": 5}', b'{"prediction": "q"}',
     b'{"exercises": "a"}', b'{"exercises": [1]}', b'{"cell": "4"}', b'{"problem": 1}', b'{"ended": false}',
     b'{"exercises": ["\\ud800"]}', b'{"cell": 4, "state": {}}'],
)  # fmt: skip
def test_a_line_that_a_notebook_has_put_in_costs_only_itself(line, tmp_path):
    lines = [b'{"exercises": ["a"]}', b'{"cell": 4}', line, b'{"exercise": "a", "state": "right"}', b'{"ended": true}']
    sly = grade.summed_up("sly", "x", [each + b"\n" for each in lines], "ended")
    assert sly.states == {"a": RIGHT} and sly.near == {}
    assert sly.problem == "has written a line of its own into its report, in code cell 4"
    gradebook.write([sly, attempt("ann", {"a": NOT_YET})], tmp_path / "g")
    assert [row["a"] for row in read(tmp_path / "g.csv")] == [NOT_YET, RIGHT]


def test_a_notebook_that_writes_into_its_report_does_not_end_the_grading(tmp_path):
    code = "import os\nfor each in range(3, 30):\n    try: os.write(each, b'1\\n')\n    except OSError: pass"
    write(tmp_path / "class/sly.ipynb", [code, COUNT.format(11)])
    write(tmp_path / "class/ann.ipynb", [COUNT.format(11)])
    result = run(tmp_path / "class", tmp_path / "grades")
    assert result.returncode == 1 and "sly.ipynb has written a line of its own" in result.stderr
    assert [row["loopback.count"] for row in read(tmp_path / "grades.csv")] == [RIGHT, RIGHT]


def test_no_cell_is_a_formula_for_a_spreadsheet(tmp_path):
    names = ['=HYPERLINK("x")', "+1", "-1", "@a", "a=b"]
    gradebook.write([attempt(name, {"=1+1": RIGHT}) for name in names], tmp_path / "g")
    rows = read(tmp_path / "g.csv")
    learners = {row["learner"] for row in rows}
    assert learners == {'\'=HYPERLINK("x")', "'+1", "'-1", "'@a", "a=b"}
    assert all(row["'=1+1"] == RIGHT for row in rows)
    assert gradebook.inert("\t=1") == "'\t=1" and gradebook.inert("") == ""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name is Unicode")
def test_a_name_that_is_no_unicode_is_told_in_ascii(tmp_path):
    os.mkdir(os.path.join(os.fsencode(tmp_path), b"J\xf6rg"))
    write(tmp_path / "J\udcf6rg" / "1.ipynb", [])
    assert [learner for learner, _ in grade.found(tmp_path)] == [r"J\xf6rg"]


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_ctrl_c_ends_all_that_was_started(tmp_path):
    mark = tmp_path / "pid"
    code = f"import os, time\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    write(tmp_path / "class" / "ann.ipynb", [code])
    command = [sys.executable, "-m", "udplab", "grade", str(tmp_path / "class"), "--out", str(tmp_path / "grades")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as process:
        while not (mark.exists() and mark.read_text()):
            time.sleep(0.05)  # the notebook has no other way to tell
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60)[1] == "" and process.returncode == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(mark.read_text()), 0)
