"""A million frames at a server on a host, random and forged: what its kernel counted, and what the server did.

What Linux does with each kind stands in its net/ipv4: ip_input.c, route.c, ip_fragment.c, icmp.c and udp.c.
"""

import collections
import random
import resource
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest
from machines import needs_lan

from udplab import lan
from udplab.kit import header
from udplab.kit.server import Server
from udplab.kit.sockets import kernel_drops
from udplab.loopback import listing as loopback
from udplab.retry import listing as retry
from udplab.retry.request import new_token, receive, send

pytestmark = needs_lan
NAMES = "alice", "bob", "mallory"
ALICE, BOB, SUBNET, ALL, NOBODY = "10.0.0.1", "10.0.0.2", "10.0.0.255", "255.255.255.255", "0.0.0.0"
ASKER, SERVER = (ALICE, 5000), (BOB, 1060)
MOST = 1472  # bytes of payload in one frame
FROM_NOBODY = b"from nobody"
POOL, BETWEEN = 20_000, 500  # different frames, and how many come between two probes
PROBED = 500  # probes are shorter, and what is forged in the name of who asks is not
IPV4 = 0x0800  # what a frame carries (RFC 894)

# --- Frames ---


def packet(source, target, body, *, protocol=socket.IPPROTO_UDP, number=0, place=0x4000, longer=0):
    """Return an IPv4 packet with its checksum.

    number, place: what tells to which datagram a fragment belongs, and where (RFC 791, section 3.1)
    longer: by how many bytes its header exaggerates
    """
    made = bytearray(header.packet((source, 0), (target, 0), body))
    made[2:4] = struct.pack("!H", len(made) + longer)
    made[4:8], made[9] = struct.pack("!HH", number, place), protocol
    made[10:12] = struct.pack("!H", 0xFFFF - header.total(made[:20]))
    return bytes(made)


def udp(source, destination, data, behind=b"", **checked):
    return packet(source[0], destination[0], header.datagram(source, destination, data, **checked) + behind)


def some(lots, least=0, most=MOST):
    """Return random bytes; one in ten of them begins like an answer or a request ID."""
    start = lots.choice([b"Your data was ", b"id=0123456789abcdef: "]) if lots.random() < 0.1 else b""
    size = lots.choice([least, most, lots.randint(least, most)])
    return (start + lots.randbytes(size))[:size]


def port(lots):
    return lots.randint(1, 65535)


def far(lots):
    """Return a random address that is no host's here, and that a datagram may come from as far as routers know."""
    first = lots.choice([*range(1, 10), *range(11, 127), *range(128, 224), *range(240, 255)])
    return ".".join(map(str, [first, *lots.randbytes(3)]))


def forged(*sources, target=SERVER):
    """Return a function of lots that makes a right datagram from one of the sources, which are functions of lots."""
    return lambda lots: udp(lots.choice(sources)(lots), target, some(lots))


def spoilt(lots, least, most, target=SERVER):
    """Return a datagram with a checksum, of which then one bit was turned."""
    made = bytearray(udp((far(lots), port(lots)), target, lots.randbytes(lots.randint(least, most))))
    made[lots.randrange(28, len(made))] ^= 1 << lots.randrange(8)
    return bytes(made)


def badly_long(lots):
    """Return a datagram whose length is below 8, is more than what came, or is cut off."""
    body = bytearray(header.datagram((ALICE, port(lots)), SERVER, lots.randbytes(lots.randint(0, 100))))
    wrong = lots.choice([lots.randrange(8), lots.randint(len(body) + 1, 65535), None])
    if wrong is None:
        return packet(ALICE, BOB, body[: lots.randrange(8)])
    body[4:6] = struct.pack("!H", wrong)
    return packet(ALICE, BOB, body)


def bad_header(lots):
    """Return bytes that are no IPv4 header: random ones, or the first part of one, or with a bit turned."""
    right = bytearray(udp((ALICE, port(lots)), SERVER, b"hello"))
    right[lots.choice([1, *range(4, 20)])] ^= 1 << lots.randrange(8)
    return lots.choice([lots.randbytes(lots.randint(1, 1500)), right[: lots.randrange(1, 20)], right])


