"""JupyterLab's settings where udplab starts it. They outrank the user's own; what is typed outranks them."""

import os
from urllib.parse import quote

from jupyter_core.paths import jupyter_runtime_dir

from udplab.jupyter.launch import on_hub, sockets_fit

c = get_config()  # noqa: F821 - Jupyter gives it to its files of settings

c.ServerApp.root_dir = os.environ["UDPLAB_LESSONS"]
# A workspace of our own: the tabs of other projects do not open here.
c.ServerApp.default_url = c.LabApp.default_url = f"/lab/workspaces/udplab/tree/{quote(os.environ['UDPLAB_OPEN'])}"
if not on_hub():  # which says by itself where its servers listen
    c.ServerApp.ip = "127.0.0.1"
c.ServerApp.allow_root = True  # in a container one is often root, and a refusal would help nobody there

# Other users of this machine cannot read what is sent by Unix sockets, and there are no ports to run out of.
c.KernelManager.transport = "ipc" if sockets_fit(jupyter_runtime_dir()) else "tcp"

# The address must not drown in what is of no use to a learner.
c.ServerApp.log_level = c.LabApp.log_level = "ERROR"

# The lessons need no news, updates and extensions from the network.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"

# Nor servers of programming languages; to look for them starts npm, which hangs for ever where there is no home.
c.LanguageServerManager.autodetect = False
