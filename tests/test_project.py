"""The project itself: its notebooks, its lists of packages, its way in for newcomers."""

import ast
import configparser
import itertools
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from udplab.kit import terminal

TOP = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((TOP / "notebooks").glob("*.ipynb"))


def read(name):
    return (TOP / name).read_text(encoding="utf-8")


def test_the_top_level_has_no_file_but_those_that_belong_there():
    """A test that runs a lesson here leaves the learner's programs of lesson 2-1."""
    tools = {
        "pyproject.toml",
        "conftest.py",
        "LICENSE",
        ".gitignore",
        ".ci",
        ".github",
        ".devcontainer",
        "CHANGELOG.md",
    }
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git, or no repository")
    ours = {"notebooks", "udplab", "tests", "environment.yml", "README.md"} | tools
    assert {Path(name).parts[0] for name in listed.stdout.splitlines()} == ours


def test_environment_yml_and_pyproject_name_the_same_packages():
    project = tomllib.loads(read("pyproject.toml"))
    conda = yaml.safe_load(read("environment.yml"))["dependencies"]
    assert conda[-1] == {"pip": ["-e ."]}
    ours = project["project"]["dependencies"] + project["dependency-groups"]["test"]
    theirs = [package for package in conda[:-1] if not package.startswith(("python>", "pip"))]
    assert set(theirs) <= set(ours)
    # What conda does not list comes by "-e .": packages for one platform only. The browser is for developers.
    assert {name for name in set(ours) - set(theirs) if ";" not in name} == {
        name for name in ours if re.match(r"(pytest-playwright|axe-playwright-python|ruff)\b", name)
    }
    assert "python" + project["project"]["requires-python"] in conda


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_is_executed_and_carries_nothing_volatile(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert set(notebook["metadata"]) == {"kernelspec"}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    # nbval compares nothing in a cell without a count
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        assert set(cell["metadata"]) <= {"tags"}
        for output in cell["outputs"]:
            assert not {"image/svg+xml", "application/vnd.jupyter.widget-view+json"} & set(output.get("data", {}))


def pictures(cell):
    """Return the alternative texts of the pictures that are stored under a code cell."""
    found = ("".join(output.get("data", {}).get("text/html", "")) for output in cell.get("outputs", []))
    return [alt for text in found for alt in re.findall(r'<img alt="([^"]*)"[^>]* src="data:image/png;base64,', text)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_every_stored_picture_has_its_words_below_it_and_every_panel_has_a_picture(path):
    """So a notebook makes sense where no kernel runs, and for people who do not see the picture."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    panels = [cell for cell in code if "".join(cell["source"]).startswith("panel.")]
    assert panels and all(pictures(cell) for cell in panels)
    for cell in code:
        assert not any("image/png" in output.get("data", {}) for output in cell["outputs"]), (
            "it has no alternative text"
        )
        if pictures(cell):
            assert all(alt.strip() for alt in pictures(cell)), cell["id"]
            assert any(output.get("name") == "stdout" for output in cell["outputs"]), cell["id"]


# What a first cell may import of the kit: what a lesson's text introduces by name.
INTRODUCED = set(
    [
        "show",
        "foretold",
        "summary",
        "Server",
        "hold",
        "stop_all",
        "udp_socket",
        "connect",
        "answer_from",
        "arrivals",
        "own_address",
        "header",
        "receive_cut",
        "Stage",
        "ladder",
        "loopback",
        "model",
        "Sent",
        "Read",
        "Hop",
    ]
)
APOLOGIES = ("describe_", "None if reason else", "Fate(", "plt.")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_lesson_imports_its_five_rooms_first_and_no_cell_apologizes_for_machinery(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    first, *others = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    lesson = path.stem.rpartition("-")[2]
    for node in ast.walk(ast.parse(first)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("udplab.kit"):
            assert {alias.name for alias in node.names} <= INTRODUCED, node.module
    rooms = re.search(rf"from udplab\.{lesson} import (\([^)]*\)|[^\n(]*)", first)[1]
    assert {"exercises", "experiments", "listing", "panel", "plots"} <= set(re.findall(r"\w+", rooms))
    for source in others:
        assert not [words for words in APOLOGIES if words in source], source
        assert not re.search(r"\b(\w+) and \1\[0\]", source), source
        assert ("from udplab" not in source and "import udplab" not in source) or "%%writefile" in source, source


def test_what_is_sanitized_is_written_in_ascii():
    """Row 58. nbval reads the rules in the locale's encoding; each has a name, a pattern and what takes its place."""
    rules = configparser.RawConfigParser()
    rules.read_string((TOP / "tests" / "sanitize.cfg").read_bytes().decode("ascii"))
    for name in rules.sections():
        assert set(rules[name]) == {"regex", "replace"} and re.compile(rules[name]["regex"]), name


def test_the_lessons_name_the_trap_of_a_file_called_socket():
    """Row 53: Python would import the learner's file in place of its own."""
    assert "socket.py" in "".join(path.read_text(encoding="utf-8") for path in NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_headings_are_in_order(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    prose = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    levels = [len(marks) for marks in re.findall(r"^(#+) ", re.sub(r"```.*?```", "", prose, flags=re.S), flags=re.M)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_readme_and_ci_run_the_same_tests():
    command = "pip install uv && uv run pytest"
    assert command in read("README.md") and command in read(".ci/run")
    assert command in read(".github/workflows/tests.yml")
    assert "pip install uv && uv run udplab" in read("README.md")
    assert "uv run pytest -m heavy -n 0" in read("README.md")
    for place in ("README.md", ".ci/run", ".github/workflows/tests.yml"):
        assert 'uv run pytest -m "heavy and not long" -n 0' in read(place)


@pytest.mark.parametrize("text", ["70000", "-1", "x", "", "1.5", "²"])
def test_what_is_not_a_port(text):
    with pytest.raises(terminal.argparse.ArgumentTypeError, match="whole number"):
        terminal.port(text)


@pytest.mark.parametrize("number", [0, 1, 65535])
def test_what_is_a_port(number):
    assert terminal.port(str(number)) == number


@given(st.text(max_size=8) | st.integers(-10, 100_000).map(str))
def test_a_port_reads_back_as_it_is_written_or_is_refused_in_one_line(text):
    try:
        number = terminal.port(text)
    except terminal.argparse.ArgumentTypeError as refused:
        assert "\n" not in str(refused) and text not in map(str, range(65536))
    else:
        assert 0 <= number <= 65535 and text.lstrip("0") in ("", str(number))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(terminal.errno.EADDRINUSE, "x"), "Port 53 is in use"),
        (OSError(terminal.errno.EADDRNOTAVAIL, "x"), "10.9.8.7 is not an address of this machine"),
        (OSError(terminal.errno.EACCES, "x"), "ports below 1024 are for administrators"),
        (OSError(5, "odd"), "Cannot listen on '10.9.8.7', port 53: odd"),
        (terminal.socket.gaierror(-2, "x"), "Unknown host '10.9.8.7'"),
    ],
)
def test_why_a_server_cannot_listen(error, words):
    line = terminal.cannot_listen(error, "10.9.8.7", 53)
    assert words in line and "\n" not in line
