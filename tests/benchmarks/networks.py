"""The networks that `udplab.lan` is compared with, built from its own plans.

    /usr/bin/python3 networks.py {ip,batch,mininet}

reads a plan on each line of stdin (JSON), builds that network, measures in it, takes it down, and prints what it
measured. It runs in namespaces of its own (unshare(1)) and with Debian's Python, which has Mininet: so it imports
nothing of udplab, and `ctypes` stands in for os.setns().
"""

import contextlib
import ctypes
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time

PORT = 1060
SWITCH = "switch0"


def commands(plan):
    """Return what builds a plan as lists of words for ip(8): one namespace a host, one veth pair a link."""
    hosts, lines = plan["hosts"], []
    spaces = [host["name"] for host in hosts] + ([SWITCH] if plan["switched"] else [])
    for space in spaces:
        lines.append(["netns", "add", space])
    if plan["switched"]:
        lines.append(["-n", SWITCH, "link", "add", SWITCH, "type", "bridge", "forward_delay", "0"])
        lines.append(["-n", SWITCH, "link", "set", SWITCH, "up"])
    ends = {}
    for host in hosts:
        for interface in host["interfaces"]:
            ends.setdefault(interface["link"], []).append((host["name"], interface["name"]))
    for link in ends.values():
        if plan["switched"]:
            for number, (space, name) in enumerate(link):
                port = f"port{number}"
                lines.append(["link", "add", name, "netns", space, "type", "veth", "peer", port, "netns", SWITCH])
                lines.append(["-n", SWITCH, "link", "set", port, "master", SWITCH, "up"])
        else:
            (one, near), (other, far) = link
            lines.append(["link", "add", near, "netns", one, "type", "veth", "peer", far, "netns", other])
    for host in hosts:
        here = ["-n", host["name"]]
        for interface in host["interfaces"]:
            address, name = f"{interface['address']}/{interface['prefix']}", interface["name"]
            lines.append([*here, "addr", "add", address, "dev", name])
            lines.append([*here, "link", "set", name, "up"])
        for destination, router in host["routes"]:
            lines.append([*here, "route", "add", destination, "via", router])
    return lines


def shell(lines):
    subprocess.run(["sh", "-e"], input="\n".join(" ".join(words) for words in lines), text=True, check=True)


class Commands:
    """A network made by a shell script with a command for each step."""

    def __init__(self, plan):
        self.plan = plan

    def build(self):
        shell([["ip", *words] for words in commands(self.plan)] + self.forwarding())

    def forwarding(self):
        routers = [host["name"] for host in self.plan["hosts"] if host["forwards"]]
        return [["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.ip_forward=1"] for name in routers]

    def close(self):
        spaces = [host["name"] for host in self.plan["hosts"]] + ([SWITCH] if self.plan["switched"] else [])
        shell([["ip", "netns", "delete", space] for space in spaces])

    def namespace(self, name):
        return f"/run/netns/{name}"


class Batch(Commands):
    """The same with `ip -batch`: one process for all steps but those in a namespace, which need one each."""

    def build(self):
        spaces = {}
        for words in commands(self.plan):
            space, rest = (words[1], words[2:]) if words[0] == "-n" else ("", words)
            spaces.setdefault(space, []).append(" ".join(rest))
        for space, lines in sorted(spaces.items()):
            within = ["-n", space] if space else []
            subprocess.run(["ip", *within, "-batch", "-"], input="\n".join(lines), text=True, check=True)
        shell(self.forwarding())

    def close(self):
        lines = [f"netns delete {host['name']}" for host in self.plan["hosts"]]
        lines += [f"netns delete {SWITCH}"] if self.plan["switched"] else []
        subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)


