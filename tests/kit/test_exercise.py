"""Exercises in general: whatever the answer is and does, there is a verdict, in one sentence, in time."""

import asyncio
import concurrent.futures
import contextlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import interruptions
from tables import numbers_like

from udplab.kit import exercise, watched
from udplab.kit.exercise import Exercise, Verdict, as_number, number, unattempted
from udplab.kit.watched import Running


def _five(answer):
    return number(5, answer, "five", [(4, "that is one less.")])


def _calls(function):
    return None if function() == 5 else f"Expected 5.{exercise.printed(None, function)}"


def five():
    return 5


VALUE = Exercise(_five, "It is five.", ["Vague.", "Clear."], five, "Four and one.")
FUNCTION = Exercise(_calls, "It gives five.", ["Vague.", "Clear."], five, "Four and one.", function=True)


# --- What check() gives back ---


def test_check_prints_and_returns_whether_it_is_right(capsys):
    right, wrong, untried = VALUE.check(5), VALUE.check(4), VALUE.check(...)
    assert right and right == True and repr(right) == "True" and right.tried  # noqa: E712
    assert not wrong and wrong == False and repr(wrong) == "False" and wrong.tried  # noqa: E712
    assert not untried and not untried.tried
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Right. It is five.", "Not yet. Expected five. 4 is too small: that is one less."]
    assert lines[2].startswith("Not tried yet.")


def test_nothing_shows_under_a_cell_that_ends_with_check():
    """In IPython's own display, which a kernel uses: no output, and Out keeps it all the same."""
    code = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell()\n"
        "shell.run_cell('from udplab.kit.exercise import Verdict')\n"
        "result = shell.run_cell('Verdict(True, \"Right.\")')\n"
        "assert result.result == True and result.success\n"
        "shell.run_cell('5')\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True).stdout
    assert "True" not in out and re.search(r"Out\[\d+\]: .*5", out)


def test_hints_come_one_after_the_other_and_the_solution_is_source(capsys):
    task = Exercise(_five, "It is five.", ["Vague.", "Clear."], five, "Four and one.")
    for _ in range(3):
        task.hint()
    task.hint(1)
    task.hint(9)
    task.solution()
    assert capsys.readouterr().out == (
        "Hint 1 of 2: Vague.\nHint 2 of 2: Clear.\nHint 2 of 2: Clear.\nHint 1 of 2: Vague.\nHint 2 of 2: Clear.\n"
        "def five():\n    return 5\n\nThat is 5. Four and one.\n"
    )


def test_lines_are_broken_between_words_and_never_within(capsys):
    VALUE.check("x" * 150 + " " + "word " * 60)
    assert max(len(line) for line in capsys.readouterr().out.splitlines() if "xxx" not in line) <= exercise.WIDTH


# --- Whether there is an answer ---


def test_a_function_that_returns_a_constant_has_been_tried():
    def documented(data):
        """Do something."""
        ...

    def dots(data): ...

    assert not unattempted(lambda data: "x") and not unattempted(lambda data: b"")
    assert unattempted(documented) and unattempted(dots) and unattempted([..., 1]) and unattempted({1: [...]})
    assert "or your function does nothing" in FUNCTION.verdict(dots).words


# --- Numbers ---


@pytest.mark.parametrize("kind", numbers_like(5))
def test_numbers_of_all_kinds(kind):
    assert VALUE.verdict(numbers_like(5)[kind])
    assert "4 is too small" in VALUE.verdict(numbers_like(4)[kind]).words


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.fractions() | st.decimals(-1000, 1000))
def test_a_number_is_itself(value):
    assert as_number(value) == (value if isinstance(value, int) else float(value))


NO_NUMBERS = True, None, "5", 5j, float("nan"), float("inf"), [5], np.array([5, 6]), np.bool_(True)


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_what_is_no_number(value):
    assert as_number(value) is None and not VALUE.verdict(value)


def test_floats_have_few_digits():
    assert "0.3333 is too small" in VALUE.verdict(1 / 3).words
    assert "too large" in VALUE.verdict(10**5000).words


# --- Hostile answers ---


class Hostile:
    """Every way to look at it raises `error`, or never ends if that is None."""

    def __init__(self, error):
        self.__dict__["error"] = error

    def _raise(self, *_):
        while self.error is None:
            pass
        raise self.error

    __repr__ = __str__ = __eq__ = __hash__ = __len__ = __iter__ = __bool__ = __float__ = __int__ = __index__ = _raise


class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Loud(Exception):
    def __str__(self):
        return "x\n\x1b[31m" * 1_000_000


