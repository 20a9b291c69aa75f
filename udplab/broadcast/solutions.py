"""Solutions of the exercises of lesson 2-4. `exercises.matrix.solution()` shows them."""

import ipaddress
import socket
import time


def matrix():
    return {
        "10.0.0.2": [],  # bob's socket is bound to 10.0.0.255, which is not 10.0.0.2
        "10.0.0.255": ["bob", "carol"],  # alice's own socket is bound to 10.0.0.1
        "<broadcast>": ["carol"],  # 255.255.255.255 is not 10.0.0.255 either
        "10.0.1.255": [],  # only the router takes it, and nobody listens there
    }


def broadcast_address(address, prefix):
    interface = ipaddress.IPv4Interface(f"{address}/{prefix}")
    return str(interface.network.broadcast_address)


def permission():
    return [
        "EACCES",  # 10.0.1.255, the broadcast address of dave's own subnet
        "sent",  # 10.0.0.255: dave is not on that subnet, so for him it is an address like any other
        "sent",  # 10.0.1.254, one host
        "EACCES",  # 255.255.255.255 is always a broadcast address
    ]


def find(sock, address):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.sendto(b"find time 77", address)
    names, start = [], b"here time 77 "
    deadline = time.monotonic() + 0.2
    while (left := deadline - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            data = sock.recv(65535)
        except TimeoutError:
            break
        if data.startswith(start):
            names.append(data.removeprefix(start))
    return sorted(names)


def spread():
    least = 80 * 1
    return least * 2
