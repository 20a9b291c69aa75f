"""Run listing 2-2 from the command line."""

from udplab.kit import terminal
from udplab.retry.listing import client, server


def main(argv=None):
    """Run the listing from the command line."""
    host = 'the address to listen on ("" is every one), or the host to ask'
    words = "Send and receive UDP, where datagrams are often lost on purpose."
    terminal.play("retry", words, server, client, host, argv)


if __name__ == "__main__":
    main()
