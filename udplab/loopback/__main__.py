"""Run listing 2-1 from the command line."""

from udplab.kit import terminal
from udplab.loopback.listing import __doc__ as description
from udplab.loopback.listing import client, server


def main(argv=None):
    """Run the listing from the command line."""
    terminal.play("loopback", description, server, client, argv=argv)


if __name__ == "__main__":
    main()
