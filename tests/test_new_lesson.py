"""A lesson out of nothing: a notebook of three cells, a folder, a tests' folder; and no other file is touched."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

TOP = Path(__file__).resolve().parent.parent
FILES = {
    "udplab/echo/__init__.py": '"""Lesson 2-5: a lesson out of nothing."""\n',
    "udplab/echo/listing.py": '''"""Listing 2-5: a server that says again what it hears."""

from udplab.kit import terminal
from udplab.kit.server import Server


def respond(data):
    """Return the datagram itself, but nothing for nothing."""
    return data or None


def server(host, port):
    """Answer until Ctrl-C."""
    terminal.show(Server(respond, host, port), str)
''',
    "udplab/echo/__main__.py": '''"""Run listing 2-5."""

from udplab.echo.listing import server
from udplab.kit import terminal


def main(argv=None):
    """Run it from the command line."""
    terminal.play("echo", "Say again what is heard.", server, server, "where to listen", argv)


if __name__ == "__main__":
    main()
''',
    "udplab/echo/experiments.py": '''"""The experiments of lesson 2-5."""

from udplab.echo.listing import respond


def sizes(limit):
    """Return how long the answers to datagrams of 0 to `limit` - 1 bytes are."""
    return [len(respond(bytes(size)) or b"") for size in range(limit)]
''',
    "udplab/echo/plots.py": '''"""The picture of lesson 2-5."""


def answers(ax, sizes):
    """Draw the lengths of answers; return the words."""
    ax.plot(sizes, "o")
    ax.set(title="As long as its question", xlabel="question in bytes", ylabel="answer in bytes")
    return f"{len(sizes)} answers, each as long as its question"
''',
    "udplab/echo/panel.py": '''"""The playground of lesson 2-5."""

from udplab.echo import experiments, plots
from udplab.kit.playground import Playground, number


def many():
    """Return a Playground."""

    def measure(limit):
        yield experiments.sizes(limit)

    return Playground({"limit": number("sizes", 3, 1, 9)}, measure, lambda ax, sizes, *_: plots.answers(ax, sizes))
''',
    "udplab/echo/exercises.py": '"""Lesson 2-5 has no exercises yet."""\n',
    "tests/echo/lesson.py": """from udplab.echo import panel, plots

NOTEBOOK = "2-5-echo.ipynb"
NEEDS_LAN = False
PLOTS = {"answers": lambda ax: plots.answers(ax, [0, 1, 2])}
PLAYGROUNDS = {"first settings": (panel.many, {})}
PROGRAMS = {"server": ["server", "127.0.0.1"], "hosts": [["server"]]}
FLOODED = {}
BROWSER = {}
""",
}
CELLS = (
    "from udplab.echo import exercises, experiments, listing, panel, plots\nfrom udplab.kit.picture import show",
    "show(plots.answers, experiments.sizes(5))",
    "panel.many()",
)
ACROSS = ["tests/test_house.py", "tests/test_project.py", "tests/test_pictures.py", "tests/test_faults.py"]


@pytest.fixture
def tree(tmp_path):
    """A copy of what git tracks, or would."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no clone: git does not say which files belong to it")
    for name in listed.stdout.splitlines():
        if (TOP / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, tmp_path / name)
    return tmp_path


def test_a_new_lesson_touches_no_other_file(tree):
    for name, text in FILES.items():
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text(text, encoding="utf-8")
    lesson = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    lesson.cells = [nbformat.v4.new_markdown_cell("# 2-5 Out of nothing"), *map(nbformat.v4.new_code_cell, CELLS)]
    lesson.cells[-1].metadata["tags"] = ["nbval-ignore-output"]
    nbformat.write(lesson, tree / "notebooks" / "2-5-echo.ipynb")
    run = {"cwd": tree, "env": os.environ | {"PYTHONPATH": str(tree)}, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "tests/execute.py", "notebooks/2-5-echo.ipynb"], **run)
    assert done.returncode == 0, done.stderr
    chosen = ["-k", "echo or not (loopback or retry or mtu or broadcast)"]  # what is for the others runs beside this
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *chosen]
    done = subprocess.run([*command, *ACROSS, "notebooks/2-5-echo.ipynb"], **run)
    assert done.returncode == 0, done.stdout[-5000:]
    assert "echo" not in done.stderr and " passed" in done.stdout
