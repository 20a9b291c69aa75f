"""Tests of lesson 2-3 on real paths, where namespaces can be made."""

import random
from operator import contains
from pathlib import Path

import pytest
from machines import needs_lan

from udplab import lan
from udplab.kit import frames
from udplab.kit.server import Server
from udplab.kit.sockets import HEADERS, LARGEST, PORT
from udplab.loopback import listing as loopback
from udplab.mtu import experiments, films, hosts, journeys, listing, messages, probing, six

FOUR = [1472, 1472, 1372, 1372]


def as_predicted(compared):
    assert compared.reason == "" and compared.measured == compared.predicted
    return compared.measured


@needs_lan
@pytest.mark.parametrize(
    ("mtus", "sizes", "black_hole"),
    [
        ((1500, 1400), FOUR, False),
        ((1500, 1400), [*FOUR, 1373, 1372], True),
        ((1500,), [1472, 1473, 1472], False),
        ((1500, 1400, 1280), [1472, 1372, 1372, 1372, 1252, 1252], False),
        ((1500, 500), [1472, 1472, 472, 473, 524, 524, 525, 472], False),  # no belief under 552
        ((500, 1500, 400), [472, 473, 372, 372], False),
    ],
)
def test_sends_are_as_predicted(mtus, sizes, black_hole):
    as_predicted(experiments.sends(mtus, sizes, black_hole))


@needs_lan
@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("choice", ["forbid", "default"])
@pytest.mark.parametrize("mtus", [(1500, 1400), (1500, 1400, 1280), (1400, 1500)])
def test_sends_of_other_sockets_are_as_predicted(mtus, choice, connected):
    """Old news comes to connected sockets only; a socket without any option cuts up what it knows to be too big."""
    as_predicted(experiments.sends(mtus, [*FOUR, 1472, 3000], False, choice, connected))


@needs_lan
@pytest.mark.parametrize(("mtus", "size"), [((1500, 1400), 1472), ((1500, 1400, 1280), 1300)])
def test_the_message_is_in_the_error_queue_and_on_the_link(mtus, size):
    found = as_predicted(messages.icmp_message(mtus, size))
    assert found["error queue"] == found["on the link"] is not None


@needs_lan
def test_headers_are_read_as_scapy_reads_them():
    from scapy.layers.inet import IP
    from scapy.layers.l2 import Ether

    with lan.path(1500, 1400) as net, experiments.sender(net, "allow") as sock, net["server"].capture() as seen:
        sock.send(bytes(range(256)) * 20)
    theirs = [packet[IP] for packet in (Ether(frame.data) for frame in seen.frames) if IP in packet]
    packets = [frames.parse(frame.data) for frame in seen.frames]
    ours = [(each.protocol, each.source, each.id, each.offset, each.body) for each in packets if each.version == 4]
    assert len(theirs) > 4 and ours == [(ip.proto, ip.src, ip.id, ip.frag * 8, bytes(ip.payload)) for ip in theirs]


@needs_lan
def test_listing_believes_its_first_link(capsys):
    """Fault 25: on a path of 1400 it says 1500, and calls that a belief of the first link."""
    with lan.path(1500, 1400) as net:
        here, there = net["client"].socket, net["server"]
        listing.send_big_datagram(there.address, PORT, make_socket=here)
        said = capsys.readouterr().out
        assert "believes in an MTU of 1500 bytes" in said and "its first link" in said
        with Server(loopback.respond, "", PORT, make_socket=there.socket):
            probing.probe(there.address, PORT, here)
        said = capsys.readouterr().out
        assert "Confirmed as received: up to 1372 bytes of payload, that is a packet of 1400 bytes." in said
        assert "believes in an MTU of 1400 bytes" in said and "Black hole" not in said


@needs_lan
def test_black_hole_is_found_and_named(capsys):
    """Fault 26: no ICMP, so the belief stays 1500; probing confirms 1400."""
    with lan.path(1500, 1400) as net, Server(loopback.respond, "", PORT, make_socket=net["server"].socket):
        experiments.silence(net, True)
        probing.probe(net["server"].address, PORT, net["client"].socket)
        said = capsys.readouterr().out
    assert "that is a packet of 1400 bytes" in said and "believes in an MTU of 1500 bytes" in said
    assert "Black hole: 1373 to 1472 bytes are sent and lost, and no router says so." in said


@needs_lan
def test_black_hole_behind_a_router_that_speaks():
    with lan.path(1500, 1400, 1280) as net:
        net["router2"].send_icmp(False)
        search = experiments.measure_probe(net)
    assert search.steps[-1].low == 1252 and search.believed == 1400 and probing.black_hole(search.steps)
    assert "Black hole: 1253 to 1372 bytes" in probing.verdict(search)


@needs_lan
def test_fragments_are_as_predicted():
    """Random paths and sizes, a capture for ten sends; the edges of a link's room are among them."""
    rng = random.Random(23)
    for smallest in (68, *[200] * 7):
        # Where links are very narrow, a large datagram makes more fragments than Linux's send buffer holds.
        largest = LARGEST if smallest == 200 else 5000
        mtus = [rng.choice([1500, rng.randint(smallest, 2000), rng.randint(smallest, 9000)]) for _ in range(3)]
        mtus = mtus[: rng.randint(1, 3)] if smallest == 200 else [*mtus, smallest]
        edge = min(mtus) - HEADERS
        sizes = [edge - 1, edge, edge + 1, largest, *(rng.randint(0, largest) for _ in range(6))]
        as_predicted(journeys.arriving(mtus, sizes))


