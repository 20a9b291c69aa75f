"""Run listing 2-4 from the command line."""

from udplab.broadcast.listing import client, server
from udplab.kit import terminal


def main(argv=None):
    """Run the listing from the command line."""
    host = "server: the address to listen at, 0.0.0.0 for all (at first 127.0.0.1); client: where to send"
    terminal.play("broadcast", "Send and receive UDP broadcast.", server, client, host, argv)


if __name__ == "__main__":
    main()
