"""How the helper builds a network: a namespace for each host, veth pairs and bridges, addresses, routes."""

import array
import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import time
from pathlib import Path

from udplab.lan import netlink
from udplab.lan.netlink import Kernel

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # sched.h
SWITCH = ""  # the namespace of the bridges: a name that no host can have
FIRST = 20  # the index of a host's eth0; below are lo and the tunnels that some kernels put into each namespace
BRIDGES, PORTS = 1000, 10_000  # the first index of a bridge, and of its ports: as many apart as there are hosts at most
ANSWERED = 0.1  # seconds within which hosts answer a switch that asks for groups' members: the least that IGMP can say
UP, FORWARDING = 6, 3  # IF_OPER_UP (linux/if.h), BR_STATE_FORWARDING (linux/if_bridge.h)
SYSCTLS = {
    "ipv4/conf/all/rp_filter": 0,  # otherwise taken from the machine: the same network everywhere
    "ipv4/conf/default/rp_filter": 0,
    "ipv4/conf/all/bc_forwarding": 0,  # a router does not forward a broadcast (RFC 2644)
    "ipv4/icmp_ratelimit": 0,  # every error is reported, not one a second
    "ipv6/icmp/ratelimit": 0,
    "ipv6/conf/default/addr_gen_mode": 0,  # link-local addresses come from the MAC address
    "ipv6/conf/default/accept_dad": 0,  # addresses are usable at once
    "ipv6/conf/default/router_solicitations": 0,  # no stray frames in a capture
}
HAS_IPV6 = os.path.exists("/proc/sys/net/ipv6")


def namespace_call(name, *args):
    """Call unshare(2) or setns(2); module `os` has them since Python 3.12."""
    if hasattr(os, name):
        getattr(os, name)(*args)
    elif getattr(ctypes.CDLL(None, use_errno=True), name)(*args):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)


def write_sysctl(name, value):
    """Set what /proc/sys/net/NAME holds. Not by pathlib, which takes four times as long."""
    descriptor = os.open(f"/proc/sys/net/{name}", os.O_WRONLY)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)


def new_namespace(forwards=False, silent=False):
    """Make a network namespace, stay in it, and return a descriptor that keeps it.

    silent: no host, so nothing in it may speak: IPv6 would, unasked
    """
    namespace_call("unshare", CLONE_NEWNET)
    settings = SYSCTLS | ({"ipv6/conf/default/disable_ipv6": 1} if silent else {})
    if forwards:
        settings |= {"ipv4/ip_forward": 1, "ipv6/conf/all/forwarding": 1}
    for name, value in settings.items():
        try:
            write_sysctl(name, value)
        except FileNotFoundError:  # IPv6 can be off, bc_forwarding is from Linux 4.19
            continue
    return os.open("/proc/self/ns/net", os.O_RDONLY)


def build(network, hosts, switched, snoops):
    """Build the plan of `udplab.lan.plan.plan_switch` or `plan_path` into `network` (name -> namespace).

    Returns {host: {interface: index}}. Every link carries datagrams when this returns.
    """
    network[SWITCH] = new_namespace(silent=True)
    for host in hosts:
        network[host["name"]] = new_namespace(host["forwards"])
    links = {}
    for host in hosts:
        for index, interface in enumerate(host["interfaces"], start=FIRST):
            links.setdefault(interface["link"], []).append((network[host["name"]], index, interface))
    if switched:
        join_by_switches(network[SWITCH], links)
    else:
        for ends in links.values():
            join_by_cable(*ends)
    indexes = {}
    for host in hosts:
        indexes[host["name"]] = {each["name"]: index for index, each in enumerate(host["interfaces"], start=FIRST)}
        namespace_call("setns", network[host["name"]], CLONE_NEWNET)
        configure(host)
    if switched:
        namespace_call("setns", network[SWITCH], CLONE_NEWNET)
        with Kernel() as kernel:
            wait_until_up(kernel, [port(link, place)[1] for link, ends in links.items() for place in range(len(ends))])
    for host in hosts:
        namespace_call("setns", network[host["name"]], CLONE_NEWNET)
        with Kernel() as kernel:
            wait_until_up(kernel, indexes[host["name"]].values())
        wait_for_ipv6(host["interfaces"])
    if snoops:
        namespace_call("setns", network[SWITCH], CLONE_NEWNET)
        snoop(links)
    return indexes


def configure(host):
    """Set the interfaces of the host in whose namespace we are up, and give it its addresses and routes."""
    requests = [netlink.change(1)]  # lo
    for index, interface in enumerate(host["interfaces"], start=FIRST):
        requests += addresses(index, interface)
    with Kernel() as kernel:
        kernel.send(*requests, *(netlink.route(*each) for each in routes(host)))


def veth_end(namespace, interface):
    """Return the details of a host's interface, for `netlink.veth`."""
    return {key: interface[key] for key in ("name", "mac", "mtu")} | {"namespace": namespace}


def join_by_cable(near, far):
    """One veth pair between two hosts. Each is (namespace, index, interface)."""
    namespace_call("setns", near[0], CLONE_NEWNET)
    with Kernel() as kernel:
        kernel.send(netlink.veth(veth_end(near[0], near[2]), near[1], veth_end(far[0], far[2]), far[1]))


