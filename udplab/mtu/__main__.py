"""Run listing 2-3, or its probing, from the command line."""

import argparse

from udplab.kit import terminal
from udplab.kit.sockets import HOST
from udplab.mtu.listing import send_big_datagram


def size(text):
    """Return the number of bytes that `text` names; argparse reports anything else."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= 1_000_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: give a whole number of bytes, 1 to 1000000")
    return int(text)


def main(argv=None):
    """Run the listing from the command line."""
    parser = terminal.parser(
        "mtu", "Send a big UDP datagram that must not be cut up, and show which MTU the kernel believes."
    )
    parser.add_argument("host", metavar="HOST", nargs="?", help="the host to send to")
    role = parser.add_mutually_exclusive_group()
    role.add_argument("--size", type=size, default=65000, metavar="BYTES", help="payload to send (default 65000)")
    role.add_argument("--probe", action="store_true", help="find by trying which sizes arrive; HOST must run --answer")
    role.add_argument(
        "--answer", action="store_true", help="answer probes that arrive at HOST, an address of this machine"
    )
    arguments = parser.parse_args(argv)
    if arguments.port == 0 and not arguments.answer:
        parser.error("argument -p: a sender needs the server's port, 1 to 65535")
    if arguments.host is None:  # some shells drop an argument ""
        if not arguments.answer:
            parser.error("a sender needs HOST: whom to send to")
        arguments.host = HOST
    if not (arguments.answer or arguments.probe):
        terminal.run(send_big_datagram, arguments.host, arguments.port, arguments.size)
        return
    from udplab.mtu import probing  # here, since the listing does without it

    terminal.run(probing.answer if arguments.answer else probing.probe, arguments.host, arguments.port)


if __name__ == "__main__":
    main()
