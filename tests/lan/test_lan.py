"""Tests of udplab.lan: plan and reasons everywhere, the network itself where namespaces can be made.

And the lessons that need it, where it cannot be had.
"""

import contextlib
import errno
import gc
import json
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machines import files, has_let_go, needs_lan
from scripted import interrupt_at

from udplab import lan
from udplab.kit.server import Server
from udplab.lan import reasons
from udplab.lan.plan import plan_path, plan_switch

PORT = 1060
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_RECVERR, IP_MTU, MSG_ERRQUEUE = 10, 2, 11, 14, 0x2000  # Linux, ip(7)
REPO = Path(__file__).parents[2]
APPARMOR = "kernel/apparmor_restrict_unprivileged_userns"
# A socket of a network may be dropped here without closing it: Network.close() does that.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def receiver(host, address=""):
    sock = host.socket()
    sock.bind((address, PORT))
    sock.settimeout(20)
    return sock


def heard(sock):
    """What has already arrived: [] where nothing has."""
    found = []
    while select.select([sock], [], [], 0)[0]:
        found.append(sock.recv(65535))
    return found


def settle(host):
    """Wait, by event, until everything sent has arrived."""
    with host.capture():
        pass


def scapy_packets(seen):
    """The captured frames as scapy reads them."""
    import scapy.layers.inet
    import scapy.layers.inet6  # noqa: F401  it knows only the layers that are imported
    from scapy.layers.l2 import Ether

    return [Ether(frame.data) for frame in seen.frames]


def df_client(net):
    sock = net["client"].socket()
    sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
    sock.connect((net["server"].address, PORT))
    return sock


def python(code, **how):
    """Start Python on some code that can import udplab; stdin and stdout are pipes."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", code], **pipes, cwd=REPO, **how)


def gone(pid):
    """Wait on a pidfd until the process has ended; True when it has."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], 30)[0])
    finally:
        os.close(fd)


# ---- Everywhere: plan and reasons ----


def test_plan_of_a_switch():
    alice, bob, dave, router = plan_switch(("alice", "bob"), ("dave",), ("bob",))
    assert [h.interfaces[0].address for h in (alice, bob, dave)] == ["10.0.0.1", "10.0.0.2", "10.0.1.1"]
    assert alice.routes == (("default", "10.0.0.254"),) and bob.routes == bob.routes6 == ()
    assert dave.routes == (("default", "10.0.1.254"),) and dave.routes6 == (("default", "fd75:6470:6c61:1::fe"),)
    assert [i.address for i in router.interfaces] == ["10.0.0.254", "10.0.1.254"] and router.forwards
    assert alice.interfaces[0].broadcast == "10.0.0.255" and alice.interfaces[0].mac == "02:00:0a:00:00:01"
    assert alice.interfaces[0].link_local == "fe80::aff:fe00:1"


def test_a_narrow_link_carries_no_ipv6():
    client, router, server = plan_path((1279, 1280))
    assert client.interfaces[0].address6 is None and server.interfaces[0].address6 == "fd75:6470:6c61:2::2"
    assert client.routes6 == () and router.routes6 == (("default", "fd75:6470:6c61:2::2"),)


def test_a_switch_alone_has_no_routes():
    assert all(not host.routes and not host.forwards for host in plan_switch(("a", "b")))


def test_plan_of_a_path():
    client, one, two, server = plan_path((1500, 1400, 1280))
    assert [i.address for i in one.interfaces] == ["10.0.1.2", "10.0.2.1"]
    assert [i.mtu for i in two.interfaces] == [1400, 1280]
    assert two.routes == (("default", "10.0.3.2"), ("10.0.1.0/24", "10.0.2.1"))
    assert two.routes6 == (("default", "fd75:6470:6c61:3::2"), ("fd75:6470:6c61:1::/64", "fd75:6470:6c61:2::1"))
    assert server.routes == (("default", "10.0.3.1"),) and client.routes == (("default", "10.0.1.2"),)
    assert server.routes6 == (("default", "fd75:6470:6c61:3::1"),)
    assert client.routes6 == (("default", "fd75:6470:6c61:1::2"),)
    assert [each.address6 for each in two.interfaces] == ["fd75:6470:6c61:2::2", "fd75:6470:6c61:3::1"]
    assert [h.forwards for h in (client, one, two, server)] == [False, True, True, False]


def test_links_of_a_path_are_given_one_by_one_or_as_a_list():
    assert plan_path((1500, 1400)) == plan_path(([1500, 1400],)) == plan_path(((1500, 1400),))


@given(st.lists(st.integers(68, 65535), min_size=1, max_size=64))
def test_any_path_has_each_address_once_and_each_link_two_ends(mtus):
    ends = [each for host in plan_path(mtus) for each in host.interfaces]
    assert len({each.address for each in ends}) == len({each.mac for each in ends}) == 2 * len(mtus)
    assert sorted(each.link for each in ends) == sorted([*range(1, len(mtus) + 1)] * 2)
    assert all(each.mtu == mtus[each.link - 1] for each in ends)


@given(st.integers(1, 253), st.integers(0, 253), st.data())
def test_any_switch_has_each_address_once_and_a_router_where_there_are_two_subnets(near, far, data):
    names, beyond = [f"near{number}" for number in range(near)], [f"far{number}" for number in range(far)]
    stray = data.draw(st.lists(st.sampled_from(names + beyond), unique=True, max_size=5))
    plan = plan_switch(names, beyond, stray)
    ends = [each for host in plan for each in host.interfaces]
    assert len({each.address for each in ends}) == len(ends) == near + far + (2 if far else 0)
    assert [host.name for host in plan if host.forwards] == (["router"] if far else [])
    routed = {host.name for host in plan if host.routes}
    assert routed == ({*names, *beyond} - set(stray) if far else set())


