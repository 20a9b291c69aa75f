"""What a class has written: udplab grade FOLDER

FOLDER holds a folder for each learner, or a notebook for each. Every notebook is run in a process of its own, and what
the learners wrote is tried on the exercises' checks anew; what stands printed in a notebook counts for nothing.
It runs the learners' code, and is no sandbox: use an account, or a machine, that you can do without.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from udplab.jupyter import gradebook
from udplab.jupyter.gradebook import STATES, better


@dataclass
class Graded:
    """What came of one notebook.

    states: from the name of an exercise to one of STATES; near: from a prediction's question to whether it was near
    problem: why not all of it could be tried, or None
    """

    learner: str
    path: Path
    states: dict = field(default_factory=dict)
    near: dict = field(default_factory=dict)
    problem: str | None = None


def parser():
    """Return the argparse parser."""
    result = argparse.ArgumentParser(
        prog="udplab grade", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    result.add_argument("folder", metavar="FOLDER", type=Path)
    result.add_argument("--out", metavar="NAME", type=Path, default=Path("grades"), help="for NAME.csv and NAME.png")
    result.add_argument("--seconds", type=float, default=120, help="that a notebook may take (120)")
    result.add_argument("--at-once", metavar="N", type=int, default=os.cpu_count() or 1, help="notebooks at a time")
    return result


def main(argv):
    """Grade a class; return the exit status: 0 if all notebooks were read and run to their end."""
    wanted = parser().parse_args(argv)
    if not wanted.folder.is_dir():
        sys.exit(f"udplab grade: {wanted.folder} is no folder")
    notebooks = found(wanted.folder)
    if not notebooks:
        sys.exit(f"udplab grade: there are no notebooks (.ipynb) in {wanted.folder}")
    attempts = all_tried(notebooks, wanted.seconds, max(1, wanted.at_once))
    for attempt in attempts:
        if attempt.problem:
            print(f"{attempt.path} {attempt.problem}", file=sys.stderr)
    try:
        print(gradebook.write(attempts, wanted.out))
    except OSError as error:
        sys.exit(f"udplab grade: cannot write {wanted.out}: {error.strerror or error}")
    return int(any(attempt.problem for attempt in attempts))


def found(folder):
    """Return a sorted list of (learner, path) for the notebooks in a folder, or in folders of it."""
    paths = sorted(path for path in folder.rglob("*.ipynb") if path.is_file())
    inside = [path.relative_to(folder).parts for path in paths]
    return [
        (os.fsencode(parts[0].removesuffix(".ipynb")).decode(errors="backslashreplace"), path)
        for parts, path in zip(inside, paths, strict=True)
        if not any(part.startswith(".") for part in parts)
    ]


def all_tried(notebooks, seconds, at_once):
    """Return the `Graded`s of all notebooks, in their order, with a progress bar meanwhile."""
    processes = Processes()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        futures = [pool.submit(tried, learner, path, seconds, processes) for learner, path in notebooks]
        try:
            for done, _ in enumerate(concurrent.futures.as_completed(futures), 1):
                progress(done, len(futures))
            return [future.result() for future in futures]
        except BaseException:  # Ctrl-C above all
            pool.shutdown(wait=False, cancel_futures=True)
            processes.end()
            raise


def progress(done, total, width=40):
    """Show how far it is, where somebody may look."""
    if sys.stderr.isatty():
        bar = "#" * (width * done // total)
        print(f"\r[{bar:{width}}] {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


class Processes:
    """The processes at work, so that all can be ended at once."""

    def __init__(self):
        self._lock, self._processes, self._over = threading.Lock(), set(), False

    @contextlib.contextmanager
    def process(self, command, **options):
        """Start a process; end it, and what it has started, when the block ends."""
        with self._lock:
            if self._over:
                raise InterruptedError
            process = subprocess.Popen(command, start_new_session=True, **options)
            self._processes.add(process)
        try:
            yield process
        finally:
            end(process)
            process.stdout.close()
            with self._lock:
                self._processes.discard(process)

    def end(self):
        """End all, and let none start."""
        with self._lock:
            self._over = True
            for process in self._processes:
                end(process)


def end(process):
    """Kill a process and its session, in which it may have left others, and wait for it."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def tried(learner, path, seconds, processes):
    """Run a notebook in a process of its own; return its `Graded`."""
    command = [sys.executable, "-m", "udplab.jupyter.attempt", str(path.resolve())]
    with tempfile.TemporaryDirectory(prefix="udplab-grade-", ignore_cleanup_errors=True) as place:
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        with processes.process(command, cwd=place, **options) as process:
            watchdog = threading.Timer(seconds, end, [process])
            watchdog.start()
            lines = until_end(process.stdout)
            late = not watchdog.is_alive()
            watchdog.cancel()
    return summed_up(learner, path, lines, f"ran for more than {seconds:g} s" if late else "ended")


def until_end(stream):
    """Return a process's lines, up to the one that says it has ended: others that it started may hold the stream."""
    lines = []
    for line in stream:
        lines.append(line)
        if line.startswith((b'{"ended"', b'{"problem"')):
            break
    return lines


def summed_up(learner, path, lines, stopped):
    """Return the `Graded` that the lines of `udplab.jupyter.attempt` tell of.

    stopped: what to say of a notebook that did not come to its end
    """
    attempt, cell, ended = Graded(learner, path), 0, False
    for line in lines:
        if not line.endswith(b"\n"):  # the last one of a process that was killed
            continue
        if not (news := news_in(line)):
            attempt.problem = f"has written a line of its own into its report, in code cell {cell}"
            continue
        cell, ended = news.get("cell", cell), ended or "ended" in news
        attempt.problem = news.get("problem", attempt.problem)
        attempt.states |= dict.fromkeys(news.get("exercises", []), STATES[0])
        if "exercise" in news:
            better(attempt.states, news["exercise"], news["state"])
        if "prediction" in news:
            attempt.near[news["prediction"]] = news["near"]
    if not ended and not attempt.problem:
        attempt.problem = f"{stopped} in code cell {cell}; what came after it was not tried"
    return attempt


def news_in(line):
    """Return what a line of `udplab.jupyter.attempt` tells, as a dict; {} for a line that is not one of its own.

    The notebook's code can write to the same stream, and must not spoil the other learners' grades.
    """
    with contextlib.suppress(ValueError, RecursionError):  # no JSON; nested too deeply
        match json.loads(line):
            case {"exercises": [*names], **rest} as news if not rest and all(map(is_name, names)):
                return news
            case {"exercise": name, "state": state, **rest} as news if not rest and is_name(name) and state in STATES:
                return news
            case {"prediction": name, "near": bool(), **rest} as news if not rest and is_name(name):
                return news
            case {"problem": words, **rest} as news if not rest and is_name(words):
                return news
            case {"cell": int(), **rest} | {"ended": True, **rest} as news if not rest:
                return news
    return {}


def is_name(value):
    return isinstance(value, str) and value.isprintable()  # not so: half of a surrogate pair, which no file takes
