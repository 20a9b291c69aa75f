"""Tables of answers to exercises: right ones in many styles, wrong ones with the misconception and the words they get.

RIGHT = {"count": {"an int": 11, ...}, ...}
WRONG = {"count": {"counts characters": (7, "the number of characters"), ...}, ...}
"""

import concurrent.futures
import time

import numpy as np
import pytest
from machines import crowd

from udplab.kit.exercise import Exercise

RIGHT_STYLES, WRONG_IDEAS, SECONDS, ANY_SECONDS = 6, 10, 3.0, 10.0


def each(check, answers, together=False):
    """Call check(answer) for each of a dict of answers; raise what failed, with the style or idea that it was.

    together: several at a time, since most of them wait; what spins comes afterwards, alone, and what failed again
    """
    alone = {idea: answer for idea, answer in answers.items() if not together or "spins" in idea}
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        calls = {idea: pool.submit(check, answer) for idea, answer in answers.items() if idea not in alone}
    alone |= {idea: answers[idea] for idea, call in calls.items() if call.exception()}  # the crowd may have slowed it
    for idea, answer in alone.items():
        try:
            check(answer)
        except BaseException as error:
            error.add_note(idea)
            raise


def exercises_of(module):
    """Return a dict from the name to each exercise of a lesson."""
    return {name: each for name, each in vars(module).items() if isinstance(each, Exercise)}


def assert_right(exercise, answer):
    """Whatever the style, and in time: one of three tries is, since a machine may be busy with others."""
    for last in (False, False, True):
        begin = time.monotonic()
        verdict = exercise.verdict(answer)
        assert verdict == True and verdict.words.startswith("Right. "), verdict.words  # noqa: E712
        if time.monotonic() - begin < SECONDS or last:
            break
    assert time.monotonic() - begin < SECONDS * crowd()


def assert_wrong(exercise, answer, words):
    """It gets these words, in one sentence or two, with no class of ours in them.

    Where the machine is busy, a check may have seen no more than a stall: then three times.
    """
    for _ in range(3 if crowd() > 1 else 1):
        begin = time.monotonic()
        verdict = exercise.verdict(answer)
        if words in verdict.words:
            break
    assert verdict == False and verdict.words.startswith("Not yet. "), verdict.words  # noqa: E712
    assert words in verdict.words, verdict.words
    assert verdict.words.isprintable() and len(verdict.words) < 1000
    assert "Paper" not in verdict.words and "udplab" not in verdict.words
    assert time.monotonic() - begin < ANY_SECONDS * (10 if crowd() > 1 else 1)  # what kit.watched may make of it


def assert_complete(module, right, wrong):
    """Each exercise has its table, its solution passes, and its hints do not give it away at once."""
    everything = exercises_of(module)
    assert everything.keys() == right.keys() == wrong.keys()
    for name, exercise in everything.items():
        assert exercise.name == f"{module.__name__.split('.')[-2]}.{name}"
        assert len(right[name]) >= RIGHT_STYLES and len(wrong[name]) >= WRONG_IDEAS, name
        assert len(exercise.hints) == 2
        assert_right(exercise, exercise.answer if exercise.function else exercise.answer())
        assert not exercise.verdict(...).tried


def spins(*_):
    """Never end."""
    while True:
        pass


def spins_on(*_):
    """Never end, and catch what one usually catches."""
    while True:
        try:
            time.sleep(0.001)
        except Exception:
            continue


def sleeps(*_):
    """Wait inside the system, where no exception gets at it."""
    time.sleep(15)


def assert_over_in_time(module):
    """Whatever a function does, its check is over."""
    for exercise in exercises_of(module).values():
        for function in (spins, spins_on, sleeps):
            begin = time.monotonic()
            assert not exercise.function or not exercise.verdict(function)
            assert time.monotonic() - begin < ANY_SECONDS, (exercise.name, function)


def four_tests(module, right, wrong, together=()):
    """Return the four tests that the exercises of each lesson pass.

    together: the names of those that mostly wait
    """

    @pytest.mark.parametrize("name", right)
    def in_any_style(name):
        each(lambda answer: assert_right(getattr(module, name), answer), right[name], name in together)

    @pytest.mark.parametrize("name", wrong)
    def with_the_words_for_it(name):
        each(lambda answer: assert_wrong(getattr(module, name), *answer), wrong[name], name in together)

    def each_has_its_table():
        assert_complete(module, right, wrong)

    @pytest.mark.long
    @pytest.mark.heavy
    def over_in_time():
        assert_over_in_time(module)

    return in_any_style, with_the_words_for_it, each_has_its_table, over_in_time


def numbers_like(value):
    """Return a whole number in the styles that Python has for it."""
    from decimal import Decimal
    from fractions import Fraction

    return {
        "an int": value,
        "a float": float(value),
        "NumPy's int64": np.int64(value),
        "NumPy's uint16": np.uint16(value),
        "NumPy's float32": np.float32(value),
        "a Fraction": Fraction(value),
        "a Decimal": Decimal(value),
    }


def no_numbers(value):
    """Return what is no number, with the words that it gets."""
    words = "a number, without quotes, a unit or a comma"
    return {
        "quotes": (str(value), words),
        "a unit": (f"{value} bytes", words),
        "a list": ([value], words),
        "nothing": (None, words),
        "a truth": (True, words),
        "not a number": (float("nan"), words),
        "infinity": (float("inf"), words),
    }
