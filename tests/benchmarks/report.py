"""Results as Markdown, and RESULTS.md, which is written from them."""

import os
import platform
import time
from pathlib import Path

from .rounds import met, quartiles

RESULTS = Path(__file__).resolve().parent / "RESULTS.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def table(lines, column="ratio"):
    """Return a Markdown table of the lines."""
    rows = [f"| | udplab | other | {column} (quartiles) | goal |", "|---|--:|--:|--:|---|"]
    for line in lines:
        goal = ratio = ""
        if line.ratios:
            low, median, high = map(short, quartiles(line.ratios))
            ratio = f"{median} ({low} to {high})"
        if line.goal:
            kind, limit = line.goal
            goal = f"{kind} {limit:g}: {'met' if met(line) else '**missed**'}"
        rows.append(f"| {line.what} | {line.ours} | {line.theirs} | {ratio} | {goal} |")
    return "\n".join(rows)


def short(ratio):
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.1g}"


def part(title, results, column="ratio"):
    """Return a part of the report, folded: its title, its table, and a line for each remark (a text in the results)."""
    remarks = [result for result in results if isinstance(result, str)]
    lines = [result for result in results if not isinstance(result, str)]
    head, tail = f"<details><summary>{title}</summary>", "</details>"
    return "\n\n".join([head, *([table(lines, column)] if lines else []), *remarks, tail])


def goals(results):
    """Return the table of all lines that have a goal: what a reader sees before unfolding anything."""
    return table([result for result in results if not isinstance(result, str) and result.goal], "ratio or exponent")


def machine():
    """Return a sentence about where and when this ran."""
    return (
        f"Measured on {time.strftime('%Y-%m-%d')} with {platform.python_implementation()} {platform.python_version()} "
        f"on {platform.system()} {platform.release().split('-')[0]} ({platform.machine()}, {os.cpu_count()} cores)."
    )


def replace(text, section):
    """Return `text` with the section between its two markers replaced. Raises ValueError where they are missing."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"no {BEGIN} and {END} in the text")
    return f"{before}{BEGIN}\n\n{section}\n\n{END}{after}"


def write(section):
    """Put the section into RESULTS.md."""
    RESULTS.write_text(replace(RESULTS.read_text(encoding="utf-8"), section), encoding="utf-8")
