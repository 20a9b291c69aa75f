"""The learner's copies of the lessons: every way to find, make, renew and not to lose one."""

import errno
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from labs import spelt
from nbformat import v4

from udplab.__main__ import NOTEBOOKS
from udplab.jupyter import copies

KERNEL = {"name": "python3", "display_name": "Python 3"}
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write(path, *sources, output="1500 bytes\n"):
    """Write an executed notebook: some prose, and a code cell for each source."""
    outputs = [v4.new_output("stream", text=output)]
    code = [v4.new_code_cell(source, outputs=outputs, execution_count=1, id=f"cell-{i}", metadata={"tags": ["asks"]})
            for i, source in enumerate(sources)]  # fmt: skip
    prose = v4.new_markdown_cell("![a](attachment:a.txt)", id="prose", attachments={"a.txt": {"text/plain": "Größe"}})
    nbformat.write(v4.new_notebook(cells=[prose, *code], metadata={"kernelspec": KERNEL}), path)


def change(path, **cell):
    """Do something in the first code cell of a notebook, as a learner does; return what is in the file then."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].update(cell)
    nbformat.write(notebook, path)
    return path.read_bytes()


@pytest.fixture
def originals(tmp_path):
    folder = tmp_path / spelt("Übungen für alle") / "notebooks"
    folder.mkdir(parents=True)
    write(folder / "2-1-loopback.ipynb", "print(1500, 'bytes')")
    write(folder / "2-2-retry.ipynb", "guess = ...")
    return folder


@pytest.fixture
def folder(originals):
    folder = originals.parent / "my-lessons"
    folder.mkdir()
    return folder


@pytest.fixture
def copy(originals, folder):
    """The copy of lesson 2-1."""
    assert copies.update(originals, folder) == []
    return folder / "2-1-loopback.ipynb"


def test_a_copy_has_all_but_outputs_and_counts(originals, copy):
    made, original = (nbformat.read(path, as_version=4) for path in (copy, originals / copy.name))
    nbformat.validate(made)
    assert [cell.id for cell in made.cells] == ["prose", "cell-0"]
    assert made.cells[0] == original.cells[0]
    assert made.cells[1] == original.cells[1] | {"outputs": [], "execution_count": None}
    assert made.metadata.kernelspec == KERNEL
    assert copies.state(copy) == (copies.edition(copies.stripped(original)), True)


def test_the_real_lessons_can_be_copied(tmp_path):
    assert copies.update(NOTEBOOKS, tmp_path) == []
    for original in NOTEBOOKS.glob("*.ipynb"):
        cells = json.loads((tmp_path / original.name).read_text(encoding="utf-8"))["cells"]
        assert len(cells) == len(json.loads(original.read_text(encoding="utf-8"))["cells"])
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)


def test_a_second_start_touches_nothing(originals, folder, copy):
    before = copy.stat()
    assert copies.update(originals, folder) == []
    after = copy.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_untouched_copy_is_renewed_without_a_word(originals, folder, copy):
    write(originals / copy.name, "print('better')")
    assert copies.update(originals, folder) == []
    assert copies.read(copy).cells[1].source == "print('better')"
    assert copies.state(copy)[1]


def test_an_original_that_was_only_run_again_is_no_new_edition(originals, folder, copy):
    done = change(copy, source="mine")
    write(originals / copy.name, "print(1500, 'bytes')", output="1400 bytes\n")
    assert copies.update(originals, folder) == [] and copy.read_bytes() == done


@pytest.mark.parametrize("work", [{"source": "mine"}, {"execution_count": 1}, {"metadata": {"tags": []}}])
def test_a_copy_that_was_worked_on_stays_and_the_new_edition_can_be_had_beside_it(originals, folder, copy, work):
    done = change(copy, **work)
    assert copies.update(originals, folder) == []  # as long as the original is the same
    write(originals / copy.name, "print('better')")
    (line,) = copies.update(originals, folder)
    assert "Lesson 2-1 has a new edition" in line and "`udplab --renew 2-1`" in line and "\n" not in line
    assert copy.read_bytes() == done
    beside = copies.renew("2-1", originals, folder)
    assert copies.read(beside).cells[1].source == "print('better')"
    assert copy.read_bytes() == done
    assert copies.update(originals, folder) == []  # it does not nag


def test_what_was_merely_opened_and_saved_counts_as_untouched(originals, folder, copy):
    """JupyterLab then notes the kernel's version of Python, and writes the file anew."""
    notebook = nbformat.read(copy, as_version=4)
    notebook.metadata["language_info"] = {"name": "python", "version": "3.11.7"}
    nbformat.write(notebook, copy)
    write(originals / copy.name, "print('better')")
    assert copies.update(originals, folder) == []
    assert copies.read(copy).cells[1].source == "print('better')"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"cells": 1}', b'{"nbformat": 4, "metadata": []}'])
def test_a_file_that_is_no_notebook_stays(originals, folder, copy, content):
    copy.write_bytes(content)
    (line,) = copies.update(originals, folder)
    assert "no copy of it" in line and "`udplab --renew 2-1`" in line
    assert copy.read_bytes() == content
    copies.renew("2-1", originals, folder)
    assert copies.update(originals, folder) == [] and copy.read_bytes() == content


def test_a_deleted_copy_is_made_anew(originals, folder, copy):
    copy.unlink()
    assert copies.update(originals, folder) == [] and copies.state(copy)[1]


def test_a_moved_folder_keeps_what_is_known_of_its_copies(originals, folder, copy):
    change(copy, source="mine")
    shutil.move(originals.parent, originals.parent.parent / "moved")
    originals, folder = (originals.parent.parent / "moved" / each.name for each in (originals, folder))
    assert copies.update(originals, folder) == []
    assert [copies.state(path)[1] for path in sorted(folder.iterdir())] == [False, True]


