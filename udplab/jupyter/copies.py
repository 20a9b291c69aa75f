"""The learner's own copies of the lessons: without outputs, and never overwritten once something was done in them.

A copy carries in its metadata the edition it was made from: a hash of the original's cells without outputs. So one
number tells two things, without a list kept elsewhere: a copy whose cells still have that hash is untouched, and an
original with another hash has changed since.
"""

import hashlib
import json
import os
import secrets
import tempfile
import warnings
from pathlib import Path

import nbformat


def stripped(notebook):
    """Return the notebook without outputs and counts. Ids, tags and all other metadata stay."""
    notebook = nbformat.from_dict(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def edition(notebook):
    """Return a hash of all that is in the cells. The notebook's own metadata changes when it is merely opened."""
    cells = json.dumps(notebook.cells, sort_keys=True).encode()
    return hashlib.sha256(cells).hexdigest()[:16]


def read(path):
    """Return the notebook in a file.

    Raises OSError, or nbformat.reader.NotJSONError (a ValueError), KeyError and others for what is no notebook.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nbformat's advice about missing ids is not for learners
        return nbformat.read(path, as_version=4)


def fresh(original):
    """Return the text of a clean copy of the notebook in the file `original`, and its edition."""
    notebook = stripped(read(original))
    notebook.metadata["udplab"] = {"edition": (number := edition(notebook))}
    return nbformat.writes(notebook) + "\n", number


def state(copy):
    """Return the edition from which a copy was made, and whether its cells are still as they were then.

    (None, False) for a file that is no notebook, or none of ours.
    """
    try:
        notebook = read(copy)
        number = notebook.metadata["udplab"]["edition"]
        return number, edition(notebook) == number
    except Exception:  # a learner's file may hold anything, and nbformat raises whatever it stumbles over
        return None, False


def put(text, path, replace=False):
    """Write a file as a whole or not at all; return whether it was written.

    Without `replace`, a file that is there already stays as it is, also one that another start has just made.
    Raises OSError.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with open(part, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        if replace:
            os.replace(part, path)
            return True
        return _name(part, path)
    finally:
        part.unlink(missing_ok=True)


def _name(part, path):
    """Give a complete file its name, unless that is taken; return whether it was free."""
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError:  # no links here, as on a memory stick
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            return False
        os.replace(part, path)
    return True


def update(originals, folder):
    """Make what is missing, renew what is untouched and old; return a line for each copy that stays behind, and why.

    originals, folder: Paths of the lessons and of the copies
    """
    lines = []
    for original in sorted(originals.glob("*.ipynb")):
        lesson, copy = name(original), folder / original.name
        try:
            text, number = fresh(original)
            if not os.path.lexists(copy):
                put(text, copy)
                continue
            made_from, untouched = state(copy)
            if made_from == number or number in editions(original, folder):
                continue
            if untouched:
                put(text, copy, replace=True)
            else:
                why = "Lesson {} has a new edition" if made_from else "Your file for lesson {} is no copy of it"
                lines.append(
                    f"{why.format(lesson)}. Yours stays; `udplab --renew {lesson}` puts the new one beside it."
                )
        except OSError as error:
            lines.append(f"Lesson {lesson} could not be copied to {copy}: {error.strerror or error}.")
    return lines


def name(original):
    """Return the number of a lesson, by which learners call it: 2-1."""
    return "-".join(original.stem.split("-")[:2])


def editions(original, folder):
    """Return the editions of a lesson's copies in a folder."""
    return {state(copy)[0] for copy in folder.glob(f"{original.stem}*.ipynb")}


def renew(lesson, originals, folder):
    """Put a clean copy of a lesson beside the one that is there; return its path.

    lesson: its number or name, such as 2-1 or 2-1-loopback
    Raises ValueError for an unknown lesson, OSError where nothing can be written.
    """
    known = {name(original): original for original in sorted(originals.glob("*.ipynb"))}
    original = known.get(name(Path(f"{lesson}.ipynb")))
    if original is None:
        raise ValueError(f"There is no lesson {lesson!r}. There are {', '.join(known)}.")
    text, _ = fresh(original)
    copy, count = folder / original.name, 1
    while not put(text, copy):
        count += 1
        copy = folder / f"{original.stem}-{count}.ipynb"
    return copy


def last_worked_on(originals, folder):
    """Return the name of the copy that was saved last by its learner, or of the first lesson if none was."""
    names = [original.name for original in sorted(originals.glob("*.ipynb"))]
    copies = [copy for each in names for copy in folder.glob(f"{Path(each).stem}*.ipynb") if not state(copy)[1]]
    return max(copies, key=lambda copy: copy.stat().st_mtime).name if copies else names[0]


def refusal(folder, parents=False):
    """Make a folder if it is not there; return the OSError that says why no file can be written in it, or None."""
    try:
        folder.mkdir(parents=parents, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        return error
    return None
