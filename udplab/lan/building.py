"""How the helper builds a network: a namespace for each host, veth pairs and bridges, addresses, routes."""

import array
import ctypes
import fcntl
import os
import socket
import struct
import time
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # sched.h
SWITCH = ""  # the namespace of the bridges: a name that no host can have
SYSCTLS = {
    "ipv4/conf/all/rp_filter": 0,  # otherwise taken from the machine: the same network everywhere
    "ipv4/conf/default/rp_filter": 0,
    "ipv4/conf/all/bc_forwarding": 0,  # a router does not forward a broadcast (RFC 2644)
    "ipv4/icmp_ratelimit": 0,  # every error is reported, not one a second
    "ipv6/conf/default/addr_gen_mode": 0,  # link-local addresses come from the MAC address
    "ipv6/conf/default/accept_dad": 0,  # link-local addresses are usable at once
    "ipv6/conf/default/router_solicitations": 0,  # no stray frames in a capture
}


def namespace_call(name, *args):
    """Call unshare(2) or setns(2); module `os` has them since Python 3.12."""
    if hasattr(os, name):
        getattr(os, name)(*args)
    elif getattr(ctypes.CDLL(None, use_errno=True), name)(*args):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)


def write_sysctl(name, value):
    Path("/proc/sys/net", name).write_text(str(value))


def iproute():
    from pyroute2 import IPRoute  # late: the namespaces come first, and a missing package is told in words

    return IPRoute()


def new_namespace(forwards=False, silent=False):
    """Make a network namespace, stay in it, and return a descriptor that keeps it.

    silent: no host, so nothing in it may speak: IPv6 would, unasked
    """
    namespace_call("unshare", CLONE_NEWNET)
    settings = SYSCTLS | {"ipv4/ip_forward": int(forwards), "ipv6/conf/default/disable_ipv6": int(silent)}
    for name, value in settings.items():
        if Path("/proc/sys/net", name).exists():  # IPv6 can be off, bc_forwarding is from Linux 5.0
            write_sysctl(name, value)
    return os.open("/proc/self/ns/net", os.O_RDONLY)


def build(network, hosts, switched):
    """Build the plan of `udplab.lan.plan.plan_switch` or `plan_path` into `network` (name -> namespace).

    Returns {host: {interface: index}}. Every link carries datagrams when this returns.
    """
    network[SWITCH] = new_namespace(silent=True)
    for host in hosts:
        network[host["name"]] = new_namespace(host["forwards"])
    links = {}
    for host in hosts:
        for interface in host["interfaces"]:
            links.setdefault(interface["link"], []).append((network[host["name"]], interface))
    for number, ends in links.items():
        if switched:
            join_by_switch(network[SWITCH], number, ends)
        else:
            join_by_cable(*ends)
    indexes = {}
    for host in hosts:
        namespace_call("setns", network[host["name"]], CLONE_NEWNET)
        with iproute() as ip:
            indexes[host["name"]] = configure(ip, host)
            if switched:  # the other end is up already: no need to come back
                wait_until_up(ip, indexes[host["name"]].values())
    for name in [SWITCH] if switched else network:
        namespace_call("setns", network[name], CLONE_NEWNET)
        with iproute() as ip:
            wait_until_up(ip, [link["index"] for link in ip.get_links() if not carries(link)])
    for host in hosts:
        namespace_call("setns", network[host["name"]], CLONE_NEWNET)
        wait_for_link_local([each["name"] for each in host["interfaces"] if each["mtu"] >= 1280])  # IPv6's least MTU
    return indexes


def veth_end(namespace, interface):
    return {
        "ifname": interface["name"],
        "address": interface["mac"],
        "mtu": interface["mtu"],
        "net_ns_fd": namespace,
    }


def port_name(link, place):
    return f"port{link}.{place}"


def join_by_cable(near, far):
    """One veth pair between two hosts."""
    namespace_call("setns", near[0], CLONE_NEWNET)
    with iproute() as ip:
        ip.link("add", kind="veth", **veth_end(*near), peer=veth_end(*far))