def port(link, place):
    """Return the name and the index of a switch's port. place: which host on that link, counted from 0."""
    return f"port{link}.{place}", PORTS + 1000 * link + place


def join_by_switches(namespace, links):
    """For each link a bridge, and a veth pair from it to each host. Without STP a port forwards as soon as it is up."""
    namespace_call("setns", namespace, CLONE_NEWNET)
    requests = []
    for link, ends in links.items():
        requests.append(netlink.bridge(f"switch{link}", BRIDGES + link, forward_delay=0, stp=0, snooping=0))
        for place, (host, index, interface) in enumerate(ends):
            name, number = port(link, place)
            near = {"name": name, "mtu": interface["mtu"], "master": BRIDGES + link}
            requests.append(netlink.veth(near, number, veth_end(host, interface), index))
    with Kernel() as kernel:
        kernel.send(*requests)


def snoop(links):
    """Have the bridges of the namespace where we are give a group's frames to the ports of its members only.

    A bridge goes by what it has overheard only where somebody asks for the members from time to time, for else it would
    forget them (RFC 3376 section 8.4). So it asks itself, for IPv6 from an address of its own, and for the hosts' own
    versions of IGMP and MLD, which they would give up for an older one. Until they have had time to answer, it floods.
    """
    with Kernel() as kernel:
        for link in links:
            bridge = BRIDGES + link
            settings = {"snooping": 1, "igmp_version": 3, "mld_version": 2, "query_response": round(100 * ANSWERED)}
            kernel.send(netlink.change_bridge(bridge, **settings))
            if HAS_IPV6:
                write_sysctl(f"ipv6/conf/switch{link}/addr_gen_mode", 1)  # none but this one
                write_sysctl(f"ipv6/conf/switch{link}/disable_ipv6", 0)
                kernel.send(netlink.address(bridge, f"fe80::5:{link}", 64))
            kernel.send(netlink.change_bridge(bridge, querier=1))
    time.sleep(2 * ANSWERED)  # no event tells of it


def addresses(index, interface):
    """Return the requests that set an interface up with its addresses, and have its checksums computed."""
    compute_checksums(interface["name"])
    requests = [
        netlink.change(index),
        netlink.address(index, interface["address"], interface["prefix"], interface["broadcast"]),
    ]
    if HAS_IPV6 and interface["address6"]:
        requests.append(netlink.address(index, interface["address6"], 64))
    return requests


def routes(host):
    """Return a host's routes that this kernel can have, as (destination, router)."""
    return [*host["routes"], *(host["routes6"] if HAS_IPV6 else ())]


def compute_checksums(interface):
    """Have UDP checksums computed when sent: veth leaves them out, and a capture would show them wrong."""
    stxcsum = array.array("I", [0x17, 0])  # ETHTOOL_STXCSUM, off (linux/ethtool.h)
    request = struct.pack("16sP8x", interface.encode(), stxcsum.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anywhere:
        fcntl.ioctl(anywhere, 0x8946, request)  # SIOCETHTOOL


def wait_until_up(kernel, indexes):
    """Return when the links with these indexes carry frames.

    The kernel switches one end of a veth pair, and the port of a bridge, on from a work queue of its own a
    moment after "up"; what is sent before that is dropped. Asking for a link makes recent kernels do it now.
    """
    deadline = time.monotonic() + 20  # s; the kernel's one lock for all networks may be taken
    waiting = list(indexes)
    while True:
        links = kernel.links(*waiting)
        waiting = [
            each for each, (_, state, of_port) in links.items() if state != UP or of_port not in (None, FORWARDING)
        ]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise TimeoutError("the links did not come up within 20 s")


def wait_for_ipv6(interfaces):
    """Return when the IPv6 addresses of a host's interfaces can be used.

    The kernel makes the link-local ones, and admits all, from a work queue too. Until then a send says "cannot assign".
    """
    waiting = {interface["name"] for interface in interfaces if HAS_IPV6 and interface["address6"]}
    deadline = time.monotonic() + 20
    while waiting and not waiting <= usable(Path("/proc/net/if_inet6").read_text()):
        if time.monotonic() > deadline:
            raise TimeoutError("the IPv6 addresses were not ready within 20 s")
        time.sleep(0.001)


def usable(table):
    """Return the names of the interfaces with two IPv6 addresses, none tentative (0x40), from the text of if_inet6."""
    flags = {}
    for *_, flag, name in map(str.split, table.splitlines()):
        flags.setdefault(name, []).append(int(flag, 16))
    return {name for name, each in flags.items() if len(each) == 2 and not any(flag & 0x40 for flag in each)}


def set_icmp(send):
    """Let the host send ICMP errors, or not.

    A policy rule (ip-rule(8)) sends every ICMP packet that the host makes itself into a black hole; ICMP that
    it forwards passes. This needs no netfilter, and the kernel's rate limits spare "fragmentation needed". Neighbour
    discovery, which is ICMPv6 too, asks no rule.
    """
    protocols = [(socket.AF_INET, socket.IPPROTO_ICMP)] + [(socket.AF_INET6, socket.IPPROTO_ICMPV6)] * HAS_IPV6
    with Kernel() as kernel:
        for kind, protocol in protocols:
            with contextlib.suppress(FileNotFoundError, FileExistsError):  # it is so already
                kernel.send(netlink.silence(kind, protocol, delete=send))
