"""What tests share about this machine: how busy it is, who lives in a namespace, and other users."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from udplab import lan

TOP = Path(__file__).resolve().parent.parent
REASON = lan.unavailable()
needs_lan = pytest.mark.skipif(REASON is not None, reason=str(REASON))
NOBODY = 65534
PYTHON = (sys.executable, "/usr/bin/python3")  # the first may be in a folder that only root may enter
WITHOUT_RIGHTS = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def crowd():
    """Return how many programs share a processor now, 1.0 or more; Windows does not count them.

    For limits of time that a busy machine has broken; it makes them as strict as they can be on an idle one.
    """
    return max(1.0, os.getloadavg()[0] / os.cpu_count()) if hasattr(os, "getloadavg") else 1.0


def as_nobody(*arguments, **how):
    """Run a Python as a user without rights; returns its CompletedProcess, or None where this machine has no way."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": os.pathsep.join([str(TOP), *sys.path])}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    for python in PYTHON if os.geteuid() == 0 else ():
        command = [*WITHOUT_RIGHTS, python]
        with contextlib.suppress(FileNotFoundError):
            test = "import subprocess, sys; assert sys.version_info >= (3, 11)\n"
            test += "subprocess.run([sys.executable, '-c', ''], check=True)"  # setpriv itself may go where root may
            if subprocess.run([*command, "-c", test], env=environment, cwd="/", capture_output=True).returncode == 0:
                how = {"capture_output": True, "text": True, "timeout": 60, "cwd": "/", "env": environment} | how
                return subprocess.run([*command, *arguments], **how)
    return None


def namespaces(net):
    """Return the names of the hosts' network namespaces, as /proc has them."""
    ask = ("readlink", "/proc/self/ns/net")
    return {host.run(*ask, capture_output=True, text=True, check=True).stdout.strip() for host in net}


def inhabitants(spaces):
    """Return the ids of the processes that live in one of some namespaces."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            if os.readlink(path / "ns/net") in spaces:
                found.add(int(path.name))
    return found


def deserted(spaces, living, seconds=20):
    """Wait until none of those who lived in the namespaces does; returns whether that has come.

    living: their `inhabitants` before. Others may live there: the kernel gives a namespace's number to a new one.
    """
    until = time.monotonic() + seconds
    while inhabitants(spaces) & living:
        if time.monotonic() > until:
            return False
        time.sleep(0.01)  # no event tells of processes that are not our children
    return True


def files(process):
    """Return how many files a process has open (proc(5))."""
    return len(os.listdir(f"/proc/{process}/fd"))


def has_let_go(helper, before, seconds=20):
    """Wait until a helper has no more files open than `before`; returns whether that has come.

    Not at once: a `udplab on` of any program of this user knocks at each helper's door, and leaves.
    """
    until = time.monotonic() + seconds
    while files(helper) > before:
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
