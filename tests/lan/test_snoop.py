"""Tests of a switch that snoops: who gets a group's frames is seen at every host's interface."""

import contextlib
import socket
import struct
import time
from pathlib import Path

import pytest
from machines import needs_lan

from udplab import lan
from udplab.kit import frames

pytestmark = needs_lan
PORT = 1060
NAMES = "alice", "bob", "carol"
ipv6 = pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="IPv6 is off on this machine")
each_family = pytest.mark.parametrize("group", ["239.1.2.3", pytest.param("ff12::1234", marks=ipv6)])


@pytest.fixture(scope="module")
def net():
    with lan.switch(*NAMES, beyond=["dave"], snoop=True) as network:
        yield network


def member(host, group):
    """Return a socket on the host that has joined a group, when the host has reported that."""
    family = socket.AF_INET6 if ":" in group else socket.AF_INET
    packed = socket.inet_pton(family, group)
    sock, until = host.socket(family), time.monotonic() + 20
    with host.capture() as seen:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, packed + struct.pack("i", host.index()))
        else:
            joined = struct.pack("4s4si", packed, bytes(4), host.index())
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
        while not any(frame.outgoing and packed in frame.data for frame in seen.frames):
            assert time.monotonic() < until, "no report"
    return sock


def reached(net, group, sender="alice"):
    """Send a datagram to a group; return at which hosts its frame came in."""
    host = net[sender]
    with contextlib.ExitStack() as stack:
        captures = {each.name: stack.enter_context(each.capture()) for each in net}
        with host.socket(socket.AF_INET6 if ":" in group else socket.AF_INET) as sock:
            if ":" in group:
                sock.sendto(b"to the group", (group, PORT, 0, host.index()))
            else:
                here = struct.pack("4s4si", bytes(4), bytes(4), host.index())
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
                sock.sendto(b"to the group", (group, PORT))
        host.settle()
    return {name for name, seen in captures.items() if any(came(frame, group) for frame in seen.frames)}


def came(frame, group):
    packet = frames.parse(frame.data)
    return not frame.outgoing and packet.kind == "UDP" and packet.target == group


def until_it_reaches_nobody(net, group):
    """Wait until no host gets a group's frames: the switch asks twice whether another member is left."""
    until = time.monotonic() + 20
    while reached(net, group):
        assert time.monotonic() < until, "who has left still gets the frames"


@each_family
def test_a_switch_that_does_not_snoop_sends_to_all(group):
    with lan.switch(*NAMES) as plain, member(plain["bob"], group):
        assert reached(plain, group) == {"bob", "carol"}


@each_family
def test_only_members_get_a_groups_frames_and_who_leaves_gets_none(net, group):
    until_it_reaches_nobody(net, group)  # another test's member may just have left
    with member(net["bob"], group):
        assert reached(net, group) == reached(net, group, "carol") == {"bob"}
        with member(net["carol"], group):
            assert reached(net, group) == {"bob", "carol"}
            assert reached(net, group, "bob") == {"carol"}
    until_it_reaches_nobody(net, group)


@pytest.mark.parametrize("group", ["224.0.0.1", pytest.param("ff02::1", marks=ipv6), "10.0.0.255"])
def test_what_is_for_all_still_comes_to_all(net, group):
    if group == "10.0.0.255":
        with contextlib.ExitStack() as stack:
            captures = {each.name: stack.enter_context(each.capture()) for each in net}
            with net["alice"].socket() as sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
                sock.sendto(b"to all", (group, PORT))
            net["alice"].settle()
        found = {name for name, seen in captures.items() if any(came(frame, group) for frame in seen.frames)}
    else:
        found = reached(net, group)
    assert found == {"bob", "carol", "router"}


@ipv6
def test_ipv6_hosts_find_one_another_by_the_groups_of_neighbour_discovery(net):
    with net["dave"].socket(socket.AF_INET6) as dave, net["carol"].socket(socket.AF_INET6) as carol:
        carol.settimeout(20)
        carol.bind((net["carol"].address6, PORT))
        dave.sendto(b"here", carol.getsockname())
        assert carol.recv(9) == b"here"


@each_family
def test_hosts_still_speak_their_own_version(net, group):
    """A querier of an older one would have them fall back to it: IGMPv3's report is type 0x22, MLDv2's 143."""
    with net["bob"].capture() as seen, member(net["bob"], group):
        packets = [frames.parse(frame.data) for frame in seen.frames if frame.outgoing]
    kind, report = ("MLD", 143) if ":" in group else ("IGMP", 0x22)
    assert {each.body[0] for each in packets if each.kind == kind} == {report}


@each_family
def test_a_wire_keeps_the_membership(group):
    """The host's port of the switch is another then: it asks there anew."""
    with lan.switch(*NAMES, snoop=True) as net, member(net["bob"], group):
        net.wire("bob")
        until = time.monotonic() + 20
        while reached(net, group) != {"bob"}:
            assert time.monotonic() < until
