"""Compare udplab with what a reader could use instead, side by side, on this machine.

    uv run --group bench python -m tests.benchmarks            all parts, and write them into RESULTS.md
    uv run --group bench python -m tests.benchmarks server lan  some parts, printed only

Every result is a ratio within one run (see `rounds`), but for the first minute, which has no rival. No part is a test.
"""

import sys

from . import growth, lan, lessons, measuring, pictures, report, server, start

PARTS = {
    "server": server,
    "measuring": measuring,
    "lan": lan,
    "pictures": pictures,
    "lessons": lessons,
    "start": start,
    "growth": growth,
}


def main(names):
    unknown = set(names) - set(PARTS)
    if unknown:
        sys.exit(f"There is no part {', '.join(sorted(unknown))}, but {', '.join(PARTS)}.")
    print(report.machine(), flush=True)
    parts, found = [], []
    for name in names or PARTS:
        column = "exponent" if name == "growth" else "ratio"
        results = list(PARTS[name].measure())
        found += results
        parts.append(report.part(PARTS[name].TITLE, results, column))
        print(f"\n{parts[-1]}", flush=True)
    if not names:
        report.write("\n\n".join([report.machine(), report.goals(found), *parts]))


if __name__ == "__main__":
    main(sys.argv[1:])
