"""The helper process, one for all networks of this program: how it is started, asked for a network, and ended.

`unavailable` says in words why this machine has no LAN.
"""

import atexit
import json
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from udplab.kit.calm import uninterrupted
from udplab.lan.door import remove_door
from udplab.lan.reasons import refusal

PATIENCE = 30.0  # seconds to wait for an answer of the helper; it needs a fraction of one
GONE = "the LAN's helper process has ended, and its networks with it: run the cell that made this one again"
running = {"process": None, "control": None}  # the helper, and the Unix socket to it
_lock = threading.RLock()


class LanError(OSError):
    """Something the LAN cannot do, in words."""


def unavailable():
    """None where a LAN can be built, else the reason in words. Never raises.

    It asks by trying: the helper is started (some 50 ms, the first time), makes one of each thing that networks are
    made of, and is kept for the first network.
    """
    try:
        _helper()
        choose_cpus(os.sched_getaffinity(0))
    except LanError as reason:
        return str(reason)
    return None


def choose_cpus(cpus):
    """Let this thread run on these CPUs only, which `Host.settle` needs. Raises LanError."""
    try:
        os.sched_setaffinity(0, cpus)
    except OSError as problem:
        words = (
            f"this system does not let a program choose its CPU ({problem.strerror}), and waiting for frames needs it"
        )
        raise LanError(words) from problem


def hand_over(theirs):
    """Give the helper, which is started if need be, its end of a network's socket. Raises LanError."""
    with _lock:
        try:
            socket.send_fds(_helper(), [b"network"], [theirs.fileno()])
        except LanError:
            raise
        except OSError:  # killed a moment ago
            stop()
            socket.send_fds(_helper(), [b"network"], [theirs.fileno()])


def _helper():
    """The socket to the running helper."""
    with _lock:
        if running["process"] is None or running["process"].poll() is not None:
            stop()  # closes what a killed helper left
            running["process"], running["control"] = _start_helper()
        return running["control"]


def _start_helper():
    if sys.platform != "linux":
        raise LanError(f"a LAN of several hosts needs Linux network namespaces, and this is {sys.platform}")
    ours = process = None
    try:
        with uninterrupted():
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:  # closed here once the helper has it: else nobody would notice a helper that dies
            process = _spawn(theirs.fileno())
        if reason := _hello(ours):
            raise LanError(reason)
    except BaseException as problem:  # Ctrl-C too
        if ours:
            ours.close()
        if process:
            process.kill()
            process.wait()
        # AttributeError: a Python built without pidfd_open
        if isinstance(problem, (OSError, AttributeError)) and not isinstance(problem, LanError):
            raise LanError(f"the LAN's helper process did not start: {problem}") from problem
        raise
    return process, ours


def _hello(control):
    """Wait for the helper's first words; return None, or why it cannot work."""
    control.settimeout(PATIENCE)
    try:
        hello = control.recv(1000)
    except OSError as problem:
        return f"the LAN's helper process does not answer: {problem}"
    if not hello:
        return "the LAN's helper process ended at once; its error is on this program's stderr"
    refused = json.loads(hello)["refused"]
    return refused and refusal(*refused, read)


def _spawn(control):
    """Start helper.py with its end of the socket and a descriptor of this process (pidfd, Linux 5.3)."""
    search = [str(Path(__file__).parent.parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    this_process = os.pidfd_open(os.getpid())
    try:
        # Popen and not os.fork(): a notebook has threads. -P: no file in the working directory may stand in
        # for a module. A session of its own: Ctrl-C is for the notebook only.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "udplab.lan.helper", str(control), str(this_process)],
            pass_fds=(control, this_process),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(search)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    finally:
        os.close(this_process)


def read(path):
    """Return a file's text, "" where there is none or it is not for us."""
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def stop():
    """End the helper and every network of this process. The next switch() or path() starts a new one."""
    with _lock:
        if running["process"] is not None:
            running["control"].close()
            running["process"].kill()  # it has nothing to save, and it may be stopped
            running["process"].wait()
            remove_door(running["process"].pid)
            running["process"] = running["control"] = None


def _after_fork():
    """A forked child has no helper: it must neither use nor end its parent's."""
    global _lock
    _lock = threading.RLock()  # another thread may have held it
    if running["process"] is not None:
        running["process"].returncode = 0  # not the child's child: nothing to wait for, no warning
        running["control"].close()
        running["process"] = running["control"] = None


atexit.register(stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
