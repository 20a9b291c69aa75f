"""A class on one machine: jupyterhub -f udplab/jupyter/jupyterhub_config.py

For somebody who has set up a JupyterHub once. Run it as root with the Python in which udplab is installed; that Python
and the project's folder must be readable for all learners, and writable for none. Each learner is a user of the system
(PAM checks the passwords), has a server of his own, and lessons in ~/udplab-lessons.

Copy this file and change what you need. What is not here is as JupyterHub has it.
"""

import importlib.util
import shutil
import sys

c = get_config()  # noqa: F821 - JupyterHub gives it to its file of settings

# --- Who comes in, and how ---

c.Authenticator.allow_all = True  # whoever can log in to this machine; or allowed_users = {"anna", "bert"}
c.Authenticator.admin_users = set()  # who may start, stop and enter the servers of others: you
c.JupyterHub.bind_url = "http://127.0.0.1:8000"  # put a web server with HTTPS before it: passwords travel here

# --- What a learner gets ---

c.Spawner.cmd = [sys.executable, "-m", "udplab", "--lessons", "~/udplab-lessons"]
c.Spawner.start_timeout = c.Spawner.http_timeout = 120  # seconds; 30 starts at once take a small machine a minute

# --- What keeps one learner from harming the lessons of others ---

# An endless loop takes a processor, and a program that grows takes memory. systemd can limit both for each learner:
# `pip install jupyterhub-systemdspawner`, and it is used. Without it the system shares processors fairly all the same,
# and memory is limited for each process, not for each learner.
GIGABYTES = 1
if shutil.which("systemd-run") and importlib.util.find_spec("systemdspawner"):
    c.JupyterHub.spawner_class = "systemd"
    c.SystemdSpawner.mem_limit = f"{GIGABYTES}G"
    c.SystemdSpawner.cpu_limit = 1.0
elif prlimit := shutil.which("prlimit"):
    # --nproc: processes and threads of a user, so a program that starts itself again and again comes to an end
    limits = [f"--as={4 * GIGABYTES << 30}", "--nproc=500", "--nofile=4096", f"--fsize={1 << 30}"]
    c.Spawner.cmd = [prlimit, *limits, *c.Spawner.cmd]

# A full disk: homes need a quota (setquota), or a partition of their own.
# Too many networks: `sysctl user.max_net_namespaces=1000` limits each user, not all together (namespaces(7)). Each host
# of a network needs one, and the largest network of the lessons has 41 hosts.

# Servers that nobody uses for an hour are stopped: `pip install jupyterhub-idle-culler`.
if importlib.util.find_spec("jupyterhub_idle_culler"):
    c.JupyterHub.load_roles = [
        {
            "name": "culler",
            "services": ["culler"],
            "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        }
    ]
    c.JupyterHub.services = [
        {"name": "culler", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=3600"]}
    ]