def join_by_switch(namespace, number, ends):
    """A bridge, and a veth pair from it to each host. Without STP a port forwards as soon as it is up."""
    namespace_call("setns", namespace, CLONE_NEWNET)
    with iproute() as ip:
        bridge = f"switch{number}"
        ip.link("add", ifname=bridge, kind="bridge", br_stp_state=0, br_forward_delay=0, br_mcast_snooping=0)
        index = ip.link_lookup(ifname=bridge)[0]
        ip.link("set", index=index, state="up")
        for port, (host, interface) in enumerate(ends):
            ip.link(
                "add",
                ifname=port_name(number, port),
                kind="veth",
                mtu=interface["mtu"],
                master=index,
                state="up",
                peer=veth_end(host, interface),
            )


def configure(ip, host):
    """Give a host its addresses and routes; returns {interface: index}."""
    indexes = {link.get_attr("IFLA_IFNAME"): link["index"] for link in ip.get_links()}
    ip.link("set", index=indexes["lo"], state="up")
    for interface in host["interfaces"]:
        configure_interface(ip, indexes[interface["name"]], interface)
    for destination, router in host["routes"]:
        ip.route("add", dst=destination, gateway=router)
    return {interface["name"]: indexes[interface["name"]] for interface in host["interfaces"]}


def configure_interface(ip, index, interface):
    compute_checksums(interface["name"])
    address = {"address": interface["address"], "prefixlen": interface["prefix"]}
    ip.addr("add", index=index, broadcast=interface["broadcast"], **address)
    ip.link("set", index=index, state="up")


def compute_checksums(interface):
    """Have UDP checksums computed when sent: veth leaves them out, and a capture would show them wrong."""
    stxcsum = array.array("I", [0x17, 0])  # ETHTOOL_STXCSUM, off (linux/ethtool.h)
    request = struct.pack("16sP8x", interface.encode(), stxcsum.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anywhere:
        fcntl.ioctl(anywhere, 0x8946, request)  # SIOCETHTOOL


def wait_until_up(ip, waiting):
    """Return when the links with these indexes carry frames.

    The kernel switches one end of a veth pair, and the port of a bridge, on from a work queue of its own a
    moment after "up"; what is sent before that is dropped. Asking for a link makes recent kernels do it now.
    """
    deadline = time.monotonic() + 20  # s; the kernel's one lock for all networks may be taken
    while waiting := [index for index in waiting if not carries(ip.get_links(index)[0])]:
        if time.monotonic() > deadline:
            raise TimeoutError("the links did not come up within 20 s")


def wait_for_link_local(names):
    """Return when the IPv6 link-local addresses of these interfaces can be used, where IPv6 is on.

    The kernel makes them, and admits them, from a work queue too. Until then a send says "cannot assign".
    """
    switches = {name: Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6") for name in names}
    waiting = {name for name, switch in switches.items() if switch.exists() and switch.read_text().strip() == "0"}
    deadline = time.monotonic() + 20
    while waiting and not waiting <= usable(Path("/proc/net/if_inet6").read_text()):
        if time.monotonic() > deadline:
            raise TimeoutError("the IPv6 addresses were not ready within 20 s")
        time.sleep(0.001)


def usable(table):
    """Return the names of interfaces with an IPv6 address that is not tentative (0x40), from the text of if_inet6."""
    return {name for *_, flags, name in map(str.split, table.splitlines()) if not int(flags, 16) & 0x40}


def carries(link):
    """True for a link that is up to forwarding, and for those that this does not concern."""
    kind = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND")
    if kind != "veth":  # lo, the bridge itself, and the kernel's own tunl0 and sit0
        return True
    port = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA", "IFLA_BRPORT_STATE")
    return link.get_attr("IFLA_OPERSTATE") == "UP" and port in (None, 3)  # 3: BR_STATE_FORWARDING
