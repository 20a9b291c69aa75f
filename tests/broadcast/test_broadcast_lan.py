"""Tests of lesson 2-4 on a real network of several hosts, where this machine can have one."""

import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from machines import needs_lan

from udplab import lan
from udplab.broadcast import discovery, experiments, forging, hearing, listing, multicast, panel, sending
from udplab.kit.server import Server
from udplab.kit.sockets import PORT
from udplab.lan.plan import plan_switch
from udplab.loopback import experiments as loopback_experiments
from udplab.loopback import listing as loopback
from udplab.mtu.packets import udp_in

pytestmark = needs_lan
NAMES, BEYOND = ("alice", "bob", "carol"), ("dave",)
DESTINATIONS = ["10.0.0.2", "10.0.0.255", "<broadcast>", "10.0.1.255"]


@pytest.fixture(scope="module")
def net():
    with lan.switch(*NAMES, beyond=BEYOND, stray=("carol",)) as network:
        yield network


@pytest.fixture(scope="module")
def plan():
    return plan_switch(NAMES, BEYOND, ("carol",))


@pytest.fixture(scope="module")
def crowd():
    with lan.switch("asker", *(f"server{number}" for number in range(1, 41))) as network:
        yield network


@pytest.mark.parametrize("sender", [*NAMES, *BEYOND, "router"])
@pytest.mark.parametrize("permission", [True, False])
def test_who_hears_is_as_predicted(net, plan, sender, permission):
    """4 destinations and more x 4 binds x 4 hosts and the router, from each host, with and without permission."""
    more = ["10.0.0.1", "10.0.0.254", "10.0.1.254", "10.0.1.1"]
    for kind in hearing.KINDS:
        settings = sender, DESTINATIONS + more, {host.name: kind for host in plan}, permission
        assert sending.measure_hearing(net, *settings) == hearing.predict(plan, *settings)


def test_mixed_binds_and_another_port(net, plan):
    binds = {"alice": hearing.OTHER, "bob": hearing.SUBNET, "dave": hearing.EVERY}
    for port in (PORT, PORT + 1):
        settings = "alice", DESTINATIONS, binds, True, "", port
        assert sending.measure_hearing(net, *settings) == hearing.predict(plan, *settings)


@pytest.mark.parametrize("source", ["", "10.0.0.254", "10.0.1.254"])
def test_a_bound_address_chooses_the_interface(net, plan, source):
    settings = "router", ["<broadcast>"], {host.name: hearing.EVERY for host in plan}, True, source
    assert sending.measure_hearing(net, *settings) == hearing.predict(plan, *settings)


def test_fault_27_no_route_is_one_line(net):
    with pytest.raises(OSError, match=r"^No route to <broadcast> from this machine\.") as refused:
        listing.client("<broadcast>", 1060, make_socket=net["carol"].socket)
    assert "\n" not in str(refused.value)


def test_fault_27_no_permission_is_one_line(net):
    with pytest.raises(OSError, match=r"^No permission: 10\.0\.0\.255 is a broadcast address"):
        listing.client("10.0.0.255", 1060, permission=False, make_socket=net["alice"].socket)


def test_the_listing_is_heard_by_a_server_on_another_host(net, capsys):
    with Server(listing.listen, "10.0.0.255", 1060, make_socket=net["bob"].socket) as server:
        listing.client("10.0.0.255", 1060, make_socket=net["alice"].socket)
        _, records = next(server.follow())
    assert records[0].data == listing.MESSAGE and records[0].peer[0] == "10.0.0.1"
    assert ": a broadcast," in capsys.readouterr().out


@pytest.mark.parametrize("host", ["bob", "carol"])
def test_a_server_on_the_limited_broadcast_stops_with_or_without_a_route(net, host):
    server = Server(listing.listen, "<broadcast>", 1060, make_socket=net[host].socket).start()
    server.stop(patience=20)
    assert not server.running


@pytest.mark.parametrize(("hosts", "wanted"), [(2, 1), (8, 2), (16, 15)])
def test_frames_are_as_many_as_predicted(hosts, wanted):
    costs = experiments.costs(hosts, wanted)
    assert costs.measured == costs.predicted


