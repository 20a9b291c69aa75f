"""`udplab on bob [COMMAND ...]`: a shell, or one command, on a host of a network that is running.

It finds the networks of the same user, whatever process made them, and becomes the launcher of the program.
"""

import argparse
import contextlib
import json
import os
import socket
import sys

from udplab.lan.door import SIZE, folder, knock, refusal
from udplab.lan.programs import command

DESCRIPTION = """Open a shell on a host of a running network, or run one command there.

    udplab on bob               a shell on bob; exit, or Ctrl-D, leaves it
    udplab on bob ss -u -a      one command

The network is the one that a notebook, or a program, of yours has made and not yet closed."""


def arguments(argv):
    parser = argparse.ArgumentParser(
        prog="udplab on",
        description=DESCRIPTION,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=100),
    )
    parser.add_argument("-n", "--network", type=int, help="which one, where several are running: its number")
    parser.add_argument("host", help="the host's name")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="a command and its arguments; none: a shell")
    return parser.parse_args(argv)


def running(place, user):
    """Return the running networks as a list of (visitor's socket, description), the oldest first.

    Raises SystemExit where the folder of the doors is not the user's own.
    """
    if not place.exists():
        return []
    if why := refusal(place, user):
        sys.exit(f"udplab on: {why}")
    found = []
    for visitor, networks in knock(place):
        found += [(visitor, network) for network in networks]
        if not networks:
            visitor.close()
    return sorted(found, key=lambda each: each[1]["since"])


def choose(networks, host, number):
    """Return the (visitor, description) that is meant. Raises SystemExit, in one line, where none is, or several are.

    number: from --network, or None
    """
    if not networks:
        sys.exit("udplab on: no network is running: run the cell that makes one, and leave it open")
    if number is not None and not 1 <= number <= len(networks):
        sys.exit(f"udplab on: there is no network {number}, but 1 to {len(networks)}")
    meant = [networks[number - 1]] if number else [each for each in networks if host in each[1]["hosts"]]
    if len(meant) == 1 and host in meant[0][1]["hosts"]:
        return meant[0]
    listed = "".join(f"\n  {place}: {described(each)}" for place, (_, each) in enumerate(networks, start=1))
    if meant and not number:
        return ask(networks, host, listed)
    sys.exit(f"udplab on: there is no host {host} here, but{listed}")


def ask(networks, host, listed):
    """Ask which of several networks is meant; without a terminal, say how to tell."""
    print(f"udplab on: several networks are running:{listed}", file=sys.stderr)
    if not sys.stdin.isatty():
        sys.exit(f"udplab on: say which: udplab on --network 1 {host}")
    print("Which one? ", end="", file=sys.stderr, flush=True)
    answer = sys.stdin.readline().strip()
    if not answer.isdecimal():
        sys.exit("udplab on: that is no number")
    return choose(networks, host, int(answer))


def described(network):
    hosts = list(network["hosts"])
    names = ", ".join(hosts if len(hosts) <= 8 else [*hosts[:3], "...", hosts[-1]])
    return f"{names} (made by process {network['made_by']})"


def shell(host):
    """Return the user's shell with a prompt that names the host."""
    program = os.environ.get("SHELL") or "/bin/sh"
    os.environ["PS1"] = f"{host}$ "  # for a shell that reads no file; others have the host's name in their prompts
    if os.path.basename(program) == "bash":
        return [program, "--rcfile", os.path.join(os.path.dirname(__file__), "on.bashrc")]
    return [program]


def enter(visitor, network, host):
    """Return the descriptors of the host's namespaces, to be inherited. Raises SystemExit."""
    request = {"number": 0, "op": "program", "network": network["number"], "host": host}
    try:
        visitor.settimeout(30)
        visitor.send(json.dumps(request).encode())
        reply, descriptors, _, _ = socket.recv_fds(visitor, SIZE, 4)
        answer = json.loads(reply)
    except (OSError, ValueError):
        sys.exit("udplab on: the network has just ended")
    if "error" in answer:
        sys.exit(f"udplab on: cannot enter {host}: {answer['error']}")
    for descriptor in descriptors:
        os.set_inheritable(descriptor, True)
    return descriptors


def main(argv):
    """Run the command line `udplab on ARGV`; it does not return. Raises SystemExit, with one line, for what fails."""
    if sys.platform != "linux":
        sys.exit(f"udplab on: networks need Linux, and this is {sys.platform}")
    wanted = arguments(argv)
    user = os.geteuid()
    with contextlib.suppress(KeyboardInterrupt):
        visitor, network = choose(running(folder(user), user), wanted.host, wanted.network)
        program = wanted.command or shell(wanted.host)
        if not wanted.command:
            print(f"On {wanted.host}, {network['hosts'][wanted.host]}. exit leaves it.", file=sys.stderr)
        line = command(-1, wanted.host, enter(visitor, network, wanted.host), program)
        os.execv(line[0], line)
    sys.exit(130)
