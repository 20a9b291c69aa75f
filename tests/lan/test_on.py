"""Tests of `udplab on`: a terminal on a host of a running network."""

import io
import os
import subprocess
import sys

import pytest
from machines import NOBODY, REASON, TOP, as_nobody

from udplab import lan
from udplab.lan import door, on

real = pytest.mark.skipif(REASON is not None, reason=str(REASON))
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


@real
def test_commands():
    with lan.switch("alice", "zed") as net:
        done = run_on("zed", "sh", "-c", "hostname; cat; exit 3", input="some\n")
        assert (done.returncode, done.stdout, done.stderr) == (3, "zed\nsome\n", "")
        done = run_on("zed", "no-such-program")
        assert done.returncode == 127 and done.stderr.startswith("udplab on: cannot run no-such-program")
        assert run_on("zed", "python", "-c", "print(1)").stdout == "1\n"
        with lan.switch("zed", "y"):
            done = run_on("zed", "hostname")
            assert done.returncode == 1 and "several networks" in done.stderr and "alice, zed" in done.stderr
            assert run_on("y", "hostname").stdout == "y\n"
        net.close()
    done = run_on("zed", "hostname")
    assert (done.returncode == 1 and len(done.stderr.splitlines()) == 1) or "no host zed" in done.stderr


@real
def test_a_shell_says_where_it_is():
    """In a terminal of its own (pty(7)): the prompt has the host's name, and the network's end ends the shell."""
    import pty

    with lan.switch("alice", "yves") as net:
        process, terminal = pty.fork()
        if not process:
            os.environ["SHELL"] = "/bin/bash"
            os.chdir(TOP)
            os.execv(sys.executable, [sys.executable, *ON, "yves"])
        os.write(terminal, b"echo $((1300 + 37)) from $(hostname)\n")
        seen = b""
        while b"1337 from yves" not in seen:
            seen += os.read(terminal, 1000)
        assert f"On yves, {net['yves'].address}.".encode() in seen
        assert b"yves:" in seen
    status = os.waitpid(process, 0)[1]
    os.close(terminal)
    assert status != 0


@real
def test_doors_of_killed_helpers_are_swept():
    place = door.folder(os.geteuid())
    code = "import os, time; from udplab import lan; lan.switch('x'); print(lan.process.running['process'].pid); "
    code += "import signal; os.kill(lan.process.running['process'].pid, 9); os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=TOP)
    run_on("nobody-has-this-name")
    assert done.stdout == "" or not (place / f"{done.stdout.strip()}.sock").exists()


@real
def test_another_users_network_is_refused():
    """Neither listed, as it is in that user's folder, nor let in by its socket."""
    if os.geteuid() != 0 or as_nobody("-c", "") is None:
        pytest.skip("it takes root to be somebody else")
    with lan.switch("alice", "xeno"):
        assert "no network is running" in as_nobody(*ON, "xeno", "true").stderr
        helper = lan.process.running["process"].pid
        path = door.folder(0) / f"{helper}.sock"
        path.parent.chmod(0o755)
        path.chmod(0o777)
        try:
            knock = f"import socket; s = socket.socket(1, 5); s.connect({str(path)!r}); print(s.recv(9))"
            assert as_nobody("-c", knock).stdout == "b''\n"
        finally:
            path.parent.chmod(0o700)
    assert as_nobody("-c", f"import os; print(os.getuid() == {NOBODY})").stdout == "True\n"
