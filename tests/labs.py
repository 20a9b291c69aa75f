"""A JupyterLab for tests, started as learners start it."""

import contextlib
import re
import socket
import subprocess
import sys
import threading
import time

import pytest


@contextlib.contextmanager
def running_lab(options, environment):
    """Run `udplab` with these options; the value is the address that it shows, and the list of its lines."""
    command = [sys.executable, "-m", "udplab", "--port=0", *options]
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
            server.wait(120)
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
