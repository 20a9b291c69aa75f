"""Captures: the frames seen at an interface of a host of `udplab.lan`, complete, timed by the kernel.

with net["server"].capture() as seen:
    ...
for frame in seen.frames: ...               # raw bytes and times
print(seen)                                 # a line for each
seen.save("fragments.pcap")                 # Wireshark opens it
"""

import errno
import mmap
import socket
import struct
import time
from dataclasses import dataclass
from os import PathLike

from udplab.kit import frames
from udplab.lan.plan import Interface


@dataclass(frozen=True)
class Frame:
    """An Ethernet frame: the kernel's time (s, of time.monotonic()), its bytes, sent from here or not."""

    time: float
    data: bytes
    outgoing: bool


ETH_P_ALL, _SOL_PACKET = 3, 263  # linux/if_ether.h, linux/socket.h
_RX_RING, _STATISTICS, _VERSION = 5, 6, 10  # PACKET_...: linux/if_packet.h
_BLOCK = 1 << 17  # bytes; room for the biggest frame of a veth link (65535 + header)


def wall_ahead() -> float:
    """Return by how many seconds time.time() is ahead of time.monotonic().

    Between two readings another process may get the CPU: the quickest of a few counts.
    """
    readings = [(time.monotonic(), time.time(), time.monotonic()) for _ in range(5)]
    before, wall, _ = min(readings, key=lambda times: times[2] - times[0])
    return wall - before


class Capture:
    """The frames seen at one interface of a host, between `with` and its end.

    The kernel writes them with their times into memory shared with this process (packet_mmap, TPACKET_V2;
    packet(7)), so no thread has to keep up. `frames` and `save()` work inside the `with` too.
    """

    def __init__(self, host, interface: Interface, room: int) -> None:
        self._host, self._interface = host, interface
        slot = 1 << (interface.mtu + 128).bit_length()  # a power of two that holds a frame and its header
        self._slot, self._slots = slot, max(room // _BLOCK, 1) * (_BLOCK // slot)
        self._frames: list[Frame] = []
        self._ring: mmap.mmap | None = None
        self._next, self._wall, self._begun = 0, 0.0, False

    def __enter__(self) -> "Capture":
        if self._ring is not None:
            raise RuntimeError("this capture is running already")
        self._frames, self._next = [], 0
        self._wall = wall_ahead()
        self._socket = self._host.socket(socket.AF_PACKET, socket.SOCK_RAW)
        try:
            self._begin()
        except BaseException:  # Ctrl-C too
            self._close()
            raise
        self._begun = True
        return self

    def _begin(self):
        """Have the kernel write into shared memory, from now on."""
        self._socket.setsockopt(_SOL_PACKET, _VERSION, 1)  # TPACKET_V2
        size = self._slot * self._slots
        shape = struct.pack("IIII", _BLOCK, size // _BLOCK, self._slot, self._slots)
        self._socket.setsockopt(_SOL_PACKET, _RX_RING, shape)
        self._ring = mmap.mmap(self._socket.fileno(), size)
        self._socket.bind((self._interface.name, ETH_P_ALL))  # from here on

    def __exit__(self, kind: type | None, *exception: object) -> None:
        try:
            self._gather()
            lost = self._lost()
        finally:
            self._close()
        if lost and kind is None:
            raise OSError(errno.ENOBUFS, f"{lost} frames did not fit into this capture: give it more room")

    def _lost(self):
        return struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))[1]

    def _close(self):
        if self._ring is not None:
            self._ring.close()
        self._ring = None
        self._socket.close()

    def end(self, ahead: float) -> tuple[list[Frame], int]:
        """End it, for who has settled the network and has begun many; return (frames, how many did not fit).

        ahead: the difference of clocks (s, `wall_ahead`) that all of them share
        """
        if self._ring is None:
            return [], 0
        try:
            self._wall = ahead
            self._collect()
            return self._frames, self._lost()
        finally:
            self._close()

    def settle(self) -> None:
        """Return when all is on its way no more: `Host.settle`."""
        self._host.settle()

    def _gather(self):
        self.settle()
        self._collect()

    def _collect(self):
        while True:  # a slot: tpacket2_hdr, then at 32 a sockaddr_ll
            at = self._next * self._slot
            status, _, length, start = struct.unpack_from("IIIH", self._ring, at)
            if not status & 1:  # TP_STATUS_USER: not yet ours, so this is the end
                return
            seconds, nanoseconds = struct.unpack_from("II", self._ring, at + 16)
            kind = self._ring[at + 32 + 10]
            data = self._ring[at + start : at + start + length]
            when = seconds + nanoseconds / 1e9 - self._wall
            self._frames.append(Frame(when, data, kind == socket.PACKET_OUTGOING))
            struct.pack_into("I", self._ring, at, 0)  # the kernel may use the slot again
            self._next = (self._next + 1) % self._slots

    @property
    def frames(self) -> list[Frame]:
        """The frames so far, in order: a list of Frame. Raises RuntimeError before the `with` block."""
        if not self._begun:
            raise RuntimeError(
                "this capture has not begun: with net['bob'].capture() as seen: ..., and in it the sends"
            )
        if self._ring is not None:
            self._gather()
        return list(self._frames)

    def save(self, file: str | PathLike) -> None:
        """Write the frames to a .pcap file for Wireshark, with the wall clock's times. `file`: a path. Raises OSError.

        The format: draft-ietf-opsawg-pcap, with nanoseconds.
        """
        kept = self.frames
        with open(file, "wb") as pcap:
            pcap.write(struct.pack("=IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))  # 1: LINKTYPE_ETHERNET
            for frame in kept:
                seconds, rest = divmod(frame.time + self._wall, 1)
                length = len(frame.data)
                pcap.write(struct.pack("=IIII", int(seconds), int(rest * 1e9), length, length) + frame.data)

    def __str__(self) -> str:
        """A line for each frame: the time since the first, and what it is."""
        kept = self.frames
        title = f"{len(kept)} frames at {self._host.name} {self._interface.name}"
        lines = [f"{1000 * (frame.time - kept[0].time):10.3f} ms  {in_words(frame)}" for frame in kept]
        return "\n".join([f"{title}:" if kept else title, *lines])


def in_words(frame: Frame) -> str:
    """Return a frame in a few words, such as "out  10.0.0.1 > 10.0.0.2  UDP, 5 bytes for port 1060"."""
    packet = frames.parse(frame.data)
    ends = f"{packet.source} > {packet.target}  " if packet.version else ""
    return f"{'out' if frame.outgoing else 'in '}  {ends}{frames.words(packet)}"
