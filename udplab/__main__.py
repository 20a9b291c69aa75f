"""`udplab`: open the lessons in JupyterLab. Arguments go on to `jupyter lab`, such as --no-browser or --port=8890."""

import os
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

# Settings that stop JupyterLab from asking the network for news, updates and extensions. The lessons need none.
QUIET = Path(__file__).resolve().parent / "jupyter"


def command(arguments, root):
    """Return the arguments for `jupyter lab`. root: whether the user is root, which Jupyter refuses unless told."""
    return [str(NOTEBOOKS), *(["--allow-root"] if root else []), *arguments]


def config_path(existing=""):
    """Return the value of JUPYTER_CONFIG_PATH: our quiet settings, after those that the user has already."""
    return os.pathsep.join(filter(None, [existing, str(QUIET)]))


def main():
    """Start JupyterLab on the notebooks."""
    if not NOTEBOOKS.is_dir():
        sys.exit(f"udplab: there are no lessons at {NOTEBOOKS}. Run it in a clone of the project: uv run udplab")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if root:
        print("udplab: you are root, so JupyterLab is started with --allow-root.", file=sys.stderr)
    os.environ["JUPYTER_CONFIG_PATH"] = config_path(os.environ.get("JUPYTER_CONFIG_PATH", ""))
    from jupyterlab.labapp import main as lab  # here, since it reads the environment when it is imported

    lab(command(sys.argv[1:], root))


if __name__ == "__main__":
    main()
