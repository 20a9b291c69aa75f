"""Films: captures made by hand become flights, and each flight says what became of it."""

import dataclasses
import itertools
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.layers.inet6 import ICMPv6ND_NS, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from udplab.kit import frames, header
from udplab.kit.film import Read, Socket, film_of, latest
from udplab.kit.film import flight as fates
from udplab.kit.film.composed import Hop, Sent, loopback, model
from udplab.kit.film.flight import Film, Flight, Link, Node, Note
from udplab.lan.plan import plan_path, plan_switch

PATH = plan_path((1500, 1400))
CLIENT, ROUTER, SERVER = PATH
C, NEAR, FAR, S = ("client", "eth0"), ("router1", "eth0"), ("router1", "eth1"), ("server", "eth0")
ENDS = {C: CLIENT.interfaces[0], NEAR: ROUTER.interfaces[0], FAR: ROUTER.interfaces[1], S: SERVER.interfaces[0]}


@dataclasses.dataclass(frozen=True)
class Seen:
    time: float
    data: bytes
    outgoing: bool


class Tape:
    """Captures made by hand: `fly` notes a frame at both ends of a link."""

    def __init__(self, ends=None):
        self.ends, self.seen = ends or ENDS, {}

    def put(self, end, when, data, outgoing):
        self.seen.setdefault(end, []).append(Seen(when, bytes(data), outgoing))

    def fly(self, packet, source, target, left, arrived=None):
        """Put an IP packet on the link between two ends, arrived=None: and lose it. Returns the frame."""
        frame = bytes(Ether(src=self.ends[source].mac, dst=self.ends[target].mac) / packet)
        self.put(source, left, frame, True)
        if arrived is not None:
            self.put(target, arrived, frame, False)
        return frame


def datagram(payload=b"hello", source="10.0.1.1", target="10.0.2.2", ports=(4000, 1060), ttl=64, **header):
    return IP(src=source, dst=target, ttl=ttl, **header) / UDP(sport=ports[0], dport=ports[1]) / Raw(payload)


def copied(packet, ttl):
    """The packet with another time to live, checksums made anew, as a router does it."""
    packet = IP(bytes(packet))
    packet.ttl = ttl
    del packet.chksum
    return IP(bytes(packet))


def complaint(about, size=1400, source="10.0.1.2", code=4):
    """The ICMP message of a router: it quotes the header and 8 bytes (RFC 792)."""
    return IP(src=source, dst="10.0.1.1") / ICMP(type=3, code=code, nexthopmtu=size) / Raw(bytes(about)[:28])


def one(film):
    [flight] = film
    return flight


# --- Matching ---


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans(), st.integers(0, 3)), max_size=12), st.randoms())
def test_frames_are_matched_by_content_in_any_interleaving(sent, lots):
    """Each frame flies 5 µs; frames with equal content are equal bytes. What was captured is shuffled."""
    tape = Tape()
    for tick, lost, content in sent:
        tape.fly(datagram(b"%d" % content, id=content), C, NEAR, tick * 10e-6, None if lost else tick * 10e-6 + 5e-6)
    for frames_seen in tape.seen.values():
        lots.shuffle(frames_seen)
    film = film_of(PATH, tape.seen)
    found = [(round(each.left * 1e6), each.fate == fates.LOST, each.words) for each in film]
    zero = min((tick for tick, _, _ in sent), default=0)
    assert len(film) == len(sent)
    assert sorted((left, lost) for left, lost, _ in found) == sorted(((t - zero) * 10, lost) for t, lost, _ in sent)
    for each in film:
        assert each.arrived is None or each.arrived - each.left == pytest.approx(5e-6)


@given(st.lists(st.integers(0, 30)), st.lists(st.integers(0, 30)))
def test_as_many_arrivals_as_can_be_have_a_departure_of_their_own(departures, arrivals):
    departures, arrivals = sorted(departures), sorted(arrivals)
    pairs = [
        (departures[n], time) for n, time in zip(latest(departures, arrivals), arrivals, strict=True) if n is not None
    ]
    assert all(left <= arrived for left, arrived in pairs)
    free, most = list(departures), 0
    for arrived in arrivals:  # first come, first served: no matching has more pairs
        if free and free[0] <= arrived:
            free.pop(0)
            most += 1
    assert len(pairs) == most == len({n for n in latest(departures, arrivals) if n is not None})


