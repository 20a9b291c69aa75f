"""The servers to compare, each in the way its documentation shows, with the answers of lesson 2-1.

    python -m tests.benchmarks.servers NAME

runs one in a thread of its own and prints its port. For each line COUNT on stdin it measures as many round trips from
this very process and prints their median in seconds. It ends with stdin.
"""

import asyncio
import collections
import itertools
import socket
import socketserver
import statistics
import sys
import threading
import time

from udplab.kit.server import KEPT, Server
from udplab.kit.sockets import HOST, MAX_BYTES
from udplab.kit.words import SHOWN
from udplab.loopback.listing import respond

SIZE = 32  # bytes of payload


def udplab(ready):
    server = Server(respond).start()
    ready(server.address)
    threading.Event().wait()


def bare(ready):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        ready(sock.getsockname())
        while True:
            data, peer = sock.recvfrom(MAX_BYTES)
            sock.sendto(respond(data), peer)


def noting(ready):
    """The bare loop, but it keeps the records and counts that `Server` keeps: what these cost by themselves."""
    log, counts, clock = collections.deque(maxlen=KEPT), collections.Counter(), time.perf_counter
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        ready(sock.getsockname())
        for number in itertools.count(1):
            data, peer = sock.recvfrom(MAX_BYTES)
            received = clock()
            answer = respond(data)
            sent = clock()
            sock.sendto(answer, peer)
            log.append((number, received, peer, data[:SHOWN], len(data), "answered", answer[:SHOWN], sent, ""))
            counts["answered"] += 1


class Handler(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        sock.sendto(respond(data), self.client_address)


def standard(ready, kind=socketserver.UDPServer):
    with kind((HOST, 0), Handler) as server:
        ready(server.server_address)
        server.serve_forever()


def threading_server(ready):
    standard(ready, socketserver.ThreadingUDPServer)


class Protocol(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        self.transport.sendto(respond(data), peer)


async def answer_for_ever(ready):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Protocol, (HOST, 0))
    ready(transport.get_extra_info("sockname"))
    await loop.create_future()


def asyncio_server(ready):
    asyncio.run(answer_for_ever(ready))


def uvloop(ready):
    import uvloop

    uvloop.run(answer_for_ever(ready))


def trio(ready):
    import trio

    async def serve():
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            await sock.bind((HOST, 0))
            ready(sock.getsockname())
            while True:
                data, peer = await sock.recvfrom(MAX_BYTES)
                await sock.sendto(respond(data), peer)

    trio.run(serve)


SERVERS = {
    "udplab": udplab,
    "bare recvfrom loop": bare,
    "recvfrom loop with the same log and counts": noting,
    "socketserver": standard,
    "ThreadingUDPServer": threading_server,
    "asyncio": asyncio_server,
    "uvloop": uvloop,
    "trio": trio,
}


def by_hand(address, count):
    """Measure `count` round trips as a loop of one's own would; return the times in seconds."""
    payload, times, clock = bytes(SIZE), [], time.perf_counter
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(1.0)
        sock.connect(address)
        for _ in range(count):
            sent = clock()
            sock.send(payload)
            sock.recv(MAX_BYTES)
            times.append(clock() - sent)
    return times


def main(name):
    addresses = []
    known = threading.Event()

    def ready(address):
        addresses.append(address)
        known.set()

    threading.Thread(target=SERVERS[name], args=[ready], daemon=True).start()
    known.wait()
    print(addresses[0][1], flush=True)
    for line in sys.stdin:
        print(statistics.median(by_hand(addresses[0], int(line))), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