@pytest.mark.parametrize(
    "plan",
    [
        lambda: plan_switch(()),
        lambda: plan_switch(("a", "a")),
        lambda: plan_switch(("",)),
        lambda: plan_switch(("router",), ("dave",)),
        lambda: plan_switch(("a",), (), ("b",)),
        lambda: plan_switch(tuple(map(str, range(254)))),
        lambda: plan_path(()),
        lambda: plan_path((1500,) * 65),
        lambda: plan_path((67,)),
        lambda: plan_path((1500, 65536)),
        lambda: plan_path((1500.0,)),
        lambda: plan_path(([1500, 67],)),
        lambda: plan_path(([],)),
    ],
)
def test_plans_that_cannot_be(plan):
    with pytest.raises(ValueError):
        plan()


@pytest.mark.parametrize("platform", ["darwin", "win32", "freebsd14"])
def test_not_linux(monkeypatch, platform):
    """The reason comes before anything that these systems do not have."""
    lan.stop()
    monkeypatch.setattr(sys, "platform", platform)
    for name in ("AF_UNIX", "SOCK_SEQPACKET", "socketpair", "send_fds"):
        monkeypatch.delattr(socket, name, raising=False)
    assert platform in lan.unavailable()
    with pytest.raises(lan.LanError, match=platform):
        lan.switch("alice")


def namespaces_can_be_made():
    """Ask somebody else than the LAN: a shell in namespaces of its own that sets a sysctl."""
    command = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward"]
    with contextlib.suppress(FileNotFoundError):
        return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
    return False


@pytest.mark.skipif(not namespaces_can_be_made(), reason="this machine makes no namespaces, or has no unshare(1)")
def test_where_namespaces_can_be_made_there_is_a_lan():
    """All tests of networks are skipped where there is none: a LAN that is broken must not look like that."""
    assert lan.unavailable() is None


@pytest.mark.parametrize("wrong", [{"beyond": "dave"}, {"beyond": ("dave",), "stray": "dave"}])
def test_names_are_lists(wrong):
    with pytest.raises(ValueError, match="lists of names"):
        plan_switch(("alice",), **wrong)
    with pytest.raises(ValueError, match="a host's name is a text"):
        plan_switch((["alice", "bob"],))


def test_without_pidfd(monkeypatch):
    lan.stop()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    assert "did not start" in lan.unavailable()


@pytest.mark.parametrize("problem", [OSError("not supported"), AttributeError("no attribute 'AF_UNIX'")])
def test_without_a_socket_to_the_helper(monkeypatch, problem):
    def refuse(*_):
        raise problem

    lan.stop()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(socket, "socketpair", refuse)
    assert lan.unavailable() == f"the LAN's helper process did not start: {problem}"


@pytest.mark.skipif(sys.platform != "linux", reason="the sockets to the helper are of a kind that others lack")
def test_a_helper_that_has_gone_is_told(monkeypatch):
    """Fault 33 without a network: the other end of its socket answers once, and closes."""
    kept = []

    def answer_once(theirs):
        kept.append(theirs.dup())
        kept[0].send(json.dumps({"number": 1, "passed": 0, "ipv6": True, "indexes": {"alice": {"eth0": 2}}}).encode())

    monkeypatch.setattr(lan.process, "hand_over", answer_once)
    monkeypatch.setattr(lan.process, "unavailable", lambda: None)
    with lan.switch("alice") as net:
        kept[0].close()
        with pytest.raises(lan.LanError, match="helper process has ended"):
            net["alice"].socket()


