"""What the tests that go through all lessons know of them: each lesson's folder has a `lesson.py` that says it.

A lesson.py has: NOTEBOOK, the file's name; NEEDS_LAN; PLOTS, a dict from a name to a function that draws on an Axes and
returns the words; PLAYGROUNDS, from a name to (a function that makes the panel, controls' values); PROGRAMS, from
"server" and "client" to arguments after `python -m udplab.LESSON`, and from "hosts" to a list of such arguments
that take a HOST behind them; FLOODED, servers for the floods of test_loads.py; BROWSER, what test_browser.py tries.
"""

import importlib.util
from pathlib import Path

TESTS = Path(__file__).resolve().parent
NOTEBOOKS = TESTS.parent / "notebooks"


def loaded(path):
    """Return the module in a lesson.py."""
    spec = importlib.util.spec_from_file_location(f"lesson_{path.parent.name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LESSONS = {path.parent.name: loaded(path) for path in sorted(TESTS.glob("*/lesson.py"))}


def gathered(name):
    """Return a dict of all lessons' entries in their dict `name`, as "lesson, key"."""
    return {
        f"{lesson}, {key}": value for lesson, module in LESSONS.items() for key, value in getattr(module, name).items()
    }
