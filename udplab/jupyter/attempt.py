"""A learner's notebook, run in this process for `udplab grade`: python -m udplab.jupyter.attempt NOTEBOOK

What the checks and the predictions come to is written to standard output, a JSON object a line; what the notebook
prints goes nowhere. The notebook can do what a learner can: this is no sandbox.
"""

import copy
import importlib
import json
import os
import re
import sys
from pathlib import Path

import nbformat
from traitlets.config import Config

from udplab.__main__ import NOTEBOOKS

CLOSE = 0.3  # `off` of a prediction that still counts as near: numbers up to twice or half of what came


def main(path):
    """Run the notebook and report; it does not return."""
    report = reporter()
    try:
        cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        lesson = lesson_of(cells)
    except Exception as error:  # a learner's file may hold anything, and nbformat raises whatever it stumbles over
        report(problem=f"cannot be read: {' '.join(str(error).split())[:100] or type(error).__name__}")
        os._exit(0)
    watch(lesson, report, cells)
    sys.path.insert(0, str(Path(path).resolve().parent))  # what the learner wrote beside it
    run(cells, report)
    for guess in importlib.import_module("udplab.kit.prediction").guesses():
        report(prediction=f"{lesson}: {guess.question}", near=bool(guess.off <= CLOSE))
    report(ended=True)
    os._exit(0)  # whatever threads the notebook has left


def reporter():
    """Return a function that writes keywords as a line of JSON to what was standard output, and close that to others.

    The notebook's code has no name for it: it stays in the closure of whoever calls it.
    """
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    return lambda **content: print(json.dumps(content), file=out, flush=True)


def lesson_of(cells):
    """Return the lesson whose exercises the cells import, such as "loopback". Raises ValueError if there is none."""
    for source in cells:
        if found := re.search(r"^from udplab\.(\w+) import .*\bexercises\b", source, re.M):
            return found[1]
    raise ValueError("it imports no exercises of udplab")


def watch(lesson, report, cells):
    """Report all exercises of a lesson, and from now on the verdict of each check on what it was given.

    The judges are copies: to change an exercise, or to print "Right.", does not impress them. An exercise whose cell is
    still as the lesson has it was not tried, also where that cell holds a function to be mended.
    """
    module = importlib.import_module(f"udplab.{lesson}.exercises")
    exercise = importlib.import_module("udplab.kit.exercise").Exercise
    names = {id(each): name for name, each in vars(module).items() if isinstance(each, exercise)}
    judges = {key: copy.copy(getattr(module, name)) for key, name in names.items()}
    verdict_of = exercise.verdict
    report(exercises=[f"{lesson}.{name}" for name in names.values()])
    untouched = " ".join(set(cells) & given(lesson))

    def check(self, answer):
        verdict = verdict_of(judges[id(self)], answer)
        name = names[id(self)]
        tried = verdict.tried and f"exercises.{name}.check(" not in untouched
        report(exercise=f"{lesson}.{name}", state="right" if verdict else "not yet" if tried else "not tried")
        return verdict

    exercise.check = check


def given(lesson):
    """Return the set of the code cells that learners got."""
    notebooks = [nbformat.read(path, as_version=4) for path in NOTEBOOKS.glob(f"*-{lesson}.ipynb")]
    return {cell.source for notebook in notebooks for cell in notebook.cells if cell.cell_type == "code"}


def run(cells, report):
    """Run cells one after another, as a notebook does; an error ends the cell, not the notebook."""
    os.environ["MPLBACKEND"] = "agg"  # no window opens
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    for number, source in enumerate(cells, 1):
        report(cell=number)
        shell.run_cell(source)


if __name__ == "__main__":
    main(sys.argv[1])
