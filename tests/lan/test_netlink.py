"""Tests of the requests to the kernel: read by pyroute2, which knows them by heart, and done by the kernel."""

import errno
import json
import socket
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import TOP, needs_lan

from udplab.lan import netlink

linux = pytest.mark.skipif(sys.platform != "linux", reason="its constants are Linux's, and so is pyroute2")


def read(kind, data):
    """Return what pyroute2 reads in a request."""
    message = kind(data)
    message.decode()
    return message


@linux
def test_a_pair_of_interfaces():
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

    near = {"name": "port0.1", "mtu": 1400, "master": 1000}
    far = {"name": "eth0", "mac": "02:00:0a:00:00:01", "mtu": 1400, "namespace": 7}
    message = read(ifinfmsg, netlink.veth(near, 10_001, far, 20))
    assert (message["index"], message["flags"] & 1, message["header"]["type"]) == (10_001, 1, 16)
    assert message.get("ifname") == "port0.1" and message.get("mtu") == 1400 and message.get("master") == 1000
    info = message.get_attr("IFLA_LINKINFO")
    assert info.get_attr("IFLA_INFO_KIND") == "veth"
    peer = info.get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
    assert (peer["index"], peer["flags"] & 1) == (20, 0)
    assert peer.get_attr("IFLA_IFNAME") == "eth0" and peer.get_attr("IFLA_ADDRESS") == far["mac"]
    assert peer.get_attr("IFLA_NET_NS_FD") == 7


@linux
def test_a_bridge():
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

    message = read(ifinfmsg, netlink.bridge("switch0", 1000, forward_delay=0, stp=0, snooping=1, querier=1))
    data = message.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
    names = ("IFLA_BR_FORWARD_DELAY", "IFLA_BR_STP_STATE", "IFLA_BR_MCAST_SNOOPING", "IFLA_BR_MCAST_QUERIER")
    assert [data.get_attr(name) for name in names] == [0, 0, 1, 1]


@linux
def test_a_change_of_a_bridge():
    from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

    message = read(ifinfmsg, netlink.change_bridge(1000, igmp_version=3, mld_version=2, query_response=10))
    assert message["index"] == 1000 and not message["header"]["flags"] & netlink.CREATE
    data = message.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
    names = ("IFLA_BR_MCAST_IGMP_VERSION", "IFLA_BR_MCAST_MLD_VERSION", "IFLA_BR_MCAST_QUERY_RESPONSE_INTVL")
    assert [data.get_attr(name) for name in names] == [3, 2, 10]


@linux
@pytest.mark.parametrize(
    ("text", "prefix", "broadcast"), [("10.0.0.1", 24, "10.0.0.255"), ("fd75:6470:6c61::1", 64, None)]
)
def test_an_address(text, prefix, broadcast):
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

    message = read(ifaddrmsg, netlink.address(20, text, prefix, broadcast))
    assert (message["index"], message["prefixlen"]) == (20, prefix)
    assert message.get_attr("IFA_LOCAL") == message.get_attr("IFA_ADDRESS") == text
    assert message.get_attr("IFA_BROADCAST") == broadcast


@linux
@pytest.mark.parametrize(
    ("destination", "gateway", "found"),
    [
        ("default", "10.0.0.254", (0, None)),
        ("10.0.1.0/24", "10.0.2.1", (24, "10.0.1.0")),
        ("fd75:6470:6c61:1::/64", "fd75:6470:6c61:2::1", (64, "fd75:6470:6c61:1::")),
    ],
)
def test_a_route(destination, gateway, found):
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    message = read(rtmsg, netlink.route(destination, gateway))
    assert (message["dst_len"], message.get_attr("RTA_DST")) == found
    assert message.get_attr("RTA_GATEWAY") == gateway and message["table"] == 254


@linux
def test_a_rule():
    from pyroute2.netlink.rtnl.fibmsg import fibmsg

    message = read(fibmsg, netlink.silence(socket.AF_INET, socket.IPPROTO_ICMP))
    assert (message["action"], message.get_attr("FRA_PRIORITY"), message.get_attr("FRA_IP_PROTO")) == (6, 1, 1)
    assert message.get_attr("FRA_IIFNAME") == "lo" and message["header"]["type"] == netlink.NEWRULE
    assert read(fibmsg, netlink.silence(2, 1, delete=True))["header"]["type"] == netlink.DELRULE


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=50)))
def test_attributes_are_read_as_they_were_made(values):
    data = b"".join(netlink.attribute(number, value) for number, value in values.items())
    assert len(data) % 4 == 0 and netlink.parsed(data) == values
    assert netlink.parsed(data + b"\1\0") == values, "cut short"


IN_A_NAMESPACE = """
import json
from udplab.lan import netlink
from udplab.lan.helper import enter_namespaces
assert enter_namespaces() is None
with netlink.Kernel() as kernel:
    pairs = [netlink.veth({"name": f"a{n}"}, 100 + n, {"name": f"b{n}"}, 500 + n) for n in range(150)]
    kernel.send(*pairs, *(netlink.change(500 + n) for n in range(150)))
    found = kernel.links()
    some = kernel.links(*range(100, 250))
    codes = []
    for wrong in (netlink.change(99), netlink.address(100, "10.0.0.1", 24), netlink.address(100, "10.0.0.1", 24)):
        try:
            kernel.send(netlink.change(1), wrong, netlink.change(100))
        except OSError as problem:
            codes.append(problem.errno)
    try:
        kernel.links(99)
    except OSError as problem:
        codes.append(problem.errno)
print(json.dumps([len(found), len(some), all(some[n][0] == found[n][0] for n in some), found[100][0], codes]))
"""


@needs_lan
def test_the_kernel_does_hundreds_at_once_and_says_what_it_refuses():
    done = subprocess.run([sys.executable, "-c", IN_A_NAMESPACE], cwd=TOP, capture_output=True, text=True)
    assert done.stderr == ""
    links, some, same, name, codes = json.loads(done.stdout)
    assert links >= 301 and (some, same, name) == (150, True, "a0")
    assert codes == [errno.ENODEV, errno.EEXIST, errno.ENODEV]