def test_the_experiments_of_the_lesson_come_out_as_predicted():
    assert experiments.hears("alice", DESTINATIONS).verdict == "as predicted"
    assert experiments.binds("alice", "10.0.0.255").verdict == "as predicted"
    assert experiments.members("alice", ["bob", "dave"]).verdict == "as predicted"
    assert experiments.members("router", ["alice", "dave"], interface="eth1").verdict == "as predicted"
    assert experiments.members("alice", ["alice", "bob"], ttl=0).verdict == "as predicted"
    assert experiments.hears("router", ["<broadcast>"], device="eth1").verdict == "as predicted"
    assert experiments.devices().verdict == experiments.own("router").verdict == "as predicted"
    assert experiments.joining("239.1.2.3").verdict == experiments.neighbours().verdict == "as predicted"
    assert experiments.amplification(servers=5).verdict == "as predicted"
    flood = experiments.implosion([0.0] * 30)
    assert flood.map(discovery.lost).verdict == "as predicted" and 0 < discovery.lost(flood.result) < 30


@pytest.mark.parametrize("members", [(), ("bob",), ("alice", "bob", "dave", "router")])
def test_a_group_reaches_its_members_on_the_link(net, plan, members):
    assert multicast.measure_members(net, "alice", members) == multicast.predict_members(plan, "alice", members)


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="IPv6 is off on this machine")
def test_all_nodes_are_the_hosts_of_the_link(net):
    assert multicast.measure_all_nodes(net, "alice") == ("alice", "bob", "carol", "router")


def test_discovery_finds_the_servers_of_the_subnet(net):
    servers = [
        Server(discovery.responder(b"time", name.encode()), "", 1060, make_socket=net[name].socket)
        for name in ("bob", "carol", "dave")
    ]
    with servers[0], servers[1], servers[2], net["alice"].socket() as sock:
        found = discovery.find(sock, ("10.0.0.255", 1060), b"time", wait=2)
    assert found.servers == {("10.0.0.2", 1060): b"bob", ("10.0.0.3", 1060): b"carol"}


def test_answers_at_once_overflow_the_queue_and_delays_mend_it(crowd):
    room = discovery.measure_room(crowd)
    assert 1 < room < 40
    at_once = [0.0] * 40
    answers = discovery.gather(crowd, at_once, work=0.0001)
    assert discovery.lost(answers) == discovery.lost(discovery.predict_answers(at_once, 0.0001, room)) == 40 - room
    spread = discovery.delays(40, 0.1, random.Random(4))
    assert discovery.lost(discovery.gather(crowd, spread, work=0.001)) == 0


def test_a_forged_question_is_answered_to_the_victim(crowd):
    attack = forging.measure_amplified(crowd, "server1", "server2")
    assert attack == forging.predict_amplified([host.name for host in crowd], "server1", "server2")
    assert attack.answers == 39 and attack.received > 39 * attack.asked


@pytest.mark.parametrize(
    "act",
    [lambda net: forging.measure_amplified(net, "server1", "server2"), lambda net: discovery.gather(net, [0.0] * 40)],
)
def test_an_interrupt_while_sockets_are_closed_leaves_none_open(crowd, act, monkeypatch):
    """Else the cell could not be run again: the ports would be in use as long as the error is remembered."""
    closed, close = [], socket.socket.close

    def interrupted(sock):
        bound = sock.fileno() != -1 and sock.getsockname()[1] == PORT
        close(sock)
        if bound:
            closed.append(sock)
            if len(closed) == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr(socket.socket, "close", interrupted)
    with pytest.raises(KeyboardInterrupt):
        act(crowd)
    assert len(closed) >= 39


def test_a_server_never_answers_a_broadcast_source(net):
    respond = discovery.responder(b"time", b"bob")
    with Server(respond, "", 1060, make_socket=net["bob"].socket) as server, net["alice"].socket() as sock:
        assert server._sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) == 0
        forging.send_forged(net["carol"], ("10.0.0.255", 1060), ("10.0.0.2", 1060), b"find time 1")
        assert len(discovery.find(sock, ("10.0.0.2", 1060), b"time", wait=2).servers) == 1
        assert server.counts == {"received": 2, "answered": 1, "dropped": 0, "bad": 0, "errors": 1}
        assert "PermissionError" in server.log[0].why


