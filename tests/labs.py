"""A JupyterLab for tests, started as learners start it, and asked as the page does."""

import contextlib
import json
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from pathlib import Path

import pytest
import websocket

PATIENCE = 120_000  # ms: for what only has to come in a page, on a machine that has much else to do
TOP = Path(__file__).resolve().parent.parent
CLONE = (TOP / ".git").exists() and shutil.which("git") is not None
needs_git = pytest.mark.skipif(not CLONE, reason="this is not a clone, or there is no git")


def git_status():
    """Return what git says has changed in the project's folder."""
    return subprocess.check_output(["git", "-C", TOP, "status", "--porcelain"], text=True)


def spelt(name):
    """Return a name for a file as this system can write it: in a C locale without what is not ASCII."""
    return name.encode(sys.getfilesystemencoding(), "ignore").decode()


@contextlib.contextmanager
def running_lab(options, environment):
    """Run `udplab` with these options; the value is the address that it shows, and the list of its lines."""
    command = [sys.executable, "-m", "udplab", "--port=0", *options]
    theirs = {"PYTHONWARNINGS": "", "PYTHONDEVMODE": ""}  # or JupyterLab's own warnings would end it half-way
    environment = environment | theirs
    server = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, encoding="utf-8")
    lines = []
    with server:
        for line in server.stderr:
            lines.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+/lab/\S*\?token=\w+", line):
                break
        else:
            pytest.fail(f"JupyterLab did not start: {''.join(lines)}")
        # Somebody has to read what the server prints, or it would stop when the pipe is full.
        reader = threading.Thread(target=lambda: lines.extend(server.stderr))
        reader.start()
        try:
            wait_until_it_listens(found[0], server)
            yield found[0], lines
        finally:
            server.terminate()
            try:
                server.wait(120)
            except subprocess.TimeoutExpired:
                server.kill()  # else the end of the `with` would wait for ever
                raise
            reader.join(60)


def wait_until_it_listens(address, server, patience=60.0):
    """Return when a connection can be made: a Jupyter server shows its address a moment before, and says no more."""
    port = int(re.search(r":(\d+)/", address)[1])
    end = time.monotonic() + patience
    while server.poll() is None and time.monotonic() < end:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)
    pytest.fail(f"nothing listens at {address}")


class Server:
    """A Jupyter server, asked by its REST API and by its websockets (jupyter_server's documentation, "The REST API").

    base: its address without what comes after the user's name; token: what lets us in
    """

    def __init__(self, base, token):
        self.base, self.header = base, {"Authorization": f"token {token}"}

    @classmethod
    def at(cls, address):
        """Return the server with the address that a terminal shows."""
        return cls(*re.match(r"(http://[^/]+).*token=(\w+)", address).groups())

    def ask(self, name, content=None, method=None):
        """Return what the server answers to GET, or to POST of a content."""
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"{self.base}/api/{name}", data, self.header, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read() or "null")

    def run(self, notebook, *cells, timeout=60.0):
        """Run cells in a notebook's kernel; return what each has printed. An error in one fails the test.

        timeout: seconds that the kernel may be silent
        """
        kernel = {"kernel": {"name": "python3"}, "type": "notebook", "name": notebook, "path": notebook}
        number = self.ask("sessions", kernel)["kernel"]["id"]
        url = f"{self.base}/api/kernels/{number}/channels".replace("http:", "ws:", 1)
        header = [": ".join(item) for item in self.header.items()]
        with contextlib.closing(websocket.create_connection(url, timeout=timeout, header=header)) as channels:
            return [run_cell(channels, code) for code in cells]


def run_cell(channels, code):
    """Run code by a kernel's websocket; return what it prints."""
    name = uuid.uuid4().hex
    header = {"msg_id": name, "msg_type": "execute_request", "username": "", "session": name, "version": "5.3"}
    content = {"code": code, "silent": False, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    channels.send(json.dumps(message))
    words = []
    while True:
        answer = channels.recv()
        if isinstance(answer, bytes) or (answer := json.loads(answer))["parent_header"].get("msg_id") != name:
            continue  # a widget's picture, or another cell's
        assert answer["msg_type"] != "error", (code, answer["content"])
        words.append(answer["content"].get("text", ""))
        if answer["content"].get("execution_state") == "idle":
            return "".join(words)
