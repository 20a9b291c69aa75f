"""A terminal of JupyterLab on a host: `udplab on` where learners type it, while a notebook holds the network."""

import os
import re
import socket
import sys

import nbformat
import pytest
from labs import PATIENCE
from machines import needs_lan
from nbformat import v4

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: uv installs it")
pytestmark = needs_lan

HOST = f"theodora{os.getpid()}"  # `udplab on` finds all of a user's networks: no other run of the tests has this name
NETWORK = f'from udplab import lan\nnet = lan.switch("alice", "{HOST}")\nprint(net["{HOST}"].address)'


def test_a_terminal_on_a_host(jupyterlab, learner):
    """The notebook's only cell has made a network."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}  # else one is asked for
    notebook = v4.new_notebook(cells=[v4.new_code_cell(NETWORK)], metadata=kernel)
    nbformat.write(notebook, learner.lessons / "network.ipynb")
    with jupyterlab("network.ipynb") as page:
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.locator(".jp-OutputArea-output", has_text="10.0.0.2").wait_for()
        terminal(page)


def terminal(page):
    """Go to the host in a new terminal and leave it again."""
    page.evaluate("""async () => {
        const {content} = await window.jupyterapp.commands.execute("terminal:create-new");
        await content.ready;
        content.setOption("screenReaderMode", true);  // what is drawn is then in the page as text, too
    }""")

    def shown(words):
        screen, words = page.locator(".xterm-accessibility-tree"), re.compile(words, re.MULTILINE)
        sync_api.expect(screen).to_contain_text(words, use_inner_text=True, timeout=PATIENCE)

    def typed(line, answer):
        page.locator(".xterm-helper-textarea").focus()
        page.keyboard.type(f"{line}\n")
        shown(answer)

    shown(r"[$#%>]\s*$")  # the shell's own prompt
    typed(f"{sys.executable} -m udplab on {HOST}", rf"^On {HOST}, 10\.0\.0\.2\. exit leaves it\.")
    shown(rf"^{HOST}.*[$#]\s*$")
    typed("echo $((1300 + 37)) from $(hostname)", f"^1337 from {HOST}")
    typed("trap 'echo left' EXIT; exit", "^left")
    typed("echo $((1400 + 92)) from $(hostname)", f"^1492 from {re.escape(socket.gethostname())}")
