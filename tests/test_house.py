"""The house: what may import what. It reads the imports of every module, also those within functions."""

import ast
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
LESSONS = {path.parent.name for path in (TOP / "tests").glob("*/lesson.py")}
ROOMS = {"kit", "lan", "jupyter"} | LESSONS
SHARED = "udplab.loopback.listing"  # the one module of a lesson that others may import
FROM_KIT = {"udplab.kit.calm", "udplab.kit.film", "udplab.kit.frames"}  # what lan may import
HEAVY = {"matplotlib", "numpy", "ipywidgets", "IPython", "anywidget"}  # none of it in what a command line imports


def modules(folder):
    """Return a dict from the name of each module below `folder`/udplab to its text."""
    paths = sorted((folder / "udplab").rglob("*.py"))
    names = (path.relative_to(folder).with_suffix("").as_posix().replace("/", ".") for path in paths)
    return {
        name.removesuffix(".__init__"): path.read_text(encoding="utf-8")
        for name, path in zip(names, paths, strict=True)
    }


def imported(text, known):
    """Return the modules that a module's text imports: of `known` ones the exact names, of others the package's."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in whole}
    return {name if name in known else name.partition(".")[0] for name in found}


def arrows(texts):
    """Return a dict from each module to the set of what it imports."""
    return {name: imported(text, texts) for name, text in texts.items()}


def room(name):
    """Return the room of a module of udplab: the folder's name, "" for udplab itself."""
    return [*name.split("."), ""][1]


def faults(texts):
    """Return a list of the imports that the rules forbid, in words."""
    found = []
    for name, others in arrows(texts).items():
        for other in sorted(other for other in others if other.startswith("udplab.") and room(other) != room(name)):
            here, there = room(name), room(other)
            if here == "kit":
                found.append(f"{name} imports {other}: kit imports no lesson and no LAN")
            elif here == "lan" and not any(other == name or other.startswith(f"{name}.") for name in FROM_KIT):
                found.append(f"{name} imports {other}: lan imports {', '.join(sorted(FROM_KIT))} alone")
            elif here in LESSONS and there in LESSONS | {"jupyter"} and other != SHARED:
                found.append(f"{name} imports {other}: a lesson imports no other, but for {SHARED}")
    return found


def circles(arrows):
    """Return the modules that lie on a circle of imports, or between two."""
    left = {name: {other for other in others if other in arrows and other != name} for name, others in arrows.items()}
    while ends := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in ends}
    return sorted(left)


def reached(start, arrows):
    """Return all that is imported, directly or by way of others, when the module `start` is."""
    seen, waiting = set(), {start}
    while waiting:
        name = waiting.pop()
        seen.add(name)
        waiting |= arrows.get(name, set()) - seen
    return seen


TEXTS = modules(TOP)


def test_rooms():
    entries = {path.name for path in (TOP / "udplab").iterdir() if path.name != "__pycache__"}
    assert entries == ROOMS | {"__init__.py", "__main__.py"}
    five = {"listing", "experiments", "plots", "panel", "exercises", "__main__"}
    for lesson in LESSONS:
        assert five <= {path.stem for path in (TOP / "udplab" / lesson).glob("*.py")}, lesson
        assert sorted((TOP / "notebooks").glob(f"2-*-{lesson}.ipynb")), lesson


def test_imports_run_one_way():
    assert faults(TEXTS) == [] and circles(arrows(TEXTS)) == []


@pytest.mark.parametrize(
    ("name", "line", "words"),
    [
        ("udplab.kit.words", "from udplab.loopback import listing", "kit imports no lesson"),
        ("udplab.kit.words", "def f():\n    import udplab.lan", "kit imports no lesson and no LAN"),
        ("udplab.lan.plan", "from udplab.kit.sockets import PORT", "lan imports"),
        ("udplab.mtu.kernel", "from udplab.retry.policies import Rto", "a lesson imports no other"),
        ("udplab.mtu.kernel", "from udplab.loopback import plots", "a lesson imports no other"),
    ],
)
def test_a_forbidden_import_is_found(name, line, words):
    [fault] = faults(TEXTS | {name: f"{TEXTS[name]}\n{line}\n"})
    assert fault.startswith(name) and words in fault


def test_a_circle_is_found():
    circle = circles(arrows(TEXTS | {"udplab.mtu.kernel": "from udplab.mtu import probing"}))
    assert {"udplab.mtu.kernel", "udplab.mtu.probing"} <= set(circle)


@pytest.mark.parametrize("lesson", sorted(LESSONS))
def test_a_command_line_imports_nothing_heavy(lesson):
    names = reached(f"udplab.{lesson}.__main__", arrows(TEXTS))
    assert f"udplab.{lesson}.listing" in names and not names & HEAVY


def test_no_module_and_no_function_is_too_long():
    for name, text in TEXTS.items():
        assert text.count("\n") <= 300, name
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno - node.lineno < 40, f"{name}.{node.name}"
