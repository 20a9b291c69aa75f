"""Why this machine has no LAN, or cannot do one thing, and what to do about it: pure functions, in words.

A cause is named only as far as the error shows it. `read(path)` gives a file's text, or "" where there is none.
Sources: user_namespaces(7), namespaces(7) for the limits; Debian's and Ubuntu's own sysctls; proc(5) for Seccomp.
"""

import errno
import os

LIMITS = {"user": "user", "net": "net", "another net": "net", "build": "net", "wire": "net", "program": "pid"}
KINDS = {"user": "user namespaces", "net": "network namespaces", "pid": "PID namespaces"}
SWITCHES = {  # sysctls by which a system forbids ordinary users to make user namespaces: (its value then, the other)
    "kernel.unprivileged_userns_clone": ("0", "1"),
    "kernel.apparmor_restrict_unprivileged_userns": ("1", "0"),
}
DRIVERS = {"bridge": "bridges", "veth": "veth pairs", "packet": "packet sockets"}
DENIED = (errno.EPERM, errno.EACCES)
LACKING = (errno.EOPNOTSUPP, errno.ENODEV, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)


def value(sysctl, read):
    return read("/proc/sys/" + sysctl.replace(".", "/")).strip()


def limit(step, code, read):
    """Return which limit of namespaces a step has met, in words, or ""."""
    if step not in LIMITS:
        return ""
    kind = LIMITS[step]
    sysctl = f"user.max_{kind}_namespaces"
    number = value(sysctl, read)
    if number == "0":
        return f"{KINDS[kind]} are forbidden here: sysctl {sysctl} is 0. To allow them: sudo sysctl {sysctl}=10000"
    if code == errno.ENOSPC and number:
        more = 2 * int(number) + 1000
        return (
            f"as many {KINDS[kind]} are in use as this system allows: sysctl {sysctl} is {number}. "
            f"Close other networks, or: sudo sysctl {sysctl}={more}"
        )
    return ""


def refusal(step, code, read):
    """Say in words why the kernel refused a step of `helper.enter_namespaces`. code: the errno"""
    for each in ("user", "net"):
        if value(f"user.max_{each}_namespaces", read) == "0":
            return limit(each, code, read)
    if words := limit(step, code, read):
        return words
    if step in DRIVERS:
        if code in LACKING:
            return f"this kernel has no {DRIVERS[step]} ({os.strerror(code)})"
        return f"{DRIVERS[step]} are refused here, even in a namespace of one's own ({os.strerror(code)})"
    if step == "sysctl":
        docker = "; Docker: docker run --security-opt systempaths=unconfined" if code == errno.EROFS else ""
        return f"/proc/sys/net cannot be written here, as in some containers ({os.strerror(code)}{docker})"
    if code in DENIED:
        for sysctl, (forbids, allows) in SWITCHES.items():
            if value(sysctl, read) == forbids:
                who = "AppArmor forbids" if "apparmor" in sysctl else "this system forbids ordinary users"
                return (
                    f"{who} user namespaces: sysctl {sysctl} is {forbids}. "
                    f"To allow them until the next start: sudo sysctl {sysctl}={allows}"
                )
    if code == errno.EPERM and "\nSeccomp:\t2" in read("/proc/self/status"):
        return (
            "a seccomp filter forbids user namespaces here, as Docker's default one does: "
            "docker run --security-opt seccomp=unconfined --security-opt systempaths=unconfined"
        )
    return f"the kernel refused a namespace without root (step {step}: {os.strerror(code)})"


def failure(operation, code, error, read):
    """Say in words why the helper could not do what it was asked. code: the errno or None; error: its text"""
    if words := limit(operation, code, read):
        return words
    if code == errno.EMFILE:
        return "the LAN's helper has no file descriptor left: close other networks, or raise `ulimit -n`"
    if code == errno.ENFILE:
        return "this system has no file descriptor left (sysctl fs.file-max)"
    return f"this machine's kernel could not do it ({operation}): {error}"
