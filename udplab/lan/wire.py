"""Wires that delay, lose, double, reorder and damage frames: the rules, and `Wire`, which says what one did.

    wire = net.wire("alice", delay=0.02, loss=0.1, seed=1)
    ...
    for passage in wire.passages: ...

`lots` is the rule: predictions draw the same as the wire, in the process of `carrier.py`, does.
"""

import json
import math
import os
import random
import socket
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from io import FileIO

from udplab.kit.frames import ETHERNET, parse
from udplab.lan.process import PATIENCE, LanError

LOG = 16 << 20  # bytes that a wire's log may take
ENTRY = struct.Struct("=dIi??B")  # time, length, bit, outgoing, overtaken, copies; then their times and the frame


@dataclass(frozen=True)
class Way:
    """What a wire does to the frames that go one way. Times in seconds, chances from 0 to 1.

    delay, jitter: each frame takes delay - jitter to delay + jitter, evenly spread, so frames may overtake others
    loss, duplicate: chances that a frame is lost; that it comes twice
    reorder: chance that it is held back until the next has passed it, or for 50 ms
    corrupt: chance that one bit behind its Ethernet header is flipped
    seed: of its lots; the same seed gives the same lots. None: other ones each time
    """

    delay: float = 0
    jitter: float = 0
    loss: float = 0
    duplicate: float = 0
    reorder: float = 0
    corrupt: float = 0
    seed: int | None = None

    def __post_init__(self) -> None:
        for field in fields(self)[:-1]:
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise ValueError(f"{field.name} is a number, not {value!r}")
        if not 0 <= self.jitter <= self.delay <= 60:
            raise ValueError(f"delay is 0 to 60 seconds and jitter at most as long, not {self.delay} and {self.jitter}")
        for name in ("loss", "duplicate", "reorder", "corrupt"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a chance from 0 to 1, not {getattr(self, name)}")
        if self.seed is not None and not isinstance(self.seed, int):
            raise ValueError(f"a seed is a whole number or None, not {self.seed!r}")


@dataclass(frozen=True)
class Lot:
    """What is to become of a frame: the seconds that each copy takes (none: it is lost), whether the next frame
    overtakes it, and where a bit is flipped, as a part of its length behind the Ethernet header, or None."""

    waits: tuple[float, ...]
    overtaken: bool = False
    flip: float | None = None


def lots(way: Way, outgoing: bool = True) -> Iterator[Lot]:
    """Yield the Lot of each frame that goes a Way. outgoing: away from the wire's host, which draws others.

    Each frame takes the same number of throws: so more loss leaves the others' lots as they were.
    """
    dice = random.Random(None if way.seed is None else f"{way.seed} {'out' if outgoing else 'in'}")
    while True:
        loss, duplicate, reorder, corrupt, place, *spread = [dice.random() for _ in range(7)]
        copies = 0 if loss < way.loss else 2 if duplicate < way.duplicate else 1
        waits = tuple(way.delay + way.jitter * (2 * each - 1) for each in spread[:copies])
        yield Lot(waits, bool(waits) and reorder < way.reorder, place if waits and corrupt < way.corrupt else None)


def takes_lots(frame: bytes) -> bool:
    """Return whether a frame's fate is drawn. What hosts send by themselves is only delayed, as it comes at any time:
    then no seed would give the same lots twice. That is ARP, IGMP, neighbour discovery (RFC 4861) and MLD (RFC 3810).
    """
    return parse(frame).kind not in ("ARP", "IGMP", "NDP", "MLD")


def flipped_bit(frame: bytes, flip: float | None) -> int | None:
    """Return the number of the bit that a Lot flips in a frame, counted from its first byte's highest, or None."""
    behind = 8 * (len(frame) - ETHERNET)
    return None if flip is None or behind <= 0 else 8 * ETHERNET + int(flip * behind)


def with_bit_flipped(frame: bytes, bit: int) -> bytes:
    """Return a copy of a frame with one bit, counted as by `flipped_bit`, the other way."""
    damaged = bytearray(frame)
    damaged[bit // 8] ^= 0x80 >> bit % 8
    return bytes(damaged)


@dataclass(frozen=True)
class Passage:
    """What a wire did to a frame.

    time: when it came, in seconds of time.monotonic(); data: the frame as it came
    outgoing: away from the wire's host; sent: when each copy went on, () for a lost frame
    bit: the number of the flipped bit, counted from the first byte's highest, or None
    overtaken: whether it was held back for the next
    """

    time: float
    data: bytes
    outgoing: bool
    sent: tuple[float, ...]
    bit: int | None = None
    overtaken: bool = False

    @property
    def lost(self) -> bool:
        return not self.sent

    def packed(self) -> bytes:
        """Return the passage as an entry of the log."""
        bit = -1 if self.bit is None else self.bit
        head = ENTRY.pack(self.time, len(self.data), bit, self.outgoing, self.overtaken, len(self.sent))
        return head + struct.pack(f"={len(self.sent)}d", *self.sent) + self.data


def unpacked(log: bytes) -> Iterator[Passage]:
    """Yield the passages of a log."""
    at = 0
    while at < len(log):
        time, length, bit, outgoing, overtaken, copies = ENTRY.unpack_from(log, at)
        sent = struct.unpack_from(f"={copies}d", log, at + ENTRY.size)
        at += ENTRY.size + 8 * copies
        yield Passage(time, log[at : at + length], outgoing, sent, None if bit < 0 else bit, overtaken)
        at += length


class Wire:
    """The wire at a host's interface, as Network.wire() made it. It ends with its network.

    host, interface: whose; out, into: the Way of frames that leave the host, and of those that come to it.
    """

    def __init__(self, host: str, interface: str, control: socket.socket, log: FileIO) -> None:
        self.host, self.interface = host, interface
        self.out = self.into = Way()
        self._control, self._log = control, log
        control.settimeout(PATIENCE)

    def __repr__(self) -> str:
        return f"<Wire of {self.host} {self.interface}: out {self.out}, into {self.into}>"

    def change(self, out: Way | None = None, into: Way | None = None) -> None:
        """Set what happens from now on to frames that leave, and to those that come; None: as it was."""
        self._ask({"ways": [asdict(way) if way else None for way in (out, into)]})
        self.out, self.into = out or self.out, into or self.into

    @property
    def passages(self) -> list[Passage]:
        """What became of every frame until now, in the order of their lots, as a list of Passage.

        (But one that was held back comes after the one that overtook it.)

        Raises OSError where the log was too small for all; then clear() makes room.
        """
        told = self.settle()
        if told["missed"]:
            raise OSError(f"{told['missed']} frames did not fit into the wire's log: clear() it now and then")
        return list(unpacked(os.pread(self._log.fileno(), LOG, 0)[: told["size"]]))

    def clear(self) -> None:
        """Forget what became of the frames until now."""
        self.settle()
        self._ask({"clear": True})

    def settle(self) -> dict[str, int]:
        """Return when no frame is on the wire: {"frames": how many have come, ...}."""
        return self._ask({"settle": True})

    def _ask(self, question):
        try:
            self._control.send(json.dumps(question).encode())
            answer = self._control.recv(1000)
        except TimeoutError:
            raise LanError(f"the wire of {self.host} did not come to rest within {PATIENCE:g} s") from None
        except OSError:
            answer = b""
        if not answer:
            raise LanError(f"the wire of {self.host} has ended with its network: run the cell that made it again")
        return json.loads(answer)
