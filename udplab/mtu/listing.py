"""Listing 2-3: send a big datagram that must not be cut up, and ask the kernel which MTU it believes in.

    python -m udplab.mtu HOST [-p PORT] [--size BYTES]      as the listing
    python -m udplab.mtu HOST [-p PORT] --probe             find by trying which sizes arrive (`probing`)
    python -m udplab.mtu HOST [-p PORT] --answer            the other end of --probe, at its own address HOST

The MTU of a link is the largest IP packet, in bytes, that it carries. The smallest on a path is the path MTU.
What becomes of datagrams on a whole path is in `experiments` and `fragments`.
"""

from udplab.kit.sockets import HEADERS, LARGEST, connect, udp_socket
from udplab.mtu.kernel import attempt, belief, set_fragmentation


def send_big_datagram(host, port, size=65000, make_socket=udp_socket):
    """Forbid fragmentation, send one big datagram, and print whether it went and what the kernel believes."""
    with connect(host, port, make_socket) as sock:
        try:
            set_fragmentation(sock, "forbid")
        except OSError as problem:
            print(problem, "What follows may be cut up. Probing by size (--probe) works here too.")
        if attempt(sock, size):
            print(f"The big datagram was sent: {size} bytes. Whether it arrives, nobody tells.")
            return
        print(f"The big datagram did not make it: {size} bytes are too big.")
        believed = belief(sock)
        if size > LARGEST:
            print(f"No datagram of IPv4 has more than {LARGEST} bytes of payload, whatever the MTU is.")
        elif believed is None:
            print("This system does not tell which MTU its kernel believes in. Try --probe.")
        else:
            print(f"The kernel believes in an MTU of {believed} bytes: room for {believed - HEADERS} of payload.")
            print("That is its first link, unless a router has told it of a smaller one.")