def test_many_renewals_overwrite_nothing(originals, folder, copy):
    names = [copies.renew(lesson, originals, folder).name for lesson in ("2-1", "2-1-loopback", "2-1")]
    assert names == ["2-1-loopback-2.ipynb", "2-1-loopback-3.ipynb", "2-1-loopback-4.ipynb"]


@pytest.mark.parametrize("lesson", ["2-9", "", "2", "2-1/..", "2-1.ipynb\0", "loopback"])
def test_a_lesson_that_is_not_there_is_named_in_one_line(originals, folder, lesson):
    with pytest.raises(ValueError, match=r"^There is no lesson '.*'\. There are 2-1, 2-2\.$"):
        copies.renew(lesson, originals, folder)
    assert list(folder.iterdir()) == []


def test_the_lesson_to_open_is_the_last_that_was_worked_on(originals, folder, copy):
    assert copies.last_worked_on(originals, folder) == "2-1-loopback.ipynb"
    second = folder / "2-2-retry.ipynb"
    os.utime(second)  # saved, but with nothing done in it
    assert copies.last_worked_on(originals, folder) == "2-1-loopback.ipynb"
    change(second, source="guess = 3")
    assert copies.last_worked_on(originals, folder) == "2-2-retry.ipynb"
    beside = copies.renew("2-1", originals, folder)
    change(beside, source="mine")
    os.utime(beside, (second.stat().st_mtime + 1,) * 2)
    assert copies.last_worked_on(originals, folder) == "2-1-loopback-2.ipynb"


def start(originals, folder, barrier, lines):
    """Be one of several that start at the same moment, three times."""
    for _ in range(3):
        barrier.wait(60)
        lines.put(copies.update(originals, folder))


def test_four_starts_at_once(originals, folder):
    """They make the copies, then renew them; each finds whole files, and none writes over a learner's work."""
    context = multiprocessing.get_context("spawn")
    barrier, lines = context.Barrier(5), context.Queue()
    starts = [context.Process(target=start, args=(originals, folder, barrier, lines)) for _ in range(4)]
    for each in starts:
        each.start()
    copy = folder / "2-1-loopback.ipynb"
    for source in ("first", "second", "third"):
        write(originals / copy.name, source)
        worked = source == "third" and change(copy, source="mine")
        barrier.wait(60)
        said = [lines.get(timeout=60) for _ in starts]
        assert [len(each) for each in said] == [1 if worked else 0] * 4
        assert copy.read_bytes() == worked if worked else copies.read(copy).cells[1].source == source
        assert sorted(path.name for path in folder.iterdir()) == ["2-1-loopback.ipynb", "2-2-retry.ipynb"]
    for each in starts:
        each.join(60)


def test_a_copy_that_another_start_has_just_made_is_left(originals, folder, monkeypatch):
    """It was not there when this start looked."""
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    (folder / "2-1-loopback.ipynb").write_text("theirs")
    assert copies.update(originals, folder) == []
    assert (folder / "2-1-loopback.ipynb").read_text() == "theirs"
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("there", [False, True])
def test_where_a_file_system_has_no_links(originals, folder, monkeypatch, there):
    def link(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    path = folder / "x"
    if there:
        path.write_text("theirs")
    assert copies.put("ours", path) is not there
    assert path.read_text() == ("theirs" if there else "ours")
    assert list(folder.iterdir()) == [path]


@pytest.mark.parametrize("worked", [False, True])
def test_a_full_disk_leaves_what_is_there_and_says_so_in_a_line_for_each_lesson(originals, folder, monkeypatch, worked):
    copies.update(originals, folder)
    copy = folder / "2-1-loopback.ipynb"
    if worked:
        change(copy, source="mine")
    (folder / "2-2-retry.ipynb").unlink()
    before = copy.read_bytes()
    write(originals / copy.name, "print('better')")
    real = open

    def full(name, *args, **options):
        file = real(name, *args, **options)
        if "x" in args:
            file.write("{")  # a part of it still fits
            file.flush()

            def write(text):
                raise FULL

            file.write = write
        return file

    monkeypatch.setattr("builtins.open", full)
    lines = copies.update(originals, folder)
    assert len(lines) == 2 and "No space left on device" in lines[1]
    assert copy.read_bytes() == before and list(folder.iterdir()) == [copy]


def test_a_write_that_is_really_cut_short_leaves_no_piece(originals, folder):
    """The system's own limit for files stands in for the disk's."""
    resource = pytest.importorskip("resource", reason="this system has no such limit")
    assert resource
    code = (
        "import resource, signal, sys; from pathlib import Path; from udplab.jupyter import copies;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200));"
        "print(*copies.update(*map(Path, sys.argv[1:])), sep='\\n')"
    )
    result = subprocess.run([sys.executable, "-c", code, originals, folder], capture_output=True, encoding="utf-8")
    assert result.stdout.count("could not be copied") == 2 and not result.stderr
    assert list(folder.iterdir()) == []


def test_a_read_only_folder(originals, folder, monkeypatch):
    """Also for root, who may write everywhere but in such a file system."""
    copies.update(originals, folder)
    assert copies.refusal(folder) is None
    refused = copies.refusal(Path(os.devnull) / "lessons")
    assert isinstance(refused, OSError) and refused.strerror
    assert isinstance(copies.refusal(folder / "a" / "b"), FileNotFoundError)  # no home is made where there is none
    assert copies.refusal(folder / "a" / "b", parents=True) is None