class Mininet:
    """The same with Mininet: no controller, Linux' own bridge as the switch, static routes."""

    def __init__(self, plan):
        self.plan = plan

    def build(self):
        from mininet.net import Mininet as Network
        from mininet.nodelib import LinuxBridge

        self.network = Network(controller=None, switch=LinuxBridge, waitConnected=False)
        links = {}
        self.nodes = {}
        for number, host in enumerate(self.plan["hosts"]):
            node = self.network.addHost(f"h{number}", ip=None)  # an interface's name starts with its host's
            self.nodes[host["name"]] = node
            for interface in host["interfaces"]:
                links.setdefault(interface["link"], []).append((node, interface))
        for ends in links.values():
            if self.plan["switched"]:
                switch = self.network.addSwitch("s1")
                for node, interface in ends:
                    self.network.addLink(node, switch, params1={"ip": f"{interface['address']}/{interface['prefix']}"})
            else:
                (one, near), (other, far) = ends
                addresses = [{"ip": f"{end['address']}/{end['prefix']}"} for end in (near, far)]
                self.network.addLink(one, other, params1=addresses[0], params2=addresses[1])
        self.network.start()
        for host in self.plan["hosts"]:
            node = self.nodes[host["name"]]
            if host["forwards"]:
                node.cmd("sysctl -qw net.ipv4.ip_forward=1")
            for destination, router in host["routes"]:
                node.cmd(f"ip route add {destination} via {router}")

    def close(self):
        self.network.stop()

    def namespace(self, name):
        return f"/proc/{self.nodes[name].pid}/ns/net"


def socket_in(namespace):
    """Return a UDP socket that lives in a network namespace, given by its path (setns(2))."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as home, open(namespace) as away:
        for step in (away, home):
            if step is home:
                made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            if libc.setns(step.fileno(), 0):
                raise OSError(ctypes.get_errno(), "setns")
    return made


def round_trip(client, server, address, count):
    """Return the median of `count` round trips between two sockets, in seconds; `address`: the server's."""
    server.bind(("", PORT))

    def echo():
        for _ in range(count):
            server.sendto(*server.recvfrom(2048))

    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # where client and server run must be the same for all networks
    thread = threading.Thread(target=echo)
    thread.start()
    client.settimeout(5)
    client.connect((address, PORT))
    times = []
    for _ in range(count):
        sent = time.perf_counter()
        client.send(bytes(32))
        client.recv(2048)
        times.append(time.perf_counter() - sent)
    thread.join()
    os.sched_setaffinity(0, cores)
    return statistics.median(times)


def memory():
    """Return the bytes of this process's children and of the kernel's own now: proc(5), smaps_rollup and meminfo."""
    processes = 0
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):  # it has ended
            if entry.isdecimal() and descends(entry):
                with open(f"/proc/{entry}/smaps_rollup") as rollup:
                    processes += sum(1024 * int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    with open("/proc/meminfo") as meminfo:
        kinds = ("Slab:", "Percpu:", "KernelStack:", "PageTables:")
        kernel = sum(1024 * int(line.split()[1]) for line in meminfo if line.startswith(kinds))
    return {"processes": processes, "kernel": kernel}


def descends(pid):
    """Return whether a process is this one's child, or a child of one."""
    while pid not in ("0", "1"):
        with open(f"/proc/{pid}/stat") as stat:
            pid = stat.read().rpartition(")")[2].split()[1]
        if int(pid) == os.getpid():
            return True
    return False


def serve(kind):
    """Answer each plan on stdin."""
    for line in sys.stdin:
        plan = json.loads(line)
        before = memory()
        network = kind(plan)
        start = time.perf_counter()
        network.build()
        built = time.perf_counter()
        result = {"build": built - start} | {name: after - before[name] for name, after in memory().items()}
        first, last = plan["hosts"][0], plan["hosts"][-1]
        with (
            socket_in(network.namespace(first["name"])) as client,
            socket_in(network.namespace(last["name"])) as server,
        ):
            result["trip"] = round_trip(client, server, last["interfaces"][0]["address"], plan["trips"])
        start = time.perf_counter()
        network.close()
        result["close"] = time.perf_counter() - start
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)  # where `ip netns` keeps its names
    serve({"ip": Commands, "batch": Batch, "mininet": Mininet}[sys.argv[1]])
