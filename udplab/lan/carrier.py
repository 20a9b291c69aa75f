"""A wire's process: it takes frames from one interface and puts them on another, by the rules of `wire.py`.

`start` is called in the helper, once the interfaces are there; the rest runs in the process. It has a namespace with
nothing else in it, so no host can be seen or heard by it but by these two interfaces.
"""

import contextlib
import ctypes
import heapq
import io
import json
import os
import select
import signal
import socket
import sys
import time
import traceback

from udplab.lan.capture import ETH_P_ALL
from udplab.lan.wire import LOG, Lot, Passage, Way, flipped_bit, lots, takes_lots, with_bit_flipped

PR_SET_PDEATHSIG = 1  # linux/prctl.h
LONGEST = 65535 + 14 + 4  # bytes of a frame
PATIENCE = 0.05  # seconds that a frame waits to be overtaken
AT_ONCE = 64  # frames that are taken in before any is given out
BUFFER = 32 << 20  # bytes; the kernel grants less


def start(near, far):
    """Start a wire between two interfaces of the namespace where we are; returns (process, control, log).

    near: the interface's name on the side of the wire's host
    control: the socket that `wire.Wire` asks; log: a file that it reads
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    log = io.FileIO(os.memfd_create("wire"), "r+")
    ends = [packet_socket(name) for name in (near, far)]
    process = os.fork()
    if not process:
        try:
            become(ours, log, ends)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    for each in (ours, *ends):
        each.close()
    return process, theirs, log


def packet_socket(interface):
    """Return a socket with all frames that come in at an interface (packet(7))."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        sock.bind((interface, ETH_P_ALL))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def become(control, log, ends):
    """Be the wire, and nothing else of the helper."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    keep = {each.fileno() for each in (control, log, *ends, sys.stderr)}
    for descriptor in map(int, os.listdir("/proc/self/fd")):  # a copy of a network's socket would keep it alive
        if descriptor not in keep:
            with contextlib.suppress(OSError):  # the list's own
                os.close(descriptor)
    Carrier(control, log, ends).run()


class Side:
    """The frames that come from one end: where they come in, where they go out, by which lots."""

    def __init__(self, source, sink, outgoing):
        self.source, self.sink, self.outgoing = source, sink, outgoing
        self.held = self.ticket = None  # a frame that waits for the next, (time, data, lot); and for how long
        self.set(Way())

    def set(self, way):
        self.way, self.lots = way, lots(way, self.outgoing)

    def lot(self, frame):
        return next(self.lots) if takes_lots(frame) else Lot((self.way.delay,))


class Carrier:
    def __init__(self, control, log, ends):
        near, far = ends
        self.control, self.log = control, log
        self.sides = Side(near, far, True), Side(far, near, False)
        self.waiting = []  # a heap: (when, number, side, frame, or None: the held one has waited long enough)
        self.number = self.size = self.missed = self.frames = 0
        self.resting = False  # whether somebody waits for the wire to be empty

    def run(self):
        """Carry frames until the notebook lets go of the network."""
        sources = [side.source for side in self.sides]
        while True:
            patience = max(self.waiting[0][0] - time.monotonic(), 0) if self.waiting else None
            ready = select.select([*sources, self.control], [], [], patience)[0]
            now = time.monotonic()
            for side in self.sides:
                if side.source in ready:
                    all(self.take(side, now) for _ in range(AT_ONCE))
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                self.give(*heapq.heappop(self.waiting))
            if self.control in ready and not self.hear():
                os._exit(0)
            if self.resting and not self.waiting and not select.select(sources, [], [], 0)[0]:
                self.resting = False
                self.answer({"frames": self.frames, "size": self.size, "missed": self.missed})

    def take(self, side, now):
        """Take a frame in, and see to its lot. Returns whether there was one."""
        try:
            frame, address = side.source.recvfrom(LONGEST)
        except BlockingIOError:
            return False
        if address[2] == socket.PACKET_OUTGOING:
            return True
        self.frames += 1
        lot = side.lot(frame)
        overtaken, side.held = side.held, None
        if lot.overtaken and not overtaken:
            side.held = now, frame, lot
            side.ticket = self.wait(now + lot.waits[0] + PATIENCE, side, None)
        else:
            self.carry(side, now, frame, lot)
        if overtaken:
            self.carry(side, *overtaken, after=now + max(lot.waits, default=0))
        return True

    def carry(self, side, came, frame, lot, after=None):
        """Put a frame's copies on the wire, and note it. after: not before that, for one that has been held."""
        sent = tuple(came + wait if after is None else max(came + wait, after) for wait in lot.waits)
        bit = flipped_bit(frame, lot.flip)
        for when in sent:
            self.wait(when, side, frame if bit is None else with_bit_flipped(frame, bit))
        entry = Passage(came, frame, side.outgoing, sent, bit, after is not None).packed()
        if self.size + len(entry) > LOG:
            self.missed += 1
        else:
            os.pwrite(self.log.fileno(), entry, self.size)
            self.size += len(entry)

    def wait(self, when, side, frame):
        self.number += 1
        heapq.heappush(self.waiting, (when, self.number, side, frame))
        return self.number

    def give(self, when, number, side, frame):
        """Send a frame whose time has come; None: the held one, which nobody has overtaken in time."""
        if frame is not None:
            with contextlib.suppress(OSError):  # the link is down, or its queue full: a cable loses it, too
                side.sink.send(frame)
        elif side.held and side.ticket == number:
            held, side.held = side.held, None
            self.carry(side, *held, after=when)

    def hear(self):
        """Do what the notebook asks. Returns False where it has let go."""
        try:
            question = json.loads(self.control.recv(10_000) or "null")
        except ConnectionResetError:
            return False
        if question is None:
            return False
        if "settle" in question:
            self.resting = True
            return True
        if "clear" in question:
            self.size = self.missed = 0
        for side, way in zip(self.sides, question.get("ways", ()), strict=False):
            if way:
                side.set(Way(**way))
        self.answer({})
        return True

    def answer(self, words):
        try:
            self.control.send(json.dumps(words).encode())
        except OSError:  # nobody waits for it any more
            self.resting = False
