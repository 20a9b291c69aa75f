"""`udplab`: open the lessons in JupyterLab. Further arguments go to `jupyter lab`, such as --no-browser or --port."""

import os
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

# JupyterLab asks its project's site for news and updates, and the package index for extensions. The lessons need none.
QUIET = [
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
]


def command(arguments, root):
    """Return the arguments for `jupyter lab`. root: whether the user is root, which Jupyter refuses unless told."""
    return [str(NOTEBOOKS), *QUIET, *(["--allow-root"] if root else []), *arguments]


def main():
    """Start JupyterLab on the notebooks."""
    if not NOTEBOOKS.is_dir():
        sys.exit(f"udplab: there are no lessons at {NOTEBOOKS}. Run it from a clone of the project: uv run udplab")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        print("udplab: you are root, so JupyterLab is started with --allow-root.", file=sys.stderr)
    from jupyterlab.labapp import main as lab  # here, so that the message above comes first

    lab(command(sys.argv[1:], root))


if __name__ == "__main__":
    main()
