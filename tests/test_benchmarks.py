"""The arithmetic and the report of the benchmarks. The benchmarks themselves are no tests."""

import pytest
from benchmarks import captures, report, rounds
from benchmarks.rounds import Line

from udplab.kit.film import film_of
from udplab.kit.film import flight as fates


def test_contenders_take_turns_and_the_first_round_does_not_count():
    calls = []
    contenders = {name: lambda name=name: calls.append(name) or len(calls) for name in "abc"}
    assert rounds.interleaved(contenders, 2) == {"a": [6, 8], "b": [4, 9], "c": [5, 7]}
    assert "".join(calls) == "abc" + "bca" + "cab"


def test_a_ratio_is_taken_within_a_round():
    assert rounds.ratios([2, 40], [1, 10]) == [2, 4]


def test_quartiles():
    assert rounds.quartiles([5, 1, 4, 2, 3]) == [2, 3, 4]


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_the_exponent_of_a_power_is_found(power):
    sizes = [10, 100, 1000]
    assert rounds.exponent(sizes, [3 * size**power for size in sizes]) == pytest.approx(power)


@pytest.mark.parametrize(
    ("goal", "fine"),
    [(("at most", 1.05), True), (("at most", 1.04), False), (("at least", 1.05), True), (("at least", 1.06), False)],
)
def test_a_goal_is_for_the_median_as_it_is_shown(goal, fine):
    line = Line("x", "", "", [0.5, 1.054, 9.0], goal)
    assert rounds.met(line) is fine
    assert (": met" if fine else ": **missed**") in report.table([line])


@pytest.mark.parametrize(("value", "text"), [(1.5, "1.5 s"), (0.25, "250 ms"), (15.1e-6, "15.1 µs"), (120.0, "120 s")])
def test_a_time_has_the_unit_that_suits_it(value, text):
    assert rounds.seconds(value) == text


@pytest.mark.parametrize(("value", "text"), [(299_000, "0.299 MB"), (80.4e6, "80.4 MB"), (2170e6, "2.17 GB")])
def test_memory_has_the_unit_that_suits_it(value, text):
    assert rounds.megabytes(value) == text


@pytest.mark.parametrize(("text", "value"), [("395ms", 0.395), ("3.21s", 3.21), ("1m 02s", 62)])
def test_the_times_that_uv_tells_are_read(text, value):
    assert rounds.lasted(text) == pytest.approx(value)


def test_only_what_is_between_the_markers_is_replaced():
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    once = report.replace(text, "new")
    assert once == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    assert report.replace(once, "new") == once


@pytest.mark.parametrize("text", ["", report.BEGIN, report.END + report.BEGIN])
def test_a_text_without_markers_is_refused(text):
    with pytest.raises(ValueError, match="benchmarks: begin"):
        report.replace(text, "new")


def test_the_readme_has_the_markers():
    assert report.replace(report.RESULTS.read_text(encoding="utf-8"), "new")


def test_remarks_stand_below_the_table():
    text = report.part("Title", ["left out", Line("x", "1 s", "2 s", [0.5, 0.5])])
    assert text.splitlines()[0] == "<details><summary>Title</summary>"
    assert text.endswith("| x | 1 s | 2 s | 0.50 (0.50 to 0.50) |  |\n\nleft out\n\n</details>")


def test_lines_with_a_goal_are_shown_first():
    aimed = Line("aimed", "1 s", "2 s", [0.5, 0.5], ("at most", 1))
    assert report.goals(["left out", Line("x", "1 s", "2 s", [0.5]), aimed]).splitlines()[2:] == [
        "| aimed | 1 s | 2 s | 0.50 (0.50 to 0.50) | at most 1: met |"
    ]


def test_a_figure_may_be_compared_with_nothing():
    line = rounds.alone("x", [0.1, 0.3, 0.2])
    assert report.table([line]).splitlines()[-1] == "| x | 200 ms (150 ms to 250 ms) |  |  |  |"


def test_captures_made_up_become_a_film_of_as_many_flights():
    film = film_of(captures.PATH, *captures.captured(10))
    assert [flight.fate for flight in film] == [fates.FORWARDED, fates.DELIVERED] * 5
    assert all(flight.taken for flight in film if flight.fate == fates.DELIVERED)