def raising(error):
    def function(*_):
        raise error

    return function


ERRORS = [
    ValueError("x"), asyncio.CancelledError(), GeneratorExit(), SystemExit(3), KeyboardInterrupt(), BaseException("x"),
    Silent(), Loud(), ExceptionGroup("many", [ValueError("x"), OSError(5, "y")]), concurrent.futures.CancelledError(),
    StopIteration(), MemoryError(), RecursionError("deep"), UnicodeDecodeError("ascii", b"\xff", 0, 1, "no"),
]  # fmt: skip


def in_one_sentence(verdict):
    words = verdict.words
    return not verdict and len(words) < 1000 and words.isprintable() and words.startswith("Not yet.")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_of_any_kind_becomes_one_sentence(error):
    verdict = FUNCTION.verdict(raising(error))
    assert in_one_sentence(verdict) and f"Your code stopped with {type(error).__name__}" in verdict.words
    for answer in (Hostile(error), [Hostile(error)], {1: Hostile(error)}):
        assert in_one_sentence(VALUE.verdict(answer))
    assert in_one_sentence(FUNCTION.verdict(lambda: Hostile(error)))


HUGE = {
    "bytes": b"x" * 10_000_000,
    "lines": "x\n" * 5_000_000,
    "a list": list(range(1_000_000)),
    "escape codes": {"a": "\x1b[31m" * 1_000_000},
    "a number": 10**100_000,
}


@pytest.mark.parametrize("kind", HUGE)
def test_ten_megabytes_become_one_sentence(kind):
    answer = HUGE[kind]
    assert in_one_sentence(VALUE.verdict(answer)) and in_one_sentence(FUNCTION.verdict(answer))


def test_a_value_that_never_ends_is_ended(monkeypatch):
    monkeypatch.setattr(exercise, "PATIENCE", 0.3)
    before = threading.active_count()
    assert "did not come to its end" in VALUE.verdict([Hostile(None)]).words
    assert threading.active_count() == before


def test_a_list_in_itself():
    endless = []
    endless.append(endless)
    assert in_one_sentence(VALUE.verdict(endless))


def test_deep_recursion_is_told():
    def deep():
        return deep()

    assert "RecursionError" in FUNCTION.verdict(deep).words


def test_an_error_names_the_line_and_what_to_import():
    def counts():
        value = 1
        return value + "x"

    def waits():
        return time_not_imported.sleep(1)  # noqa: F821

    def sleeps():
        del_time = {}
        return eval("json.dumps(1)", del_time)

    assert "in line 3 of your function" in FUNCTION.verdict(counts).words
    assert "Begin the cell" not in FUNCTION.verdict(waits).words
    assert FUNCTION.verdict(sleeps).words.endswith("Begin the cell with `import json`.")


def test_whether_a_function_returns_at_all():
    def prints():
        print(5)

    def on_purpose():
        return 5 if threading.active_count() == 0 else None

    with contextlib.redirect_stdout(io.StringIO()):
        assert "To print it is not enough" in FUNCTION.verdict(prints).words
        assert "To print it is not enough" in FUNCTION.verdict(lambda: print(5)).words
    assert "print" not in FUNCTION.verdict(on_purpose).words
    assert "its name, without brackets. It got 5" in FUNCTION.verdict(5).words
    assert "`def`, not `async def`" in FUNCTION.verdict(asyncio.sleep).words


SIMPLE = st.binary() | st.text() | st.integers() | st.floats() | st.none()


@given(SIMPLE | st.lists(SIMPLE) | st.dictionaries(st.text(), SIMPLE))
def test_any_value_gets_a_verdict(value):
    verdict = VALUE.verdict(value)
    assert bool(verdict) == (value == 5) and len(verdict.words) < 1000 and verdict.words.isprintable()


# --- Functions without an end ---


def spins(*_):
    while True:
        pass


def spins_and_catches_all(*_):
    while True:
        with contextlib.suppress(Exception):
            spins()


def sleeps(*_):
    while True:
        time.sleep(0.01)


@pytest.mark.parametrize("function", [spins, spins_and_catches_all, sleeps])
def test_a_function_without_an_end_is_stopped(function, monkeypatch):
    monkeypatch.setattr(exercise, "PATIENCE", 0.3)
    before = threading.active_count()
    assert "Your function did not come to its end, so it was stopped." in FUNCTION.verdict(function).words
    assert threading.active_count() == before


def test_a_function_that_cannot_be_stopped_is_told():
    wait = threading.Event()
    with pytest.raises(watched.Endless, match="it still runs: choose Kernel, Restart Kernel"):
        watched.outcome(wait.wait, within=0.01)  # in one call, as a wait inside the system is
    wait.set()
    for thread in threading.enumerate():  # or a later test would count it
        if thread.name == "udplab exercise":
            thread.join(60)