MORE = 0x2000  # more fragments follow


def alone(lots):
    """Return a fragment whose others never come; one may reach beyond the longest packet."""
    place = lots.choice([MORE, MORE + lots.randint(1, 8000), lots.randint(1, 8000), 8191])
    return packet(far(lots), BOB, lots.randbytes(8 * lots.randint(1, 100)), number=lots.randrange(65536), place=place)


def overlapping(lots):
    """Return one of three fragments of which any two overlap; all of them together would be a datagram."""
    place, size = lots.choice([(MORE, 64), (MORE + 4, 64), (7, 64)])
    body = header.datagram((ALICE, 5001), SERVER, bytes(120 - 8))[8 * (place & 0x1FFF) :][:size]
    return packet(ALICE, BOB, body, number=lots.randrange(100), place=place)


UNREACHABLE = [(3, code) for code in range(16)]  # types and codes: RFC 792, RFC 1122
ERRORS = [(4, 0), (5, 0), (5, 1), (11, 0), (11, 1), (12, 0)]


def icmp(lots, errors, quoted):
    """Return an ICMP error, in anybody's name, about a datagram of the (source, destination) that is quoted."""
    kind, code = lots.choice(errors)
    body = struct.pack("!BBHI", kind, code, 0, lots.choice([0, 68, 1280])) + udp(*quoted, b"hello")[:28]
    body = body[:2] + struct.pack("!H", 0xFFFF - header.total(body)) + body[4:]
    return packet(lots.choice([ALICE, far(lots)]), quoted[0][0], body, protocol=socket.IPPROTO_ICMP)


# What becomes of a frame. Which of the kernel's counters has it then is asserted below.
TAKEN = "for the server"  # it reads it, unless its queue is full
LATE = "for the server, spoilt"  # its checksum is computed when it is read
EARLY = "spoilt"  # its checksum is computed when it comes: it has no more than 76 bytes, or nobody reads it
SHORT, CLOSED, UNHEARD = "a wrong length", "a closed port", "a closed port, for all"
MARTIAN = "an address that cannot be"  # dropped before UDP
HEADER, TRUNCATED, FRAGMENT = "no IPv4 header", "longer than its frame", "a fragment"
ICMP, UNCOUNTED = "an ICMP error", "what others cause too, or nobody counts"
OTHER = "another protocol than IPv4"

KINDS = [  # (how many in about 100, fate, a function of lots that returns a packet)
    (12, TAKEN, forged(lambda lots: (far(lots), port(lots)))),
    (12, TAKEN, forged(lambda lots: (ALICE, port(lots)))),
    (4, TAKEN, lambda lots: udp(ASKER, SERVER, some(lots, PROBED))),
    (4, TAKEN, lambda lots: udp((ALICE, port(lots)), SERVER, some(lots), checked=False)),
    (2, TAKEN, lambda lots: udp((ALICE, port(lots)), SERVER, some(lots, most=1000), lots.randbytes(9))),
    (4, TAKEN, forged(lambda lots: (ALICE, 0), lambda lots: (far(lots), 0))),
    (4, TAKEN, forged(lambda lots: (SUBNET, port(lots)))),
    (4, TAKEN, lambda lots: udp((far(lots), port(lots)), (lots.choice([SUBNET, ALL, "224.0.0.1"]), 1060), some(lots))),
    (1, TAKEN, lambda lots: udp((NOBODY, 1060), (ALL, 1060), some(lots))),
    (1, TAKEN, lambda lots: udp((NOBODY, lots.choice([1, 1059, 65535])), (ALL, 1060), FROM_NOBODY)),
    (0.1, TAKEN, forged(lambda lots: ("10.0.0.77", port(lots)))),  # a neighbour that is not there
    (4, LATE, lambda lots: spoilt(lots, 100, MOST)),
    (4, EARLY, lambda lots: spoilt(lots, 1, 68)),
    (2, EARLY, lambda lots: spoilt(lots, 1, MOST, target=(BOB, 1061))),
    (4, SHORT, badly_long),
    (4, CLOSED, lambda lots: udp((far(lots), port(lots)), (BOB, lots.choice([0, 1, 1059, 65535])), some(lots))),
    (2, UNHEARD, lambda lots: udp((far(lots), port(lots)), (lots.choice([SUBNET, ALL]), 1061), some(lots))),
    (4, MARTIAN, forged(*[lambda lots, own=own: (own, lots.choice([1060, port(lots)])) for own in
                          (BOB, NOBODY, ALL, "127.0.0.1", "224.0.0.1", "239.1.2.3")])),
    (2, MARTIAN, forged(lambda lots: (far(lots), port(lots)), target=("239.1.2.3", 1060))),
    (6, HEADER, bad_header),
    (2, TRUNCATED, lambda lots: packet(ALICE, BOB, some(lots), longer=lots.randint(1, 1000))),
    (5, FRAGMENT, alone),
    (3, FRAGMENT, overlapping),
    (3, ICMP, lambda lots: icmp(lots, ERRORS, (SERVER, lots.choice([ASKER, (far(lots), port(lots))])))),
    (3, UNCOUNTED, lambda lots: icmp(lots, UNREACHABLE, (SERVER, lots.choice([ASKER, (far(lots), port(lots))])))),
    (4, OTHER, lambda lots: lots.randbytes(lots.randint(1, 1500))),
]  # fmt: skip


