"""One question, sent again and again until its answer comes or the policy ends."""

import collections
import os
import time

from udplab.kit.sockets import MAX_BYTES

REFUSED = (ConnectionRefusedError, ConnectionResetError)  # the second is Windows' word for it


# --- One question ---

ID, END = b"id=", b": "  # a request ID is 16 hexadecimal digits between these two

Attempt = collections.namedtuple("Attempt", "at wait ended sent refused ignored answered")
Attempt.__doc__ = """One send of a question and the wait after it.

at: when it was sent, in seconds on the client's clock
wait: how long the policy lets it wait, in seconds
ended: when the wait was over or the answer there, in seconds on the same clock
sent: False if the system refused each send
refused: how often the system said meanwhile that the port is closed
ignored: how many datagrams arrived meanwhile that were not the answer
answered: True for the attempt in whose wait the answer came
"""

Outcome = collections.namedtuple("Outcome", "question answer attempts")
Outcome.__doc__ = """What became of a question.

question, answer: bytes, without the request ID; answer is None if the client gave up
attempts: a list of `Attempt`, one at least
"""


def new_token():
    """Return a request ID that nobody can guess: 64 random bits in hexadecimal digits."""
    return ID + os.urandom(8).hex().encode("ascii") + END


def split(data):
    """Return (request ID, rest) of a datagram; the ID is b"" if there is none."""
    end = len(ID) + 16
    if data.startswith(ID) and data[end:].startswith(END) and not data[len(ID) : end].strip(b"0123456789abcdef"):
        return data[: end + len(END)], data[end + len(END) :]
    return b"", data


def request(sock, question, delays, token=None, clock=time.perf_counter):
    """Send a question over a connected socket until the answer comes or the delays end; return the `Outcome`.

    delays: an iterable of waits in seconds, such as `exponential()`; one at least, or ValueError is raised
    token: the request ID; None makes a new one. With b"" any datagram counts as the answer, as in the listing.
    clock: a function that gives seconds and never goes back

    Whatever arrives meanwhile, a wait ends on time. A closed port (refused) ends no wait early: a server may start
    in time. Raises OSError for other errors of the socket, such as an unreachable network.
    """
    token = new_token() if token is None else token
    attempts, answer = [], None
    for wait in delays:
        at = clock()  # not after the send: a busy machine may go on only when the answer has come
        sent, refused = send(sock, token + question)
        deadline, ignored = at + wait, 0
        while answer is None and (left := deadline - clock()) > 0:
            sock.settimeout(left)
            try:
                data = sock.recv(MAX_BYTES)
            except TimeoutError:
                break
            except REFUSED:
                refused += 1
                continue
            if data.startswith(token):
                answer = data[len(token) :]
            else:
                ignored += 1
        attempts.append(Attempt(at, wait, clock(), sent, refused, ignored, answer is not None))
        if answer is not None:
            break
    if not attempts:
        raise ValueError("a policy must give one delay at least")
    return Outcome(question, answer, attempts)


def send(sock, data):
    """Send over a connected socket; return whether it was sent, and how often the port was refused before.

    The refusal of an earlier datagram is reported by the next call on the socket. If that call is a send, it does
    not send (man 7 udp), so it has to be repeated.
    """
    for refused in range(3):
        try:
            sock.send(data)
            return True, refused
        except REFUSED:
            pass
    return False, 3


def in_short(outcome):
    """Return a sentence or two about a question without an answer: how often it was sent and what was seen."""
    attempts = outcome.attempts
    tries, span = len(attempts), attempts[-1].ended - attempts[0].at
    refused, ignored = (sum(getattr(each, name) for each in attempts) for name in ("refused", "ignored"))
    text = f"No reply in {tries} {'try' if tries == 1 else 'tries'} ({span:.1f} s)."
    if refused:
        text += f" The port was refused {times(refused)}: no program had it then."
    if ignored:
        text += f" Datagrams that were not the answer came {times(ignored)} and were ignored."
    return text if refused or ignored else text + " Nothing came back."


def times(count):
    """Return "once" or "N times"."""
    return "once" if count == 1 else f"{count} times"
