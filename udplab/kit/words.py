"""Words made safe: what strangers sent, and why something went wrong, on one line."""

import errno
from socket import EAI_AGAIN

SHOWN = 200  # bytes of a datagram that the log keeps, characters of it that are shown


def shown(data: bytes | str, limit: int = SHOWN) -> str:
    """Return `repr(data)` on one line of at most `limit` characters, safe for any terminal."""
    text = repr(data[:limit])
    return text if len(text) <= limit and len(data) <= limit else text[: limit - 3] + "..."


def brief(value: object, limit: int = SHOWN) -> str:
    """Return `repr(value)` of anything, on one line of at most `limit` characters, safe for any terminal."""
    try:
        text = repr(value)
    except Exception as error:  # a learner's class
        text = f"<{type(value).__name__}, whose repr fails: {type(error).__name__}>"
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= limit else text[: limit - 3] + "..."


LIMITS = {  # what of a system ran out
    "EMFILE": "this program has no file descriptor left (ulimit -n)",
    "ENFILE": "this system has no file descriptor left",
    "ENOBUFS": "this system has no room left for it in its queues",
    "ENOMEM": "this system has no memory left for it",
}


def told(error: BaseException) -> str:
    """Return what an error says, in words for a reader: for an OSError without its number."""
    try:
        name = errno.errorcode.get(getattr(error, "errno", None))
        text = LIMITS.get(name) or getattr(error, "strerror", None) or str(error)
    except BaseException:  # a learner's class
        text = ""
    text = text or type(error).__name__
    return text if text.isprintable() else ascii(text)[1:-1]


def no_such_host(host: str, error: BaseException) -> str:
    """Return in words why a host's name has no IPv4 address. error: what the look-up raised (socket.gaierror)."""
    if isinstance(host, str) and ":" in host and not set(host) - set("0123456789abcdefABCDEF:."):
        return f"Unknown host {shown(host)}: that is an IPv6 address, and this program speaks IPv4."
    if getattr(error, "errno", None) == EAI_AGAIN:
        return f"Unknown host {shown(host)}: no name server answers just now."
    return f"Unknown host {shown(host)}: no such name is known."


def failure(error: BaseException) -> tuple[str, str]:
    """Return what an error of a server's function is, and why: ("bad", words) for a ValueError, a request that makes no
    sense, and ("errors", the end of the traceback) for anything else. The last line names the error.
    """
    line = f"{type(error).__name__}: {told(error)}"
    if isinstance(error, ValueError):
        return "bad", line[:SHOWN]
    import traceback  # here, since only a failing server needs it and every program would pay for it

    lines = "".join(traceback.format_exception(error)).splitlines()
    if isinstance(error, BaseExceptionGroup):
        lines.append(line)  # else it ends in a frame around the last of the group
    return "errors", "\n".join(lines)[-2000:]


def reason(record, otherwise: str) -> str:
    """Return the last line of why a datagram was not answered, safe for any terminal; `otherwise` where it is empty."""
    line = (record.why.strip().splitlines() or [otherwise])[-1]
    return line if line.isprintable() else ascii(line)


def unit(seconds: float) -> tuple[str, float]:
    """Return the (name, factor) of the unit that suits a span of `seconds`: value * factor is in that unit."""
    if seconds < 1e-3:
        return "µs", 1e6
    return ("ms", 1e3) if seconds < 1 else ("s", 1)