def ethernet(source, target, body, kind=IPV4):
    """Return a frame from one host to another. (In another's name the switch would look for that one at its port.)"""
    ends = bytes.fromhex((target.mac + source.mac).replace(":", ""))
    return ends + struct.pack("!H", kind) + body


def frames(lots, net, count):
    """Return a list of (fate, frame) from mallory to bob."""
    made, ends = [], (net["mallory"], net["bob"])
    for _, fate, make in lots.choices(KINDS, [share for share, _, _ in KINDS], k=count):
        kind = lots.randint(0x9101, 0xFFFF) if fate == OTHER else IPV4
        made.append((fate, ethernet(*ends, make(lots), kind)))
    return made


def news(lots, net, count):
    """Return frames from mallory to alice that say, in somebody's name, that bob cannot be reached."""
    return [ethernet(net["mallory"], net["alice"], icmp(lots, UNREACHABLE, (ASKER, SERVER))) for _ in range(count)]


# --- Counts ---


def counted(host):
    """Return what a host's kernel has counted, by the names of nstat(8)."""
    files = ["/proc/net/snmp", "/proc/net/netstat"]
    text = host.run("cat", *files, stdout=subprocess.PIPE, text=True, check=True).stdout
    found, lines = {}, [line.split() for line in text.splitlines()]
    for (group, *names), (_, *numbers) in zip(lines[::2], lines[1::2], strict=True):
        found |= {group[:-1] + name: int(number) for name, number in zip(names, numbers, strict=True)}
    return collections.Counter(found)


def resident():
    """Return the memory of this process, in MB."""
    with open("/proc/self/statm") as numbers:
        return int(numbers.read().split()[1]) * resource.getpagesize() / 1e6


def ask(sock, question, answer, notes):
    """Ask until the own answer comes, as `request` does, again every 5 ms. notes: a Counter, which is added to."""
    for _ in range(6000):
        sent, errors = send(sock, question)
        found, ignored = receive(sock, answer, question, time.perf_counter() + 0.005, time.perf_counter, errors)
        notes.update({"sent": sent, "ignored": ignored, "errors": len(errors)})
        if found is not None:
            return
    raise TimeoutError(f"no answer to {question!r}")


def by_size(number):
    """Return a question to the server of 2-1 and the answer that tells its size."""
    size = number % PROBED
    return bytes(size), b"Your data was %d bytes long" % size


def by_id(_):
    """Return a question to the server of 2-2 and its answer, both with a request ID."""
    token = new_token()
    return token + b"probe", token + b"Your data was 5 bytes long"


