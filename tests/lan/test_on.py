"""Tests of `udplab on`: a terminal on a host of a running network."""

import contextlib
import io
import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from machines import NOBODY, TOP, as_nobody, needs_lan

from udplab import lan
from udplab.lan import door, on

# Names that no other run of the tests on this machine has now: `udplab on` finds all of a user's networks.
ZED, YVES, XENO, WANDA = (f"{name}{os.getpid()}" for name in ("zed", "yves", "xeno", "wanda"))
ON = ("-c", "import sys; from udplab.lan.on import main; main(sys.argv[1:])")


def run_on(*arguments, **how):
    how = {"capture_output": True, "text": True, "timeout": 60, "cwd": TOP} | how
    return subprocess.run([sys.executable, *ON, *arguments], **how)


def network(number, *names):
    hosts = {name: f"10.0.0.{place}" for place, name in enumerate(names, start=1)}
    return None, {"number": number, "since": number, "made_by": 42, "hosts": hosts}


@pytest.mark.parametrize(
    ("networks", "host", "number", "words"),
    [
        ([], "bob", None, "no network is running"),
        ([network(1, "alice")], "bob", None, "no host bob"),
        ([network(1, "alice")], "alice", 2, "no network 2"),
        ([network(1, "alice"), network(2, "bob")], "bob", 1, "no host bob"),
        ([network(1, "bob"), network(2, "bob")], "bob", None, "--network 1"),
    ],
)
def test_what_cannot_be_is_said(networks, host, number, words, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # no terminal
    with pytest.raises(SystemExit) as ended:
        on.choose(networks, host, number)
    assert words in ended.value.code


def test_the_one_that_is_meant():
    one, two = network(1, "alice", "bob"), network(2, "alice", "carol")
    assert on.choose([one, two], "carol", None) is two and on.choose([one, two], "alice", 1) is one
    assert on.choose([one], "bob", None) is one


def test_not_linux(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SystemExit, match="need Linux, and this is darwin"):
        on.main(["bob"])


@pytest.mark.skipif(sys.platform != "linux", reason="there is no door elsewhere")
def test_a_folder_that_is_not_ours_is_refused(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700)
    assert door.refusal(mine, os.getuid()) == ""
    assert "belongs to another user" in door.refusal(mine, os.getuid() + 1)
    with pytest.raises(SystemExit, match="belongs to another user"):
        on.running(mine, os.getuid() + 1)
    mine.chmod(0o755)
    assert "chmod 700" in door.refusal(mine, os.getuid())
    link = tmp_path / "link"
    link.symlink_to(mine)
    assert "another user" in door.refusal(link, os.getuid())
    assert on.running(tmp_path / "none", os.getuid()) == []


@needs_lan
def test_commands():
    with lan.switch("alice", ZED) as net:
        done = run_on(ZED, "sh", "-c", "hostname; cat; exit 3", input="some\n")
        assert (done.returncode, done.stdout, done.stderr) == (3, f"{ZED}\nsome\n", "")
        done = run_on(ZED, "no-such-program")
        assert done.returncode == 127 and done.stderr.startswith("udplab on: cannot run no-such-program")
        assert run_on(ZED, "python", "-c", "print(1)").stdout == "1\n"
        with lan.switch(ZED, YVES):
            done = run_on(ZED, "hostname")
            assert done.returncode == 1 and "several networks" in done.stderr and f"alice, {ZED}" in done.stderr
            assert run_on(YVES, "hostname").stdout == f"{YVES}\n"
        net.close()
    done = run_on(ZED, "hostname")
    assert (done.returncode == 1 and len(done.stderr.splitlines()) == 1) or f"no host {ZED}" in done.stderr


@needs_lan
def test_a_shell_says_where_it_is():
    """In a terminal of its own (pty(7)): the prompt has the host's name, and the network's end ends the shell."""
    import pty

    with lan.switch("alice", YVES) as net:
        process, terminal = pty.fork()
        if not process:
            os.environ["SHELL"] = "/bin/bash"
            os.chdir(TOP)
            os.execv(sys.executable, [sys.executable, *ON, YVES])
        os.write(terminal, b"echo $((1300 + 37)) from $(hostname)\n")
        seen = b""
        while f"1337 from {YVES}".encode() not in seen:
            seen += os.read(terminal, 1000)
        assert f"On {YVES}, {net[YVES].address}.".encode() in seen
        assert f"{YVES}:".encode() in seen
    status = os.waitpid(process, 0)[1]
    os.close(terminal)
    assert status != 0


@needs_lan
def test_doors_of_killed_helpers_are_swept():
    place = door.folder(os.geteuid())
    code = "import os, time; from udplab import lan; lan.switch('x'); print(lan.process.running['process'].pid); "
    code += "import signal; os.kill(lan.process.running['process'].pid, 9); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=TOP)
    run_on("nobody-has-this-name")
    assert done.stdout == "" or not (place / f"{done.stdout.strip()}.sock").exists()


def test_a_door_is_seen_when_it_listens(tmp_path, monkeypatch):
    """Before, it would be swept away as that of a killed helper."""
    monkeypatch.setattr(door, "folder", lambda user: tmp_path)
    tmp_path.chmod(0o700)

    class Looking(socket.socket):
        def listen(self):
            assert list(door.knock(tmp_path)) == [] and len(list(tmp_path.iterdir())) == 1
            super().listen()

    monkeypatch.setattr(socket, "socket", Looking)
    opened = door.open_door()
    assert [path.name for path in tmp_path.iterdir()] == [f"{os.getpid()}.sock"]
    door.close_door(opened)
    assert not list(tmp_path.iterdir())


@needs_lan
def test_another_users_network_is_refused():
    """Neither listed, as it is in that user's folder, nor let in by its socket.

    The socket is handed over, as the folder is closed, and stays so for whoever else asks now.
    """
    if os.geteuid() != 0 or as_nobody("-c", "") is None:
        pytest.skip("it takes root to be somebody else")
    with lan.switch("alice", XENO):
        assert "no network is running" in as_nobody(*ON, XENO, "true").stderr
        helper = lan.process.running["process"].pid
        path = door.folder(0) / f"{helper}.sock"
        path.chmod(0o777)
        way = os.open(path, os.O_PATH)
        try:
            knock = f"import socket; s = socket.socket(1, 5); s.connect('/proc/self/fd/{way}'); print(s.recv(9))"
            assert as_nobody("-c", knock, pass_fds=[way]).stdout == "b''\n"
        finally:
            os.close(way)
    assert as_nobody("-c", f"import os; print(os.getuid() == {NOBODY})").stdout == "True\n"


@contextlib.contextmanager
def visit():
    """Yield a socket to the door of this process's helper."""
    path = door.folder(os.geteuid()) / f"{lan.process.running['process'].pid}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as visitor:
        visitor.settimeout(20)
        visitor.connect(os.fspath(path))
        yield visitor


def works(net):
    """Say whether a host still gets what another sends."""
    with net["bob"].socket() as bob, net["alice"].socket() as alice:
        bob.bind(("", 1060))
        bob.settimeout(20)
        alice.sendto(b"here", ("10.0.0.2", 1060))
        return bob.recv(9) == b"here"


@needs_lan
@pytest.mark.parametrize(
    "request_",
    [b"x", b"\xff", b"1", b"[]", b"{}", b"[" * 100_000, b'{"network": 1}', b'{"op": "program", "network": [1]}']
    + [json.dumps({"op": op, "number": 1, "network": 1, "host": "bob"}).encode() for op in ("build", "icmp", "socket")]
    + [json.dumps({"op": "program", "network": 1, "host": host}).encode() for host in ("nobody", ["bob"], None)],
)
def test_a_visitor_that_asks_for_nonsense_is_told_and_loses_only_itself(request_):
    lan.stop()  # so that the number of the network is 1
    with lan.switch("alice", "bob") as net:
        with visit() as visitor:
            assert json.loads(visitor.recv(1 << 20))[0]["number"] == 1
            visitor.send(request_)
            answer, descriptors, _, _ = socket.recv_fds(visitor, 1 << 20, 4)
            assert "error" in json.loads(answer) and descriptors == []
            assert visitor.recv(1) == b"", "it is shown the door"
        assert works(net)


@needs_lan
def test_a_visitor_that_asks_much_and_reads_nothing_is_shown_the_door():
    with lan.switch("alice", "bob") as net, visit() as visitor:
        wanted = {"op": "program", "network": json.loads(visitor.recv(1 << 20))[-1]["number"], "host": "bob"}
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(100_000):
                visitor.send(json.dumps(wanted).encode())
        assert works(net)


@needs_lan
def test_visitors_that_leave_at_once_and_that_stay_for_ever_do_no_harm():
    with lan.switch("alice", "bob", WANDA) as net, contextlib.ExitStack() as staying:
        for _ in range(50):
            visitor = staying.enter_context(visit())
            wanted = {"op": "program", "network": json.loads(visitor.recv(1 << 20))[-1]["number"], "host": "bob"}
            with visit() as hasty:
                hasty.send(json.dumps(wanted).encode())
        assert works(net)
        assert run_on(WANDA, "hostname").stdout == f"{WANDA}\n"


def ticks(process):
    """Return how long a process has had the CPU, in clock ticks (proc_pid_stat(5))."""
    return sum(map(int, Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]))


