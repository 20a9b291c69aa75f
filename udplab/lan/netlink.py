"""Requests to the kernel's routing socket (rtnetlink(7)): made as bytes, sent many at once.

pyroute2 makes them too, at 0.4 ms each, which is longer than the kernel takes to do them: this is for a network's
hundreds. The functions from `veth` to `silence` return one request; `send` has the kernel do any number of them.
"""

import ipaddress
import os
import socket
import struct
from collections.abc import Iterable

REQUEST, DUMP, EXCLUSIVE, CREATE, REPLACE = 0x1, 0x300, 0x200, 0x400, 0x100  # NLM_F_...: linux/netlink.h
ERROR, DONE = 2, 3  # NLMSG_...
NEWLINK, GETLINK, SETLINK = 16, 18, 19  # RTM_...: linux/rtnetlink.h
NEWADDR, NEWROUTE, NEWRULE, DELRULE = 20, 24, 32, 33
UP = 1  # IFF_UP: net/if.h
NAMES = {  # IFLA_...: linux/if_link.h
    "mac": 1,
    "name": 3,
    "mtu": 4,
    "master": 10,
    "operstate": 16,
    "info": 18,
    "namespace": 28,
}
KIND, DATA, PORT_DATA = 1, 2, 5  # IFLA_INFO_...: within "info"
PEER = 1  # VETH_INFO_PEER: linux/veth.h
BRIDGE = {  # IFLA_BR_...; query_response is in hundredths of a second
    "forward_delay": (1, "I"),
    "stp": (5, "I"),
    "snooping": (23, "B"),
    "querier": (25, "B"),
    "query_response": (34, "Q"),
    "igmp_version": (43, "B"),
    "mld_version": (44, "B"),
}
NO_DAD = 2  # IFA_F_NODAD: linux/if_addr.h; no test whether somebody else has the address
MAIN, STATIC, UNICAST, BLACKHOLE = 254, 4, 1, 6  # RT_TABLE_MAIN, RTPROT_STATIC, RTN_UNICAST, RTN_BLACKHOLE
LONGEST = 1 << 20  # bytes of an answer


def attribute(number: int, value: bytes | str | int | list[bytes]) -> bytes:
    """Return an attribute. value: bytes, a text, a whole number of 32 bits, or a list of attributes."""
    if isinstance(value, list):
        value = b"".join(value)
    elif isinstance(value, str):
        value = value.encode() + b"\0"
    elif isinstance(value, int):
        value = struct.pack("=I", value)
    return struct.pack("=HH", 4 + len(value), number) + value + bytes(-len(value) % 4)


def request(kind: int, flags: int, body: bytes, attributes: Iterable[bytes] = ()) -> bytes:
    payload = body + b"".join(attributes)
    return struct.pack("=IHHII", 16 + len(payload), kind, REQUEST | flags, 0, 0) + payload


def attributes(details: dict) -> list[bytes]:
    """Return the attributes of a link. details: name, mac, mtu, master (an index), namespace (a descriptor)."""
    details = details | ({"mac": bytes.fromhex(details["mac"].replace(":", ""))} if "mac" in details else {})
    return [attribute(NAMES[name], value) for name, value in details.items()]


def header(index: int, up: bool) -> bytes:
    return struct.pack("=BxHiII", 0, 0, index, UP if up else 0, UP if up else 0)  # struct ifinfomsg


def veth(near: dict, near_index: int, far: dict, far_index: int) -> bytes:
    """Return the request for a pair of interfaces (veth(4)), of which the near one is up; the far one cannot be yet.

    near, far: details of each; the indexes are ours to choose
    """
    peer = attribute(PEER, header(far_index, False) + b"".join(attributes(far)))
    info = attribute(NAMES["info"], [attribute(KIND, "veth"), attribute(DATA, [peer])])
    return request(NEWLINK, CREATE | EXCLUSIVE, header(near_index, True), [*attributes(near), info])


def bridge(name: str, index: int, **settings: int) -> bytes:
    """Return the request for a bridge that is up. settings: as in BRIDGE."""
    return request(NEWLINK, CREATE | EXCLUSIVE, header(index, True), [*attributes({"name": name}), of_bridge(settings)])


def change_bridge(index: int, **settings: int) -> bytes:
    """Return the request that changes settings of a bridge. They take effect in the kernel's order, not in this one."""
    return request(NEWLINK, 0, header(index, True), [of_bridge(settings)])


def of_bridge(settings: dict[str, int]) -> bytes:
    data = [attribute(BRIDGE[key][0], struct.pack("=" + BRIDGE[key][1], value)) for key, value in settings.items()]
    return attribute(NAMES["info"], [attribute(KIND, "bridge"), attribute(DATA, data)])


def change(index: int, up: bool = True, **details: str | int) -> bytes:
    """Return the request that changes a link: sets it up, moves it to a namespace, makes it a port of a bridge."""
    return request(SETLINK, 0, header(index, up), attributes(details))


