"""The process inside the namespaces: `python -m udplab.lan.helper CONTROL_FD PARENT_PIDFD`.

`udplab.lan` starts it; nobody else needs it. The rules:

- It enters a new user namespace and a new network namespace before anything else, as root too, so that the
  machine's own interfaces are out of reach (user_namespaces(7), network_namespaces(7)).
- A host is a network namespace held open by a file descriptor, a link is a veth pair (veth(4)), a switch
  is a bridge in a namespace of its own. The kernel takes all of it away when the descriptors are closed.
- Each network has a Unix socket of its own to the notebook. When that closes, the network goes. When the
  first socket closes or the notebook's process ends, the helper ends. (Both are watched: a fork of the
  notebook may keep a copy of the socket open. PR_SET_PDEATHSIG is no use here: it fires when the *thread*
  that started the helper ends, and a notebook's threads come and go; prctl(2).)
"""

import contextlib
import errno
import json
import os
import select
import socket
import sys
from pathlib import Path

from udplab.lan.building import CLONE_NEWNET, CLONE_NEWUSER, build, namespace_call, write_sysctl
from udplab.lan.hindering import set_icmp, set_loss, set_rate


def enter_namespaces():
    """Leave the machine's namespaces; the result is None, or the step that was refused and its errno."""
    uid, gid = os.geteuid(), os.getegid()  # asked now: unmapped, they read 65534
    steps = {
        "user": lambda: namespace_call("unshare", CLONE_NEWUSER),
        "setgroups": lambda: Path("/proc/self/setgroups").write_text("deny"),
        "uid_map": lambda: Path("/proc/self/uid_map").write_text(f"0 {uid} 1"),
        "gid_map": lambda: Path("/proc/self/gid_map").write_text(f"0 {gid} 1"),
        "net": lambda: namespace_call("unshare", CLONE_NEWNET),
        "sysctl": lambda: write_sysctl("ipv4/ip_forward", 0),  # read-only in some containers
    }
    for step, take in steps.items():
        try:
            take()
        except OSError as refused:
            return step, refused.errno
    return None


def answer(network, request):
    """Do what a request asks in the namespaces of one network; returns (reply, sockets to pass)."""
    operation, passed = request["op"], []
    reply = {"number": request["number"]}
    try:
        if operation == "build":
            reply["indexes"] = build(network, request["hosts"], request["switched"])
            return reply, passed
        namespace_call("setns", network[request["host"]], CLONE_NEWNET)
        if operation == "socket":
            passed.append(socket.socket(request["family"], request["type"], request["proto"]))
        elif operation == "icmp":
            set_icmp(request["send"])
        elif operation == "loss":
            set_loss(request["interface"], request["every"])
        elif operation == "rate":
            set_rate(request["interface"], request["bits_per_second"])
    except Exception as problem:  # not swallowed: the notebook raises it
        code = getattr(problem, "errno", None) or getattr(problem, "code", None)  # NetlinkError has a code
        reply |= {"error": f"{type(problem).__name__}: {problem}", "errno": code}
    return reply, passed


def serve(control, parent):
    """Serve networks until the notebook closes `control` or its process (a pidfd) ends."""
    networks = {}  # the network's socket -> {host: namespace}
    sockets = {}
    try:
        serve_networks(control, parent, networks, sockets)
    finally:
        for fd, sock in sockets.items():
            drop(networks[fd], sock)


def drop(network, sock):
    """Let go of a network. Its socket comes last: the notebook takes its end for "done"."""
    for namespace in network.values():
        os.close(namespace)
    sock.close()


def serve_networks(control, parent, networks, sockets):
    """Serve until the end; `networks` and `sockets` are as in `serve`, which lets go of what is left in them."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(parent, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == parent:
                return
            if fd == control.fileno():
                message, fds, _, _ = socket.recv_fds(control, 16, 1)
                if not message:
                    return
                if not fds:  # this process has no descriptor left: that network is lost, the others stay
                    continue
                sockets[fds[0]] = socket.socket(fileno=fds[0])
                networks[fds[0]] = {}
                poll.register(fds[0], select.POLLIN)
                continue
            try:
                request = sockets[fd].recv(1 << 20)
                if request:
                    reply, passed = answer(networks[fd], json.loads(request))
                    socket.send_fds(sockets[fd], [json.dumps(reply).encode()], [s.fileno() for s in passed])
                    for given in passed:
                        given.close()
            except OSError as problem:
                if problem.errno not in (errno.EPIPE, errno.ECONNRESET):
                    raise
                request = b""  # the notebook closed the network without waiting for the answer
            if not request:
                poll.unregister(fd)
                drop(networks.pop(fd), sockets.pop(fd))


def main():
    parent = int(sys.argv[2])
    with socket.socket(fileno=int(sys.argv[1])) as control:
        refused = enter_namespaces()
        # The notebook may have been interrupted before it has read our first words: then nobody is there any more.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            control.send(json.dumps({"refused": refused}).encode())
            if refused is None:
                import pyroute2  # noqa: F401  the first network needs it: loaded while the notebook does other things

                serve(control, parent)


if __name__ == "__main__":
    main()
