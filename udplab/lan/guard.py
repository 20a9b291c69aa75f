"""The guard of a network's programs: process 1 of a PID namespace in which all of them run.

When process 1 ends, however it ends, the kernel kills the rest (pid_namespaces(7)): so no program outlives its
network, nor do its children. The guard ends when the helper lets go of a pipe, or is killed. It also holds the mount
namespace in which /etc/hosts has the network's names, and /proc the network's programs.

`start` and `end` are called in the helper, the rest runs in the guard.
"""

import contextlib
import ctypes
import os
import re
import select
import signal
import time
from pathlib import Path

from udplab.lan.building import namespace_call

CLONE_NEWNS, CLONE_NEWPID = 0x00020000, 0x20000000  # sched.h
MS_BIND, MNT_DETACH = 4096, 2  # sys/mount.h
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
GRACE = 1.0  # seconds from SIGTERM to SIGKILL
ended = set()  # guards that have been told to end, or killed, and not been waited for yet


def libc_call(name, *arguments):
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def hosts_file(addresses):
    """Return the text of /etc/hosts (hosts(5)). addresses: {name: address}; a name with a space cannot be in it."""
    named = [f"{address} {name} {name}.lan" for name, address in addresses.items() if re.fullmatch(r"[\w.-]+", name)]
    return "\n".join(["127.0.0.1 localhost", "::1 localhost", *named, ""])


def start(addresses):
    """Start a guard; return (its process id, the descriptor whose closing ends it). Raises OSError.

    A process may make one PID namespace, for its children: so there is a process between, which ends at once.
    """
    libc_call("prctl", PR_SET_CHILD_SUBREAPER, 1)  # the guard is then this process's own child
    news, tell = os.pipe()
    ending, held = os.pipe()
    between = os.fork()
    if not between:
        try:
            begin(addresses, ending, tell)
        finally:
            os._exit(1)
    os.close(tell)
    os.close(ending)
    with open(news, "rb") as news:
        words = news.read()
    os.waitpid(between, 0)
    if words.isdigit():
        return int(words), held
    os.close(held)
    code, _, what = words.decode().partition(" ")
    raise OSError(-int(code), what)


def end(process, held, namespaces):
    """End a guard and so its programs: SIGTERM, a moment, SIGKILL. Returns when they have ended.

    namespaces: descriptors of the network namespaces in which they live
    """
    os.close(held)
    watch = os.pidfd_open(process)
    try:
        if not select.select([watch], [], [], 2 * GRACE)[0]:
            os.kill(process, signal.SIGKILL)  # somebody has stopped it
            wake(namespaces)
            select.select([watch], [], [], GRACE)
    finally:
        os.close(watch)
    ended.add(process)
    for each in list(ended):
        if os.waitpid(each, os.WNOHANG)[0]:
            ended.remove(each)


def wake(namespaces):
    """Let stopped launchers go on (Ctrl-Z in a terminal): process 1 ends when all have been reaped, also by them."""
    spaces = [os.fstat(descriptor)[:2] for descriptor in namespaces]
    for entry in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if os.stat(f"/proc/{entry}/ns/net")[:2] in spaces and int(entry) != os.getpid():
                os.kill(int(entry), signal.SIGCONT)


def begin(addresses, ending, tell):
    """Between: make the namespaces, and the guard."""
    try:
        for descriptor in map(int, os.listdir("/proc/self/fd")):  # a copy of a network's socket would keep it alive
            if descriptor not in (ending, tell):
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        namespace_call("unshare", CLONE_NEWPID | CLONE_NEWNS)
        if os.fork():
            os._exit(0)
        guard = os.readlink("/proc/self")  # by the /proc of the helper: getpid() says 1
        give_names(addresses)
        with contextlib.suppress(OSError):  # some containers hide parts of /proc: then `ps` shows theirs (mount(2))
            libc_call("mount", b"proc", b"/proc", b"proc", 0, None)
        os.write(tell, guard.encode())
    except OSError as problem:
        os.write(tell, f"{-problem.errno} {problem.strerror}".encode())
        return
    os.close(tell)
    stand(ending)


def give_names(addresses):
    """Lay a file with the names of the hosts over /etc/hosts, in this mount namespace alone."""
    if not Path("/etc/hosts").exists():
        return
    aside = b"/tmp"
    libc_call("mount", b"tmpfs", aside, b"tmpfs", 0, None)
    file = Path(os.fsdecode(aside), "hosts")
    file.write_text(hosts_file(addresses))
    file.chmod(0o644)
    libc_call("mount", bytes(file), b"/etc/hosts", None, MS_BIND, None)
    libc_call("umount2", aside, MNT_DETACH)


def stand(ending):
    """Wait for the end, then end all the others here: SIGTERM, a moment, and the kernel does the rest."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whose parent has ended is process 1's child: it must reap it
    select.select([ending], [], [])
    until = time.monotonic() + GRACE
    with contextlib.suppress(ProcessLookupError):  # nobody is left
        os.kill(-1, signal.SIGTERM)
        while time.monotonic() < until:
            time.sleep(0.002)  # no event tells: they are not this process's children
            os.kill(-1, 0)
    os._exit(0)
