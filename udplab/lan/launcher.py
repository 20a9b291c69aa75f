"""Run a program on a host: `python -I -S launcher.py REPORT HOST USER NET MOUNT PID PROGRAM ARGUMENT...`

`programs.py` starts it, `udplab on` becomes it. USER, NET, MOUNT and PID are descriptors of the namespaces to enter,
which only a process with a single thread may do (setns(2)): a notebook has more. It stays as the program's parent,
since a PID namespace begins with a child: it passes signals on and ends as the program ends. REPORT is a descriptor
for the words of a program that cannot be started, -1 for stderr. Only the standard library, and little of it: this
is a program's start time.
"""

import contextlib
import ctypes
import json
import os
import signal
import sys

CLONE_NEWUTS = 0x04000000  # sched.h
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LIBC = ctypes.CDLL(None, use_errno=True)
KEPT = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}  # they stop this process as they stop the program
WATCHED = signal.valid_signals() - KEPT - {signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGBUS}


def call(name, *arguments):
    if getattr(LIBC, name)(*arguments):
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def enter(host, namespaces):
    """Go to the host: into its namespaces, with its name, in the folder where we were."""
    folder = os.getcwd()
    for namespace in namespaces:  # the user namespace first: it gives the right to enter the others
        call("setns", namespace, 0)
        os.close(namespace)
    call("unshare", CLONE_NEWUTS)
    name = host.encode()[:64]  # bytes: what a host name may have (sethostname(2))
    call("sethostname", name, len(name))
    with contextlib.suppress(OSError):  # a folder that only exists elsewhere: then we are in /
        os.chdir(folder)


def become(program, arguments, report, before, alone):
    """In the child: turn into the program. `before`: the signals that were blocked at first.

    alone: a program with no terminal gets a process group of its own, so that a signal to the launcher's group reaches
    it once.
    """
    try:
        call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL)  # whoever kills the launcher means the program
        if alone:
            os.setpgid(0, 0)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, a program does not expect that
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if report >= 0:
            os.set_inheritable(report, False)  # that it closes says that the program has started
        os.execvp(program, arguments)
    except OSError as problem:
        if report < 0:
            print(f"udplab on: cannot run {program}: {problem.strerror}", file=sys.stderr, flush=True)
        else:
            os.write(report, json.dumps([problem.errno, problem.strerror, program]).encode())
    finally:
        os._exit(127)


def stay(child):
    """Pass signals on to the program until it ends; return what waitpid(2) says of it."""
    while True:
        arrived = signal.sigwaitinfo(WATCHED)
        if arrived.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return status
        elif arrived.si_code <= 0:  # sent by a process; those of a terminal (SI_KERNEL) reach the program, too
            os.kill(child, arrived.si_signo)


def end_like(status):
    """End as the program did, by the same signal too."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the program has left its core, if anybody wants one
        with contextlib.suppress(OSError, ValueError):  # SIGKILL needs no reset
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.kill(os.getpid(), -code)
    os._exit(code & 0xFF)


def main():
    report, host, *namespaces = sys.argv[1:7]
    program, *_ = arguments = sys.argv[7:]
    report = int(report)
    last = max(map(int, os.listdir("/proc/self/fd")))  # now: on the host, /proc does not know this process
    alone = report >= 0 and os.getsid(0) == os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
    try:
        enter(host, map(int, namespaces))
        child = os.fork()
    except OSError as problem:
        sys.exit(f"udplab: cannot enter {host}, its network may have ended: {problem.strerror}")
    if not child:
        become(program, arguments, report, before, alone)
    os.closerange(0, last + 1)  # they are the program's alone: who reads its output then sees its end
    end_like(stay(child))


if __name__ == "__main__":
    main()
