"""Start JupyterLab on the learner's copies of the lessons, whatever the user's home and settings are like."""

import contextlib
import os
import socket
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

from udplab.jupyter import copies

HERE = Path(__file__).resolve().parent

# Where Jupyter, IPython and matplotlib keep files of their own
OWN_FOLDERS = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR")


def say(line):
    """Print one line for the learner's terminal."""
    print(f"udplab: {line}", file=sys.stderr)


def lessons_folder(asked, project):
    """Return the folder for the learner's copies: it is there and can be written.

    asked: the folder that the learner wants; if None, it is my-lessons in the project's folder, else one at home, else
        a temporary one
    Exits with one line where nothing can be written.
    """
    if asked is not None:
        folder = Path(asked).expanduser().absolute()
        if error := copies.refusal(folder, parents=True):
            sys.exit(f"udplab: cannot write in {folder}: {error.strerror}. Name another folder with --lessons.")
        return folder
    for folder in (project / "my-lessons", Path(os.path.expanduser("~")).absolute() / "udplab-lessons"):
        if not copies.refusal(folder):
            return folder
    try:
        folder = Path(tempfile.mkdtemp(prefix="udplab-lessons-"))
    except OSError as error:
        sys.exit(f"udplab: found no folder that can be written: {error.strerror}. Name one with --lessons.")
    say(f"neither {project} nor your home can be written, so what you do is kept only as long as {folder} is.")
    return folder


def find_places(stack):
    """Set in os.environ where JupyterLab and its kernels find what is ours, and where they keep what is theirs.

    That is in a temporary folder where the home cannot be written, or has a path that is too long for Unix sockets.

    stack: a contextlib.ExitStack, which ends when JupyterLab has ended
    """

    def temporary():
        return stack.enter_context(tempfile.TemporaryDirectory(prefix="udplab-", ignore_cleanup_errors=True))

    for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):  # our kernel and our settings, before the user's
        os.environ[name] = os.pathsep.join(filter(None, [str(HERE), os.environ.get(name)]))
    if not home_works():
        place = temporary()
        os.environ.update({name: os.path.join(place, name.lower()) for name in OWN_FOLDERS})
    from jupyter_core.paths import jupyter_runtime_dir

    if hasattr(socket, "AF_UNIX") and not sockets_fit(jupyter_runtime_dir()):
        os.environ["JUPYTER_RUNTIME_DIR"] = temporary()


def home_works():
    """Return whether Jupyter can keep its files where it wants to, in the user's home."""
    from jupyter_core.paths import jupyter_config_dir, jupyter_runtime_dir

    try:
        for folder in (jupyter_config_dir(), jupyter_runtime_dir()):
            os.makedirs(folder, mode=0o700, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):  # the latter where there is no telling what the home is
        return False
    return True


def sockets_fit(folder):
    """Return whether a kernel's Unix sockets can be in a folder: most paths of 100 bytes are too long (unix(7))."""
    if not hasattr(socket, "AF_UNIX"):
        return False
    path = Path(folder, f"kernel-{uuid.uuid4()}-ipc-5")  # named as jupyter_client does
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            sock.bind(str(path))
        except OSError:
            return False
    path.unlink()
    return True


def main(originals, lessons, renew, arguments):
    """Bring the learner's copies of the lessons up to date and start JupyterLab on them, or make one more copy of one.

    originals: the folder of the lessons; lessons: that for the copies, or None
    renew: the lesson of which one more copy is wanted, or None; arguments: for JupyterLab
    """
    if not any(originals.glob("*.ipynb")):
        sys.exit(f"udplab: there are no lessons at {originals}. Run it in a clone of the project: uv run udplab")
    folder = lessons_folder(lessons, originals.parent)
    if renew:
        return add(renew, originals, folder)
    for line in copies.update(originals, folder):
        say(line)
    first = copies.last_worked_on(originals, folder)
    if not (folder / first).exists():
        sys.exit(f"udplab: there are no lessons in {folder}. Name another folder with --lessons.")
    if not on_hub():
        say(f"your lessons are in {folder}. They open in your browser, or at the address below. To stop: Ctrl-C twice.")
    os.environ |= {"UDPLAB_LESSONS": str(folder), "UDPLAB_OPEN": first}  # for jupyter_server_config.py
    with contextlib.ExitStack() as stack:
        find_places(stack)
        # Imported here, since both read the environment when they are.
        if on_hub():
            from jupyterhub.singleuser import main as lab
        else:
            from jupyterlab.labapp import main as lab
        stack.push(end_soon)
        lab(arguments)


def end_soon(kind, error, trace, patience=5.0):
    """Have this process end within so many seconds when its main thread has, whatever other threads are left.

    A server that stops may leave a worker of AnyIO's, which waits for work, and Python waits for it for ever. Source:
    issue 10442 of jupyterlab.

    kind, error, trace: what ended the server, as `__exit__` gets it: the status of the process is the one it would have
    """
    status = error.code if isinstance(error, SystemExit) else int(error is not None)
    if not isinstance(status, int):
        status = int(status is not None)  # words, which Python prints

    def end():
        threading.main_thread().join()
        time.sleep(patience)
        os._exit(status)

    threading.Thread(target=end, name="udplab end", daemon=True).start()


def on_hub():
    """Return whether a JupyterHub has started this process, for one of its users."""
    return "JUPYTERHUB_API_TOKEN" in os.environ


def add(lesson, originals, folder):
    """Put a new copy of a lesson beside the learner's own, and say where it is."""
    try:
        copy = copies.renew(lesson, originals, folder)
    except (OSError, ValueError) as error:
        sys.exit(f"udplab: {getattr(error, 'strerror', None) or error}")
    say(f"the new edition is {copy}. What was there is as it was.")