@pytest.mark.parametrize(
    ("step", "code", "files", "words"),
    [
        (
            "user",
            errno.ENOSPC,
            {"user/max_user_namespaces": "0\n"},
            "forbidden here: sysctl user.max_user_namespaces is 0",
        ),
        ("net", errno.ENOSPC, {"user/max_net_namespaces": "0\n"}, "sudo sysctl user.max_net_namespaces=10000"),
        ("another net", errno.ENOSPC, {"user/max_net_namespaces": "1\n"}, "as this system allows: sysctl user.max_net"),
        ("user", errno.ENOSPC, {"user/max_user_namespaces": "9\n"}, "sudo sysctl user.max_user_namespaces=1018"),
        (
            "user",
            errno.EPERM,
            {"kernel/unprivileged_userns_clone": "0"},
            "sudo sysctl kernel.unprivileged_userns_clone=1",
        ),
        ("uid_map", errno.EPERM, {APPARMOR: "1"}, "AppArmor forbids user namespaces: sysctl kernel.apparmor_res"),
        ("user", errno.EACCES, {APPARMOR: "1"}, "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
        ("user", errno.EINVAL, {APPARMOR: "1"}, "step user: Invalid argument"),
        ("user", errno.EPERM, {APPARMOR: "0"}, "step user: Operation not permitted"),
        ("user", errno.EPERM, {"/proc/self/status": "Name:\tx\nSeccomp:\t2\n"}, "--security-opt seccomp=unconfined"),
        ("user", errno.EINVAL, {"/proc/self/status": "Name:\tx\nSeccomp:\t2\n"}, "step user: Invalid argument"),
        (
            "sysctl",
            errno.EROFS,
            {},
            "/proc/sys/net cannot be written here, as in some containers (Read-only file system; D",
        ),
        ("bridge", errno.EOPNOTSUPP, {}, "this kernel has no bridges"),
        ("veth", errno.EOPNOTSUPP, {}, "this kernel has no veth pairs"),
        ("packet", errno.EPERM, {}, "packet sockets are refused here"),
        ("user", errno.EINVAL, {}, "Invalid argument"),
    ],
)
def test_reasons(step, code, files, words):
    """The cause is named where the errno shows it, with what to do about it, in one line."""
    texts = {path if path.startswith("/") else f"/proc/sys/{path}": text for path, text in files.items()}
    said = reasons.refusal(step, code, lambda path: texts.get(path, ""))
    assert words in said and "\n" not in said


@pytest.mark.parametrize(
    ("operation", "code", "files", "words"),
    [
        ("build", errno.ENOSPC, {"/proc/sys/user/max_net_namespaces": "90"}, "sysctl user.max_net_namespaces is 90"),
        ("program", errno.ENOSPC, {"/proc/sys/user/max_pid_namespaces": "90"}, "sysctl user.max_pid_namespaces is 90"),
        ("build", errno.EMFILE, {}, "no file descriptor left"),
        ("wire", errno.ENFILE, {}, "fs.file-max"),
        ("build", errno.ENOBUFS, {}, "could not do it (build): OSError: some words"),
        ("loss", None, {}, "could not do it (loss): OSError: some words"),
    ],
)
def test_what_fails_later_is_said(operation, code, files, words):
    assert words in reasons.failure(operation, code, "OSError: some words", lambda path: files.get(path, ""))


@pytest.mark.skipif(sys.platform != "linux", reason="only there can a program choose its CPU")
def test_a_cpu_that_cannot_be_chosen(monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(lan.process, "_helper", lambda: None)
    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    assert "does not let a program choose its CPU" in lan.unavailable()


def test_import_takes_the_standard_library_only():
    """-S: no site-packages, so anything else is an ImportError."""
    assert subprocess.run([sys.executable, "-S", "-c", "import udplab.lan"], cwd=REPO).returncode == 0


# ---- Where namespaces are forbidden, for real ----

FORBID_BY_SYSCTL = """
from udplab import lan
from udplab.lan import helper
from pathlib import Path
assert helper.enter_namespaces() is None
Path("/proc/sys/user/max_%s_namespaces").write_text("%d")  # in the new user namespace only
print(lan.unavailable())
"""
FORBID_BY_SECCOMP = """
import ctypes, errno, struct
from udplab import lan
SYSCALL, FIRST = {"x86_64": %s, "aarch64": %s}[__import__("platform").machine()], %s
program = struct.pack("HBBI" * 6, 0x20, 0, 0, 0, 0x15, 0, 3, SYSCALL, 0x20, 0, 0, 16, 0x15, 0, 1, FIRST,
                      6, 0, 0, 0x50000 | errno.EPERM, 6, 0, 0, 0x7FFF0000)
# load the number; if it is the one, load the first argument; if that is, too: errno; else allow (seccomp(2))
code = ctypes.create_string_buffer(program)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, struct.pack("HP", 6, ctypes.addressof(code)), 0, 0) == 0  # PR_SET_SECCOMP
print(lan.unavailable())
"""


@needs_lan
@pytest.mark.parametrize(
    ("code", "words"),
    [
        (FORBID_BY_SYSCTL % ("user", 0), "sysctl user.max_user_namespaces is 0"),
        (FORBID_BY_SYSCTL % ("net", 2), "sysctl user.max_net_namespaces is 2"),
        (
            FORBID_BY_SECCOMP % (272, 97, 0x10000000),
            "a seccomp filter forbids user namespaces",
        ),  # unshare(CLONE_NEWUSER)
        (FORBID_BY_SECCOMP % (41, 198, socket.AF_PACKET), "packet sockets are refused here"),  # socket(AF_PACKET, ...)
        (FORBID_BY_SECCOMP % (203, 122, 0), "does not let a program choose its CPU"),  # sched_setaffinity(0, ...)
    ],
)
def test_forbidden_namespaces(code, words):
    with python(code) as process:
        assert words in process.communicate()[0]
        assert process.returncode == 0


# ---- A switch ----


@needs_lan
def test_unicast_and_broadcast():
    with lan.switch("alice", "bob", "carol") as net:
        hears = [receiver(net[name]) for name in ("bob", "carol")]
        sender = net["alice"].socket()
        sender.sendto(b"one", (net["bob"].address, PORT))
        assert hears[0].recvfrom(9) == (b"one", (net["alice"].address, sender.getsockname()[1]))
        with pytest.raises(PermissionError):
            sender.sendto(b"all", (net["alice"].broadcast, PORT))
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(b"all", (net["alice"].broadcast, PORT))
        assert [sock.recv(9) for sock in hears] == [b"all", b"all"]
        with pytest.raises(OSError) as no_route:
            sender.sendto(b"far", ("255.255.255.255", PORT))
        assert no_route.value.errno == errno.ENETUNREACH
        assert [len(net), repr(net["bob"])] == [3, "<Host bob: eth0 10.0.0.2>"]
        with pytest.raises(KeyError, match="alice, bob, carol"):
            net["dave"]


@needs_lan
def test_second_subnet():
    with lan.switch("alice", "bob", "carol", beyond=("dave",), stray=("carol",)) as net:
        hears = {name: receiver(net[name]) for name in ("alice", "bob", "carol", "dave", "router")}
        sender = net["alice"].socket()
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(b"routed", (net["dave"].address, PORT))
        hears["dave"].sendto(b"back", hears["dave"].recvfrom(99)[1])
        assert sender.recvfrom(99) == (b"back", (net["dave"].address, PORT))
        for address, who in [
            (net["alice"].broadcast, {"alice", "bob", "carol", "router"}),
            ("255.255.255.255", {"alice", "bob", "carol", "router"}),
            (net["dave"].broadcast, {"router"}),  # one of its own addresses: it hears it, and keeps it
        ]:
            sender.sendto(b"x", (address, PORT))
            settle(net["dave"])
            assert {name for name, sock in hears.items() if heard(sock)} == who
        with pytest.raises(OSError) as no_route:
            net["carol"].socket().sendto(b"x", (net["dave"].address, PORT))
        assert no_route.value.errno == errno.ENETUNREACH


@needs_lan
@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="IPv6 is off on this machine")
def test_ipv6_within_beyond_and_to_all():
    with lan.switch("alice", "bob", beyond=("dave",)) as net:
        hears = {}
        for name in ("bob", "dave"):
            hears[name] = net[name].socket(socket.AF_INET6)
            hears[name].bind(("::", PORT))
            hears[name].settimeout(20)
        sender = net["alice"].socket(socket.AF_INET6)
        for here, there, scope in [
            (net["alice"].address6, net["bob"].address6, 0),
            (net["alice"].link_local, net["bob"].link_local, net["alice"].index()),
        ]:
            sender.sendto(b"one", (there, PORT, 0, scope))
            assert hears["bob"].recvfrom(9)[1][0] == here
        sender.sendto(b"far", (net["dave"].address6, PORT))
        assert hears["dave"].recvfrom(9)[:2][0] == b"far"
        sender.sendto(b"all", ("ff02::1", PORT, 0, net["alice"].index()))
        assert hears["bob"].recv(9) == b"all"
        settle(net["dave"])
        assert heard(hears["dave"]) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only there networks are built")
def test_which_ipv6_addresses_are_usable():
    from udplab.lan import building

    address = "fe800000000000000000000000000001 02 40 20"
    table = "".join(f"{address} {flags} {name}\n" for flags, name in [("80", "eth0"), ("80", "eth0"), ("80", "eth1")])
    table += f"{address} c0 eth2\n{address} 80 eth2\n{address} 80     lo\n"
    assert building.usable(table) == {"eth0"} and building.usable("") == set()


@pytest.mark.skipif(sys.platform != "linux", reason="only there networks are built")
def test_who_waits_for_ipv6_addresses(monkeypatch):
    """Not where a link carries no IPv6, nor where this kernel has none; otherwise until the last one is there."""
    from udplab.lan import building

    local, ours = "f 02 40 20 80 {0}\n", "f 02 40 00 {1} {0}\n"
    ready = "".join((local + ours).format(name, "82") for name in ("eth0", "eth1"))
    tables = [local.format("eth0"), ready.replace("82 eth1", "c2 eth1"), ready]
    monkeypatch.setattr(building, "Path", lambda path: mock.Mock(read_text=lambda: tables.pop(0)))
    monkeypatch.setattr(building, "HAS_IPV6", False)
    links = [{"name": name, "address6": "fd75::1" if name != "eth2" else None} for name in ("eth0", "eth1", "eth2")]
    building.wait_for_ipv6(links)
    monkeypatch.setattr(building, "HAS_IPV6", True)
    building.wait_for_ipv6(links[2:])
    assert len(tables) == 3
    building.wait_for_ipv6(links)
    assert tables == []


@needs_lan
def test_checksums_are_right_in_a_capture():
    with lan.switch("alice", "bob") as net, net["bob"].capture() as seen:
        net["alice"].socket().sendto(b"hello", (net["bob"].address, PORT))
        packet = next(p for p in scapy_packets(seen) if "UDP" in p)
        given = packet["UDP"].chksum
        del packet["UDP"].chksum
        assert type(packet)(bytes(packet))["UDP"].chksum == given


@needs_lan
def test_capture_has_every_frame_without_waiting():
    """Sent from several threads, nobody receiving: all are there when the `with` ends, in order."""
    with lan.switch("alice", "bob", "carol") as net:
        receiver(net["carol"])

        def send(name):
            sock = net[name].socket()
            for number in range(500):
                sock.sendto(struct.pack("!I", number), (net["carol"].address, PORT))

        with net["carol"].capture() as seen, net["alice"].capture() as sent:
            start = time.monotonic()
            threads = [threading.Thread(target=send, args=(name,)) for name in ("alice", "bob")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            end = time.monotonic()
        udp = [f for f in seen.frames if f.data[12:14] == b"\x08\x00" and f.data[23] == socket.IPPROTO_UDP]
        assert len(udp) == 1000 and not any(frame.outgoing for frame in udp)
        assert all(start - 1 < frame.time < end + 1 for frame in udp), "on the clock of time.monotonic"
        from_alice = [frame.data[42:46] for frame in udp if frame.data[6:12].hex(":") == net["alice"].mac]
        assert from_alice == [struct.pack("!I", number) for number in range(500)]
        assert sum(frame.outgoing and frame.data[12:14] == b"\x08\x00" for frame in sent.frames) == 500


@needs_lan
def test_a_capture_that_overflows_says_so():
    with lan.switch("alice", "bob") as net:
        sender = net["alice"].socket()
        with pytest.raises(OSError, match="did not fit"), net["bob"].capture(room=1):
            for _ in range(200):
                sender.sendto(b"x", (net["bob"].address, PORT))


@needs_lan
def test_capture_as_a_file(tmp_path):
    from scapy.utils import rdpcap

    with lan.switch("alice", "bob") as net:
        with net["bob"].capture() as seen:
            net["alice"].socket().sendto(b"hello", (net["bob"].address, PORT))
        seen.save(tmp_path / "seen.pcap")
        again = rdpcap(str(tmp_path / "seen.pcap"))
        assert [bytes(packet) for packet in again] == [frame.data for frame in seen.frames]
        assert abs(float(again[0].time) - time.time()) < 5
        with net["bob"].capture() as nothing:
            pass
        nothing.save(tmp_path / "nothing.pcap")
        # Hardly anything: a host may speak up by itself now and then, to renew what it knows of its neighbours.
        assert [bytes(packet) for packet in rdpcap(str(tmp_path / "nothing.pcap"))] == [f.data for f in nothing.frames]


# ---- A path ----


@needs_lan
def test_path_mtu_is_learnt_from_icmp():
    with lan.path(1500, 1400) as net:
        server, client = receiver(net["server"]), df_client(net)
        client.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        assert client.getsockopt(socket.IPPROTO_IP, IP_MTU) == 1500
        with net["client"].capture() as seen:
            assert client.send(bytes(1472)) == 1472
        assert client.getsockopt(socket.IPPROTO_IP, IP_MTU) == 1400
        icmp = [packet for packet in scapy_packets(seen) if "ICMP" in packet]
        assert [(p["ICMP"].type, p["ICMP"].code, p["ICMP"].nexthopmtu) for p in icmp] == [(3, 4, 1400)]
        with pytest.raises(OSError) as queued:
            client.send(bytes(1372))
        assert queued.value.errno == errno.EMSGSIZE
        assert client.send(bytes(1372)) == 1372
        assert len(server.recv(65535)) == 1372 and heard(server) == []
        _, ancillary, _, _ = client.recvmsg(2000, 500, MSG_ERRQUEUE)
        code, _, type_, icmp_code, _, mtu, _ = struct.unpack_from("IBBBBII", ancillary[0][2])
        assert (code, type_, icmp_code, mtu) == (errno.EMSGSIZE, 3, 4, 1400)
        router = socket.inet_ntoa(ancillary[0][2][20:24])
        assert router == net["router1"].interface("eth0").address


@needs_lan
@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="IPv6 is off on this machine")
def test_path_mtu_is_learnt_from_packet_too_big():
    """The IPv6 way, through routers; and not from routers that are silent."""
    ipv6_mtu_discover, do, ipv6_mtu = 23, 2, 24  # linux/in6.h
    with lan.path(1500, 1400, 1300) as net:
        server, client = net["server"].socket(socket.AF_INET6), net["client"].socket(socket.AF_INET6)
        server.bind(("::", PORT))
        client.setsockopt(socket.IPPROTO_IPV6, ipv6_mtu_discover, do)
        client.connect((net["server"].address6, PORT))
        net["router1"].send_icmp(False)
        for believed in (1500, 1400, 1300):
            with contextlib.suppress(OSError):  # "too long", as old news
                client.send(b"old news?")
            client.send(bytes(believed - 48))
            settle(net["client"])
            if believed == 1500:
                assert client.getsockopt(socket.IPPROTO_IPV6, ipv6_mtu) == 1500
                net["router1"].send_icmp(True)
                client.send(bytes(1452))
                settle(net["client"])
            assert client.getsockopt(socket.IPPROTO_IPV6, ipv6_mtu) == max(believed - 100, 1300)
        assert 1252 in map(len, heard(server))


@needs_lan
def test_black_hole():
    with lan.path(1500, 1400) as net:
        net["router1"].send_icmp(False)
        server, client = receiver(net["server"]), df_client(net)
        for _ in range(3):
            assert client.send(bytes(1472)) == 1472
        client.send(bytes(1372))
        assert len(server.recv(65535)) == 1372 and heard(server) == []
        assert client.getsockopt(socket.IPPROTO_IP, IP_MTU) == 1500
        net["router1"].send_icmp(True)
        client.send(bytes(1472))
        settle(net["client"])
        assert client.getsockopt(socket.IPPROTO_IP, IP_MTU) == 1400


@needs_lan
@pytest.mark.parametrize("size", [1372, 1373, 65507])
def test_fragments_as_predicted(size):
    room = (1400 - 20) // 8 * 8  # payload of every fragment but the last: a multiple of 8 (RFC 791)
    predicted = [(at, min(room, size + 8 - at)) for at in range(0, size + 8, room)]
    if size + 8 <= 1380:
        predicted = [(0, size + 8)]
    with lan.path(1400, 1400, 1400) as net:
        server = receiver(net["server"])
        with net["server"].capture() as seen:
            net["client"].socket().sendto(bytes(size), (net["server"].address, PORT))
        ip = [packet["IP"] for packet in scapy_packets(seen) if "IP" in packet]
        assert [(p.frag * 8, p.len - 20) for p in ip] == predicted
        assert len(server.recv(65535)) == size


@needs_lan
def test_a_long_path_carries_both_ways():
    with lan.path(1500, 9000, 1400, 1280) as net:
        server, client = receiver(net["server"]), net["client"].socket()
        client.sendto(bytes(8000), (net["server"].address, PORT))
        data, address = server.recvfrom(65535)
        assert (len(data), address[0]) == (8000, net["client"].address)
        server.sendto(bytes(8000), address)
        assert len(client.recv(65535)) == 8000
        net["router2"].socket().sendto(b"hi", (net["server"].address, PORT))
        assert server.recvfrom(9)[0] == b"hi"


# ---- What is left, and who disturbs whom ----


def held():
    return sorted(os.listdir("/proc/self/fd")), threading.active_count()


@needs_lan
def test_close_leaves_nothing():
    lan.stop()
    before = held()
    lan.switch("alice").close()  # starts the helper, which stays for the next network
    pid = lan.process.running["process"].pid
    idle, helper_idle = held(), files(pid)
    for build in (lambda: lan.switch("alice", "bob", beyond=("dave",)), lambda: lan.path(1500, 1400)):
        net = build()
        with next(iter(net)).capture():
            sock = next(iter(net)).socket()
        net.close()
        net.close()
        assert sock.fileno() == -1
        assert held() == idle and has_let_go(pid, helper_idle)
        with pytest.raises(lan.LanError, match="closed"):
            next(iter(net)).socket()
    lan.stop()
    assert held() == before and not Path(f"/proc/{pid}").exists()


@needs_lan
def test_an_interrupt_just_when_a_socket_arrives_waits_until_it_has_an_owner(monkeypatch):
    """The descriptor is a mere number then: lost, it would stay open, and keep its network, until this process ends."""
    receive, usual = socket.recv_fds, signal.getsignal(signal.SIGINT)

    def interrupted(*arguments):
        arrived = receive(*arguments)
        signal.raise_signal(signal.SIGINT)
        return arrived

    with lan.switch("alice") as net:
        gc.collect()
        before = files("self")
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(socket, "recv_fds", interrupted)
            net["alice"].socket()
        gc.collect()
        assert files("self") == before
        assert signal.getsignal(signal.SIGINT) is usual
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a program that a shell has started with nohup and &
        try:
            net["alice"].socket().close()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        finally:
            signal.signal(signal.SIGINT, usual)


@needs_lan
def test_a_network_that_closes_takes_sockets_along_that_an_interrupt_kept_from_everybody():
    """Python remembers an error, and with it what its functions held: here, in `errors`, for all of them."""
    lan.switch("alice").close()  # starts the helper
    gc.collect()
    before, errors, number = files("self"), [], 0
    while len(errors) == number:  # until it gets through
        number += 1
        with lan.switch("alice") as net:
            try:
                with interrupt_at(number, lan.network, lan.host):
                    net["alice"].socket()
            except KeyboardInterrupt as error:
                errors.append(error)
    assert len(errors) > 10
    assert files("self") == before


def wait_in_call(thread, sock):
    """Return when a thread waits in a system call on a socket: its first argument is the socket's number (proc(5))."""
    until = time.monotonic() + 20
    while Path(f"/proc/self/task/{thread.native_id}/syscall").read_text().split()[1:2] != [hex(sock.fileno())]:
        assert time.monotonic() < until, "it does not wait"
        time.sleep(0.001)


@needs_lan
def test_a_network_that_closes_ends_the_servers_in_it():
    before = threading.active_count()
    with lan.switch("alice") as net:
        others = threading.enumerate()
        server = Server(bytes.upper, "", make_socket=net["alice"].socket).start()
        [thread] = set(threading.enumerate()) - set(others)
        [sock] = net["alice"].given
        wait_in_call(thread, sock)
    begin = time.monotonic()
    server.stop()
    assert time.monotonic() - begin < 4, "it had ended already"
    assert not server.running and threading.active_count() == before
    assert server.counts["received"] == 0


@needs_lan
def test_a_process_without_a_free_descriptor_is_told_so_and_the_network_stays():
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with lan.switch("alice") as net:
        gc.collect()  # later it could free a lower one
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
        try:
            with pytest.raises(OSError) as caught:
                net["alice"].socket()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert caught.value.errno == errno.EMFILE
        net["alice"].socket().close()


@needs_lan
def test_the_longest_path_carries_a_datagram():
    with lan.path(*[1500] * 64) as net:
        server = receiver(net["server"])
        net["client"].socket().sendto(b"hi", (net["server"].address, PORT))
        assert server.recv(9) == b"hi"


@needs_lan
def test_forgotten_network_goes_with_its_last_reference():
    lan.switch("alice").close()
    pid = lan.process.running["process"].pid
    idle = files(pid)
    with pytest.warns(ResourceWarning):
        net = lan.switch("alice", "bob")
        del net
        gc.collect()
        lan.switch("carol").close()  # asked after it: the helper has seen the end
    assert has_let_go(pid, idle)


@needs_lan
def test_killed_helper_is_told_and_replaced():
    with lan.switch("alice", "bob") as net, lan.path(1500) as other:
        sock = net["alice"].socket()
        pid = lan.process.running["process"].pid
        os.kill(pid, signal.SIGKILL)
        again = lan.switch("alice", "bob")  # at once: perhaps before anybody has noticed
        for dead in (net["alice"], other["client"]):
            with pytest.raises(lan.LanError, match="helper process has ended"):
                dead.socket()
        assert gone(pid) and lan.process.running["process"].pid != pid
        with again:
            bob = receiver(again["bob"])
            again["alice"].socket().sendto(b"hi", (again["bob"].address, PORT))
            assert bob.recv(9) == b"hi"
    assert sock.fileno() == -1


WITH_A_LAN = """
import os, sys
from udplab import lan
net = lan.switch("alice", "bob")
bob = net["bob"].socket(); bob.bind(("", 1060)); bob.settimeout(5)
print(lan.process.running["process"].pid, flush=True)
for line in sys.stdin:
    net["alice"].socket().sendto(line.encode(), (net["bob"].address, 1060))
    print(bob.recv(99).decode(), end="", flush=True)
"""


@needs_lan
def test_helper_ends_with_a_killed_parent_though_a_fork_lives():
    """A fork that Python does not know of, and that keeps a copy of each socket open."""
    code = WITH_A_LAN.replace("for line", "if ctypes.CDLL(None).fork() == 0: sys.stdin.read(); os._exit(0)\nfor line")
    code = code.replace("import os, sys", "import ctypes, os, sys")
    with python(code) as process:
        helper = int(process.stdout.readline())
        process.kill()
        assert gone(helper)


@needs_lan
def test_two_processes_do_not_disturb_each_other():
    with python(WITH_A_LAN) as one, python(WITH_A_LAN) as two:
        helpers = [int(process.stdout.readline()) for process in (one, two)]
        assert len(set(helpers)) == 2
        for word in ("first", "second"):
            for process in (one, two):
                process.stdin.write(f"{word} {process.pid}\n")
                process.stdin.flush()
        one_said = [one.stdout.readline() for _ in range(2)]
        one.kill()
        assert gone(helpers[0])
        assert one_said == [f"first {one.pid}\n", f"second {one.pid}\n"]
        assert two.stdout.readline() == f"first {two.pid}\n"
        two.stdin.write("third\n")
        two.stdin.flush()
        assert [two.stdout.readline() for _ in range(2)] == [f"second {two.pid}\n", "third\n"]
        two.stdin.close()
        assert gone(helpers[1]) and two.wait() == 0


FORKED = """
import os, warnings
warnings.simplefilter("error")
from udplab import lan
net = lan.switch("alice")
alice, other = net["alice"].socket(), net["alice"].socket()
alice.bind(("", 1060))
if os.fork() == 0:
    try:
        net["alice"].socket()
    except lan.LanError as reason:
        print(reason, flush=True)
    net.close()
    with lan.switch("bob") as own:
        own["bob"].socket().close()
    lan.stop()
    os._exit(0)
assert os.wait()[1] == 0
net["alice"].socket().close()
other.sendto(b"hi", ("10.0.0.1", 1060))
assert alice.recv(9) == b"hi"
net.close()
print("parent still has its network")
"""


@needs_lan
def test_fork():
    with python(FORKED) as process:
        out = process.communicate()[0]
    assert "belongs to the process that made it" in out and "parent still has its network" in out


@needs_lan
def test_a_helper_that_ends_with_a_network_and_a_visitor_closes_all_and_is_quiet():
    code = "import os, socket; from udplab import lan; from udplab.lan.door import folder;"
    code += "net = lan.switch('a'); running = lan.process.running; visitor = socket.socket(socket.AF_UNIX, 5);"
    code += "visitor.connect(f'{folder(os.geteuid())}/{running[\"process\"].pid}.sock'); visitor.recv(9);"
    code += "running['control'].close(); running['process'].wait(60); net.close(); visitor.close()"
    strict = os.environ | {"PYTHONDEVMODE": "1", "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, env=strict, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@needs_lan
def test_quiet_under_dev_mode():
    code = "from udplab import lan\nwith lan.switch('a') as n: n['a'].capture().__enter__().__exit__(None)"
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@needs_lan
def test_threads_share_a_network():
    with lan.switch("alice", "bob") as net:
        made = []
        threads = [threading.Thread(target=lambda: made.extend(net["bob"].socket() for _ in range(50))) for _ in "1234"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({sock.fileno() for sock in made}) == 200
        for port, sock in enumerate(made, start=2000):
            sock.bind((net["bob"].address, port))


@needs_lan
def test_an_answer_to_an_interrupted_question_is_dropped():
    """Ctrl-C after the question has been sent: the next question gets its own answer."""
    with lan.switch("alice", "bob") as net:
        before = files("self")
        question = {"number": 0, "op": "socket", "host": "alice", "family": 1, "type": 1, "proto": 0}
        net._control.send(json.dumps(question).encode())
        sock = net["bob"].socket()
        assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((net["bob"].address, PORT))  # it is on bob
        assert files("self") == before + 1, "the other socket is closed"


@needs_lan
def test_a_limit_that_a_network_meets_is_named():
    """Fault 35: the trial at the start had room enough, the network has not."""
    code = (
        "from pathlib import Path; from udplab import lan; from udplab.lan import helper\nhelper.enter_namespaces()\n"
    )
    code += "Path('/proc/sys/user/max_net_namespaces').write_text('6')\nassert lan.unavailable() is None\n"
    code += "try: lan.switch(*'abcdefg')\nexcept OSError as problem: print(problem)\n"
    with python(code) as process:
        out = process.communicate()[0]
    assert out.startswith("as many network namespaces are in use as this system allows: sysctl user.max_net_names")
    assert "is 6. Close other networks, or: sudo sysctl user.max_net_namespaces=1012" in out


@needs_lan
def test_a_helper_that_is_stopped_costs_the_patience_once(monkeypatch):
    """Fault 47."""
    with lan.switch("alice") as net:
        monkeypatch.setattr(lan.network, "PATIENCE", 1.0)
        net._control.settimeout(1.0)
        helper = lan.process.running["process"].pid
        os.kill(helper, signal.SIGSTOP)
        try:
            begin = time.monotonic()
            with pytest.raises(lan.LanError, match=r"did not answer within 1 s"):
                net["alice"].socket()
            net.close()
            with pytest.raises(lan.LanError, match=r"did not answer within 1 s"):
                lan.switch("bob")
            assert time.monotonic() - begin < 3.8, "a second each"
        finally:
            os.kill(helper, signal.SIGCONT)


@needs_lan
def test_a_plan_that_is_too_long_to_tell_is_not_a_helper_that_has_ended():
    names = [f"{number}" * 3000 for number in range(100, 350)]
    with pytest.raises(lan.LanError, match="cannot be asked to build: Message too long"):
        lan.switch(*names)
    with lan.switch(*names[:20]) as net:
        assert len(net) == 20


@needs_lan
@pytest.mark.parametrize("networks", [150, pytest.param(10_000, marks=[pytest.mark.heavy, pytest.mark.long])])
def test_the_helpers_memory_levels_off(networks, measured):
    """Fault 60. The first networks make it grow, as its allocator takes what it then uses again.

    It takes a little more now and then. But 100 bytes kept of each of 10,000 networks would be a megabyte.
    """
    lan.switch("alice").close()
    status = Path(f"/proc/{lan.process.running['process'].pid}/status")

    def kilobytes():
        return int(re.search(r"VmRSS:\s+(\d+)", status.read_text())[1])

    def some(count):
        for _ in range(count):
            lan.path(1500, 1400).close()

    some(50)
    before = kilobytes()
    some(networks)
    grown = kilobytes() - before
    if networks > 150:
        measured(f"{networks:,} networks made and closed: the helper's memory {grown:+,} kB, {before:,} kB before")
    assert grown < (500 if networks == 150 else 1000)


@needs_lan
def test_a_capture_says_what_it_is():
    with lan.switch("alice", "bob") as net:
        seen = net["bob"].capture()
        with pytest.raises(RuntimeError, match="has not begun: with"):
            _ = seen.frames
        with seen:
            net["alice"].socket().sendto(b"hello", (net["bob"].address, PORT))
        lines = str(seen).splitlines()
        assert lines[0] == f"{len(seen.frames)} frames at bob eth0:"
        assert any(
            re.fullmatch(r" +[\d.]+ ms  in   10.0.0.1 > 10.0.0.2  UDP, 5 bytes for port 1060", line) for line in lines
        )


@needs_lan
def test_joining_a_group_is_captured():
    """IGMP and MLD: what a host says when it joins (facts: 224.0.0.22 and ff02::16)."""
    with lan.switch("alice", "bob") as net, net["bob"].capture() as seen:
        alice, alice6 = net["alice"].socket(), net["alice"].socket(socket.AF_INET6)
        group = socket.inet_aton("239.1.2.3") + socket.inet_aton(net["alice"].address)
        alice.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        group6 = socket.inet_pton(socket.AF_INET6, "ff02::123") + struct.pack("@I", net["alice"].index())
        alice6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group6)
        wanted = "10.0.0.1 > 224.0.0.22  IGMP", f"{net['alice'].link_local} > ff02::16  MLD"
        until = time.monotonic() + 10  # a report comes within a second, at a time drawn by lot (RFC 3376, RFC 3810)
        while not all(words in str(seen) for words in wanted):
            assert time.monotonic() < until, str(seen)
            time.sleep(0.02)


@needs_lan
def test_a_capture_begins_once_and_a_failed_one_leaves_nothing():
    with lan.switch("alice") as net:
        with net["alice"].capture() as seen, pytest.raises(RuntimeError, match="running already"):
            seen.__enter__()
        before = held()
        with pytest.raises(OSError):
            net["alice"].capture(room=1 << 40).__enter__()
        assert held() == before


@needs_lan
def test_errors_are_those_of_socket():
    with lan.switch("alice") as net:
        with pytest.raises(OSError) as refused:
            net["alice"].socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_TCP)
        assert refused.value.errno == errno.EPROTONOSUPPORT
        assert not os.get_inheritable(net["alice"].socket().fileno())


@needs_lan
def test_the_machines_own_interfaces_stay_as_they_are():
    before = socket.if_nameindex()
    with lan.switch("alice", beyond=("bob",)), lan.path(1500, 1400):
        assert socket.if_nameindex() == before
    helper = lan.process.running["process"].pid
    assert os.getsid(helper) == helper, "Ctrl-C in the notebook's terminal is not for it"
    for kind in ("user", "net"):
        assert os.readlink(f"/proc/{helper}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")


@needs_lan
def test_fifty_hosts():
    with lan.switch(*(f"host{number}" for number in range(1, 51))) as net:
        everyone = [receiver(host) for host in net]
        sender = net["host1"].socket()
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(b"all", (net["host1"].broadcast, PORT))
        assert [sock.recv(9) for sock in everyone] == [b"all"] * 50


# --- The lessons where namespaces are forbidden ---

FORBIDDEN = """
import json, sys
from pathlib import Path
{forbid}
import matplotlib
matplotlib.use("agg")
from udplab import lan
assert lan.unavailable() is not None
cells = json.loads(Path("notebooks/{lesson}.ipynb").read_text(encoding="utf-8"))["cells"]
space = {{"display": print}}
for _ in range({times}):
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), space)
print("TO THE END")
"""
BY_SYSCTL = """
from udplab.lan import helper
assert helper.enter_namespaces() is None
Path("/proc/sys/user/max_user_namespaces").write_text("0")  # in the new user namespace only
import fcntl, socket, struct
with socket.socket() as any_socket:  # its own loopback interface is down: set it up (netdevice(7), SIOCSIFFLAGS)
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))
"""
BY_PLATFORM = """
import udplab.lan.process
from unittest import mock
udplab.lan.process.sys = mock.Mock(wraps=sys, platform="darwin")
"""


@pytest.mark.parametrize(
    ("forbid", "words", "times"),
    [
        pytest.param(BY_SYSCTL, "max_user_namespaces is 0", 1, marks=needs_lan),
        (BY_PLATFORM, "this is darwin", 2),
    ],
)
@pytest.mark.parametrize("lesson", ["2-3-mtu", "2-4-broadcast"])
def test_a_lesson_without_a_lan(lesson, forbid, words, times):
    """Every cell runs to its end, so many times, and the twins say why nothing was measured."""
    code = FORBIDDEN.format(lesson=lesson, forbid=textwrap.dedent(forbid), times=times)
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPO, env=environment, capture_output=True, encoding="utf-8", timeout=500
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("TO THE END\n")
    assert words in done.stdout and "redicted" in done.stdout
    assert not re.search("captured at the server:|measured are the same", done.stdout)
