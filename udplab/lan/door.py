"""The door of a helper: a Unix socket in a folder that only its user can read, by which `udplab on` comes in.

The helper opens it and lists its networks to whoever knocks; `on.py` knocks.
"""

import contextlib
import json
import os
import socket
import stat
import struct
from pathlib import Path

SIZE = 1 << 20  # bytes of a message


def folder(user):
    """Return the folder for the doors of a user's helpers."""
    runtime = Path(f"/run/user/{user}")
    if runtime.is_dir() and runtime.stat().st_uid == user:
        return runtime / "udplab"
    return Path(f"/tmp/udplab-{user}")


def refusal(place, user):
    """Return why a folder is not to be trusted, or "": it must be the user's own, and closed to all others."""
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user:
        return f"{place} belongs to another user"
    if found.st_mode & 0o077:
        return f"{place} is open to other users: chmod 700 {place}"
    return ""


def open_door():
    """Return a listening socket, or None where there is no safe place for it: networks work all the same."""
    user = os.geteuid()
    place = folder(user)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        place.mkdir(mode=0o700, exist_ok=True)
        if refusal(place, user):
            raise PermissionError
        path = place / f"{os.getpid()}.sock"
        new = path.with_suffix(".new")  # a door that does not listen yet would be taken for that of a killed helper
        new.unlink(missing_ok=True)
        door.bind(os.fspath(new))
        door.listen()
        new.rename(path)
    except OSError:
        door.close()
        return None
    return door


def close_door(door):
    """Close a door, and take it away."""
    with door, contextlib.suppress(OSError):
        Path(door.getsockname()).with_suffix(".sock").unlink()


def remove_door(helper):
    """Take away what a helper that has ended leaves in the folder. helper: its process id"""
    with contextlib.suppress(OSError):
        (folder(os.geteuid()) / f"{helper}.sock").unlink(missing_ok=True)


def is_ours(visitor):
    """Return whether who knocks is this process's user (unix(7), SO_PEERCRED), seen from this user namespace."""
    credentials = visitor.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return struct.unpack("3i", credentials)[1] == os.geteuid()


def knock(place):
    """Yield (socket, its helper's networks) for each door in a folder; remove the doors of killed helpers."""
    for path in sorted(place.glob("*.sock")):
        visitor = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        visitor.settimeout(5)
        try:
            visitor.connect(os.fspath(path))
            yield visitor, json.loads(visitor.recv(SIZE))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            visitor.close()
        except (OSError, ValueError):  # it ends just now, or is busy
            visitor.close()
