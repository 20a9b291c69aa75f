"""udplab: open the lessons in JupyterLab, on copies of your own. Whatever else is given goes on to `jupyter lab`."""

import argparse
import importlib
import sys
from pathlib import Path

from udplab import __version__
from udplab.kit import terminal

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

COMMANDS = {"on": "udplab.lan.on", "grade": "udplab.jupyter.grade"}  # each has a main(argv)

EPILOG = """\
other commands:
  udplab on HOST [COMMAND ...]   run a command on a host of a lesson's network
  udplab grade FOLDER            try what the learners of a class have written
Each of them has its own --help.
"""


def parser():
    """Return the argparse parser for what is not JupyterLab's."""
    result = argparse.ArgumentParser(
        prog="udplab",
        usage="udplab [--lessons FOLDER] [--renew LESSON] [options of JupyterLab, such as --no-browser or --port=8890]",
        description=__doc__,
        epilog=EPILOG,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("--version", action="version", version=f"udplab {__version__}")
    result.add_argument("--lessons", metavar="FOLDER", help="where your copies are (my-lessons beside notebooks)")
    result.add_argument("--renew", metavar="LESSON", help="put a new copy of a lesson, such as 2-1, beside yours")
    return result


def main(argv=None):
    """Do what the command line says, and exit."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in COMMANDS:
        command = importlib.import_module(COMMANDS[argv[0]]).main
        terminal.run(lambda: sys.exit(command(argv[1:])))
    else:
        ours, theirs = parser().parse_known_args(argv)
        launch = importlib.import_module("udplab.jupyter.launch")
        terminal.run(launch.main, NOTEBOOKS, ours.lessons, ours.renew, theirs)


if __name__ == "__main__":
    main()