def test_the_time_in_which_a_function_was_kept_waiting_does_not_count(monkeypatch):
    """Row 61. Where the system does not tell, the clock on the wall counts."""
    begin = time.monotonic()
    monkeypatch.setattr(watched, "kept_waiting", lambda thread: 2 * (time.monotonic() - begin))
    assert watched.outcome(time.sleep, 0.2, within=0.05) is None
    with pytest.raises(watched.Endless):  # ten times as long, and no more
        watched.outcome(sleeps, within=0.05)
    assert time.monotonic() - begin > 0.5
    monkeypatch.undo()

    def absent(path):
        raise FileNotFoundError(path)

    monkeypatch.setattr(watched, "open", absent, raising=False)
    with pytest.raises(watched.Endless):
        watched.outcome(sleeps, within=0.05)


@contextlib.contextmanager
def crowded():
    """Yield a function that moves its thread to a processor on which eight other programs never stop."""
    processor = min(os.sched_getaffinity(0))
    spin = f"import os\nos.sched_setaffinity(0, {{{processor}}})\nprint(flush=True)\nwhile True:\n    pass"
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            other = stack.enter_context(subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE))
            stack.callback(other.kill)
            other.stdout.readline()
        yield lambda: os.sched_setaffinity(0, {processor})  # on Linux, of this thread alone


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long a thread was kept waiting")
@pytest.mark.heavy
def test_a_busy_machine_does_not_make_a_function_endless(monkeypatch):
    """Row 61: nor the check that watches it. (Heavy, as other tests measure time.)"""
    monkeypatch.setattr(exercise, "PATIENCE", 0.3)

    def computes():
        move()
        while time.thread_time() < 0.1:
            pass
        return 5

    with crowded() as move:
        begin = time.monotonic()
        assert FUNCTION.verdict(computes)
        assert time.monotonic() - begin > 0.4, "so it was kept waiting"
        assert watched.outcome(lambda: watched.outcome(computes, within=0.3), within=0.3) == 5
        assert "so it was stopped" in FUNCTION.verdict(lambda: (move(), spins())).words


def test_a_running_function_is_ended_with_the_block():
    before, wakes = threading.active_count(), []
    with Running(sleeps, wake=lambda: wakes.append(1)) as running:
        assert not running.over
    assert running.ended and running.over and wakes and threading.active_count() == before
    with Running(raising(ValueError("x")), wake=lambda: None) as running:
        while not running.over:
            time.sleep(0.001)
    assert isinstance(running.errors[0], ValueError)


def no_more_threads_than(number):
    """Return whether there are that few within a minute. (Up to Python 3.12 join() need not wait after Ctrl-C.)"""
    until = time.monotonic() + 60
    while threading.active_count() > number and time.monotonic() < until:
        time.sleep(0.001)
    return threading.active_count() == number


def checked(function, **options):
    """Run a function as a check does that a reader starts: from a thread which is itself watched."""
    return watched.outcome(lambda: watched.outcome(function, within=60, **options), within=60)


@pytest.mark.parametrize("goes_on", [spins, sleeps, threading.Event.wait])
def test_ctrl_c_ends_the_function_too(goes_on):
    before, closed = threading.active_count(), threading.Event()

    def interrupted():
        signal.raise_signal(signal.SIGINT)
        goes_on(closed)

    with pytest.raises(KeyboardInterrupt):
        checked(interrupted, rescue=closed.set)
    assert no_more_threads_than(before)


def test_an_interrupt_at_any_line_of_a_check_leaves_no_thread():
    before = threading.active_count()
    for number_, _ in enumerate(interruptions(lambda: checked(int), watched, threading)):
        assert no_more_threads_than(before), f"after line {number_ + 1}"
    assert number_ > 20 and no_more_threads_than(before)


def test_an_interrupt_while_the_thread_of_a_check_begins_leaves_no_thread(monkeypatch):
    """It is put off until the thread has begun; what ends the function must not come before the function."""
    start, before = threading.Thread.start, threading.active_count()

    def interrupted(thread):
        if threading.current_thread() is threading.main_thread():
            signal.raise_signal(signal.SIGINT)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    for _ in range(500):
        with pytest.raises(KeyboardInterrupt):
            checked(int)
    assert no_more_threads_than(before)


def test_a_verdict_is_a_number_too():
    assert sum([Verdict(True, ""), Verdict(False, ""), Verdict(True, "")]) == 2
