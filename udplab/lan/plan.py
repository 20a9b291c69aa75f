"""Who has which address in a network of `udplab.lan`: pure functions from names and MTUs to hosts.

Every address is private (RFC 1918) and every subnet a /24, so that a reader can tell hosts apart at a glance.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

PREFIX6 = "fd75:6470:6c61"  # all networks' first 48 bits: see Interface.address6
LEAST6 = 1280  # bytes: the least MTU of a link that carries IPv6


@dataclass(frozen=True)
class Interface:
    """A host's interface on a link: addresses as text, `prefix` in bits, `mtu` in bytes."""

    name: str
    link: int
    address: str
    mtu: int = 1500
    prefix: int = 24

    @property
    def broadcast(self) -> str:
        return str(ipaddress.IPv4Interface(f"{self.address}/{self.prefix}").network.broadcast_address)

    @property
    def mac(self) -> str:
        """02:00 and the four bytes of the address, so that a capture is easy to read (02: locally given)."""
        return "02:00:" + ipaddress.IPv4Address(self.address).packed.hex(":")

    @property
    def link_local(self) -> str:
        """The IPv6 link-local address that the kernel makes from the MAC (RFC 4291 appendix A)."""
        high, low = ipaddress.IPv4Address(self.address).packed[:2], self.address.split(".")[2:]
        tail = int.from_bytes(bytes([0, 0, high[0], 0xFF, 0xFE, high[1], int(low[0]), int(low[1])]))
        return str(ipaddress.IPv6Address(0xFE80 << 112 | tail))

    @property
    def address6(self) -> str | None:
        """The IPv6 address, on a /64 for each link: fd75:6470:6c61:LINK::NUMBER. None where the MTU is too small.

        A local address as RFC 4193 has them; the 40 bits that it wants drawn by lot are the letters "udpla" here,
        so that they are the same each time. IPv6 wants an MTU of 1280 bytes (RFC 8200 section 5).
        """
        return on_link6(self.link, int(self.address.rpartition(".")[2])) if self.mtu >= LEAST6 else None


def on_link6(link: int, number: int) -> str:
    return str(ipaddress.IPv6Address(f"{PREFIX6}:{link:x}::{number:x}"))


@dataclass(frozen=True)
class HostPlan:
    """A host's name, its interfaces, its routes as (destination, router), IPv6 apart, and whether it is a router."""

    name: str
    interfaces: tuple[Interface, ...]
    routes: tuple[tuple[str, str], ...] = ()
    forwards: bool = False
    routes6: tuple[tuple[str, str], ...] = ()


def as_dicts(hosts: Iterable[HostPlan]) -> list[dict]:
    """Return a plan as plain dicts and lists, with the interfaces' properties, for the helper."""
    properties = "mac", "broadcast", "address6"
    return [
        asdict(host)
        | {
            "interfaces": [
                asdict(each) | {name: getattr(each, name) for name in properties} for each in host.interfaces
            ]
        }
        for host in hosts
    ]


def plan_switch(names: Sequence[str], beyond: Iterable[str] = (), stray: Iterable[str] = ()) -> list[HostPlan]:
    """Hosts on 10.0.0.0/24 from 10.0.0.1 up, those `beyond` on 10.0.1.0/24; the router is .254 on both."""
    if isinstance(beyond, str) or isinstance(stray, str):
        raise ValueError(f"beyond and stray are lists of names, such as [{beyond or stray!r}]")
    beyond, stray = tuple(beyond), tuple(stray)
    everyone = [*names, *beyond, *(["router"] if beyond else [])]
    if not all(isinstance(name, str) and name for name in everyone):
        raise ValueError(f"a host's name is a text that is not empty: {everyone}")
    if not names or len(set(everyone)) != len(everyone):
        raise ValueError(f"a switch needs at least one host, and each name once: {everyone}")
    if max(len(names), len(beyond)) > 253:
        raise ValueError("a subnet holds 253 hosts here: 10.0.0.1 to 10.0.0.253")
    if not set(stray) <= {*names, *beyond}:
        raise ValueError(f"stray hosts must be among the hosts: {sorted(stray)}")
    hosts = []
    for link, group in enumerate((names, beyond)):
        for number, name in enumerate(group, start=1):
            interfaces = (Interface("eth0", link, f"10.0.{link}.{number}"),)
            routed = beyond and name not in stray
            routes, routes6 = ((("default", by),) if routed else () for by in (f"10.0.{link}.254", on_link6(link, 254)))
            hosts.append(HostPlan(name, interfaces, routes, routes6=routes6))
    if beyond:
        ends = tuple(Interface(f"eth{link}", link, f"10.0.{link}.254") for link in (0, 1))
        hosts.append(HostPlan("router", ends, forwards=True))
    return hosts


def plan_path(mtus: Sequence) -> list[HostPlan]:
    """client, router1, ..., server; link i (from 1) is 10.0.i.0/24: .1 on the client's side, .2 beyond.

    mtus: one a link; or in them one list or tuple of all
    """
    if len(mtus) == 1 and isinstance(mtus[0], (list, tuple)):
        [mtus] = mtus
    if not mtus or not all(isinstance(mtu, int) and 68 <= mtu <= 65535 for mtu in mtus):
        raise ValueError(f"a path needs at least one link, with an MTU of 68 to 65535 bytes each: {mtus}")
    if len(mtus) > 64:
        raise ValueError("a path has at most 64 links: a datagram's TTL is 64, and each router takes one of it (ip(7))")
    names = ["client", *(f"router{i}" for i in range(1, len(mtus))), "server"]
    hosts = []
    for place, name in enumerate(names):  # place: how many links lie between it and the client
        near = [(place, 2)] if place else []
        far = [(place + 1, 1)] if place < len(mtus) else []
        interfaces = tuple(
            Interface(f"eth{i}", link, f"10.0.{link}.{side}", mtus[link - 1])
            for i, (link, side) in enumerate(near + far)
        )
        routes = [("default", f"10.0.{place + 1}.2")] if far else [("default", f"10.0.{place}.1")]
        if near and far:  # a router: the links behind it, towards the client, too
            routes += [(f"10.0.{link}.0/24", f"10.0.{place}.1") for link in range(1, place)]
        hosts.append(HostPlan(name, interfaces, tuple(routes), bool(near and far), path_routes6(place, mtus)))
    return hosts


def path_routes6(place: int, mtus: Sequence[int]) -> tuple[tuple[str, str], ...]:
    """Return a path's host's IPv6 routes; place: how many links lie between it and the client."""
    routes = []
    if place < len(mtus) and mtus[place] >= LEAST6:
        routes.append(("default", on_link6(place + 1, 2)))
    if place and mtus[place - 1] >= LEAST6:
        back = on_link6(place, 1)
        behind = ["default"] if place == len(mtus) else [f"{on_link6(link, 0)}/64" for link in range(1, place)]
        routes += [(destination, back) for destination in behind]
    return tuple(routes)
