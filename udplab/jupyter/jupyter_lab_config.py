"""The same settings again: those that a user has for JupyterLab would outrank the ones for all servers."""

load_subconfig("jupyter_server_config.py")  # noqa: F821 - Jupyter gives it to its files of settings
