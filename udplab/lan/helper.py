"""The process inside the namespaces: `python -m udplab.lan.helper CONTROL_FD PARENT_PIDFD`.

`udplab.lan` starts it; nobody else needs it. The rules:

- It enters a new user namespace and a new network namespace before anything else, as root too, so that the
  machine's own interfaces are out of reach (user_namespaces(7), network_namespaces(7)).
- A host is a network namespace held open by a file descriptor, a link is a veth pair (veth(4)), a switch
  is a bridge in a namespace of its own. The kernel takes all of it away when the descriptors are closed.
- Each network has a Unix socket of its own to the notebook. When that closes, the network goes. When the
  first socket closes or the notebook's process ends, the helper ends. (Both are watched: a fork of the
  notebook may keep a copy of the socket open. PR_SET_PDEATHSIG is no use here: it fires when the *thread*
  that started the helper ends, and a notebook's threads come and go; prctl(2).)
"""

import array
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import socket
import struct
import sys
import time
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # sched.h
SWITCH = ""  # the namespace of the bridges: a name that no host can have
SYSCTLS = {
    "ipv4/conf/all/rp_filter": 0,  # otherwise taken from the machine: the same network everywhere
    "ipv4/conf/default/rp_filter": 0,
    "ipv4/conf/all/bc_forwarding": 0,  # a router does not forward a broadcast (RFC 2644)
    "ipv4/icmp_ratelimit": 0,  # every error is reported, not one a second
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


def enter_namespaces():
    """Leave the machine's namespaces; the result is None, or the step that was refused and its errno."""
    uid, gid = os.geteuid(), os.getegid()  # asked now: unmapped, they read 65534
    steps = {
        "user": lambda: namespace_call("unshare", CLONE_NEWUSER),
        "setgroups": lambda: Path("/proc/self/setgroups").write_text("deny"),
        "uid_map": lambda: Path("/proc/self/uid_map").write_text(f"0 {uid} 1"),
        "gid_map": lambda: Path("/proc/self/gid_map").write_text(f"0 {gid} 1"),
        "net": lambda: namespace_call("unshare", CLONE_NEWNET),
        "sysctl": lambda: write_sysctl("ipv4/ip_forward", 0),  # read-only in some containers
    }
    for step, take in steps.items():
        try:
            take()
        except OSError as refused:
            return step, refused.errno
    return None


def iproute():
    from pyroute2 import IPRoute  # late: the namespaces come first, and a missing package is told in words

    return IPRoute()


def new_namespace(forwards):
    """Make a network namespace, stay in it, and return a descriptor that keeps it."""
    namespace_call("unshare", CLONE_NEWNET)
    for name, value in {"ipv4/ip_forward": int(forwards), **SYSCTLS}.items():
        if Path("/proc/sys/net", name).exists():  # IPv6 can be off, bc_forwarding is from Linux 5.0
            write_sysctl(name, value)
    return os.open("/proc/self/ns/net", os.O_RDONLY)


def build(network, hosts, switched):
    """Build the plan of `udplab.lan.plan.plan_switch` or `plan_path` into `network` (name -> namespace).

    Returns {host: {interface: index}}. Every link carries datagrams when this returns.
    """
    for name, forwards in [(SWITCH, False)] + [(host["name"], host["forwards"]) for host in hosts]:
        network[name] = new_namespace(forwards)
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
    return indexes


def veth_end(namespace, interface):
    return {
        "ifname": interface["name"],
        "address": interface["mac"],
        "mtu": interface["mtu"],
        "net_ns_fd": namespace,
    }


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
                ifname=f"port{number}.{port}",
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
        index = indexes[interface["name"]]
        compute_checksums(interface["name"])
        address = {"address": interface["address"], "prefixlen": interface["prefix"]}
        ip.addr("add", index=index, broadcast=interface["broadcast"], **address)
        ip.link("set", index=index, state="up")
    for destination, router in host["routes"]:
        ip.route("add", dst=destination, gateway=router)
    return {interface["name"]: indexes[interface["name"]] for interface in host["interfaces"]}


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


def carries(link):
    """True for a link that is up to forwarding, and for those that this does not concern."""
    kind = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND")
    if kind != "veth":  # lo, the bridge itself, and the kernel's own tunl0 and sit0
        return True
    port = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_SLAVE_DATA", "IFLA_BRPORT_STATE")
    return link.get_attr("IFLA_OPERSTATE") == "UP" and port in (None, 3)  # 3: BR_STATE_FORWARDING


def set_icmp(send):
    """Let the host send ICMP errors, or not.

    A policy rule (ip-rule(8)) sends every ICMP packet that the host makes itself into a black hole; ICMP that
    it forwards passes. This needs no netfilter, and the kernel's rate limits spare "fragmentation needed".
    """
    with iproute() as ip:
        ip.flush_rules(priority=1)
        if not send:
            ip.rule("add", priority=1, iifname="lo", ip_proto=socket.IPPROTO_ICMP, action="FR_ACT_BLACKHOLE")


def set_loss(interface, every):
    """Drop every n-th IPv4 packet that leaves by the interface (nft(8): netdev table, egress, numgen)."""
    from pyroute2.netlink.nfnetlink.nftsocket import NFT_MSG_NEWCHAIN, nft_chain_msg
    from pyroute2.nftables.expressions import genex, verdict
    from pyroute2.nftables.main import NFTables

    def equals(value):
        return genex("cmp", {"sreg": 1, "op": 0, "data": {"attrs": [("NFTA_DATA_VALUE", value)]}})

    with NFTables(nfgen_family=5) as nft:  # NFPROTO_NETDEV
        table = f"lossy-{interface}"
        nft.table("add", name=table)  # so that there is one to delete
        nft.table("del", name=table)
        if every is None:
            return
        nft.table("add", name=table)
        hook = [("NFTA_HOOK_HOOKNUM", 1), ("NFTA_HOOK_PRIORITY", 0), ("NFTA_HOOK_DEV", interface)]
        chain = {"table": table, "name": "out", "type": "filter", "policy": 1, "hook": {"attrs": hook}}
        # Not nft.chain(): that knows no egress hook. Nor genex("numgen"): its attributes are called NG.
        nft._command(nft_chain_msg, {"add": NFT_MSG_NEWCHAIN}, "add", chain)
        count = [("NFTA_NG_DREG", 1), ("NFTA_NG_MODULUS", every), ("NFTA_NG_TYPE", 0)]
        counter = {"attrs": [("NFTA_EXPR_NAME", "numgen"), ("NFTA_EXPR_DATA", {"attrs": count})]}
        is_ipv4 = [genex("meta", {"key": 1, "dreg": 1}), equals(struct.pack("!H", 0x0800))]
        is_nth = [counter, equals(struct.pack("=I", every - 1))]
        nft.rule("add", table=table, chain="out", expressions=[is_ipv4, is_nth, verdict(0)])


def set_rate(interface, bits_per_second):
    """Send no more than so many bits per second by the interface (tc-tbf(8)); the rest waits in a queue."""
    with iproute() as ip:
        link = ip.get_links(ip.link_lookup(ifname=interface)[0])[0]
        if any(queue.get_attr("TCA_KIND") == "tbf" for queue in ip.get_qdiscs(index=link["index"])):
            ip.tc("del", index=link["index"], root=True)
        if bits_per_second is not None:
            one_frame = link.get_attr("IFLA_MTU") + 14
            rate = bits_per_second // 8
            ip.tc("add", "tbf", link["index"], root=True, rate=rate, burst=one_frame, limit=4_000_000)


def answer(network, request):
    """Do what a request asks in the namespaces of one network; returns (reply, sockets to pass)."""
    operation, passed = request["op"], []
    reply = {"number": request["number"]}
    try:
        if operation == "build":
            reply["indexes"] = build(network, request["hosts"], request["switched"])
            return reply, passed
        namespace_call("setns", network[request["host"]], CLONE_NEWNET)
        if operation == "socket":
            passed.append(socket.socket(request["family"], request["type"], request["proto"]))
        elif operation == "icmp":
            set_icmp(request["send"])
        elif operation == "loss":
            set_loss(request["interface"], request["every"])
        elif operation == "rate":
            set_rate(request["interface"], request["bits_per_second"])
    except Exception as problem:  # not swallowed: the notebook raises it
        code = getattr(problem, "errno", None) or getattr(problem, "code", None)  # NetlinkError has a code
        reply |= {"error": f"{type(problem).__name__}: {problem}", "errno": code}
    return reply, passed


def serve(control, parent):
    """Serve networks until the notebook closes `control` or its process (a pidfd) ends."""
    networks = {}  # the network's socket -> {host: namespace}
    sockets = {}
    try:
        serve_networks(control, parent, networks, sockets)
    finally:
        for fd, sock in sockets.items():
            drop(networks[fd], sock)


def drop(network, sock):
    """Let go of a network. Its socket comes last: the notebook takes its end for "done"."""
    for namespace in network.values():
        os.close(namespace)
    sock.close()


def serve_networks(control, parent, networks, sockets):
    """Serve until the end; `networks` and `sockets` are as in `serve`, which lets go of what is left in them."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(parent, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd == parent:
                return
            if fd == control.fileno():
                message, fds, _, _ = socket.recv_fds(control, 16, 1)
                if not message:
                    return
                sockets[fds[0]] = socket.socket(fileno=fds[0])
                networks[fds[0]] = {}
                poll.register(fds[0], select.POLLIN)
                continue
            try:
                request = sockets[fd].recv(1 << 20)
                if request:
                    reply, passed = answer(networks[fd], json.loads(request))
                    socket.send_fds(sockets[fd], [json.dumps(reply).encode()], [s.fileno() for s in passed])
                    for given in passed:
                        given.close()
            except OSError as problem:
                if problem.errno not in (errno.EPIPE, errno.ECONNRESET):
                    raise
                request = b""  # the notebook closed the network without waiting for the answer
            if not request:
                poll.unregister(fd)
                drop(networks.pop(fd), sockets.pop(fd))


def main():
    parent = int(sys.argv[2])
    with socket.socket(fileno=int(sys.argv[1])) as control:
        refused = enter_namespaces()
        # The notebook may have been interrupted before it has read our first words: then nobody is there any more.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            control.send(json.dumps({"refused": refused}).encode())
            if refused is None:
                import pyroute2  # noqa: F401  the first network needs it: loaded while the notebook does other things

                serve(control, parent)


if __name__ == "__main__":
    main()
