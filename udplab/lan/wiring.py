"""How the helper cuts a link of a running network open and lays a wire of `carrier.py` into it."""

from udplab.lan import carrier, netlink
from udplab.lan.building import (
    BRIDGES,
    CLONE_NEWNET,
    FIRST,
    SWITCH,
    addresses,
    namespace_call,
    new_namespace,
    port,
    routes,
    veth_end,
    wait_for_ipv6,
    wait_until_up,
)
from udplab.lan.netlink import Kernel

WIRES = "\n"  # the namespace of the wires, a name that no host can have
FARS = 30_000  # the first index of an interface there that was not an end of a link before


def lay_wire(network, hosts, switched, host, interface, number):
    """Lay a wire at a host's interface; returns (its process, control, log).

    network: {name: namespace}; hosts: the plan; host, interface: names; number: no two wires have the same.
    The host's own interface stays, with all that is bound to it. The link's other end goes to the wire, and a new one
    takes its place: on a path, what was bound to the other host's interface (a capture, a membership) is lost.
    """
    if WIRES not in network:
        network[WIRES] = new_namespace(forwards=False, silent=True)
    [link] = [each["link"] for other in hosts for each in other["interfaces"] if belongs(other, each, host, interface)]
    ends = [(other, each) for other in hosts for each in other["interfaces"] if each["link"] == link]
    [place] = [place for place, end in enumerate(ends) if belongs(*end, host, interface)]
    near, far = f"near{number}", f"far{number}"
    mine, other = ends[place], ends[1 - place] if not switched else None
    if switched:
        away, (name, index) = network[SWITCH], port(link, place)
        end = {"name": name, "mtu": mine[1]["mtu"], "namespace": away}
    else:
        away, index = network[other[0]["name"]], FIRST + other[0]["interfaces"].index(other[1])
        end = veth_end(away, other[1])
    namespace_call("setns", away, CLONE_NEWNET)
    with Kernel() as kernel:
        kernel.send(netlink.change(index, up=False, name=near, namespace=network[WIRES]))
    namespace_call("setns", network[WIRES], CLONE_NEWNET)
    with Kernel() as wires:
        [moved] = [each for each, (name, *_) in wires.links().items() if name == near]
        wires.send(netlink.veth({"name": far, "mtu": mine[1]["mtu"]}, FARS + number, end, index), netlink.change(moved))
        namespace_call("setns", away, CLONE_NEWNET)
        with Kernel() as kernel:
            kernel.send(*([netlink.change(index, master=BRIDGES + link)] if switched else restored(index, *other)))
            wait_until_up(kernel, [index])
        wait_for_ipv6([] if switched else [other[1]])
        wait_until_up(wires, [moved, FARS + number])
    namespace_call("setns", network[host], CLONE_NEWNET)
    with Kernel() as kernel:
        wait_until_up(kernel, [FIRST + mine[0]["interfaces"].index(mine[1])])
    namespace_call("setns", network[WIRES], CLONE_NEWNET)
    return carrier.start(near, far)


def belongs(host, interface, wanted, name):
    return host["name"] == wanted and interface["name"] == name


def restored(index, host, interface):
    """Return the requests that give a host's new interface the addresses and routes of the old one."""
    return [*addresses(index, interface), *(netlink.route(*each) for each in routes(host))]