@pytest.mark.parametrize(("listing", "probe"), [(loopback, by_size), (retry, by_id)], ids=["2-1", "2-2"])
@pytest.mark.heavy
@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.long)])
def test_each_random_or_forged_frame_is_accounted_for(count, listing, probe, measured):
    lots, alice, to_nobody = random.Random(22), collections.Counter(), 0

    def respond(data):
        nonlocal to_nobody
        to_nobody += data == FROM_NOBODY
        return listing.respond(data)

    with (
        lan.switch(*NAMES) as net,
        Server(respond, "", SERVER[1], make_socket=net["bob"].socket) as server,
        net["mallory"].socket(socket.AF_PACKET, socket.SOCK_RAW) as raw,
        net["alice"].socket() as sock,
    ):
        sock.bind(ASKER)
        sock.connect(SERVER)
        raw.bind(("eth0", 0))
        pool, old_news = frames(lots, net, POOL), news(lots, net, 100)
        sent = collections.Counter(fate for fate, _ in pool * (count // POOL))
        before, memory, begin = counted(net["bob"]), resident(), time.perf_counter()
        for number in range(count // BETWEEN):
            if (at := number * BETWEEN % POOL) == 0:
                lots.shuffle(pool)
            for _, frame in pool[at : at + BETWEEN]:
                raw.send(frame)
            raw.send(lots.choice(old_news))
            ask(sock, *probe(number), alice)
        seconds = time.perf_counter() - begin
        net["alice"].settle()
        arrived, deadline = sent[TAKEN] + sent[LATE] + alice["sent"], time.perf_counter() + 10
        while server.counts["received"] + (lost := kernel_drops(server._sock)) < arrived:
            assert time.perf_counter() < deadline, "each datagram for the server was read or is lost"
        grown, did = resident() - memory, server.counts
        new = counted(net["bob"])
        new.subtract(before)
    # The server: whatever its kernel handed out was counted once, and each answer that it counts has left.
    assert (
        new["UdpInDatagrams"] == did["received"] == sum(did[each] for each in ("answered", "dropped", "bad", "errors"))
    )
    assert new["UdpOutDatagrams"] == did["answered"]
    # Its socket: what came was handed out; or there was no room for it; or its checksum was wrong when it was read.
    assert did["received"] + lost == arrived
    no_room = new["UdpRcvbufErrors"] + new["UdpMemErrors"]
    assert lost == no_room + new["UdpInCsumErrors"] - sent[EARLY]
    # InErrors is the sum of all that is dropped in UDP, and so has these once more.
    assert new["UdpInErrors"] == no_room + new["UdpInCsumErrors"] + sent[SHORT]
    # An answer to 0.0.0.0 goes to the own loopback, where no program has the port: NoPorts counts that too.
    assert new["UdpNoPorts"] == sent[CLOSED] + to_nobody
    assert new["UdpIgnoredMulti"] == sent[UNHEARD]
    # Before UDP. A bridge with br_netfilter drops what has no right header, and no host's kernel counts it.
    reached = not Path("/proc/sys/net/bridge").exists()
    assert new["IpInHdrErrors"] == sent[HEADER] * reached and new["IpExtInTruncatedPkts"] == sent[TRUNCATED] * reached
    assert (new["IpReasmReqds"], new["IpReasmOKs"]) == (sent[FRAGMENT], 0)
    assert sum(new[f"IcmpMsgInType{kind}"] for kind in {kind for kind, _ in ERRORS}) == sent[ICMP]
    assert grown <= 5
    if count == 1_000_000:
        measured(
            f"{count:,} random and forged frames at the server of {listing.__name__} in {seconds:.0f} s: {arrived:,} "
            f"for it = {did['received']:,} counted ({did['answered']:,} answered, {did['dropped']:,} dropped, "
            f"{did['bad']:,} bad, {did['errors']:,} errors) + {no_room:,} without room + {lost - no_room:,} spoilt; "
            f"{number + 1:,} probes answered after {alice['sent']:,} sends ({alice['ignored']:,} answers not hers "
            f"ignored, {alice['errors']:,} forged errors noted); memory {grown:+.1f} MB"
        )