def first_free(process):
    """Return the lowest number that no file of a process has, once what it is about to close is closed."""
    found, since = None, time.monotonic()
    while time.monotonic() < since + 0.3:
        taken = {int(name) for name in os.listdir(f"/proc/{process}/fd")}
        if (free := min(set(range(len(taken) + 1)) - taken)) != found:
            found, since = free, time.monotonic()
    return found


@needs_lan
def test_a_helper_without_a_descriptor_lets_visitors_wait_and_rests():
    import resource

    with lan.switch("alice", "bob") as net:
        assert works(net)
        helper = lan.process.running["process"].pid
        limits = resource.prlimit(helper, resource.RLIMIT_NOFILE)
        resource.prlimit(helper, resource.RLIMIT_NOFILE, (first_free(helper), limits[1]))
        try:
            with visit() as visitor:
                before = ticks(helper)
                assert select.select([visitor], [], [], 1)[0] == []
                assert ticks(helper) - before < os.sysconf("SC_CLK_TCK") / 10
                resource.prlimit(helper, resource.RLIMIT_NOFILE, limits)
                assert list(json.loads(visitor.recv(1 << 20))[-1]["hosts"]) == ["alice", "bob"]
        finally:
            resource.prlimit(helper, resource.RLIMIT_NOFILE, limits)
        assert works(net)
