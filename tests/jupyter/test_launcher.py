"""`udplab`: what it makes of its command line, and the JupyterLab that it starts."""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import types
import urllib.request
from pathlib import Path

import pytest
import websocket

from conftest import running_lab
from udplab import __main__ as udplab
from udplab.jupyter import copies, launch

TOP = Path(__file__).resolve().parent.parent.parent


def git_status():
    if not shutil.which("git") or not (TOP / ".git").exists():
        pytest.skip("this is not a clone, or there is no git")
    return subprocess.check_output(["git", "-C", TOP, "status", "--porcelain"], text=True)


class Server:
    """A JupyterLab, asked by its REST API and by its websockets (jupyter_server's documentation, "The REST API")."""

    def __init__(self, address):
        self.place, self.token = re.match(r"http://([^/]+).*token=(\w+)", address).groups()

    def ask(self, name, content=None):
        """Return what the server answers to GET, or to POST of a content."""
        data = content and json.dumps(content).encode()
        request = urllib.request.Request(
            f"http://{self.place}/api/{name}", data, {"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def run(self, notebook, code):
        """Return what code prints in a notebook's kernel."""
        kernel = {"kernel": {"name": "python3"}, "type": "notebook", "name": notebook, "path": notebook}
        number = self.ask("sessions", kernel)["kernel"]["id"]
        url = f"ws://{self.place}/api/kernels/{number}/channels?token={self.token}"
        header = {"msg_id": "1", "msg_type": "execute_request", "username": "", "session": "1", "version": "5.3"}
        with contextlib.closing(websocket.create_connection(url, timeout=60)) as channels:
            content = {"code": code, "silent": False}
            message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
            channels.send(json.dumps(message))
            words, idle = [], False
            while not idle:
                answer = json.loads(channels.recv())
                if answer["parent_header"].get("msg_id") == "1":
                    words.append(answer["content"].get("text", ""))
                    idle = answer["content"].get("execution_state") == "idle"
            return "".join(words)


@pytest.fixture(scope="module")
def server(learner):
    return Server(learner.address)


@pytest.fixture
def started(monkeypatch):
    """Stand in for JupyterLab; the value is the list of the arguments that it got at each start."""
    starts = []
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", types.SimpleNamespace(main=starts.append))
    for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "UDPLAB_LESSONS", "UDPLAB_OPEN", *launch.OWN_FOLDERS):
        monkeypatch.setenv(name, "")  # so that what the launcher sets ends with the test
    return starts


def test_the_address_opens_the_first_lesson_in_a_clean_copy(learner, server):
    before = git_status()
    assert re.search(r"/lab/workspaces/udplab/tree/2-1-loopback\.ipynb\?token=", learner.address)
    cells = server.ask("contents/2-1-loopback.ipynb")["content"]["cells"]
    original = copies.read(udplab.NOTEBOOKS / "2-1-loopback.ipynb").cells
    assert [cell["id"] for cell in cells] == [cell["id"] for cell in original]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    assert git_status() == before


ABOUT = """
import json, os, sys, ipykernel, udplab
file = ipykernel.get_connection_file()
print(sys.executable, os.getcwd(), json.load(open(file))["transport"], oct(os.stat(os.path.dirname(file)).st_mode), sep="\\n")
"""


def test_its_kernel_is_this_python_and_talks_by_unix_sockets(learner, server):
    """Although the learner has a kernel of the same name that does not start, and prefers his own."""
    executable, place, transport, mode = server.run("2-1-loopback.ipynb", ABOUT).splitlines()
    assert (executable, place) == (sys.executable, str(learner.lessons))
    if hasattr(socket, "AF_UNIX"):
        assert transport == "ipc" and mode.endswith("00")  # and nobody else comes near
    lines = [line for line in learner.terminal if line.strip()]
    assert len(lines) <= 6, lines


def test_a_lesson_that_was_only_opened_and_saved_is_still_untouched(browser, learner):
    """And nothing is stored in it that was printed for somebody else."""
    with contextlib.closing(browser.new_page()) as page:
        page.set_default_timeout(120_000)  # ms
        page.goto(learner.address)
        panel = "window.jupyterapp.shell.currentWidget"
        page.wait_for_function("window.jupyterapp")
        page.wait_for_function(f"{panel}?.sessionContext?.session?.kernel?.status === 'idle'")
        assert page.evaluate(f"{panel}.context.path") == "2-1-loopback.ipynb"
        assert page.locator(".jp-OutputArea-output").count() == 0
        page.evaluate(f"{panel}.context.model.dirty = true")
        page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
        page.wait_for_function(f"{panel}.context.model.dirty === false")
    copy = learner.lessons / "2-1-loopback.ipynb"
    assert "language_info" in copies.read(copy).metadata  # so it was saved
    assert copies.state(copy)[1]
