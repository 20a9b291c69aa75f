"""What the helper does to a host's traffic: no ICMP messages, every n-th packet lost."""

import contextlib
import socket
import struct

from udplab.lan import netlink
from udplab.lan.building import HAS_IPV6
from udplab.lan.netlink import Kernel


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
