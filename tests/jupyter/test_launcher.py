"""`udplab`: what it makes of its command line, and the JupyterLab that it starts."""

import errno
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import types
import urllib.request
from pathlib import Path

import pytest
from labs import TOP, Server, git_status, needs_git, running_lab, spelt
from traitlets.config.loader import PyFileConfigLoader

from udplab import __main__ as udplab
from udplab.jupyter import copies, launch


@pytest.fixture(scope="module")
def server(learner):
    return Server.at(learner.address)


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Stand in for JupyterLab; the value is the list of the arguments that it got at each start.

    The project and the home are in the test's folder.
    """
    starts = []
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", types.SimpleNamespace(main=starts.append))
    for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH", "UDPLAB_LESSONS", "UDPLAB_OPEN", *launch.OWN_FOLDERS):
        monkeypatch.setenv(name, "")  # so that what the launcher sets ends with the test
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "USERPROFILE", "APPDATA"):
        monkeypatch.setenv(name, str(home))
    (tmp_path / "project").mkdir()
    monkeypatch.setattr(udplab, "NOTEBOOKS", shutil.copytree(udplab.NOTEBOOKS, tmp_path / "project" / "notebooks"))
    return starts


@pytest.fixture
def refuse(monkeypatch):
    """Return a function that makes folders unfit for writing, for root too."""
    real, refused = tempfile.TemporaryFile, []

    def temporary(dir):
        if any(Path(dir).is_relative_to(each) for each in refused):
            raise OSError(errno.EROFS, "Read-only file system")
        return real(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", temporary)
    return refused.append


@needs_git
def test_the_address_opens_the_first_lesson_in_a_clean_copy(learner, server):
    before = git_status()
    assert re.search(r"/lab/workspaces/udplab/tree/2-1-loopback\.ipynb\?token=", learner.address)
    cells = server.ask("contents/2-1-loopback.ipynb")["content"]["cells"]
    original = copies.read(udplab.NOTEBOOKS / "2-1-loopback.ipynb").cells
    assert [cell["id"] for cell in cells] == [cell["id"] for cell in original]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    assert git_status() == before


ABOUT = """
import json, os, sys, ipykernel, udplab
file = ipykernel.get_connection_file()
mode = oct(os.stat(os.path.dirname(file)).st_mode)
print(sys.executable, os.getcwd(), json.load(open(file))["transport"], mode, sep="\\n")
"""


def test_its_kernel_is_this_python_and_talks_by_unix_sockets(learner, server):
    """Although the learner has a kernel of the same name that does not start, and prefers his own."""
    before = len(learner.terminal)  # other tests may have used this JupyterLab
    executable, place, transport, mode = server.run("2-1-loopback.ipynb", ABOUT)[0].splitlines()
    assert (executable, place) == (sys.executable, str(learner.lessons))
    if hasattr(socket, "AF_UNIX"):
        assert transport == "ipc" and mode.endswith("00")  # and nobody else comes near
    at_first = next(number for number, line in enumerate(learner.terminal) if "?token=" in line) + 1
    lines = [line for line in learner.terminal[:at_first] + learner.terminal[before:] if line.strip()]
    assert len(lines) <= 6, lines


def test_nothing_asks_the_network_for_news_updates_and_extensions(learner):
    """The settings reach the page, where they take effect."""
    from jupyterlab.labapp import LabApp  # here, since it loads all of a Jupyter server

    with urllib.request.urlopen(learner.address, timeout=60) as page:
        found = re.search(r'id="jupyter-config-data" type="application/json">(.*?)</script>', page.read().decode())
    config = json.loads(found[1])
    assert config["news"] == {"disabled": True}
    assert "@jupyterlab/apputils-extension:announcements" in config["disabledExtensions"]
    assert config["extensionManager"]["name"] == "read-only"
    assert LabApp.class_traits()["check_for_updates_class"]  # what the page does not show; the setting has this name
    assert "check_for_updates_class" in (launch.HERE / "jupyter_server_config.py").read_text(encoding="utf-8")


def test_it_starts_for_a_user_without_a_home(tmp_path):
    """/proc is a place where even root can make none."""
    nobody = os.environ | dict.fromkeys(("HOME", "USERPROFILE", "APPDATA"), "/proc/nowhere")
    if not Path("/proc").is_dir():
        pytest.skip("this system has no /proc")
    with running_lab(["--no-browser", "--lessons", str(tmp_path)], nobody) as (address, terminal):
        server = Server.at(address)
        assert server.run("2-1-loopback.ipynb", "import matplotlib.pyplot; print(1)") == ["1\n"]
        place = re.search(r"file://(\S+)/jupyter_runtime_dir", "".join(terminal))[1]
        assert Path(place).is_dir()
    assert not Path(place).exists()
    assert "Traceback" not in "".join(terminal)


@pytest.mark.parametrize(
    "options",
    [[], ["--no-browser"], ["--port", "8890"], ["--ip=0.0.0.0", "--debug", "x.ipynb"], ["--help-all"], ["--lab", "on"]],
)
def test_what_is_not_for_the_launcher_goes_on_to_jupyterlab(started, options):
    udplab.main(options)
    assert started == [options]


def test_the_first_start_and_the_next(started, tmp_path, capsys):
    udplab.main([])
    lessons = tmp_path / "project" / "my-lessons"
    assert os.environ["UDPLAB_LESSONS"] == str(lessons) and os.environ["UDPLAB_OPEN"] == "2-1-loopback.ipynb"
    assert {path.name for path in lessons.iterdir()} == {path.name for path in udplab.NOTEBOOKS.glob("*.ipynb")}
    (line,) = capsys.readouterr().err.splitlines()
    assert str(lessons) in line and "Ctrl-C" in line
    second = lessons / "2-2-retry.ipynb"
    second.write_text(second.read_text(encoding="utf-8").replace("...", "3"), encoding="utf-8")
    udplab.main([])
    assert os.environ["UDPLAB_OPEN"] == "2-2-retry.ipynb"


def test_ours_comes_before_what_the_user_has(started, monkeypatch):
    for name in ("JUPYTER_PATH", "JUPYTER_CONFIG_PATH"):
        monkeypatch.setenv(name, "mine")
    udplab.main([])
    assert os.environ["JUPYTER_PATH"] == os.environ["JUPYTER_CONFIG_PATH"] == f"{launch.HERE}{os.pathsep}mine"


def test_one_more_copy_beside_the_first(started, tmp_path, capsys):
    lessons = tmp_path / spelt("Übung 1")
    udplab.main(["--lessons", str(lessons)])
    before = (lessons / "2-1-loopback.ipynb").read_bytes()
    capsys.readouterr()
    udplab.main([f"--lessons={lessons}", "--renew", "2-1"])
    (line,) = capsys.readouterr().err.splitlines()
    assert str(lessons / "2-1-loopback-2.ipynb") in line and len(started) == 1
    assert (lessons / "2-1-loopback.ipynb").read_bytes() == before
    with pytest.raises(SystemExit, match=r"^udplab: There is no lesson '2-9'\. There are 2-1, 2-2, "):
        udplab.main([f"--lessons={lessons}", "--renew", "2-9"])


def test_where_the_project_cannot_be_written_the_copies_are_at_home(started, tmp_path, refuse):
    refuse(tmp_path / "project")
    udplab.main([])
    assert os.environ["UDPLAB_LESSONS"] == str(tmp_path / "home" / "udplab-lessons")


def test_where_neither_can_be_written_they_are_in_a_temporary_folder_and_a_line_says_so(
    started, tmp_path, refuse, capsys, monkeypatch
):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    refuse(tmp_path / "project")
    refuse(tmp_path / "home")
    udplab.main([])
    lessons = Path(os.environ["UDPLAB_LESSONS"])
    assert lessons.parent == tmp_path / "temporary" and len(list(lessons.iterdir())) >= 4
    assert f"is kept only as long as {lessons} is" in capsys.readouterr().err
    assert Path(os.environ["JUPYTER_RUNTIME_DIR"]).is_relative_to(tmp_path / "temporary")
    assert list((tmp_path / "temporary").iterdir()) == [lessons]  # what was for Jupyter has gone with it


@pytest.mark.skipif(sys.platform == "win32", reason="homes are found in another way")
def test_a_user_who_is_not_known_to_the_system(started, tmp_path, refuse, monkeypatch):
    refuse(tmp_path / "project")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    udplab.main([])
    assert os.environ["UDPLAB_LESSONS"].startswith(str(tmp_path / "udplab-lessons-"))


def test_a_folder_that_was_asked_for_and_cannot_be_written(started, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=r"^udplab: cannot write in .*file.x: .* --lessons\.$"):
        udplab.main(["--lessons", str(tmp_path / "file" / "x")])


def test_nowhere_to_write_at_all(started, tmp_path, refuse, monkeypatch):
    refuse(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit, match=r"^udplab: found no folder that can be written: .* --lessons\.$"):
        udplab.main([])


def test_a_full_disk_at_the_first_start(started, tmp_path, monkeypatch, capsys):
    def put(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(copies, "put", put)
    with pytest.raises(SystemExit, match="there are no lessons in"):
        udplab.main([])
    assert "No space left on device" in capsys.readouterr().err and not started


def test_without_lessons_it_says_where_it_looked(started, monkeypatch, tmp_path):
    monkeypatch.setattr(udplab, "NOTEBOOKS", tmp_path / "nowhere")
    with pytest.raises(SystemExit, match=r"there are no lessons at .*nowhere"):
        udplab.main([])


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
def test_sockets_need_a_short_path(tmp_path):
    with tempfile.TemporaryDirectory() as short:
        assert launch.sockets_fit(short) and list(Path(short).iterdir()) == []
    assert not launch.sockets_fit(tmp_path / ("x" * 60))


def test_without_unix_sockets_there_is_no_other_folder(started, monkeypatch):
    monkeypatch.delattr(socket, "AF_UNIX", raising=False)
    assert not launch.sockets_fit("x")
    udplab.main([])
    assert not os.environ["JUPYTER_RUNTIME_DIR"]


def test_where_a_hub_has_started_it_it_starts_the_hubs_server(started, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    starts = []
    monkeypatch.setitem(sys.modules, "jupyterhub.singleuser", types.SimpleNamespace(main=starts.append))
    udplab.main(["--lessons", str(tmp_path / "mine")])
    assert (starts, started) == ([[]], []) and capsys.readouterr().err == ""
    assert "ip" not in settings()["ServerApp"]  # the hub says where it listens


def settings():
    """Return the settings that JupyterLab gets."""
    return PyFileConfigLoader("jupyter_server_config.py", path=str(launch.HERE)).load_config()


def test_the_settings(started, tmp_path):
    udplab.main(["--lessons", str(tmp_path / spelt("Übung 1"))])
    server = settings()["ServerApp"]
    assert (server["ip"], server["root_dir"]) == ("127.0.0.1", str(tmp_path / spelt("Übung 1")))
    assert server["default_url"] == "/lab/workspaces/udplab/tree/2-1-loopback.ipynb"


@pytest.mark.parametrize(("command", "module"), udplab.COMMANDS.items())
def test_the_other_commands_get_the_rest_of_the_line_and_give_their_status(started, monkeypatch, command, module):
    calls = []
    monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(main=lambda argv: calls.append(argv) or 3))
    with pytest.raises(SystemExit) as end:
        udplab.main([command, "bob", "ping", "-c", "1", "--lessons"])
    assert end.value.code == 3 and calls == [["bob", "ping", "-c", "1", "--lessons"]] and not started


def test_ctrl_c_while_it_starts(started, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "main", interrupted)
    with pytest.raises(SystemExit) as end:
        udplab.main([])
    assert end.value.code == 130


@pytest.mark.parametrize(
    ("ending", "status", "words"),
    [("pass", 0, ""), ("sys.exit()", 0, ""), ("sys.exit(3)", 3, ""), ("sys.exit('no port')", 1, "no port\n")],
)
def test_a_thread_that_jupyterlab_leaves_does_not_keep_the_process(ending, status, words):
    code = "import contextlib, functools, sys, threading\nfrom udplab.jupyter.launch import end_soon\n"
    code += "threading.Thread(target=threading.Event().wait).start()\n"
    code += "with contextlib.ExitStack() as stack:\n    stack.push(functools.partial(end_soon, patience=0.1))\n"
    code += f"    print('left', flush=True)\n    {ending}\n"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=TOP, timeout=60)
    assert (result.returncode, result.stdout, result.stderr) == (status, "left\n", words)


def test_the_help_names_what_there_is():
    result = subprocess.run([sys.executable, "-m", "udplab", "--help"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0 and not result.stderr
    assert all(word in result.stdout for word in ("--lessons", "--renew", "udplab on", "udplab grade", "--no-browser"))


@needs_git
def test_the_copies_are_no_business_of_git():
    subprocess.run(["git", "-C", TOP, "check-ignore", "-q", "my-lessons/2-1-loopback.ipynb"], check=True)
