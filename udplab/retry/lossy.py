"""A bad network in front of a server: it loses, delays, duplicates and reorders, the same way at each run.

    network = lossy.BadNetwork(loss=0.5, seed=1)
    with Server(respond, make_socket=network.socket) as server:
        ...

The network wraps the server's socket, so the server does not know of it and is never held up: what is to arrive
late is sent by a thread of its own. Each kind of fault draws its own lots from the seed.
"""

import collections
import contextlib
import dataclasses
import errno
import heapq
import math
import os
import random
import socket
import threading
import time

from udplab.kit.answers import is_itself
from udplab.kit.calm import uninterrupted
from udplab.kit.server import KEPT
from udplab.kit.sockets import LARGEST


@dataclasses.dataclass(frozen=True)
class Fate:
    """What became of a request and of its answer.

    peer: the client's address
    request: True if the request arrived at the server
    answers: how many copies of the answer were sent on: 0 if it was lost or there was none
    """

    peer: tuple
    request: bool
    answers: int

    @classmethod
    def of(cls, record):
        """Return the `Fate` that a server's log tells (a `kit.server.Record`): its answers are taken to arrive."""
        return cls(record.peer, record.done == "answered", 1)


class BadNetwork:
    """What happens to the datagrams of one server, between it and its clients.

    loss, answer_loss: the share of requests and of answers that is lost, 0 to 1
    burst: how many seconds a time lasts, on average, in which all requests are lost; 0: each is lost by its own lot
    clock: gives the seconds for `burst`; may be changed at any time
    duplicate: the share of answers that arrive twice
    reorder: the share of answers that are held back until the next answer has passed
    delay: how long an answer takes, in seconds: the lowest and the highest; may be changed at any time
    seed: anything with a text form; the same seed draws the same lots, and no seed is one as well

    fates: the `Fate` of each of the last 1,000 requests, in order of arrival
    lost: how many requests of all were lost
    """

    def __init__(
        self, loss=0.0, answer_loss=0.0, *, duplicate=0.0, reorder=0.0, delay=(0.0, 0.0), burst=0.0, seed=None
    ):
        shares = {"loss": loss, "answer_loss": answer_loss, "duplicate": duplicate, "reorder": reorder}
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {share}")
        self.shares = shares
        self.delay, self.burst, self.clock = delay, burst, time.perf_counter
        self._bad, self._seen = loss, -math.inf  # how likely requests were lost, when last looked at, and when that was
        self.fates = collections.deque(maxlen=KEPT)
        self.lost = 0
        self._lots = {name: random.Random(f"{seed} {name}") for name in [*shares, "delay"]}

    def draw(self, fault):
        """Draw whether a fault befalls the next datagram."""
        return self._lots[fault].random() < self.shares[fault]

    def loses(self):
        """Draw whether the next request is lost.

        With bursts, good and bad times follow one another by chance (E. N. Gilbert, "Capacity of a Burst-Noise
        Channel", 1960): what is bad now is likely to be so a moment later, and after a long time as likely as ever.
        """
        if not self.burst:
            return self.draw("loss")
        now, loss = self.clock(), self.shares["loss"]
        likely = loss + (self._bad - loss) * math.exp((self._seen - now) / (self.burst * (1 - loss)))
        self._bad, self._seen = self._lots["loss"].random() < likely, now
        return self._bad

    def travel_time(self):
        """Draw how long the next answer takes, in seconds."""
        return self._lots["delay"].uniform(*self.delay)

    def socket(self, *kind):
        """Return a socket behind this network; for the `make_socket` of a Server."""
        return _Socket(self, socket.socket(*kind))


class _Socket:
    """A server's socket behind a BadNetwork. What is not about the network goes to the real socket."""

    def __init__(self, network, sock):
        self._network, self._sock = network, sock
        self._held = None
        self._post = None

    def __getattr__(self, name):
        return getattr(self._sock, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Close the socket; answers that are still on their way are lost."""
        if self._post:
            self._post.stop()
        self._sock.close()

    def _own(self, peer):
        """Return whether a datagram is the server's own, with which it wakes itself when it is to stop."""
        return peer is None or is_itself(self._sock.getsockname(), peer)  # None: a shutdown

    def recvfrom(self, size):
        while (arrived := self.receive(size)) is None:
            pass
        return arrived

    def receive(self, size):
        """Wait for one datagram; return (data, peer), or None if the network lost it."""
        data, peer = self._sock.recvfrom(size)
        if self._own(peer):
            return data, peer
        arrives = not self._network.loses()
        self._network.fates.append(Fate(peer, arrives, 0))
        if arrives:
            return data, peer
        self._network.lost += 1
        return None

    def sendto(self, data, peer):
        if self._own(peer):
            return self._sock.sendto(data, peer)
        if len(data) > LARGEST:  # told now, and not in the thread that sends it later
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        network = self._network
        # Each lot is drawn for each answer, so that a change of one share leaves the others' lots as they are.
        lost, twice, held = (network.draw(fault) for fault in ("answer_loss", "duplicate", "reorder"))
        if lost:
            return len(data)
        network.fates[-1] = dataclasses.replace(network.fates[-1], answers=2 if twice else 1)
        waiting, self._held = self._held, None
        if held:
            self._held = data, peer
        else:
            self._send_on(data, peer)
        if waiting:
            self._send_on(*waiting)
        if twice:
            self._send_on(data, peer)
        return len(data)

    def _send_on(self, data, peer):
        delay = self._network.travel_time()
        if delay <= 0:
            self._sock.sendto(data, peer)
            return
        if self._post is None:
            self._post = _Post(self._sock)
        self._post.put(time.perf_counter() + delay, data, peer)


class _Post:
    """A thread that sends datagrams at the times that were set for them."""

    def __init__(self, sock):
        self._sock = sock
        self._bag = []
        self._count = 0
        self._news = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._deliver, name="udplab network", daemon=True)
        with uninterrupted():
            self._thread.start()

    def put(self, due, data, peer):
        """Have a datagram sent when time.perf_counter() is `due`."""
        with self._news:
            self._count += 1
            heapq.heappush(self._bag, (due, self._count, data, peer))
            self._news.notify()

    def stop(self):
        """End the thread; wait for its end."""
        with self._news:
            self._stopping = True
            self._news.notify()
        self._thread.join()

    def _deliver(self):
        with self._news:
            while not self._stopping:
                left = self._bag[0][0] - time.perf_counter() if self._bag else None
                if left is None or left > 0:
                    self._news.wait(left)
                    continue
                _, _, data, peer = heapq.heappop(self._bag)
                with contextlib.suppress(OSError):  # one that cannot be sent is lost, and keeps no other
                    try:
                        self._sock.sendto(data, peer)
                    except ConnectionResetError:  # Windows: an earlier answer met a closed port; this one is not sent
                        self._sock.sendto(data, peer)
