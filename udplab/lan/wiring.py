"""How the helper cuts a link of a running network open and lays a wire of `carrier.py` into it."""

from udplab.lan import carrier
from udplab.lan.building import (
    CLONE_NEWNET,
    SWITCH,
    configure_interface,
    iproute,
    namespace_call,
    new_namespace,
    port_name,
    veth_end,
    wait_for_link_local,
    wait_until_up,
)

WIRES = "\n"  # the namespace of the wires, a name that no host can have


def lay_wire(network, hosts, switched, host, interface, number):
    """Lay a wire at a host's interface; returns (its process, control, log) and the new {host: {interface: index}}.

    network: {name: namespace}; hosts: the plan; host, interface: names; number: no two wires have the same.
    The host's own interface stays, with all that is bound to it. The link's other end goes to the wire, and a new one
    takes its place: on a path, what was bound to the other host's interface (a capture, a membership) is lost.
    """
    if WIRES not in network:
        network[WIRES] = new_namespace(forwards=False, silent=True)
    [link] = [each["link"] for other in hosts for each in other["interfaces"] if belongs(other, each, host, interface)]
    ends = [(other, each) for other in hosts for each in other["interfaces"] if each["link"] == link]
    [place] = [place for place, end in enumerate(ends) if belongs(*end, host, interface)]
    near, far, mtu = f"near{number}", f"far{number}", ends[place][1]["mtu"]
    if switched:
        away, name = network[SWITCH], port_name(link, place)
        end = {"ifname": name, "mtu": mtu, "net_ns_fd": away}
    else:
        other, lost = ends[1 - place]
        away, name = network[other["name"]], lost["name"]
        end = veth_end(away, lost)
    take_end(away, name, network[WIRES], near)
    namespace_call("setns", network[WIRES], CLONE_NEWNET)
    with iproute() as ip:
        ip.link("add", kind="veth", ifname=far, mtu=mtu, peer=end)
        indexes = [ip.link_lookup(ifname=each)[0] for each in (near, far)]
        for index in indexes:
            ip.link("set", index=index, state="up")
        new = give_end(away, name, link) if switched else {other["name"]: restore(away, other, lost)}
        namespace_call("setns", network[WIRES], CLONE_NEWNET)
        wait_until_up(ip, indexes)
        started = carrier.start(near, far)
    namespace_call("setns", network[host], CLONE_NEWNET)
    with iproute() as ip:
        wait_until_up(ip, ip.link_lookup(ifname=interface))
    return started, new


def belongs(host, interface, wanted, name):
    return host["name"] == wanted and interface["name"] == name


def take_end(namespace, name, wires, near):
    """Move a link's end to the namespace of the wires, under another name."""
    namespace_call("setns", namespace, CLONE_NEWNET)
    with iproute() as ip:
        ip.link("set", index=ip.link_lookup(ifname=name)[0], ifname=near, net_ns_fd=wires)


def give_end(namespace, name, link):
    """Make the new end of a link to a switch a port of it."""
    namespace_call("setns", namespace, CLONE_NEWNET)
    with iproute() as ip:
        index = ip.link_lookup(ifname=name)[0]
        ip.link("set", index=index, master=ip.link_lookup(ifname=f"switch{link}")[0], state="up")
        wait_until_up(ip, [index])
    return {}


def restore(namespace, host, interface):
    """Give a host's new interface the addresses and routes of the old one; returns {interface: index}."""
    namespace_call("setns", namespace, CLONE_NEWNET)
    with iproute() as ip:
        index = ip.link_lookup(ifname=interface["name"])[0]
        configure_interface(ip, index, interface)
        wait_until_up(ip, [index])
        for destination, router in host["routes"]:
            ip.route("replace", dst=destination, gateway=router)
    wait_for_link_local([interface["name"]] if interface["mtu"] >= 1280 else [])
    return {interface["name"]: index}
