"""Part 3: `udplab.lan` against Mininet and ip(8)."""

import contextlib
import json
import shutil
import subprocess
import time
from dataclasses import asdict

from udplab import lan
from udplab.lan.plan import plan_path, plan_switch

from . import networks
from .rounds import compare, interleaved, megabytes, seconds
from .workers import HERE, worker

TITLE = "A LAN in namespaces"
PYTHON = "/usr/bin/python3"  # the system's: Debian's package of Mininet is for that one
RIVALS = {"mininet": "Mininet", "ip": "a script of `ip`", "batch": "`ip -batch`"}
GOALS = {"`ip -batch`": ("at most", 1.0), "Mininet": ("at most", 0.25)}  # of building; ours has IPv6, theirs has not
TRIPS = 500
LINKS, HOSTS, ROUTERS = (2, 32), (2, 100), (1, 16)  # the smallest and the largest


def measure():
    idle = networks.memory()["processes"]
    if reason := lan.unavailable():
        yield f"This machine has no LAN: {reason}."
        return
    helper = networks.memory()["processes"] - idle
    yield f"The helper process of `udplab.lan`, which all networks share, takes {megabytes(helper)}."
    with contextlib.ExitStack() as stack:
        stack.callback(lan.stop)
        makers = {"udplab": ours}
        for kind, name in RIVALS.items():
            if why := missing(kind):
                yield f"{name} is left out: {why}."
            else:
                makers[name] = rival(stack.enter_context(worker(*command(kind))))
        for links in LINKS:
            yield from compared(built(makers, path(links)), "build", f"build a chain of {links} links")
        for hosts in HOSTS:
            results = built(makers, switch(hosts))
            yield from compared(results, "build", f"build a switch with {hosts} hosts")
        yield from compared(results, "close", f"take the {hosts} hosts down")
        yield from compared(results, "processes", f"memory of processes for {hosts} hosts", megabytes)
        yield from compared(results, "kernel", f"memory of the kernel for {hosts} hosts", megabytes)
        near, far = (built(makers, path(routers + 1)) for routers in ROUTERS)
        yield from compared(near, "trip", f"round trip through {ROUTERS[0]} router")
        yield from compared(far, "trip", f"round trip through {ROUTERS[1]} routers")


def built(makers, plan):
    """Build a plan with each maker in turn; return {name: [what was measured in each round]}."""
    return interleaved({name: lambda build=build: after_a_rest(build, plan) for name, build in makers.items()})


def compared(results, key, what, unit=seconds):
    """Yield a line for each rival about one thing that was measured.

    The two kinds of `ip` differ only in how they build. And they have no processes.
    """
    others = {"build": {"Mininet", "a script of `ip`", "`ip -batch`"}, "processes": {"Mininet"}}
    chosen = others.get(key, {"Mininet", "a script of `ip`"}) | {"udplab"}
    values = {name: [each[key] for each in rounds] for name, rounds in results.items() if name in chosen}
    yield from compare(values, "udplab", unit, GOALS if key == "build" else {}, f"{what}: {{}}")


def path(links):
    return plan_path([1500] * links), False


def switch(hosts):
    return plan_switch([f"host{number}" for number in range(1, hosts + 1)]), True


def ours(plan):
    """Build a network with `udplab.lan`, measure it and take it down: what `networks.serve` does with the others."""
    hosts, switched = plan
    before = networks.memory()
    start = time.perf_counter()
    net = lan.Network(hosts, switched)
    built = time.perf_counter()
    after = networks.memory()
    last = net[hosts[-1].name]
    trip = networks.round_trip(net[hosts[0].name].socket(), last.socket(), last.interfaces[0].address, TRIPS)
    closing = time.perf_counter()
    net.close()
    closed = time.perf_counter()
    grown = {kind: after[kind] - before[kind] for kind in before}
    return {"build": built - start, "trip": trip, "close": closed - closing} | grown


def command(kind):
    """Return the command for a process that builds networks of another kind, away from the machine's own network."""
    alone = ("unshare", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
    return (*alone, PYTHON, HERE / "networks.py", kind)


def missing(kind):
    """Return why networks of this kind cannot be built here, or ""."""
    programs = ("mnexec", "brctl", "ifconfig") if kind == "mininet" else ("ip",)
    absent = [program for program in (PYTHON, "unshare", *programs) if shutil.which(program) is None]
    if absent:
        return f"{', '.join(absent)} not found"
    if kind == "mininet" and subprocess.run([PYTHON, "-c", "import mininet"], stderr=subprocess.DEVNULL).returncode:
        return f"{PYTHON} has no module mininet"
    return ""


def rival(ask):
    def build(plan):
        hosts, switched = plan
        return json.loads(ask(json.dumps({"hosts": list(map(asdict, hosts)), "switched": switched, "trips": TRIPS})))

    return build


def after_a_rest(build, plan):
    """Build after the kernel has had time to remove the network before, which it does later, by itself."""
    time.sleep(0.1 + 0.004 * len(plan[0]))
    return build(plan)
