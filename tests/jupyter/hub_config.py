"""The settings that we ship for a JupyterHub, with users that need no password and no entry in the system."""

import os
from pathlib import Path

from jupyterhub.spawner import LocalProcessSpawner

c = get_config()  # noqa: F821 - JupyterHub gives it to its files of settings
load_subconfig(os.environ["CLASS_CONFIG"])  # noqa: F821 - the same

FIRST = int(os.environ["CLASS_FIRST_USER"])  # learner3 is user FIRST + 3; 0 where all are the user who runs the hub


class Learners(LocalProcessSpawner):
    """Starts a server as a user with a home of his own."""

    def home(self):
        return Path(os.environ["CLASS_HOMES"], self.user.name)

    def make_preexec_fn(self, name):
        home, user = self.home(), FIRST and FIRST + int(name.removeprefix("learner"))
        home.mkdir(mode=0o700, exist_ok=True)
        if user:
            os.chown(home, user, user)

        def become():
            if user:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            os.chdir(home)

        return become

    def user_env(self, env):
        return env | {"USER": self.user.name, "HOME": str(self.home())}


c.JupyterHub.spawner_class = Learners
c.Spawner.args = ["--LabApp.expose_app_in_browser=True"]  # the browser test asks it whether a cell has ended
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.bind_url, c.JupyterHub.hub_bind_url, c.ConfigurableHTTPProxy.api_url = os.environ["CLASS_URLS"].split()
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.cookie_secret = os.urandom(32)
c.JupyterHub.services = [{"name": "test", "api_token": os.environ["CLASS_TOKEN"]}]
scopes = ["admin:users", "admin:servers", "access:servers"]
c.JupyterHub.load_roles = [{"name": "test", "services": ["test"], "scopes": scopes}]
