"""What the command lines of the listings share: the port, the server's log on the screen, errors in one line."""

import argparse
import errno
import os
import socket
import sys
from _signal import SIG_DFL, SIGINT, default_int_handler, getsignal, signal
from collections.abc import Callable, Sequence

from udplab.kit.sockets import HOST, PORT
from udplab.kit.words import no_such_host, shown, told


def parser(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return an argparse parser that knows -p PORT; the listing adds its own arguments.

    name: the listing's module; description: several lines, which are kept as they are
    """
    # A given width spares argparse the import of shutil, which takes a tenth of a bare start.
    result = argparse.ArgumentParser(
        prog=f"python -m udplab.{name}",
        description=description,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, width=100),
    )
    result.add_argument("-p", metavar="PORT", dest="port", type=port, default=PORT, help="UDP port (default 1060)")
    return result


def play(
    name: str,
    description: str | None,
    server: Callable,
    client: Callable,
    host: str | None = None,
    argv: Sequence[str] | None = None,
) -> None:
    """Run a listing with two roles from its command line: {server,client} [HOST] [-p PORT].

    name, description: see `parser`; server, client: functions of the host, if the listing has one, and the port
    host: what HOST is, for the help; None for a listing without one. A server may do without it, since some shells
        drop an argument "": then it listens on this machine alone.
    """
    result, roles = parser(name, description), {"server": server, "client": client}
    result.add_argument("role", choices=roles, help="which role to play")
    if host:
        result.add_argument("host", metavar="HOST", nargs="?", help=host)
    arguments = result.parse_args(argv)
    if host and arguments.host is None:
        if arguments.role == "client":
            result.error("a client needs HOST: whom to send to")
        arguments.host = HOST
    if arguments.role == "client" and arguments.port == 0:
        result.error("argument -p: a client needs the server's port, 1 to 65535")
    run(roles[arguments.role], *([arguments.host] if host else []), arguments.port)


def port(text: str) -> int:
    """Return the port that `text` names, 0 to 65535; argparse reports anything else."""
    if not (text.isascii() and text.isdecimal() and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a whole number from 1 to 65535")
    return int(text)


def show(server, line: Callable[..., str], note: str = "") -> None:
    """Run `server` and print `line(record)` for each datagram, until Ctrl-C. note: a line to print at the start.

    The server's thread never waits for the output: where that is too slow, records are missed, and it says so.
    Raises OSError, in words for a reader, where the server cannot have its address.
    """
    try:
        server.start()
    except (OSError, TypeError, ValueError) as error:  # the latter two: no host can have such a name
        raise OSError(cannot_listen(error, server.host, server.port)) from None
    except RuntimeError as error:
        raise OSError(f"Cannot start the server's thread: {told(error)}. Does this user run too many?") from None
    try:
        print(*filter(None, [f"Listening at {server.address}", note]), sep="\n", flush=True)
        for missed, records in server.follow():
            if missed:
                print(f"({missed} more datagrams came too fast to be shown)")
            print(*map(line, records), sep="\n", flush=True)
    finally:
        server.stop()


def run(program: Callable, *arguments: object) -> None:
    """Call the program and exit: 0 when it returns, 1 after one line for an expected failure, 130 for Ctrl-C."""
    try:
        if getsignal(SIGINT) == SIG_DFL:  # see udplab/__init__.py; Ctrl-C raises KeyboardInterrupt from here on
            signal(SIGINT, default_int_handler)
        if hasattr(sys.stdout, "reconfigure"):  # a terminal that cannot show a letter of a host's name gets its number
            sys.stdout.reconfigure(errors="backslashreplace")
        program(*arguments)
    except KeyboardInterrupt:
        sys.exit(130)  # what a shell reports for SIGINT: 128 + 2
    except BrokenPipeError:
        # Whoever read our output has gone. Without this, Python would report it again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        sys.exit(told(error))


def cannot_listen(error: Exception, host: str, port: int) -> str:
    """Return one line that says why a server cannot have its address, and what to do."""
    if not isinstance(error, OSError) or isinstance(error, socket.gaierror):
        return f"{no_such_host(host, error)} Try 127.0.0.1, or 0.0.0.0 for every address of this machine."
    place = f"{shown(host) if host else 'every address'}, port {port}"
    if error.errno == errno.EADDRINUSE:
        if port == 0:
            return "No port of this machine is free just now. End some programs, and try again."
        return f"Port {port} is in use: another program has it. Stop that one, or choose another port with -p."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine. Try 127.0.0.1, or 0.0.0.0 for every address."
    if error.errno == errno.EACCES and 0 < port < 1024:
        return f"You may not listen on {place}: ports below 1024 are for administrators. Choose another with -p."
    return f"Cannot listen on {place}: {told(error)}."