def test_sources_that_cannot_be_answered_are_counted_and_survived(net):
    """Faults 6 and 7: forged sources. They go by loopback, which does not drop those that a link would."""
    alice, sources = net["alice"], ["255.255.255.255", "127.255.255.255", "240.0.0.1", "203.0.113.9"]
    with Server(listing.listen, make_socket=alice.socket) as silent:
        pass  # its port is free now
    with Server(lambda data: data, port=silent.address[1], make_socket=alice.socket) as server, alice.socket() as sock:
        forging.send_forged(alice, ("127.0.0.1", 0), server.address, b"to port 0")
        for source in sources:
            forging.send_forged(alice, (source, 9), server.address, b"to nobody")
        assert loopback_experiments.ask(sock, server.address, b"still there?", timeout=5).answer == b"still there?"
        assert server.counts == {"received": 6, "answered": 1, "dropped": 1, "bad": 0, "errors": 4}
        assert server.log[0].why == "source port 0"
        assert [record.peer[0] for record in server.log[1:5]] == sources


def test_a_router_answers_from_its_near_address(net):
    """Fault 18: asked at its far address, a server at "" answers from the near one, and the client waits on."""
    far, near = "10.0.1.254", "10.0.0.254"
    with Server(loopback.respond, "", 1060, make_socket=net["router"].socket), net["alice"].socket() as sock:
        sock.sendto(b"hello", (far, 1060))
        sock.settimeout(5)
        assert sock.recvfrom(100) == (b"Your data was 5 bytes long", (near, 1060))
        with pytest.raises(TimeoutError, match=r"No answer from 10\.0\.1\.254"):
            loopback_experiments.ask(sock, (far, 1060), b"hello", timeout=0.05)
    with Server(loopback.respond, far, 1060, make_socket=net["router"].socket), net["alice"].socket() as sock:
        assert loopback_experiments.ask(sock, (far, 1060), b"hello", timeout=5).answer


def test_the_playground_measures():
    playground = panel.who_hears()
    assert playground.words == "alice sends to 10.0.0.255, heard by: alice, bob, carol, router\nas predicted"
    playground.permission.value = False  # a changed control sends again
    assert "not sent: EACCES\nas predicted" in playground.words
    playground.permission.value = True
    playground.pressed({"type": "press", "name": "dave"})
    assert "dave sends to 10.0.0.255, heard by: router\nas predicted" in playground.words
    assert not playground.stage.film.predicted


def test_a_network_that_has_gone_is_built_anew():
    """In a process of its own, since the networks of other tests would go with it."""
    ask = 'assert experiments.own("alice").verdict == "as predicted"'
    code = f"from udplab import lan; from udplab.broadcast import experiments; {ask}; lan.stop(); {ask}"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="IPv6 is off on this machine")
def test_joining_an_ipv6_group_is_told_by_mld():
    joined = experiments.joining(multicast.GROUP6)
    assert joined.verdict == "as predicted"


@pytest.mark.skipif(not Path("/proc/sys/net/ipv4/conf/all/bc_forwarding").exists(), reason="Linux has it since 4.19")
def test_a_router_that_is_told_to_forwards_a_broadcast_to_its_other_subnet():
    forwarded = experiments.forwarded("alice", ["10.0.1.255"])
    assert forwarded.result[0].heard == ("dave",) and forwarded.verdict == "as predicted"


@pytest.mark.parametrize("destination", ["10.0.0.2", "10.0.0.255", "10.0.1.255", "10.0.1.1"])
def test_a_film_shows_what_the_rules_promise(destination):
    def ways(film):
        return {(flight.source[0], flight.target[0], flight.fate) for flight in film}

    promised, _ = sending.predict_film(hearing.PLAN, "alice", destination, experiments.EVERYWHERE)
    assert ways(experiments.film("alice", destination)) == ways(promised)


def test_the_film_of_an_implosion_shows_dropped_answers():
    fates = [flight.fate for flight in experiments.implosion_film()]
    assert fates[:8] == ["delivered"] * 8 and 0 < fates[8:].count("dropped") < 8
    assert fates[8:].count("dropped") + fates[8:].count("delivered") == 8


@pytest.mark.parametrize("host", ["10.0.0.255", "255.255.255.255", "239.1.2.3"])
def test_a_server_that_stops_sends_nothing_to_its_network(host):
    """It may be bound to everybody's address, and wakes its thread without a datagram there."""
    with lan.switch("alice", "bob") as net, net["alice"].capture() as seen:
        server = Server(listing.listen, host, 1060, make_socket=net["bob"].socket).start()
        server.stop()
        assert not server.running
        assert udp_in(seen) == []


def test_a_forged_question_from_everybody_is_refused_and_the_next_is_answered():
    assert experiments.forged_source().verdict == "as predicted"
