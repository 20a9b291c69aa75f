"""The program of lesson 2-3 on the hosts of a path, as one would run it on two machines."""

import os
import select
import subprocess

from udplab.kit.compared import compared
from udplab.mtu import probing
from udplab.mtu.experiments import on_new_path

PROGRAM = "python", "-m", "udplab.mtu", "server"  # the hosts know each other's names


def programs(links, *options):
    """Run `udplab.mtu server --answer` on the server, and on the client `udplab.mtu server` with these options.

    Returns a `Compared` of what the client prints; what is predicted is that of "--probe".
    """
    predicted = probing.report(probing.predict(links)) if options == ("--probe",) else "(only --probe is predicted)"
    return compared(predicted, on_new_path, links, run_programs, options)


def run_programs(net, options, patience=10.0):
    """Return what the client prints on a path. patience: seconds until a server that says nothing is not waited for."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "env": os.environ | {"PYTHONUNBUFFERED": "1"}}
    with net["server"].start(*PROGRAM, "--answer", **pipes) as serving:
        select.select([serving.stdout], [], [], patience)  # until it says that it listens, or why not
        try:
            done = net["client"].run(*PROGRAM, *options, **pipes).stdout
        finally:
            serving.kill()
    return done.decode("utf-8", "replace").rstrip()