def address(index: int, text: str, prefix: int, broadcast: str | None = None) -> bytes:
    """Return the request that gives an interface an IPv4 or IPv6 address."""
    packed = ipaddress.ip_address(text).packed
    ends = [attribute(2, packed), attribute(1, packed)]  # IFA_LOCAL, IFA_ADDRESS
    if broadcast:
        ends.append(attribute(4, ipaddress.ip_address(broadcast).packed))  # IFA_BROADCAST
    flags = NO_DAD if len(packed) == 16 else 0
    return request(NEWADDR, CREATE | EXCLUSIVE, struct.pack("=BBBBI", family(packed), prefix, flags, 0, index), ends)


def family(packed: bytes) -> int:
    return socket.AF_INET6 if len(packed) == 16 else socket.AF_INET


def route(destination: str, gateway: str) -> bytes:
    """Return the request for a route by a gateway, or that replaces one. destination: a network, or "default"."""
    by = ipaddress.ip_address(gateway).packed
    prefix, to = 0, []
    if destination != "default":
        network = ipaddress.ip_network(destination)
        prefix, to = network.prefixlen, [attribute(1, network.network_address.packed)]  # RTA_DST
    body = struct.pack("=BBBBBBBBI", family(by), prefix, 0, 0, MAIN, STATIC, 0, UNICAST, 0)
    return request(NEWROUTE, CREATE | REPLACE, body, [*to, attribute(5, by)])  # RTA_GATEWAY


def silence(kind: int, protocol: int, delete: bool = False) -> bytes:
    """Return the request for a rule that drops what this host itself sends of an IP protocol (ip-rule(8))."""
    body = struct.pack("=BBBBBBBBI", kind, 0, 0, 0, 0, 0, 0, BLACKHOLE, 0)
    # FRA_PRIORITY, FRA_IIFNAME and FRA_IP_PROTO: linux/fib_rules.h
    which = [attribute(6, 1), attribute(3, "lo"), attribute(22, struct.pack("=B", protocol))]
    return request(DELRULE if delete else NEWRULE, 0 if delete else CREATE | EXCLUSIVE, body, which)


class Kernel:
    """A routing socket of the network namespace in which it was made, used in a `with` block."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)

    def __enter__(self) -> "Kernel":
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def send(self, *requests: bytes) -> None:
        """Do what the requests say, in their order; raises the first one's OSError that cannot be done.

        The kernel works at them while they are sent, and answers only those that it refuses.
        """
        for start in range(0, len(requests), 100):  # the kernel copies it all at once: not too much of it
            self._socket.send(b"".join(requests[start : start + 100]))
            refusals = []
            while True:
                try:
                    refusals.append(self._socket.recv(LONGEST, socket.MSG_DONTWAIT))
                except BlockingIOError:
                    break
            for code in (-struct.unpack_from("=i", answer, 16)[0] for answer in refusals):
                if code:
                    raise OSError(code, os.strerror(code))

    def links(self, *indexes: int) -> dict[int, tuple[str, int, int | None]]:
        """Return {index: (name, operstate, state of a bridge's port or None)} of some links, without indexes of all."""
        if not indexes:
            self._socket.send(request(GETLINK, DUMP, header(0, False)))
            return self._answers(None)
        found = {}
        for start in range(0, len(indexes), 16):  # the answers fit into the socket's queue
            some = indexes[start : start + 16]
            self._socket.send(b"".join(request(GETLINK, 0, header(index, False)) for index in some))
            found |= self._answers(len(some))
        return found

    def _answers(self, count):
        """Read the answers about links: `count` of them, or None: to the end of a dump."""
        found = {}
        while len(found) != count:
            answer, at = self._socket.recv(LONGEST), 0
            while at < len(answer):
                length, kind = struct.unpack_from("=IH", answer, at)
                if kind == DONE:
                    return found
                if kind == ERROR:
                    code = -struct.unpack_from("=i", answer, at + 16)[0]
                    raise OSError(code, os.strerror(code))
                index = struct.unpack_from("=i", answer, at + 20)[0]
                found[index] = link_state(parsed(answer[at + 32 : at + length]))
                at += (length + 3) & ~3
        return found


def link_state(parts: dict[int, bytes]) -> tuple[str, int, int | None]:
    """Return (name, operstate, state of a bridge's port or None) of a link, from its attributes."""
    info = parsed(parts.get(NAMES["info"], b""))
    state = parsed(info.get(PORT_DATA, b"")).get(1)  # IFLA_BRPORT_STATE
    name = parts[NAMES["name"]].rstrip(b"\0").decode()
    return name, parts.get(NAMES["operstate"], b"\0")[0], state and state[0]


def parsed(data: bytes) -> dict[int, bytes]:
    """Return {number: value} of a row of attributes."""
    found, at = {}, 0
    while at + 4 <= len(data):
        length, number = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[number & 0x3FFF] = data[at + 4 : at + length]  # without the flag of nested ones
        at += (length + 3) & ~3
    return found
