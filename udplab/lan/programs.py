"""Programs on a host, from this process's side: what `Host.start` and `Host.run` do to Popen's arguments."""

import contextlib
import json
import os
import sys
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launcher.py")


def command(report, host, namespaces, arguments):
    """Return the command that runs `arguments` on a host: "python" among them is this environment's.

    report: a descriptor for the launcher's words, -1 for stderr; namespaces: the descriptors that the helper gave
    """
    program, *rest = map(os.fspath, arguments)
    program = sys.executable if program == "python" else program
    if program == "tcpdump":  # it would become a user of that name, and a host has one user: root
        rest = ["-Z", "root", *rest]
    start = (sys.executable, "-I", "-S", os.fspath(LAUNCHER), str(report), host, *map(str, namespaces))
    return [*start, program, *rest]


@contextlib.contextmanager
def launching(host, namespaces, arguments, keywords):
    """Yield what to give to subprocess.Popen or run; afterwards raise the OSError of a program that did not start.

    It has become the program by the end of the block: that is waited for.
    """
    try:
        if not arguments:
            raise ValueError("which program? Such as start('python', '-m', 'udplab.loopback', 'server')")
        for name in ("executable", "shell", "preexec_fn"):
            if keywords.get(name):
                raise ValueError(f"{name} is not for a program on a host: give the program and its arguments")
        news, tell = os.pipe()
        with open(news, "rb") as news:
            given = [space.fileno() for space in namespaces]
            passed = {"pass_fds": (*keywords.get("pass_fds", ()), *given, tell)}
            try:
                yield command(tell, host, given, arguments), {"start_new_session": True} | keywords | passed
            finally:
                os.close(tell)
            if words := news.read():
                code, what, program = json.loads(words)
                raise OSError(code, what, program)  # as Popen does: FileNotFoundError and so on
    finally:
        for space in namespaces:
            space.close()