def test_of_two_equal_frames_the_first_was_lost_if_the_second_just_left():
    tape = Tape()
    tape.fly(datagram(id=0), C, NEAR, 0.0)
    tape.fly(datagram(id=0), C, NEAR, 0.1, 0.100005)
    assert [each.fate for each in film_of(PATH, tape.seen)] == [fates.LOST, fates.DROPPED]  # and no router took it on


def test_a_doubled_frame_is_two_flights():
    tape = Tape()
    frame = tape.fly(datagram(target="10.0.1.2"), C, NEAR, 0.0, 5e-6)
    tape.put(NEAR, 9e-6, frame, False)
    film = film_of(PATH, tape.seen)
    assert [each.arrived for each in film] == pytest.approx([5e-6, 9e-6])
    assert sorted(each.why for each in film) == ["", "a second copy"]
    assert {each.datagram for each in film} == {1}


@given(st.integers(0, 8 * (14 + 28 + 40) - 1))
def test_a_flipped_bit_is_known_again_and_tells_that_it_was_damaged(bit):
    tape = Tape()
    frame = tape.fly(datagram(bytes(40), id=7), C, NEAR, 0.0)
    tape.fly(datagram(bytes(40), id=8), C, NEAR, 1e-6)  # nearly the same, and lost
    damaged = bytearray(frame)
    damaged[bit // 8] ^= 1 << bit % 8
    tape.put(NEAR, 5e-6, damaged, False)
    came, lost = film_of(PATH, tape.seen)
    assert (came.left, came.arrived) == (0.0, 5e-6) and "1 bit flipped on the way" in came.why
    assert lost.fate == fates.LOST


def test_a_damaged_datagram_is_dropped_for_its_checksum_unless_it_has_none():
    for checksum, fate in ((None, fates.DROPPED), (0, fates.DELIVERED)):
        tape = Tape()
        packet = IP(src="10.0.1.1", dst="10.0.1.2") / UDP(sport=4000, dport=1060, chksum=checksum) / Raw(b"hello")
        frame = bytearray(tape.fly(packet, C, NEAR, 0.0))
        frame[-1] ^= 1
        tape.put(NEAR, 5e-6, frame, False)
        film = film_of(PATH, tape.seen, [Socket("router1", "", 1060)])
        assert one(film).fate == fate


@pytest.mark.parametrize(("bit", "end"), [(2, "IP header"), (4, "IP header"), (300, "checksum is wrong")])
def test_what_a_router_sent_on_is_known_though_the_next_link_damages_it(bit, end):
    """A bit of the IP header, counted from its start, or of the data."""
    tape, packet = Tape(), datagram(bytes(40), id=7)
    tape.fly(packet, C, NEAR, 0.0, 5e-6)
    damaged = bytearray(tape.fly(copied(packet, 63), FAR, S, 8e-6))
    damaged[14 + bit // 8] ^= 0x80 >> bit % 8
    tape.put(S, 12e-6, damaged, False)
    first, second = film_of(PATH, tape.seen, [Socket("server", "", 1060)])
    assert (first.fate, second.fate) == (fates.FORWARDED, fates.DROPPED)
    assert second.cause == 0 and second.datagram == first.datagram and second.words == first.words
    assert second.why.startswith("1 bit flipped on the way; ") and end in second.why


def test_what_nobody_saw_leave_is_told_as_such():
    tape = Tape()
    tape.put(S, 0.0, Ether(src=ENDS[FAR].mac, dst=ENDS[S].mac) / datagram(), False)
    assert one(film_of(PATH, tape.seen)).why.startswith("nobody saw it leave")
    assert one(film_of(PATH, tape.seen)).source == FAR


# --- Routers ---


def through(tape, packet, at=0.0):
    """Send a packet over both links, whole."""
    tape.fly(packet, C, NEAR, at, at + 5e-6)
    tape.fly(copied(packet, 63), FAR, S, at + 8e-6, at + 12e-6)


def test_a_router_passes_a_datagram_on():
    tape = Tape()
    through(tape, datagram(b"one", id=0))
    through(tape, datagram(b"two", id=0), 3e-6)  # in between, with the same identification
    film = film_of(PATH, tape.seen, [Socket("server", "", 1060)])
    assert [(each.datagram, each.cause, each.fate) for each in film] == [
        (1, None, fates.FORWARDED), (2, None, fates.FORWARDED), (1, 0, fates.DELIVERED), (2, 1, fates.DELIVERED),
    ]  # fmt: skip


def test_a_router_cuts_a_datagram_and_the_server_waits_for_the_last_piece():
    tape, whole = Tape(), datagram(bytes(range(250)) * 5, id=9)
    tape.fly(whole, C, NEAR, 0.0, 5e-6)
    for number, piece in enumerate(fragment(IP(bytes(whole)), 600)):
        tape.fly(copied(piece, 63), FAR, S, (8 + number) * 1e-6, (18 - number) * 1e-6)  # they overtake each other
    film = film_of(PATH, tape.seen, [Socket("server", "10.0.2.2", 1060)])
    assert [each.part for each in film] == [(0, 1258), (0, 600), (600, 600), (1200, 58)]
    assert [each.kind for each in film] == ["UDP", "fragment", "fragment", "fragment"]
    assert film[0].fate == fates.FORWARDED and "cut" in film[0].why
    assert [each.fate for each in film[1:]] == [fates.DELIVERED, fates.TAKEN, fates.TAKEN]  # the first came last
    assert [each.taken for each in film[2:]] == pytest.approx([18e-6] * 2)
    assert {each.cause for each in film[1:]} == {0} and {each.datagram for each in film} == {1}


def test_a_lost_piece_loses_the_datagram():
    tape, whole = Tape(), datagram(bytes(1250), id=9)
    tape.fly(whole, C, NEAR, 0.0, 5e-6)
    for number, piece in enumerate(fragment(IP(bytes(whole)), 600)):
        tape.fly(copied(piece, 63), FAR, S, (8 + number) * 1e-6, None if number == 1 else (18 + number) * 1e-6)
    film = film_of(PATH, tape.seen, [Socket("server", "", 1060)])
    assert [each.fate for each in film[1:]] == [fates.WAITING, fates.LOST, fates.WAITING]


def test_too_big_with_an_icmp_message_back_that_waits_at_a_connected_socket():
    for peer, fate in ((("10.0.2.2", 1060), fates.PENDING), (None, fates.TAKEN)):
        tape, big = Tape(), datagram(bytes(1472), flags="DF")
        tape.fly(big, C, NEAR, 0.0, 5e-6)
        tape.fly(complaint(big), NEAR, C, 7e-6, 9e-6)
        film = film_of(PATH, tape.seen, [Socket("client", "10.0.1.1", 4000, peer)], errors=[(50e-6, "client")])
        assert (film[0].fate, film[1].fate, film[1].cause) == (fates.DROPPED, fate, 0)
        assert film[0].why == "too big, and must not be cut (MTU 1400)"
        assert film[1].words == "ICMP: too big, and must not be cut, MTU 1400"
        assert film[1].taken == (pytest.approx(50e-6) if peer else None)
        assert [each.datagram for each in film] == [1, 2]


def test_a_black_hole_says_nothing_and_the_film_says_why():
    tape = Tape()
    tape.fly(datagram(bytes(1472), flags="DF"), C, NEAR, 0.0, 5e-6)
    tape.fly(datagram(bytes(1000), flags="DF"), C, NEAR, 8e-6, 12e-6)
    big, small = film_of(PATH, tape.seen)
    assert big.fate == small.fate == fates.DROPPED
    assert "1400 bytes, and must not be cut" in big.why and "no ICMP message says why" in small.why


def test_a_closed_port_drops_all_pieces_and_answers():
    tape, whole = Tape(), datagram(bytes(1250), target="10.0.1.2", id=9)
    for number, piece in enumerate(fragment(IP(bytes(whole)), 600)):
        tape.fly(piece, C, NEAR, number * 1e-6, (5 + number) * 1e-6)
    tape.fly(complaint(fragment(IP(bytes(whole)), 600)[0], 0, code=3), NEAR, C, 12e-6, 15e-6)
    film = film_of(PATH, tape.seen, [])
    assert [each.fate for each in film] == [fates.DROPPED] * 3 + [fates.TAKEN]
    assert {each.why for each in film[:3]} == {"port unreachable"}


# --- Sockets ---


EAR = Socket("router1", "", 1060)


def queue_of(payloads, reads=(), sockets=(EAR,)):
    tape = Tape()
    for number, payload in enumerate(payloads):
        tape.fly(datagram(payload, target="10.0.1.2", id=0), C, NEAR, number * 10e-6, number * 10e-6 + 4e-6)
    return film_of(PATH, tape.seen, sockets, reads)


def test_reads_and_what_still_waits_are_matched_first_in_first_out():
    reads = [Read(100e-6, "router1", b"x", 1), Read(None, "router1", b"x", 1), Read(110e-6, "router1", b"y", 1, 1060)]
    film = queue_of([b"x", b"x", b"x", b"y"], reads, [Socket("router1", "", 1060, dropped=1)])
    assert [each.fate for each in film] == [fates.DELIVERED, fates.QUEUED, fates.DROPPED, fates.DELIVERED]
    assert [each.taken for each in film] == [pytest.approx(100e-6), None, None, pytest.approx(110e-6)]


def test_a_read_of_another_port_or_from_before_is_none_of_it():
    reads = [Read(1e-6, "router1", b"x", 1), Read(100e-6, "router1", b"x", 1, 1061)]
    assert one(queue_of([b"x"], reads)).taken is None


@pytest.mark.parametrize(
    ("sockets", "fate", "words"),
    [
        (None, fates.ARRIVED, ""),
        ([], fates.ARRIVED, "no socket is seen"),
        ([Socket("router1", "", 1060)], fates.DELIVERED, "port 1060"),
        ([Socket("router1", "10.0.1.2", 1060)], fates.DELIVERED, "port 1060"),
        ([Socket("router1", "10.0.2.1", 1060)], fates.ARRIVED, "1060 listens at 10.0.2.1"),
        ([Socket("router1", "", 1060, ("10.0.9.9", 5))], fates.ARRIVED, "1060 has another partner"),
        ([Socket("router1", "", 1060, dropped=2)], fates.DROPPED, "queue is full"),
        ([Socket("router1", "", 1060, dropped=1)], fates.ARRIVED, "dropped 1 of 2"),
        ([Socket("server", "", 1060)], fates.ARRIVED, "no socket is seen"),
    ],
)
def test_what_the_sockets_tell_where_no_read_is_known(sockets, fate, words):
    film = queue_of([b"x", b"y"], sockets=sockets)
    assert {each.fate for each in film} == {fate} and all(words in each.why for each in film)


# --- A switch ---

LAN = plan_switch(("alice", "bob", "carol"), ("dave",))
ALICE, BOB, CAROL = (("alice", "eth0"), ("bob", "eth0"), ("carol", "eth0"))


def test_a_broadcast_is_a_flight_to_every_host_of_the_link_and_to_no_other():
    tape = Tape()
    frame = bytes(
        Ether(src=LAN[0].interfaces[0].mac, dst="ff:ff:ff:ff:ff:ff") / datagram(b"?", "10.0.0.1", "10.0.0.255")
    )
    tape.put(ALICE, 0.0, frame, True)
    tape.put(BOB, 9e-6, frame, False)
    tape.put(("router", "eth0"), 8e-6, frame, False)  # and carol never got it
    film = film_of(LAN, tape.seen, [Socket("bob", "", 1060), Socket("router", "10.0.0.254", 1060)])
    assert {each.target[0]: each.fate for each in film} == {
        "bob": fates.DELIVERED, "carol": fates.LOST, "router": fates.IGNORED,
    }  # fmt: skip
    assert {each.datagram for each in film} == {1}


@pytest.mark.parametrize("copies", [0, 1, 2])
def test_the_sender_hears_its_own_broadcast_where_a_program_there_did(copies):
    """No capture sees it; the reads of the sender's own programs tell it."""
    tape = Tape()
    interface = LAN[0].interfaces[0]
    frame = bytes(Ether(src=interface.mac, dst="ff:ff:ff:ff:ff:ff") / datagram(b"?", "10.0.0.1", "10.0.0.255"))
    for n in range(2):
        tape.put(ALICE, n * 1e-3, frame, True)
        tape.put(BOB, n * 1e-3 + 9e-6, frame, False)
    reads = [Read(None, "alice", b"?", 1, 1060), Read(5e-3, "alice", b"?", 1, 1060)][:copies]
    before = Read(-1.0, "alice", b"?", 1, 1060)
    film = film_of(LAN[:2], tape.seen, [Socket("bob", "", 1060)], [before, *reads])
    own = [each for each in film if each.source == each.target]
    assert {each.fate for each in own} == set([fates.QUEUED, fates.DELIVERED][:copies]) and len(own) == copies
    assert all(each.why.startswith("its own copy") and each.arrived == each.left for each in own)
    assert {each.datagram for each in own} <= {1, 2} and len(film) == 2 + copies


def test_a_flooded_frame_is_ignored_by_those_whom_it_is_not_for():
    tape = Tape({ALICE: LAN[0].interfaces[0], BOB: LAN[1].interfaces[0]})
    frame = tape.fly(datagram(b"!", "10.0.0.1", "10.0.0.2"), ALICE, BOB, 0.0, 5e-6)
    tape.put(CAROL, 6e-6, frame, False)
    film = film_of(LAN, tape.seen, [Socket("bob", "", 1060), Socket("carol", "", 1060)])
    assert {each.target[0]: each.fate for each in film} == {"bob": fates.DELIVERED, "carol": fates.IGNORED}


def test_who_is_asked_by_arp():
    tape = Tape()
    asked = bytes(Ether(src=LAN[0].interfaces[0].mac, dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="10.0.0.1", pdst="10.0.0.2"))
    tape.put(ALICE, 0.0, asked, True)
    for end in (BOB, CAROL, ("router", "eth0")):
        tape.put(end, 5e-6, asked, False)
    film = film_of(LAN, tape.seen, [])
    assert {each.target[0]: each.fate for each in film} == {
        "bob": fates.TAKEN, "carol": fates.IGNORED, "router": fates.IGNORED,
    }  # fmt: skip
    assert film[0].words == "ARP: who has 10.0.0.2?"


def test_nodes_and_links_of_switches_and_of_a_path():
    film = film_of(LAN, {}, switched=True)
    assert [(node.name, node.kind) for node in film.nodes] == [
        ("alice", "host"), ("bob", "host"), ("carol", "host"), ("dave", "host"), ("router", "router"),
        ("switch0", "switch"), ("switch1", "switch"),
    ]  # fmt: skip
    assert Link(("router", "switch1"), 1500) in film.links and film.hosts[-1] == "router"
    assert film_of(PATH, {}).links == (Link(("client", "router1"), 1500), Link(("router1", "server"), 1400))
    assert film_of(PATH, {}).length == 0.0 and film_of(PATH, {}).schedule() == [(0.0, 0.0)]


# --- What a frame is ---


def test_ipv6_frames_are_read():
    ends = {"src": "fe80::1", "dst": "fe80::2"}
    udp = frames.parse(bytes(Ether() / IPv6(**ends) / UDP(sport=1, dport=2) / Raw(b"abc")))
    assert (udp.kind, udp.version, udp.ports, udp.size, udp.source) == ("UDP", 6, (1, 2), 51, "fe80::1")
    fits = [header.fits(udp.source, udp.target, body) for body in (udp.body, udp.body[:-1] + b"x")]
    assert fits == [True, False]
    piece = frames.parse(
        bytes(Ether() / IPv6(**ends) / IPv6ExtHdrFragment(id=5, offset=2, m=1, nh=17) / Raw(bytes(16)))
    )
    assert (piece.kind, piece.offset, piece.more, piece.id, len(piece.body)) == ("fragment", 16, True, 5, 16)
    big = ICMPv6PacketTooBig(mtu=1280) / IPv6(**ends) / UDP(sport=7, dport=8)
    told = frames.parse(bytes(Ether() / IPv6(**ends) / big))
    assert told.error == (2, 0, 1280) and told.quoted.ports == (7, 8)
    assert frames.words(told) == "ICMP: too big, MTU 1280"
    assert frames.parse(bytes(Ether() / IPv6(**ends) / ICMPv6ND_NS())).kind == "NDP"


def test_a_flipped_bit_of_an_ip_header_is_seen():
    """Also where the packet then claims to be of another version, or its header to be longer or shorter."""
    whole = bytes(Ether() / IP(src="10.0.0.1", dst="10.0.0.2", id=0x8765) / UDP(sport=1, dport=2) / Raw(bytes(40)))
    assert frames.parse(whole).intact
    for bit in range(160):
        flipped = bytearray(whole)
        flipped[frames.ETHERNET + bit // 8] ^= 0x80 >> bit % 8
        assert not frames.parse(bytes(flipped)).intact, bit


@given(st.binary(max_size=80), st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x08\x06"]))
def test_any_frame_can_be_read(junk, kind):
    packet = frames.parse(bytes(12) + kind + junk)
    frames.words(packet)
    assert packet.ports is None or len(packet.ports) == 2
    assert packet.quoted is None or packet.error


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_captures_become_a_film(junk):
    tape = Tape()
    for number, data in enumerate(junk):
        tape.put(list(ENDS)[number % 4], number * 1e-6, data, number % 3 == 0)
    assert len(junk) / 2 <= len(film_of(PATH, tape.seen, [])) <= len(junk)  # two may be the ends of one flight


# --- Films ---


def flight(left, arrived, **more):
    return Flight("UDP", "", 100, C, NEAR, left, arrived, **more)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(1e-6, 1e-3), st.booleans()), min_size=1, max_size=20),
    st.lists(st.floats(0, 1), max_size=5),
)
def test_a_schedule_rises_covers_the_film_and_lasts_as_long_as_wanted(flown, noted):
    flights = sorted((flight(left, None if lost else left + long) for left, long, lost in flown), key=lambda f: f.left)
    film = Film(
        (Node("client"), Node("router1")), (), flights, [Note(when, "client", "") for when in noted]
    ).from_zero()
    knots = film.schedule(8.0)
    for (x0, y0), (x1, y1) in itertools.pairwise(knots):
        assert x0 < x1 and y0 <= y1
    assert knots[0] == (0.0, 0.0) and knots[-1][0] >= film.moments()[-1] - 1e-9
    assert knots[-1][1] == pytest.approx(8.0) or knots[-1][1] < 8.0


def test_times_in_which_something_moves_are_stretched_alike_and_long_pauses_are_cut():
    film = Film((), (), [flight(0.0, 10e-6), flight(20e-6, 30e-6), flight(0.1, 0.1 + 10e-6)])
    knots = dict(film.schedule(8.0, pause=0.8))
    times = list(knots)
    lengths = {round((b - a) * 1e6): knots[b] - knots[a] for a, b in itertools.pairwise(times)}
    assert lengths[10] == pytest.approx(1.8) and lengths[99970] == pytest.approx(0.8)
    assert knots[times[-1]] == pytest.approx(8.0)


def test_only_some_kinds_begin_at_zero_and_keep_what_belongs_together():
    tape = Tape()
    tape.put(C, 0.0, Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(psrc="10.0.1.1", pdst="10.0.1.2"), True)
    through(tape, datagram(), 1e-3)
    film = film_of(PATH, tape.seen).only("UDP")
    assert [(each.kind, each.cause, each.datagram) for each in film] == [("UDP", None, 1), ("UDP", 0, 1)]
    assert film[0].left == 0.0 and film.length == pytest.approx(12e-6)


# --- Films that are told ---


def test_a_film_of_loopback_from_the_records_of_both_programs():
    film = loopback(
        [
            Sent(1.0, "client", "server", b"hi"),
            Sent(1.3, "server", "client", b"ok"),
            Sent(2.0, "client", "server", b"?"),
        ],
        [Read(1.1, "server", b"hi", 2), Read(1.5, "client", b"ok", 2)],
    )
    assert [(each.left, each.arrived, each.fate) for each in film] == [
        (0.0, pytest.approx(0.1), fates.DELIVERED),
        (pytest.approx(0.3), pytest.approx(0.5), fates.DELIVERED),
        (1.0, None, fates.LOST),
    ]
    assert film.hosts == ["client", "server"] and not film.predicted


def test_a_burst_fills_the_queue_and_spills():
    sends = [Sent(n * 1e-5, "client", "server", b"x", arrived=n * 1e-5 + 2e-6) for n in range(5)]
    film = loopback(sends, [Read(1.0 + n, "server", b"x", 1) for n in range(3)])
    assert [each.fate for each in film] == [fates.DELIVERED] * 3 + [fates.DROPPED] * 2
    assert [each.taken for each in film] == [1.0, 2.0, 3.0, None, None]
    assert film[4].why == "the socket's queue is full"


def test_a_request_that_the_program_lost_on_purpose_and_its_equal_second_try():
    sends = [Sent(0.0, "client", "server", b"x", lost="lost on purpose"), Sent(0.1, "client", "server", b"x")]
    film = loopback(sends, [Read(0.2, "server", b"x", 1)])
    assert [(each.fate, each.why) for each in film] == [(fates.LOST, "lost on purpose"), (fates.DELIVERED, "")]


def test_a_herd_is_joined_by_loopback():
    film = loopback([Sent(0.0, f"client{n}", "server", b"%d" % n) for n in range(3)], [])
    assert film.nodes[-1] == Node("lo", "switch") and len(film.links) == 4


def test_a_model_makes_a_film_that_says_that_it_is_predicted():
    hops = [Hop("client", "router1", 1500), Hop("router1", "server", 1500, fate=fates.LOST),
            Hop("router1", "client", 576, "ICMP", at=1)]  # fmt: skip
    film = model(PATH, hops, "no LAN here")
    assert film.predicted == "no LAN here"
    assert [each.left for each in film] == pytest.approx([0, 1e-5, 1e-5])
    assert [each.fate for each in film] == [fates.FORWARDED, fates.LOST, fates.FORWARDED]


# --- Growth ---


def long_tape(number):
    """So many flights as the lessons have them: through a router, some cut, some lost, some complained about."""
    lots, tape = random.Random(1), Tape()
    small, big = bytes(datagram(bytes(20), id=0)), bytes(datagram(bytes(900), id=0))
    macs = {end: bytes.fromhex(ENDS[end].mac.replace(":", "")) for end in ENDS}

    def put(source, target, packet, at, lost=False):
        frame = macs[target] + macs[source] + b"\x08\x00" + packet
        tape.put(source, at, frame, True)
        if not lost:
            tape.put(target, at + 4e-6, frame, False)

    for n in range(number // 2):
        packet = bytearray(lots.choice((small, big)))
        packet[-4:] = n.to_bytes(4)
        packet[26:28] = b"\0\0"  # no checksum
        put(C, NEAR, bytes(packet), n * 20e-6)
        packet[8] -= 1  # the time to live, and so one more in its place of the checksum (RFC 1141)
        packet[10] += 1
        put(FAR, S, bytes(packet), n * 20e-6 + 6e-6, lost=n % 7 == 0)
    return tape


def seconds(number, waits=0.0):
    tape = long_tape(number)
    for end in (FAR, S):
        tape.seen[end] = [dataclasses.replace(each, time=each.time + waits) for each in tape.seen[end]]
    start = time.process_time()
    film = film_of(PATH, tape.seen, [Socket("server", "", 1060)])
    assert len(film) == number // 2 * 2 and {each.fate for each in film} == {
        fates.FORWARDED,
        fates.LOST,
        fates.DELIVERED,
    }
    film.schedule()
    return time.process_time() - start


@pytest.mark.parametrize("waits", [0, 1], ids=["sent on at once", "all wait in the router first"])
def test_ten_times_the_flights_take_ten_times_as_long(waits):
    small = min(seconds(1000, waits) for _ in range(3))
    assert min(seconds(10_000, waits) for _ in range(3)) < 50 * small, "all pairs would be 100 times as many"


@pytest.mark.heavy
def test_a_hundred_thousand_flights(measured):
    times = {number: seconds(number) for number in (10, 100, 1000, 10_000, 100_000)}
    measured("films: " + ", ".join(f"{number} flights in {taken:.3f} s" for number, taken in times.items()))
    assert times[100_000] < 25 * times[10_000]