@needs_lan
def test_the_last_fragment_is_not_rounded():
    sizes = [size for end in (1400, 2776, 4152) for size in (end - 32, end - 31, end - 28, end - 27)]
    as_predicted(journeys.arriving([1400], sizes))


@needs_lan
@pytest.mark.parametrize("mtus", [(200, 9000, 200), (9000, 9000, 200), (9000, 200, 9000)])
def test_the_largest_datagram_crosses_the_narrowest_path(mtus):
    assert as_predicted(journeys.travel(mtus, LARGEST, False)).arrived


@needs_lan
def test_survivors_are_what_chance_explains():
    """Of each loss and size; the lots are seeded."""
    for loss in (0, 0.05, 0.2, 1):
        found = journeys.survivors([100, 7000, 14_000], loss, 60, seed=3)
        assert found.reason == "" and all(map(contains, found.predicted, found.measured)), (loss, found)


@needs_lan
def test_old_news_can_come_three_times_in_a_row():
    assert [outcome for _, outcome in as_predicted(messages.in_flight((1500, 1400)))][3:] == [
        *[experiments.OLD_NEWS] * 3, experiments.SENT
    ]  # fmt: skip


@needs_lan
def test_messages_that_come_before_all_three_have_left_are_asked_for_again_more_slowly(monkeypatch):
    delays = []

    def measure(net, large, small, delay):
        delays.append(delay)
        return first(net, large, small, delay) if len(delays) == 1 else "again"

    first, slept = messages.measure_in_flight, messages.time.sleep
    monkeypatch.setattr(messages, "measure_in_flight", measure)
    monkeypatch.setattr(messages.time, "sleep", lambda seconds: slept(10 * seconds))  # as on a busy machine
    assert messages.in_flight((1500, 1400), delay=0.05).measured == "again"
    assert delays == [0.05, 0.2]


@needs_lan
def test_a_forged_message_is_believed_down_to_552():
    assert as_predicted(messages.forged([1300, 1400, 68])) == [1500, 1300, 1300, 552]


@needs_lan
@pytest.mark.parametrize("mtus", [(1500, 1400, 1280), (1280, 1400, 1500), (9000, 1500, 9000), (1500, 300)])
def test_journeys_are_as_predicted(mtus):
    for size in (0, 273, 1253, 1400, 3000):
        for dont_fragment in (True, False):
            for black_hole in (True, False):
                as_predicted(journeys.travel(mtus, size, dont_fragment, black_hole))


@needs_lan
@pytest.mark.parametrize("noisy", [[0], [1], [2], [0, 2]])
@pytest.mark.parametrize("size", [100, 3000])
def test_a_flipped_bit_never_arrives(size, noisy):
    """The film's own verdict on each frame, against what the next host sent on and what the server's socket got."""
    film, hosts = films.film((1500, 1400, 1280), [size], "allow", noisy=noisy), ["client", "router1", "router2"]
    flipped = [each for each in film if "1 bit flipped" in each.why]
    assert {each.source[0] for each in flipped} <= {hosts[link] for link in noisy}
    assert sum(each.source[0] == hosts[noisy[0]] for each in film) == sum(
        each.source[0] == hosts[noisy[0]] for each in flipped
    )
    assert not any(each.fate == "delivered" for each in film)
    continued = {each.cause for each in film}
    for number, each in enumerate(film):
        if each.target[0] != "server":
            assert (number in continued) is (each.fate == "forwarded")
            assert each.fate == "forwarded" or "IP header" in each.why


@needs_lan
@pytest.mark.parametrize(
    "mtus", [(1500, 1400), (1500, 1400, 1280), (9000, 1500, 1499, 9000), (1500, 576), (1500, 1500)]
)
@pytest.mark.parametrize("black_hole", [False, True])
def test_probing_is_exact(mtus, black_hole):
    search = as_predicted(experiments.probe(mtus, black_hole))
    assert search.steps[-1].low + HEADERS == min(mtus)
    assert probing.black_hole(search.steps) is (black_hole and min(mtus) < mtus[0])


@needs_lan
def test_probing_through_a_link_that_loses():
    """One try is not enough, three are: 20 % of the packets are lost each way, by seeded lots."""
    with lan.path(1500, 1400) as net:
        net.wire("client", loss=0.2, seed=1)
        assert experiments.measure_probe(net).steps[-1].low == 1372


@needs_lan
def test_claims_are_as_predicted():
    as_predicted(experiments.claims([(1500, 1400, 1280)], black_holes=[(1500, 1400)]))


@needs_lan
@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="IPv6 is off on this machine")
@pytest.mark.parametrize(
    ("mtus", "size"),
    [((1500, 1400), 1440), ((1500, 1400), 1352), ((1500, 1400), 1353), ((1500, 1400, 1280), 3000), ((1500,), 1453),
     ((1280, 1500), 1300), ((1500, 1280), 2472), ((1500, 1400, 1280), 1232), ((1500, 1400, 1280), 1233)],
)  # fmt: skip
def test_who_cuts_is_as_predicted(mtus, size):
    found = as_predicted(six.cutting(mtus, size))
    assert (found["IPv6"].message is not None) == (mtus[0] > min(mtus) and size + 48 > min(mtus))


@needs_lan
def test_the_programs_on_two_hosts_say_what_is_predicted():
    assert as_predicted(hosts.programs((1500, 1400), "--probe")).endswith("believes in an MTU of 1400 bytes.")
    assert "believes in an MTU of 1500 bytes" in hosts.programs((1500, 1400)).measured, "the listing"
